"""A study on source hub, from end to end: cut off, finished, extended, audited, without a hub."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pandas as pd
import pytest
from faults import Cut, Status
from server import Hub
from studies import Run, Workplace, copy_repository, edit
from suites import Suite

from tending.core import paths, tables
from tending.hub import pins

TOKEN = "hf_secretOfThisStudy"
A = Suite(steps=(0, 2, 4, 8), layout="both")
A_LATER = Suite(steps=(4,), layout="safetensors shards")
B = Suite(steps=(0, 1, 2, 4), layout="bin shards", seed=1, same={2: 1})
LAST_SHARD = "pytorch_model-00002-of-00002.bin"
USED = {"a": (0, 4), "b": (0, 4)}  # what the audit leaves of the steps asked for
COMPARED = ("effective_rank", "convergence", "stabilisation", "loss")


def settings(folder: Path, **changes: Any) -> dict[str, Any]:
    """A study of both models: steps as a range and as `all`, with two of b's alike."""
    return {
        "models": [
            {"name": "a", "source": "hub", "repository": "org/a", "steps": [0, "3..5"]},
            {"name": "b", "source": "hub", "repository": "org/b", "steps": "all"},
        ],
        "corpus": {"source": "text", "path": f"{folder}/prose", "sequences": 24, "length": 16},
        "duplicates": "drop",
        "figures": ["cka_by_step"],
        **changes,
    }


@dataclass
class Scene:
    """A hub with two models, a study that was cut off and then finished, and what was seen."""

    hub: Hub
    commits: dict[str, dict[int, str]]
    workplace: Workplace
    first: Run = field(init=False)
    second: Run = field(init=False)
    left: list[str] = field(init=False)  # files after the first run
    asked_again: list[str] = field(init=False)  # paths that the second run asked for

    def large(self, model: str, step: int) -> dict[str, int]:
        """Sizes of the weight files that a study needs of a step, by their names."""
        files = self.hub.repository(f"org/{model}").commits[self.commits[model][step]].files
        kind = ".bin" if model == "b" else ".safetensors"
        return {n: f.size for n, f in files.items() if n.endswith(kind) and "model" in n}


def publish(hub: Hub) -> dict[str, dict[int, str]]:
    commits = {"a": A.publish(hub, "org/a", gated=True), "b": B.publish(hub, "org/b", gated=True)}
    commits["a"][4] = hub.commit("org/a", A_LATER.files(4), "step4", fresh=True)
    hub.allow(TOKEN, "org/a", "org/b")
    return commits


def prepare(hub: Hub, folder: Path) -> Workplace:
    """A workplace with texts, a token, and a library that does not wait long."""
    (folder / "prose").mkdir()
    for name in ("one", "two", "three"):
        text = f"This is text {name} of some texts, which the models have not seen. " * 60
        (folder / f"prose/{name}.txt").write_text(text)
    repository = copy_repository(folder.parent / f"{folder.name}-library")
    edit(
        repository / "workflow/tending/hub/client.py",
        "LONGEST_PAUSE = 60.0",
        "LONGEST_PAUSE = 0.01",
    )
    variables = {**hub.environment(folder / "home"), "HF_TOKEN": TOKEN}
    return Workplace(folder, repository, variables).configure(**settings(folder))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The same command twice, the first time with a file that cannot be had."""
    with Hub() as hub:
        folder = tmp_path_factory.mktemp("on-the-hub")
        made = Scene(hub, publish(hub), prepare(hub, folder))
        hub.fail(f"*/{made.commits['b'][4]}/{LAST_SHARD}", Status(500), times=inf)
        hub.fail(f"/models/*/{made.commits['a'][0]}/model.safetensors", Cut(after=9000))
        made.first = made.workplace.run()
        made.left = [p.relative_to(folder).as_posix() for p in folder.glob("results/**/*")]
        hub.rules = [rule for rule in hub.rules if isinstance(rule.fault, Cut)]
        before = len(hub.requests)
        made.second = made.workplace.run()
        made.asked_again = [request.path for request in hub.requests[before:]]
        yield made


@pytest.fixture
def copied(scene: Scene, tmp_path: Path) -> Callable[..., Workplace]:
    """A function that gives a copy of the finished study, with changes to its config."""

    def copy(with_library: bool = False, **changes: Any) -> Workplace:
        workplace = scene.workplace.copy(tmp_path / "copy", with_library=with_library)
        return workplace.configure(**settings(scene.workplace.folder, **changes))

    return copy


def test_a_study_that_is_cut_off_says_why_and_leaves_nothing_half_done(scene: Scene) -> None:
    assert scene.first.returncode == 1
    commit = scene.commits["b"][4]
    message = f"org/b at {commit[:10]}, {LAST_SHARD}: the hub still fails after 6 attempts"
    assert scene.first.output.count(message) == 1
    assert "(status 500); run again later: downloaded data is kept" in scene.first.output
    assert "Traceback" not in scene.first.output
    results = [name for name in scene.left if "b/step4" in name and "/logs/" not in name]
    folder = "results/tiny/weights/b/step4.incoming"
    assert {name for name in results if not name.startswith(folder)} <= {
        "results/tiny/weights/b"  # nothing else of this step
    }
    assert f"{folder}/pytorch_model-00001-of-00002.bin" in results
    assert f"{folder}/{LAST_SHARD}" not in results


def test_the_same_command_finishes_with_what_was_missing(scene: Scene) -> None:
    assert scene.second.returncode == 0, scene.second.output
    jobs = scene.first.jobs + scene.second.jobs
    assert jobs["fetch"] == jobs["activations"] == jobs["spectra"] == 4
    assert jobs["hub_tokenizer"] == jobs["audit_table"] == 1
    of_step = [p for p in scene.asked_again if scene.commits["b"][4] in p and p.startswith("/org")]
    assert of_step == [f"/org/b/resolve/{scene.commits['b'][4]}/{LAST_SHARD}"]
    assert not [p for p in scene.asked_again if p.startswith("/api") and "cache" not in p]
    for model, steps in USED.items():
        for step in steps:
            commit = scene.commits[model][step]
            for name, size in scene.large(model, step).items():
                assert scene.hub.sent(f"/models/org/{model}/{commit}/{name}") == size


def test_only_what_is_needed_was_asked_for(scene: Scene) -> None:
    files = {r.path.split("/", 5)[5] for r in scene.hub.asked("/org/*/resolve/*")}
    shards = [f"{stem}-0000{n}-of-00002" for stem in ("model", "pytorch_model") for n in (1, 2)]
    assert files == {
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin.index.json",
        *(f"{shard}.{'bin' if 'py' in shard else 'safetensors'}" for shard in shards),
    }
    dropped = [scene.commits["b"][step] for step in (1, 2)]
    assert not [r for r in scene.hub.asked("/models/*") if r.path.split("/")[4] in dropped]


def test_downloaded_weights_are_gone(scene: Scene) -> None:
    assert not (scene.workplace.results / "weights").exists()


def test_a_token_is_in_no_file_and_no_output(scene: Scene) -> None:
    assert TOKEN not in scene.first.output + scene.second.output
    holding = [p for p in scene.workplace.folder.rglob("*") if p.is_file()]
    assert not [p for p in holding if TOKEN.encode() in p.read_bytes()]
    assert all(r.authorized for r in scene.hub.asked("/org/*"))
    assert not any(r.authorized for r in scene.hub.asked("/models/*"))


def test_the_audit_is_in_the_table_and_the_report(scene: Scene) -> None:
    table = pd.read_parquet(scene.workplace.results / "tables/audit.parquet")
    twins = table[table["verdict"] == "duplicate, dropped"]
    assert [(row.model, row.step, row.identical_to) for row in twins.itertuples()] == [
        ("b", step, other) for step, other in ((1, "step2"), (2, "step1")) for _ in (1, 2)
    ]
    last = table[(table["model"] == "b") & (table["revision"] == "main")]
    assert set(last["verdict"]) == {"expected: main is the last step"}
    log = "logs/tables/audit.log: b, left out: step 1: pytorch_model-00001-of-00002.bin is also"
    assert log in scene.first.output + scene.second.output
    page = (scene.workplace.results / "report.html").read_text("utf-8")
    assert "it left them out" in page and "audit.csv" in page
    convergence = tables.read(scene.workplace.results / "tables/convergence.parquet")
    assert {m: set(rows["step"]) for m, rows in convergence.groupby("model")} == {
        model: set(steps) for model, steps in USED.items()
    }


def test_a_finished_study_needs_no_hub(scene: Scene, copied: Callable[..., Workplace]) -> None:
    workplace = copied()
    (workplace.results / "tables/loss.csv").unlink()
    scene.hub.stop()
    try:
        assert "Nothing to be done" in scene.workplace.finish("--dry-run").output
        done = workplace.finish("results/tiny/tables/loss.csv", "results/tiny/tables/audit.csv")
    finally:
        scene.hub.start()
    assert done.jobs == {"loss_table": 1}


def test_steps_that_are_added_are_all_that_is_fetched(
    scene: Scene, copied: Callable[..., Workplace]
) -> None:
    """One in the middle, and one that becomes the last, from which the tokenizer would come."""
    models = settings(scene.workplace.folder)["models"]
    models[0]["steps"] = [0, 2, 4, 8]
    before = len(scene.hub.requests)
    workplace = copied(models=models)
    planned = workplace.planned()
    assert planned["fetch"] == planned["activations"] == planned["spectra"] == 2
    assert not {"corpus", "hub_tokenizer"} & set(planned)
    asked = [request.path for request in scene.hub.requests[before:]]
    assert sorted(asked) == sorted(
        [f"/api/models/org/a/revision/{scene.commits['a'][step]}" for step in (2, 8)]
        + ["/api/models/org/a/refs", "/api/models/org/a/revision/main"]
    )
    target = [pattern.format(study="tiny", model="a", step=2) for pattern in paths.WEIGHT_PRODUCTS]
    assert workplace.finish(*target).jobs == {"fetch": 1, "activations": 1, "spectra": 1}
    stored = [r.path for r in scene.hub.requests[before:] if r.path.startswith("/models/")]
    assert stored == [f"/models/org/a/{scene.commits['a'][2]}/model.safetensors"]


def test_divergences_fetch_their_reference_before_the_rest(
    scene: Scene, copied: Callable[..., Workplace]
) -> None:
    """Else the weights of all other steps would be kept until its turn came."""
    models = settings(scene.workplace.folder)["models"]
    models[0]["steps"] = [0, 2, 4, 8]
    workplace = copied(models=models, divergence={})
    planned = workplace.planned()
    assert planned["fetch"] == planned["fetch_reference"] == 1
    assert planned["reference_distribution"] == 2 and planned["divergence"] == 6
    assert planned["activations"] == planned["spectra"] == 2
    assert planned["hub_tokenizer"] == 1, "the text has that of the first model already"
    fetched = workplace.finish("results/tiny/checkpoints/a/step8.json")
    assert fetched.jobs == {"fetch_reference": 1}


def test_a_stage_that_changed_fetches_again(scene: Scene, copied: Callable[..., Workplace]) -> None:
    """With room for one checkpoint: all stages take it in turn before the next."""
    changed = {"extraction": {"device": "cpu", "position": 3}, "live_checkpoints": 1}
    workplace = copied(with_library=True, **changed)
    spectra = workplace.repository / "workflow/tending/stages/spectra/weight_spectra.py"
    spectra.write_text(spectra.read_text("utf-8") + "\nUNUSED = 1\n", "utf-8")
    before = len(scene.hub.requests)
    steps = [("b", step) for step in USED["b"]]
    target = [
        pattern.format(study="tiny", model=model, step=step)
        for model, step in steps
        for pattern in paths.WEIGHT_PRODUCTS
    ]
    assert workplace.finish(*target).jobs == {"activations": 2, "spectra": 2}
    stored = [r.path for r in scene.hub.requests[before:] if r.path.startswith("/models/")]
    assert sorted(stored) == sorted(  # once, though two stages are made anew
        f"/models/org/{model}/{scene.commits[model][step]}/{name}"
        for model, step in steps
        for name in scene.large(model, step)
    )
    assert not (workplace.results / "weights").exists()
    planned = workplace.planned()
    assert planned["activations"] == planned["spectra"] == 2
    assert not {"fetch", "corpus", "hub_tokenizer"} & set(planned)


def at_work(folder: Path) -> list[str]:
    """Numbers of the processes that work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            found += [entry.name] if (entry / "cwd").readlink() == folder else []
    return found


def test_a_run_that_is_killed_while_it_asks_the_hub(
    scene: Scene, copied: Callable[..., Workplace]
) -> None:
    """What was pinned before is kept, and the same command goes on."""
    models = settings(scene.workplace.folder)["models"]
    models[0]["steps"] = [0, 4, 8]
    workplace = copied(models=models)
    before = pins.read(workplace.results / "revisions.json")
    log = workplace.results / "logs/revisions.log"
    log.unlink(missing_ok=True)
    scene.hub.fail("/api/models/org/a/revision/*", Status(503, retry_after=60))
    process = workplace.start()
    while "attempt 2" not in (log.read_text("utf-8") if log.exists() else ""):
        assert process.poll() is None
        sleep(0.05)
    process.kill()
    process.wait()
    scene.hub.rules.clear()
    deadline = monotonic() + 60
    while at_work(workplace.folder):  # the run that asked the hub ends too, by itself
        assert monotonic() < deadline
        sleep(0.05)
    assert pins.read(workplace.results / "revisions.json") == before
    assert workplace.planned()["fetch"] == 1
    after = pins.read(workplace.results / "revisions.json")
    assert set(after["a"].revisions) == {*before["a"].revisions, 8} and after["b"] == before["b"]


def test_a_branch_that_has_moved_is_told_to_the_user(
    scene: Scene, copied: Callable[..., Workplace]
) -> None:
    models = settings(scene.workplace.folder)["models"]
    models[0]["steps"] = [0, 2, 4]
    workplace = copied(models=models)
    old = scene.commits["a"][0]
    new = scene.hub.commit("org/a", {"config.json": b"{}"}, "step0")
    done = workplace.run("--dry-run")
    scene.hub.move("org/a", "step0", old)
    assert done.returncode == 0
    said = f"a: step0 of org/a was pinned at {old[:10]} and is now at {new[:10]}; the study keeps"
    assert done.output.count(said) == 1


def test_duplicates_are_an_error_before_any_weights(scene: Scene, tmp_path: Path) -> None:
    workplace = prepare(scene.hub, tmp_path)
    workplace.configure(**settings(tmp_path, duplicates="error"))
    before = len(scene.hub.requests)
    done = workplace.run()
    assert done.returncode == 1 and not done.jobs
    message = "b: 2 of its steps hold weights that another revision of org/b holds too"
    assert done.output.count(message) == 1
    assert "step 1: pytorch_model-00001-of-00002.bin is also that of step2" in done.output
    assert "Set `duplicates: drop` to leave these steps out" in done.output
    assert "Traceback" not in done.output
    since = [request.path for request in scene.hub.requests[before:]]
    assert not [path for path in since if not path.startswith("/api") and "config" not in path]


def test_duplicates_that_are_kept_are_measured(copied: Callable[..., Workplace]) -> None:
    workplace = copied(duplicates="keep")
    planned = workplace.planned()
    assert planned["fetch"] == planned["activations"] == planned["spectra"] == 2
    workplace.finish("results/tiny/tables/audit.csv")
    table = pd.read_parquet(workplace.results / "tables/audit.parquet")
    assert (table["verdict"] == "duplicate, kept").sum() == 4


def test_a_study_that_cannot_be_resolved_says_why_once(scene: Scene, tmp_path: Path) -> None:
    workplace = prepare(scene.hub, tmp_path)
    models = settings(tmp_path)["models"]
    models[0]["steps"], models[1]["steps"] = [0, 3], [5]
    done = workplace.configure(**settings(tmp_path, models=models)).run()
    assert done.returncode == 1 and not done.jobs
    for line in (
        "the revisions of the study 'tiny' cannot be resolved:",
        "a: step 3 does not exist in org/a; the nearest that do are 0, 2, 4, 8",
        "b: step 5 does not exist in org/b; the nearest that do are 0, 1, 2, 4",
    ):
        assert done.output.count(line) == 1
    assert "Traceback" not in done.output
    assert not (workplace.results / "revisions.json").exists()


def test_the_numbers_are_those_of_the_same_files_in_folders(
    scene: Scene, copied: Callable[..., Workplace], tmp_path: Path
) -> None:
    for step, suite in ((0, A), (4, A_LATER)):
        folder = tmp_path / f"suite/step{step}"
        folder.mkdir(parents=True)
        for name, content in suite.files(step).items():
            if "/" not in name:
                (folder / name).write_bytes(content)
    model = {"name": "a", "source": "local", "path": f"{tmp_path}/suite/step{{step}}"}
    model |= {"steps": [0, 4], "training_steps": 8}
    workplace = Workplace(tmp_path, scene.workplace.repository, scene.workplace.variables)
    workplace.configure(**settings(scene.workplace.folder, models=[model]))
    with scene.hub.untouched():
        workplace.finish(*(f"results/tiny/tables/{name}.csv" for name in COMPARED))
    for name in COMPARED:
        lines = (scene.workplace.results / f"tables/{name}.csv").read_text("utf-8").splitlines()
        assert ",b," in "".join(lines)
        theirs = [line for line in lines if ",b," not in line]
        assert (workplace.results / f"tables/{name}.csv").read_text("utf-8").splitlines() == theirs


def test_the_record_and_the_pins_agree(scene: Scene) -> None:
    pinned = pins.read(scene.workplace.results / "revisions.json")
    for model, steps in USED.items():
        for step in steps:
            path = scene.workplace.results / f"checkpoints/{model}/step{step}.json"
            record = json.loads(path.read_text("utf-8"))
            revision = pinned[model].revisions[step]
            assert record["commit"] == revision.commit == scene.commits[model][step]
            listed = {n: revision.files[n].sha256 for n in record["files"]}
            assert record["files"] == listed
            assert set(listed) == set(scene.large(model, step))
