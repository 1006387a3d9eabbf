"""Probe tokens from datasets on the hub: which rows, how few bytes, and every error once."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from faults import Cut, Status
from huggingface_hub import HfApi, constants
from rows import STEPS_AND_IDS, Rows
from server import Hub
from suites import Suite
from suites import tokenizer as suites_tokenizer
from tokenizers import Tokenizer

import tending.corpus.hub as source
import tending.corpus.hub_text as text_source
import tending.corpus.text as text_files_source
from tending.core import paths
from tending.corpus import CorpusError, Probe, Wanted
from tending.corpus._parquet import BUFFER
from tending.hub import client
from tending.hub.client import HubError
from tending.run import plan

REPOSITORY = Path(__file__).parents[2]
NAME = "org/pile"
KEYS = {"dataset": NAME, "column": "token_ids"}
STEP_9 = {**KEYS, "batch": {"step": 9, "column": "batch_idx"}}
ROWS = Rows()  # three files of four batches of eight rows of 33 tokens
FOOTER = 64 * 1024  # bytes at the end of a file that are read for its footer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that this process's client talks to, without waits between attempts."""
    with Hub() as running:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        monkeypatch.setattr(client, "api", lambda: HfApi(running.endpoint, token=False))
        yield running


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    return tmp_path / "revision.json"


def probe(
    pin: Path, keys: Mapping[str, Any], sequences: int = 4, length: int | None = None
) -> Probe:
    """Pin and read, as the two rules do."""
    source.resolve(keys["dataset"], keys.get("revision", "main"), pin)
    return source.probe([pin], None, Wanted(sequences, length, context=32, keys=keys))


def parquet(columns: Mapping[str, Any], **options: Any) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), written, **options)
    return written.getvalue()


def publish(hub: Hub, files: Mapping[str, bytes]) -> str:
    hub.add(NAME, "dataset")
    return hub.commit(NAME, files)


# Which rows


def test_the_rows_of_a_step(hub: Hub, pin: Path) -> None:
    commit = ROWS.publish(hub, NAME)
    read = probe(pin, STEP_9)
    assert np.array_equal(read.tokens, ROWS.tokens()[72:76, :32])
    assert read.tokens.dtype == np.int32
    assert read.warning.startswith("rows of 33 tokens cut to 32, the longest sequence")
    assert read.attributes == {
        "dataset": NAME,
        "revision": "main",
        "commit": commit,
        "config": "",
        "split": "train",
        "column": "token_ids",
        "rows": "the first 4 with batch_idx 9",
        "files": "data/train-00002-of-00003.parquet",
    }


@pytest.mark.parametrize(
    ("where", "start"),
    [
        ({}, 0),
        ({"rows": "0..128"}, 0),
        ({"rows": "30.."}, 30),  # the rest of one file and the start of the next
        ({"rows": "90.."}, 90),
        ({"batch": {"step": 11, "rows_per_step": 8}}, 88),
    ],
)
def test_a_range_of_rows(hub: Hub, pin: Path, where: dict[str, Any], start: int) -> None:
    ROWS.publish(hub, NAME)
    read = probe(pin, {**KEYS, **where}, sequences=6, length=5)
    assert np.array_equal(read.tokens, ROWS.tokens()[start : start + 6, :5])
    assert read.warning == ""
    assert read.attributes["rows"] == f"{start}..{start + 6}"


def test_a_config_of_its_own_column_names(hub: Hub, pin: Path) -> None:
    rows = Rows(columns=STEPS_AND_IDS, configs=["tokens", "checkpoints"])
    rows.publish(hub, NAME)
    keys = {
        "dataset": NAME,
        "config": "checkpoints",
        "column": "ids",
        "batch": {"step": 4, "column": "step"},
    }
    read = probe(pin, keys, sequences=8)
    assert np.array_equal(read.tokens, rows.tokens(config=1)[32:40, :32])
    assert read.attributes["config"] == "checkpoints"
    with pytest.raises(CorpusError, match=r"several configs .*: tokens, checkpoints"):
        probe(pin, {**keys, "config": None})


STEPS = [3, 5, 3, 7, 3, 5]


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.large_list(pa.int32()), "fixed"])
def test_steps_in_no_order_and_of_every_kind_of_list(
    hub: Hub, pin: Path, statistics: bool, kind: Any
) -> None:
    """A step's rows may lie anywhere, also where no statistics say so."""
    kind = pa.list_(pa.uint16(), 9) if kind == "fixed" else kind
    tokens = np.arange(2 * 6 * 9).reshape(2, 6, 9)
    files = {
        f"train/{i}.parquet": parquet(
            {"step": STEPS, "ids": pa.array(tokens[i].tolist(), kind)},
            row_group_size=4,
            write_statistics=statistics,
        )
        for i in range(2)
    }
    publish(hub, files)
    keys = {"dataset": NAME, "column": "ids", "batch": {"step": 3, "column": "step"}}
    read = probe(pin, keys, sequences=5)
    expected = np.concatenate([tokens[0][[0, 2, 4]], tokens[1][[0, 2]]])
    assert np.array_equal(read.tokens, expected)


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64()])
def test_a_row_without_a_step_belongs_to_none(hub: Hub, pin: Path, kind: pa.DataType) -> None:
    """A step may also be more than the column's type can hold."""
    steps = pa.array([3, None, 5, None, 3, 5], kind)
    publish(hub, {"train.parquet": parquet({"step": steps, "ids": [[i] * 4 for i in range(6)]})})
    keys = {"dataset": NAME, "column": "ids", "batch": {"step": 3, "column": "step"}}
    assert probe(pin, keys, sequences=2).tokens.tolist() == [[0] * 4, [4] * 4]
    for step in (4, 143_000):
        message = rf"no row has step {step}; the dataset goes from 3 to 5, .* are \[3, 5\]"
        with pytest.raises(CorpusError, match=message):
            probe(pin, {**keys, "batch": {"step": step, "column": "step"}})


def test_rows_of_several_lengths_need_a_length(hub: Hub, pin: Path) -> None:
    rows = [[1] * 9, [2] * 7, [3] * 8, [4] * 9]
    publish(hub, {"train.parquet": parquet({"token_ids": rows})})
    with pytest.raises(CorpusError, match=r"rows of 7 to 9 tokens: row 1 .*`corpus\.length` to 7"):
        probe(pin, KEYS)
    with pytest.raises(CorpusError, match="rows of 7 to 9 tokens"):
        probe(pin, KEYS, length=8)
    assert probe(pin, KEYS, length=7).tokens.tolist() == [[i] * 7 for i in range(1, 5)]


# How little is read


def test_only_footers_and_the_steps_own_rows_are_read(hub: Hub, pin: Path) -> None:
    rows = Rows(files=6, batches_per_file=8, rows_per_batch=16, length=2049)
    rows.publish(hub, NAME)
    read = probe(pin, {**KEYS, "batch": {"step": 43, "column": "batch_idx"}})
    assert np.array_equal(read.tokens, rows.tokens()[43 * 16 : 43 * 16 + 4, :32])
    size = len(rows.parquet(5))
    batch = size / rows.batches_per_file
    stored = f"/datasets/{NAME}/*/data/train-0000"
    for file in range(5):
        (request,) = [r for r in hub.asked(f"{stored}{file}*") if r.status == 206]
        assert request.sent == FOOTER
    assert all(r.range for r in hub.asked("*.parquet"))
    assert hub.sent(f"{stored}5*") < FOOTER + 2 * batch < size
    listings = [r for r in hub.asked("/api/*") if "/tree/" in r.path]
    assert len(listings) == 1


def test_the_first_rows_need_the_first_file_only(hub: Hub, pin: Path) -> None:
    Rows(files=6, batches_per_file=8, rows_per_batch=16, length=2049).publish(hub, NAME)
    probe(pin, KEYS)
    assert not hub.asked("*train-00001*")


def test_a_large_row_group_is_read_up_to_the_last_row_wanted(hub: Hub, pin: Path) -> None:
    drawn = np.random.default_rng(0).integers(0, 50_000, (4096, 2049), np.uint16)
    content = parquet({"token_ids": pa.array(list(drawn), pa.list_(pa.uint16()))})
    publish(hub, {"train.parquet": content})
    assert np.array_equal(probe(pin, {**KEYS, "rows": "900.."}).tokens, drawn[900:904, :32])
    assert hub.sent("*.parquet") <= FOOTER + 2 * BUFFER < len(content)


# The pin


def test_a_revision_is_resolved_once(hub: Hub, pin: Path) -> None:
    first = ROWS.publish(hub, NAME)
    probe(pin, KEYS)
    assert json.loads(pin.read_text()) == {"dataset": NAME, "revision": "main", "commit": first}
    other = Rows(seed=1)
    second = hub.commit(NAME, {"data/train-00000-of-00003.parquet": other.parquet(0)})
    assert np.array_equal(probe(pin, KEYS).tokens, ROWS.tokens()[:4, :32])
    assert len(hub.asked("*/revision/main")) == 1
    hub.tag(NAME, "v2", second)
    read = probe(pin, {**KEYS, "revision": "v2"})  # another revision is resolved anew
    assert np.array_equal(read.tokens, other.tokens()[:4, :32])
    assert json.loads(pin.read_text())["commit"] == second


def test_a_pinned_commit_that_is_gone(hub: Hub, pin: Path) -> None:
    first = ROWS.publish(hub, NAME)
    source.resolve(NAME, "main", pin)
    now = hub.commit(NAME, {"data/more.parquet": b""})
    hub.vanish(NAME, first)
    message = (
        rf"commit {first} .* no longer exists, 'main' is now {now}; .* Delete .*revision\.json"
    )
    with pytest.raises(CorpusError, match=message):
        probe(pin, KEYS)
    hub.delete(NAME, "main")
    with pytest.raises(CorpusError, match="there is no 'main' now"):
        probe(pin, KEYS)


def test_a_pin_that_is_none_or_another(hub: Hub, pin: Path) -> None:
    ROWS.publish(hub, NAME)
    source.resolve(NAME, "main", pin)
    wanted = Wanted(4, None, context=32, keys={**KEYS, "revision": "v2"})
    with pytest.raises(CorpusError, match=r"pins org/pile at main, the study names .* at v2; del"):
        source.probe([pin], None, wanted)
    for text in ("{", "{}", '{"commit": 1}'):
        pin.write_text(text)
        with pytest.raises(CorpusError, match=r"revision\.json is not a pinned .*; delete it"):
            source.read_pin(pin)


# Errors


WRONG: dict[str, tuple[Mapping[str, Any], str]] = {
    "dataset": ({"dataset": "org/none"}, r"dataset org/none at main .*corpus\.dataset.*not found"),
    "revision": ({"revision": "v9"}, r"dataset org/pile at v9 .*no such revision"),
    "config": ({"config": "big"}, r"org/pile at main: no config 'big'; available: default"),
    "split": ({"split": "test"}, r"no split 'test'; available: train\."),
    "column": ({"column": "ids"}, r"no column 'ids'; .*`corpus\.column`: uid \(int64\), batch_idx"),
    "column of numbers": ({"column": "uid"}, "'uid' is of type int64, expected lists of integers"),
    "step column": (
        {"batch": {"step": 1, "column": "step"}},
        r"no column 'step'; name one in `corpus\.batch\.column`: uid",
    ),
    "step column of lists": (
        {"batch": {"step": 1, "column": "token_ids"}},
        "'token_ids' is of type list.*, expected the step as an integer",
    ),
    "step": (
        {"batch": {"step": 14, "column": "batch_idx"}},
        r"no row has batch_idx 14; the dataset goes from 0 to 11, .* are \[8, 9, 10, 11\]",
    ),
    "range": ({"rows": "95.."}, "the split has 96 rows, the study requests 4 from row 95 on"),
    "step by rows": ({"batch": {"step": 1}}, "has 96 rows, the study requests 4 from row 1024 on"),
    "length": ({"length": 34}, r"has 33 columns; `corpus\.length` is 34"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named(
    hub: Hub, pin: Path, changes: Mapping[str, Any], message: str
) -> None:
    ROWS.publish(hub, NAME)
    keys = {k: v for k, v in {**KEYS, **changes}.items() if k != "length"}
    with pytest.raises(ValueError, match=message) as caught:
        probe(pin, keys, length=changes.get("length"))
    assert isinstance(caught.value, CorpusError | HubError)
    assert "\n" not in str(caught.value)


def test_too_few_rows_of_a_step(hub: Hub, pin: Path) -> None:
    ROWS.publish(hub, NAME)
    message = r"batch_idx 9 has 8 rows, the study requests 9 \(see `corpus\.sequences` and `held_"
    with pytest.raises(CorpusError, match=message):
        probe(pin, STEP_9, sequences=9)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, -2], [3, 4]] * 2, "must be 0 or more, found -2 to 4"),
        ([[1, 2], None] * 2, "missing values"),
        ([[1, None], [3, 4]] * 2, "missing values"),
        (["a text", "another"] * 2, "'token_ids' is of type string, expected lists of integers"),
        ([[1, 2], []] * 2, r"rows of 0 to 2 tokens"),
    ],
)
def test_rows_that_are_no_tokens(hub: Hub, pin: Path, rows: Any, message: str) -> None:
    publish(hub, {"train.parquet": parquet({"token_ids": rows})})
    with pytest.raises(CorpusError, match=message):
        probe(pin, KEYS)


def test_a_dataset_that_is_not_in_parquet(hub: Hub, pin: Path) -> None:
    publish(hub, {"train.jsonl": b"{}"})
    with pytest.raises(CorpusError, match=r"no Parquet file, only train\.jsonl; set `corpus\.rev"):
        probe(pin, KEYS)


def test_a_file_that_is_broken_is_named(hub: Hub, pin: Path) -> None:
    publish(hub, {"train.parquet": b"PAR1 and then nothing of the kind PAR1"})
    with pytest.raises(CorpusError, match=r"train\.parquet is not a complete Parquet file"):
        probe(pin, KEYS)


# Trouble on the way


@pytest.mark.parametrize("path", ["*/revision/*", "*/tree/*", "*/resolve/*", "*-00002-of*"])
@pytest.mark.parametrize("fault", [Status(503), Status(429, retry_after=1)])
def test_a_busy_hub_is_asked_again(hub: Hub, pin: Path, path: str, fault: Status) -> None:
    ROWS.publish(hub, NAME)
    hub.fail(path, fault, times=2)
    assert np.array_equal(probe(pin, STEP_9).tokens, ROWS.tokens()[72:76, :32])


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_breaks_is_made_again(hub: Hub, pin: Path, reset: bool) -> None:
    ROWS.publish(hub, NAME)
    hub.fail(f"/datasets/{NAME}/*.parquet", Cut(100, reset=reset), times=3)
    assert np.array_equal(probe(pin, STEP_9).tokens, ROWS.tokens()[72:76, :32])


def test_a_gated_dataset(hub: Hub, pin: Path) -> None:
    ROWS.publish(hub, NAME, gated=True)
    with pytest.raises(HubError, match=r"gated.*HF_TOKEN"):
        probe(pin, KEYS)
    assert "Traceback" not in "".join(p.read_text() for p in pin.parent.iterdir())


def test_no_hub_at_all(hub: Hub, pin: Path) -> None:
    ROWS.publish(hub, NAME)
    hub.stop()
    with pytest.raises(HubError, match="dataset org/pile at main"):
        probe(pin, KEYS)
    assert not pin.exists()


# The workflow


def study(folder: Path, **corpus: Any) -> dict[str, Any]:
    return {
        "study": "tiny",
        "corpus": {"source": "hub", "sequences": 6, **STEP_9, **corpus},
        "models": [{"name": "a", "source": "local", "path": f"{folder}/step{{step}}"}],
        "steps": [0, 4],
        "extraction": {"device": "cpu"},
        "held_out_loss": {"sequences": 0},
    }


def snakemake(folder: Path, environment: Mapping[str, str], *options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "snakemake", *options, "--cores", "1"]
    command += ["--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "study.yaml")]
    library = {"PYTHONPATH": str(REPOSITORY / "workflow")}
    done = subprocess.run(
        command,
        env={**environment, **library},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout


def finished(output: str) -> list[str]:
    return re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", output)


def logs(folder: Path) -> str:
    return "".join(p.read_text() for p in folder.rglob("*.log"))


def tokens(path: Path) -> tuple[npt.NDArray[np.int32], dict[str, Any]]:
    with h5py.File(path) as file:
        return file["tokens"][()], dict(file.attrs)


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with a study of two local checkpoints, whose context is 32 tokens."""
    suite = Suite()
    for step in (0, 4):
        for name, content in suite.files(step).items():
            config = json.loads(content) if name == "config.json" else None
            path = tmp_path / f"step{step}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            if config:
                path.write_text(json.dumps({**config, "max_position_embeddings": 32}))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study(tmp_path)))
    return tmp_path


def test_the_rules_pin_read_and_keep(workplace: Path) -> None:
    """No network, one run, a rerun, a forced one after the branch moved, another revision."""
    with Hub() as hub:
        commit = ROWS.publish(hub, NAME, gated=True)
        hub.allow("hf_secret", NAME)
        environment = {**hub.environment(workplace / "home"), "HF_TOKEN": "hf_secret"}
        target = paths.TOKENS.format(study="tiny")
        code, output = snakemake(workplace, {**environment, "HF_HUB_OFFLINE": "1"}, target)
        assert code != 0
        assert "offline" in output and "Traceback" not in output
        assert not list((workplace / "results/tiny/corpus").glob("*"))

        code, output = snakemake(workplace, environment, target)
        assert code == 0, output
        assert finished(output) == ["corpus_revision", "corpus"]
        assert "rows of 33 tokens cut to 32" in output
        read, attributes = tokens(workplace / target)
        assert np.array_equal(read, ROWS.tokens()[72:78, :32])
        assert (attributes["source"], attributes["commit"]) == ("hub", commit)
        assert len(attributes["corpus_sha256"]) == 64

        assert "Nothing to be done" in snakemake(workplace, environment, target)[1]

        moved = hub.commit(NAME, {"data/train-00002-of-00003.parquet": Rows(seed=1).parquet(2)})
        hub.tag(NAME, "v2", moved)
        code, output = snakemake(workplace, environment, target, "--forceall")
        assert code == 0, output
        assert finished(output) == ["corpus_revision", "corpus"]
        assert np.array_equal(tokens(workplace / target)[0], read)

        (workplace / "study.yaml").write_text(yaml.safe_dump(study(workplace, revision="v2")))
        code, output = snakemake(workplace, environment, target)
        assert code == 0, output
        read, attributes = tokens(workplace / target)
        assert np.array_equal(read, Rows(seed=1).tokens()[72:78, :32])
        assert attributes["commit"] == moved
        assert "hf_secret" not in output + logs(workplace)
        assert "Signature" not in output + logs(workplace)


def test_another_source_is_told_what_it_was_told_before(tmp_path: Path) -> None:
    """A value among params that is new to a job reruns it, and every extraction after it."""
    made: dict[str, Any] = study(tmp_path)
    for corpus in ({"source": "embedded"}, {"source": "text", "path": "x", "tokenizer": "y"}):
        made["corpus"] = corpus
        assert plan.Plan(made).corpus_keys(None) == corpus["source"]
    made["corpus"] = {"source": "hub", **STEP_9, "sequences": 4}
    assert json.loads(plan.Plan(made).corpus_keys(None)) == STEP_9


# Text

WORDS = [f"the {word} in the thing, the inner and the other one" for word in "abcdefgh"]
TEXT = {"dataset": NAME, "column": "text"}


def text_probe(pin: Path, tmp_path: Path, **keys: Any) -> Probe:
    """Pin and read with the small tokenizer of the suites."""
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_bytes(suites_tokenizer()["tokenizer.json"])
    source.resolve(NAME, "main", pin)
    wanted = Wanted(3, 16, context=32, keys={**TEXT, **keys})
    return text_source.probe([pin], tokenizer, wanted)


def decoded(probe: Probe, tmp_path: Path) -> str:
    return str(Tokenizer.from_file(str(tmp_path / "tokenizer.json")).decode(probe.tokens.ravel()))


def test_text_is_cut_with_the_models_tokenizer(hub: Hub, pin: Path, tmp_path: Path) -> None:
    halves = [parquet({"text": WORDS[:4]}), parquet({"text": ["", None, *WORDS[4:]]})]
    commit = publish(hub, {f"train-{i}.parquet": half for i, half in enumerate(halves)})
    read = text_probe(pin, tmp_path)
    assert read.tokens.shape == (3, 16) and read.attributes["commit"] == commit
    folder = tmp_path / "files"
    folder.mkdir()
    for i, words in enumerate(WORDS):
        (folder / f"{i}.txt").write_text(words)
    as_files = text_files_source.probe(
        text_files_source.text_files(folder), tmp_path / "tokenizer.json", Wanted(3, 16, 32)
    )
    assert np.array_equal(read.tokens, as_files.tokens)


def test_a_range_of_texts_reads_no_further_file(hub: Hub, pin: Path, tmp_path: Path) -> None:
    files = {f"train-{i}.parquet": parquet({"text": WORDS[4 * i :][:4]}) for i in range(2)}
    publish(hub, files)
    read = text_probe(pin, tmp_path, rows="2..4")
    assert "a in" not in decoded(read, tmp_path) and read.attributes["rows"] == "2..4"
    assert read.attributes["files"] == "train-0.parquet" and not hub.asked("*train-1*", "GET")


def test_a_column_that_is_no_text(hub: Hub, pin: Path, tmp_path: Path) -> None:
    publish(hub, {"train.parquet": parquet({"text": [[1, 2]], "title": ["a"]})})
    with pytest.raises(CorpusError, match=r"'text' is of type list.*expected text.*title \(string"):
        text_probe(pin, tmp_path)
