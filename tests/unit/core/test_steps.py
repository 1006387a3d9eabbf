"""Steps as a config writes them."""

import pytest

from tending.core import steps

EXISTING = [0, 1, 2, 1000, 2000, 3000]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (7, [7]),
        ([0, 16], [0, 16]),
        ("1000..3000 by 1000", [1000, 2000, 3000]),
        ("0..10 by 4", [0, 4, 8]),
        ("5..5 by 1", [5]),
        ([0, "10..30 by 10", 512], [0, 10, 20, 30, 512]),
        ("all", EXISTING),
        ("all by 1", EXISTING),
        ("all by 2", [0, 2, 2000, 3000]),
        ("all by 100", [0, 3000]),
        ("1..2000", [1, 2, 1000, 2000]),
        ([0, "1000..9000"], [0, 1000, 2000, 3000]),
    ],
)
def test_expands(spec: steps.Spec, expected: list[int]) -> None:
    assert steps.expand(spec, EXISTING) == expected


def test_pythia_has_154_checkpoints() -> None:
    found = steps.expand("pythia", None)
    assert len(found) == 154 and steps.descent(found) is None
    assert found[:12] == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
    assert found[11:] == list(range(1000, 143001, 1000))


def test_the_paper_has_27_of_them() -> None:
    found = steps.expand("paper", None)
    assert len(found) == 27 and set(found) <= set(steps.expand("pythia", None))
    assert found[10:14] == [512, 1000, 3000, 13000] and found[-2:] == [133000, 143000]


@pytest.mark.parametrize("spec", ["all", "all by 3", "0..100", [0, "5..9"]])
def test_what_exists_must_be_known(spec: steps.Spec) -> None:
    with pytest.raises(ValueError, match="not known yet"):
        steps.expand(spec, None)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("all by 0", "names no steps"),
        ("every", "'every' names no steps; write numbers, `all`, `all by 10`, a range like"),
        ("1000-2000", "names no steps.* or one of pythia, paper"),
        ("10..5 by 1", "the range `10..5 by 1` is empty"),
        ("0..5 by 0", "the range `0..5 by 0` is empty"),
    ],
)
def test_what_names_no_steps(spec: steps.Spec, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        steps.expand(spec, EXISTING)


def test_descent() -> None:
    assert steps.descent([0, 1, 2]) is None and steps.descent([]) is None
    assert steps.descent([0, 2, 1, 0]) == 1 and steps.descent([0, 2, 2]) == 2


def test_the_nearest_are_listed_in_order() -> None:
    assert steps.nearest(1400, EXISTING) == "the nearest that do are 1, 2, 1000, 2000"
