"""A file of spectra keeps what is still right, and computes the rest."""

import logging
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from tending import components
from tending.core import store
from tending.models import checkpoint_record, vocabulary
from tending.stages.spectra import spectrum_file
from tending.stages.spectra.weight_spectra import weight_spectra

SCRIPT = Path(__file__).parents[4] / "workflow/scripts/spectra.py"
CODES = {"attention_ov": "a", "mlp_out": "b"}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    tiny.save(tiny.model("gpt_neox"), tmp_path / "step7")
    found = checkpoint_record.inspect(tmp_path / "step7", "tiny", 7, "step7")
    checkpoint_record.write(found, tmp_path / "record.json")
    return tmp_path / "record.json"


def run(
    record: Path, codes: dict[str, str], caplog: pytest.LogCaptureFixture, **changes: Any
) -> tuple[store.Arrays, str]:
    """The file after a run, and what its log says was computed."""
    main = runpy.run_path(str(SCRIPT))["main"]
    output = record.with_name("spectra.h5")
    told = {"definitions": ["correct"], "code": "c", "tokens": None, **changes}
    caplog.clear()
    with caplog.at_level(logging.INFO):
        main(record=record, codes=codes, study="s", keep=True, output=output, **told)
    said = next(m for m in caplog.messages if m.startswith("kept"))
    return store.read_arrays(output), said.partition("computing: ")[2]


def test_the_default_is_stored_as_ever(record: Path, caplog: pytest.LogCaptureFixture) -> None:
    read, said = run(record, CODES, caplog)
    assert said == "attention_ov, mlp_out"
    assert {n: a.shape for n, a in read.arrays.items()} == {
        "attention_ov_heads": (3, 4, 4),
        "attention_ov": (3, 16),
        "mlp_out": (3, 16),
    }
    checkpoint = checkpoint_record.read(record)
    kind = tiny.kind(tiny.model("gpt_neox"))
    for name, values in weight_spectra(kind, checkpoint.weights(), checkpoint.config).items():
        assert np.array_equal(read.arrays[name], values)
    assert spectrum_file.shape_of(read.attributes, "mlp_out") == (16, 40)
    assert spectrum_file.shape_of(read.attributes, "attention_ov") is None


def test_an_added_component_leaves_the_others(
    record: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before, _ = run(record, CODES, caplog)
    record.with_name("step7").rename(record.with_name("gone"))  # nothing may be read again
    same, said = run(record, dict(reversed(CODES.items())), caplog)
    assert said == "-"
    assert all(np.array_equal(same.arrays[n], a) for n, a in before.arrays.items())
    record.with_name("gone").rename(record.with_name("step7"))
    more, said = run(record, {**CODES, "qk": "q", "embedding": "e"}, caplog, tokens=47)
    assert said == "qk, embedding"
    assert set(more.arrays) == {*before.arrays, "qk_heads", "embedding"}
    assert all(np.array_equal(more.arrays[n], a) for n, a in before.arrays.items())
    assert more.attributes["vocabulary"] == 47
    assert spectrum_file.shape_of(more.attributes, "embedding") == (47, 16)
    assert spectrum_file.shape_of(more.attributes, "mlp_out") == (16, 40)
    fewer, said = run(record, {"mlp_out": "b"}, caplog)
    assert said == "-" and set(fewer.arrays) == {"mlp_out"}


@pytest.mark.parametrize(
    ("codes", "changes", "computed"),
    [
        ({**CODES, "embedding": "new"}, {"tokens": 47}, "embedding"),
        ({**CODES, "embedding": "e"}, {"tokens": 46}, "embedding"),
        ({**CODES, "embedding": "e"}, {"tokens": 47}, "-"),
        (
            {**CODES, "embedding": "e"},
            {"tokens": 47, "code": "d"},
            "attention_ov, mlp_out, embedding",
        ),
    ],
)
def test_what_a_change_computes_again(
    record: Path,
    caplog: pytest.LogCaptureFixture,
    codes: dict[str, str],
    changes: dict[str, Any],
    computed: str,
) -> None:
    run(record, {**CODES, "embedding": "e"}, caplog, tokens=47)
    assert run(record, codes, caplog, **changes)[1] == computed


def test_other_weights_are_computed(record: Path, caplog: pytest.LogCaptureFixture) -> None:
    before, _ = run(record, CODES, caplog)
    tiny.save(tiny.model("gpt_neox", seed=3), record.with_name("step7"))
    found = checkpoint_record.inspect(record.with_name("step7"), "tiny", 7, "step7")
    checkpoint_record.write(found, record)
    after, said = run(record, CODES, caplog)
    assert said == "attention_ov, mlp_out"
    assert not np.array_equal(before.arrays["mlp_out"], after.arrays["mlp_out"])


def test_the_published_definition_is_of_the_papers_components(
    record: Path, caplog: pytest.LogCaptureFixture
) -> None:
    codes = {**CODES, "mlp_in": "i"}
    run(record, codes, caplog)
    both = ["correct", "published"]
    read, said = run(record, codes, caplog, definitions=both)
    assert said == "attention_ov, mlp_out"
    cut = {name for name in read.arrays if name.endswith(store.PUBLISHED)}
    assert cut == {f"{n}__published" for n in ("attention_ov", "attention_ov_heads", "mlp_out")}
    assert run(record, codes, caplog, definitions=both)[1] == "-"
    assert not {n for n in run(record, codes, caplog)[0].arrays if n in cut}


def test_tokens_are_counted_where_a_component_asks(tmp_path: Path) -> None:
    tokens_of = runpy.run_path(str(SCRIPT))["tokens_of"]
    file = tokenizer(tmp_path, 30, added=33)
    assert tokens_of(None, [str(file)], ["mlp_out", "embedding"]) == 34
    assert tokens_of(12, [], ["unembedding"]) == 12
    assert tokens_of(None, [str(file)], ["mlp_out", "qk"]) is None
    assert components.of_model(["mlp_out", "unembedding"]) == ["unembedding"]


def tokenizer(folder: Path, tokens: int, added: int) -> Path:
    """A tokenizer of ids 0 to tokens - 1, and one added token with an id of its own."""
    from tokenizers import Tokenizer, models

    made = Tokenizer(models.WordLevel({str(i): i for i in range(tokens)}, unk_token="0"))
    made.add_special_tokens([f"<{i}>" for i in range(tokens, added + 1)])
    made.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_a_broken_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json cannot be read.*`vocabulary`"):
        vocabulary.count(tmp_path / "tokenizer.json")
