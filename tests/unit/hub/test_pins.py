"""The pin file, and what it knows of which model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tending.checkpoints import hub
from tending.hub import pins
from tending.hub.pins import File, Pins, Revision

MODEL: dict[str, Any] = {"name": "m", "source": "hub", "repository": "org/m"}


def revision(step: int, digest: str = "") -> Revision:
    files = {
        "config.json": File(500, blob="b" * 40),
        "model.safetensors": File(1000, sha256=digest or f"{step:064x}"),
    }
    return Revision(f"step{step}", f"{step:040x}", files)


def pinned(*steps: int, model: dict[str, Any] = MODEL) -> Pins:
    return Pins(
        repository=model["repository"],
        naming=pins.naming(model),
        existing={s: f"step{s}" for s in (*steps, 9000)},
        config={"model_type": "gpt_neox", "max_position_embeddings": 64},
        revisions={s: revision(s) for s in steps},
        main=revision(9000),
    )


def test_reads_what_it_wrote(tmp_path: Path) -> None:
    file = tmp_path / "revisions.json"
    pins.write({"m": pinned(0, 1000, 20)}, file)
    assert pins.read(file) == {"m": pinned(0, 1000, 20)}
    assert list(pins.read(file)["m"].revisions) == [0, 20, 1000]


def test_no_file_no_pins(tmp_path: Path) -> None:
    assert pins.read(tmp_path / "none.json") == {}


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "revisions.json"
    pins.write({"m": pinned(0)}, file)
    assert set(pins.read(file)["m"].revisions) == {0}
    pins.write({"m": pinned(0, 1000)}, file)
    assert set(pins.read(file)["m"].revisions) == {0, 1000}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "is not a pin file .* delete it to resolve the revisions again"),
        ('{"models": {}}', "is not a pin file"),
        ('{"schema_version": 99, "models": {}}', "has schema version 99, .* reads 1"),
        ('{"schema_version": 1, "models": {"m": {}}}', "is not a pin file"),
        ("[]", "is not a pin file"),
    ],
)
def test_another_file(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "revisions.json"
    file.write_text(content)
    with pytest.raises(pins.PinError, match=message):
        pins.read(file)


@pytest.mark.parametrize(
    "change", [{"repository": "org/n"}, {"revision": "s{step}"}, {"name": "other"}]
)
def test_a_model_that_changed_is_not_known(tmp_path: Path, change: dict[str, Any]) -> None:
    file = tmp_path / "revisions.json"
    pins.write({"m": pinned(0)}, file)
    assert pins.of(MODEL, file) == pinned(0)
    assert pins.of({**MODEL, **change}, file) is None


def test_naming_survives_a_config_written_as_json() -> None:
    """Keys that are numbers in YAML are texts in JSON."""
    assert pins.naming({"revision": {0: "a"}}) == pins.naming({"revision": {"0": "a"}})


def test_weights_are_told_from_other_files() -> None:
    names = ["model.safetensors", "model-00001-of-00002.safetensors", "pytorch_model.bin"]
    names += ["pytorch_model-00001-of-00002.bin", "model.fp32.safetensors"]
    others = ["training_args.bin", "config.json", "tokenizer.json", "flax_model.msgpack"]
    others += ["model.safetensors.index.json", "pytorch_model.bin.index.json", "optimizer.bin"]
    made = Revision("r", "c", dict.fromkeys([*names, *others], File(1)))
    assert sorted(made.weights()) == sorted(names)


# What planning asks of them


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A study with step 0 and 1000 of the model pinned, and 9000 known."""
    monkeypatch.chdir(tmp_path)
    pins.write({"m": pinned(0, 1000)}, Path("results/s/revisions.json"))
    return "s"


def test_a_study_is_planned_from_its_pin_file(study: str) -> None:
    assert hub.steps(MODEL, study) == [0, 1000, 9000]
    assert hub.revision(MODEL, 1000, study) == "step1000"
    assert hub.commit(MODEL, 1000, study) == f"{1000:040x}"
    assert hub.family(MODEL, 1000, study) == "gpt_neox"
    assert hub.total_steps(MODEL, [0, 1000], study) == 9000
    assert hub.total_steps({**MODEL, "training_steps": 10}, [0], study) == 10


@pytest.mark.parametrize(
    ("spec", "expected"),
    [([0, 1000], False), ([0, 9000], True), ("all", True), ("0..1000", False), ([7], True)],
)
def test_the_hub_is_asked_for_what_is_not_pinned(
    study: str, spec: list[int] | str, expected: bool
) -> None:
    assert hub.unresolved(MODEL, study, spec) is expected


def test_before_the_hub_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hub.steps(MODEL, "s") is None and hub.unresolved(MODEL, "s", [0])
    with pytest.raises(pins.PinError, match="m: the revisions of org/m are not resolved yet"):
        hub.revision(MODEL, 0, "s")


def test_a_pin_file_that_comes_with_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = Path("studies/m.revisions.json")
    pins.write({"m": pinned(0, 1000)}, shipped)
    mine = {**MODEL, "pins": str(shipped)}
    assert not hub.unresolved(mine, "s", [0, 1000]) and hub.pin_files(mine, "s") == [shipped]
    assert hub.unresolved(MODEL, "s", [0]) and hub.pin_problem(mine, "s") == ""


def test_pin_files_are_joined(study: str) -> None:
    """The study's own file pins 0 and 1000; what comes with it may pin more, not otherwise."""
    shipped = Path("m.json")
    mine = {**MODEL, "pins": str(shipped)}
    pins.write({"m": pinned(0, 50)}, shipped)
    assert not hub.unresolved(mine, study, [0, 50, 1000]) and hub.pin_problem(mine, study) == ""
    assert hub.commit(mine, 50, study) == f"{50:040x}"
    other = replace(pinned(0, 50), revisions={0: replace(revision(0), commit="e" * 40)})
    pins.write({"m": other}, shipped)
    assert hub.pin_problem(mine, study) == (
        "step 0 is pinned at eeeeeeeeee in m.json and at 0000000000 in "
        "results/s/revisions.json; delete it in one of them"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "the pin file m.json does not exist; see `pins`"),
        ({"other": pinned(0)}, "the pin file m.json does not pin m of org/m"),
        ({"m": pinned(0, model={**MODEL, "repository": "org/n"})}, "does not pin m of org/m"),
    ],
)
def test_a_pin_file_that_pins_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: dict[str, Pins] | None, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        pins.write(content, Path("m.json"))
    assert problem in hub.pin_problem({**MODEL, "pins": "m.json"}, "s")


def test_where_a_training_ends(study: str) -> None:
    """A `revision` that names every step may leave out the last one."""
    assert hub.last_step(MODEL, study) == 9000
    named = {**MODEL, "revision": {0: "a", 5: "b"}, "training_steps": 700}
    assert hub.last_step(named, study) == 700


# What is known before the hub is asked

KNOWN = {
    "repository": "org/m",
    "naming": pins.naming(MODEL),
    "steps": [0, 1000, 2000],
    "config": {"model_type": "gpt_neox", "max_position_embeddings": 64},
    "files": {"config.json": 600, "model.safetensors": 1000, "tokenizer.json": 20},
}


@pytest.fixture
def assumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A model with a file that says what is known of it, without commits."""
    monkeypatch.chdir(tmp_path)
    content = {"schema_version": 1, "models": {"m": KNOWN}}
    Path("known.json").write_text(json.dumps(content), "utf-8")
    return {**MODEL, "pins": "known.json"}


def test_what_is_known_is_enough_to_plan_and_not_to_run(assumed: dict[str, Any]) -> None:
    assert hub.pin_problem(assumed, "s") == "" and hub.pin_files(assumed, "s") == []
    assert not hub.unresolved(assumed, "s", [0, 1000])
    assert hub.unpinned(assumed, "s", [0, 1000]) == [0, 1000]
    assert hub.revision(assumed, 1000, "s") == "step1000" and hub.commit(assumed, 0, "s") == ""
    assert hub.tokenizer_digest(assumed, 2000, "s") == "not asked yet"
    assert hub.unresolved(assumed, "s", [7])


def test_files_without_hashes_are_not_alike(assumed: dict[str, Any]) -> None:
    assert hub.mistaken(assumed, "s", [0, 1000, 2000]) == {}


def test_what_the_hub_said_comes_first(assumed: dict[str, Any]) -> None:
    """Step 2000 is not on the hub; 9000 is, and was not asked for yet."""
    pins.write({"m": pinned(0, 1000)}, Path("results/s/revisions.json"))
    assert hub.commit(assumed, 1000, "s") == f"{1000:040x}"
    assert hub.steps(assumed, "s") == [0, 1000, 9000]
    assert hub.unpinned(assumed, "s", [0, 1000]) == [] and hub.pin_problem(assumed, "s") == ""
    assert hub.pin_files(assumed, "s") == [Path("results/s/revisions.json")]


def test_what_is_not_pinned_is_not_written_as_a_pin(assumed: dict[str, Any]) -> None:
    found = hub.known(assumed, "s")
    assert found is not None
    pins.write({"m": found}, Path("written.json"))
    assert pins.read(Path("written.json"))["m"].revisions == {}
