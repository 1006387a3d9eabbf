"""docs/metrics.md has every metric once, with the laws and the range that its file declares."""

import re
from pathlib import Path

import pytest

from tending.core import plugins

PAGE = (Path(__file__).parents[3] / "docs/metrics.md").read_text("utf-8")
KINDS = ("similarity", "spectrum", "representation", "trajectory")
LAWS = {"R": "rotation", "S": "scaling", "T": "translation"}
RANGES = {"at most 1": (None, 1), "any": (None, None), "(0, inf)": (0, None)}


def rows() -> dict[str, list[str]]:
    """Cells of every metric's line in the page's tables, by name."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| `")]
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    names = [first.strip("`") for first, *_ in cells]
    assert len(set(names)) == len(names)
    return dict(zip(names, cells, strict=True))


def test_every_metric_is_on_the_page_and_nothing_else() -> None:
    assert set(rows()) == {n for kind in KINDS for n in plugins.names(f"tending.metrics.{kind}")}
    assert all(all(cells) for cells in rows().values())


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (k, n)
        for k in ("similarity", "representation")
        for n in plugins.names(f"tending.metrics.{k}")
    ],
)
def test_laws_and_range_of_metrics_of_activations(kind: str, name: str) -> None:
    metric = plugins.load(f"tending.metrics.{kind}", name, "metric").METRIC
    _, _, told, laws, *_ = rows()[name]
    assert {LAWS[letter] for letter in laws.split()} == metric.invariant_to
    ends = re.fullmatch(r"\[(-?\d), (\d)\]", told)
    assert metric.bounds == (RANGES[told] if ends is None else (int(ends[1]), int(ends[2])))
