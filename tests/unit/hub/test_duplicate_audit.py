"""Revisions that should differ and do not, from their hashes alone."""

import pytest

from tending.hub import duplicate_audit
from tending.hub.pins import File, Pins, Revision


def suite(shards: dict[int, tuple[str, ...]], main: tuple[str, ...] = (), last: int = 9) -> Pins:
    """A model whose steps have the named contents, one per shard; `last` is its last step."""

    def revision(name: str, contents: tuple[str, ...]) -> Revision:
        n = len(contents)
        files = {f"model-{i}-of-{n}.safetensors": File(5, c) for i, c in enumerate(contents, 1)}
        return Revision(name, "c" * 40, {**files, "config.json": File(1, "same config")})

    revisions = {step: revision(f"step{step}", contents) for step, contents in shards.items()}
    existing = {step: f"step{step}" for step in {*shards, last}}
    return Pins("org/m", "", existing, {}, revisions, revision("main", main) if main else None)


def mistaken(pins: Pins) -> list[int]:
    listed = duplicate_audit.listing("m", pins, sorted(pins.revisions), max(pins.existing))
    return sorted(duplicate_audit.mistaken_steps(listed))


def test_weights_that_all_differ() -> None:
    pins = suite({0: ("a",), 1: ("b",), 9: ("c",)}, main=("c",))
    listed = duplicate_audit.listing("m", pins, [0, 1, 9], last=9)
    assert mistaken(pins) == []
    assert [(e.revision, e.same) for e in listed] == [
        ("step0", ()),
        ("step1", ()),
        ("step9", ("main",)),
        ("main", ("step9",)),
    ]
    assert all(e.expected == "main is the last step" for e in listed if e.same)
    assert not any(e.file == "config.json" for e in listed)


@pytest.mark.parametrize(
    ("shards", "main", "expected"),
    [
        ({0: ("a",), 1: ("a",), 9: ("c",)}, ("c",), []),  # a learning rate of 0
        ({0: ("a",), 1: ("a",), 2: ("a",)}, (), [0, 1, 2]),
        ({2: ("a",), 4: ("a",), 9: ("c",)}, ("c",), [2, 4]),
        ({4: ("c",), 9: ("c",)}, ("c",), [4]),  # the last step is believed, as main says so too
        ({4: ("c",), 9: ("c",)}, ("d",), [4, 9]),  # and not where main says otherwise
        ({4: ("c",), 9: ("c",)}, (), [4]),
        ({4: ("c",), 5: ("d",)}, ("c",), [4]),  # even if the study does not use it
        ({0: ("c",), 1: ("c",), 9: ("c",)}, ("c",), [0, 1]),
        ({4: ("a", "y"), 9: ("x", "y")}, ("x", "y"), [4]),  # one shard of the final model
        ({4: ("a", "b"), 5: ("c", "a"), 9: ("x", "y")}, (), [4, 5]),  # under another name
        ({4: ("a", "a"), 9: ("x",)}, (), []),  # alike within one revision
    ],
)
def test_planted_duplicates(
    shards: dict[int, tuple[str, ...]], main: tuple[str, ...], expected: list[int]
) -> None:
    assert mistaken(suite(shards, main)) == expected


def test_words_and_rows() -> None:
    pins = suite({2: ("a",), 4: ("a",), 9: ("c",)}, main=("c",))
    listed = duplicate_audit.listing("m", pins, [2, 4, 9], last=9)
    assert duplicate_audit.described(duplicate_audit.mistaken_steps(listed)) == (
        "step 2: model-1-of-1.safetensors is also that of step4; "
        "step 4: model-1-of-1.safetensors is also that of step2"
    )
    table = duplicate_audit.table([duplicate_audit.row("s", entry, "drop") for entry in listed])
    assert list(table.columns) == list(duplicate_audit.COLUMNS)
    assert table["step"].tolist()[:3] == [2, 4, 9] and table["step"].isna().tolist()[-1]
    assert table["verdict"].tolist() == [
        "duplicate, dropped",
        "duplicate, dropped",
        "expected: main is the last step",
        "expected: main is the last step",
    ]
    assert table["identical_to"].tolist() == ["step4", "step2", "main", "step9"]
