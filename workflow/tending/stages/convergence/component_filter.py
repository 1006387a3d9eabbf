"""Restriction of metrics to some components, as given in the params of a rule."""

from collections.abc import Iterable, Mapping

from tending.core.store import part_of


def parsed(lines: Iterable[str]) -> dict[str, list[str]]:
    """Parse lines `metric component component ...` into metric -> components.

    Metrics without a line apply to all components.
    """
    return {line.split()[0]: line.split()[1:] for line in lines}


def taken(restricted: Mapping[str, list[str]], metric: str, dataset: str) -> bool:
    """Return whether a metric applies to the component that a dataset holds."""
    return metric not in restricted or part_of(dataset)[0] in restricted[metric]
