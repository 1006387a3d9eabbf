"""Metrics that are taken of some components only, as the params of a rule name them."""

from collections.abc import Iterable, Mapping

from tending.core.store import part_of


def parsed(lines: Iterable[str]) -> dict[str, list[str]]:
    """metric -> components, from `metric component component ...`; others are of all."""
    return {line.split()[0]: line.split()[1:] for line in lines}


def taken(restricted: Mapping[str, list[str]], metric: str, dataset: str) -> bool:
    """Whether a metric is taken of the component that a dataset holds."""
    return metric not in restricted or part_of(dataset)[0] in restricted[metric]
