"""Similarity of different seeds' activations at one step, for every pair and whole layer.

Every score has a standard error, interval, resamples and null over sequences, like a score with
the reference step. Heads are left out, because head h of one seed does not correspond to head h of
another.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tending.core import store
from tending.core.aliases import Attributes, Warn
from tending.core.arrays import Array
from tending.core.estimates import Estimates
from tending.metrics.similarity import Influence, Prepared, Similarity, UndefinedSimilarityError
from tending.metrics.statistics import uncertainty

ByMetric = dict[str, dict[str, Estimates]]  # metric -> component -> (pairs, layers) or (pairs,)

_ALIKE = ("study", "step", "corpus_sha256", "position", "sequences", "dtype", "parameters")
_IDENTITY = ("model", "weights_sha256", "corpus_sha256", "position", "sequences", "dtype")


class Source(Protocol):
    """Activations whose matrices are read one at a time."""

    attributes: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]

    def matrix(self, name: str, index: tuple[int, ...]) -> Array:
        """Return a component's (rows, width) matrix at (layer,), or at () if the model has one."""


def components(source: Source) -> list[str]:
    """Return datasets of whole layers and of components that the model has once, as `embedding`."""
    names = [name for name in source.shapes if name != store.LOSS]
    return [name for name in names if not store.part_of(name)[1]]


def check(sources: Sequence[Source]) -> None:
    """Raise ValueError, naming both values, if the activations of two seeds are not comparable."""
    for one, other in pairwise(sources):
        here, there = one.attributes, other.attributes
        for name in _ALIKE:
            if here[name] != there[name]:
                raise ValueError(
                    f"{here['model']} has {name} {here[name]}, {there['model']} of the same group "
                    f"has {there[name]}; extract both with the same corpus, or take one out of "
                    f"the group"
                )
        for component in sorted({*components(one), *components(other)}):
            shapes = [s.shapes.get(component) for s in (one, other)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"{component} has shape {shapes[0]} in {here['model']} and {shapes[1]} in "
                    f"{there['model']}: they are not seeds of one configuration; take one out of "
                    f"the group"
                )


def between(
    sources: Sequence[Source],
    metrics: Mapping[str, Similarity],
    warn: Warn,
    rows_per_sequence: int = 1,
) -> ByMetric:
    """Compute scores of all pairs of seeds with their errors.

    Returns metric -> component -> estimates of shape (pairs, layers), or (pairs,) for a component
    that the model has once, with pairs in the order of itertools.combinations. An asymmetric metric
    is averaged over both orders. rows_per_sequence: consecutive rows of one sequence, which are
    not independent. Undefined scores are NaN, and warn(text) names them. Raises ValueError if
    extraction differed between the seeds.
    """
    check(sources)
    pairs = list(combinations(range(len(sources)), 2))
    scores: ByMetric = {name: {} for name in metrics}
    taken = {name: both_orders(metric) for name, metric in metrics.items()}
    for component in components(sources[0]):
        outer = sources[0].shapes[component][:-2]
        for name in metrics:
            scores[name][component] = Estimates.undefined((len(pairs), *outer), uncertainty.DRAWS)
        for index in np.ndindex(*outer):
            read = [source.matrix(component, index) for source in sources]
            for pair, (i, j) in enumerate(pairs):
                x, y = read[i], read[j]
                prepared = Prepared(x, y)
                for name, metric in taken.items():
                    try:
                        found = uncertainty.estimate(metric, x, y, rows_per_sequence, prepared)
                        _put(found, scores[name][component], (pair, *index))
                    except UndefinedSimilarityError as error:
                        at = f"{component} {index} of seeds {i} and {j}"
                        warn(f"{name} of {at} is not defined: {error}")
    return scores


def _put(found: uncertainty.Estimate, into: Estimates, at: tuple[int, ...]) -> None:
    for name, number in vars(found).items():
        getattr(into, "standard_error" if name == "error" else name)[at] = number


def both_orders(metric: Similarity) -> Similarity:
    """Average an asymmetric metric over both orders; return a symmetric one unchanged.

    Deviations are averaged like the scores. The null comes from permutations, because the null of
    a mean does not follow from those of its parts.
    """
    if metric.symmetric:
        return metric
    one_side = metric.influence

    def compare(x: Array, y: Array) -> float:
        return (metric.compare(x, y) + metric.compare(y, x)) / 2

    def influence(x: Array, y: Array) -> Influence:
        assert one_side is not None
        here, there = one_side(x, y), one_side(y, x)
        return Influence((here.score + there.score) / 2, (here.values + there.values) / 2)

    moved = influence if one_side else None
    return replace(metric, compare=compare, symmetric=True, influence=moved, permuted=None)


def attributes(sources: Sequence[Source], group: str, code: str) -> Attributes:
    """Return a file's attributes: the group, its members, and the identity of the activations.

    code: hash of the comparison code, apart from the metrics.
    """
    first = sources[0]
    identity = [[str(s.attributes[name]) for name in (*_IDENTITY, "created")] for s in sources]
    kept = {name: first.attributes[name] for name in _ALIKE}
    return {
        **kept,
        "group": group,
        "members": json.dumps([str(s.attributes["model"]) for s in sources]),
        "rows": first.shapes[components(first)[0]][-2],
        "sources": json.dumps(identity),
        "comparison_code": code,
    }


def write(path: Path, scores: ByMetric, codes: Mapping[str, str], attributes: Attributes) -> None:
    """Write the scores atomically, in the format of score files.

    codes: metric -> hash of the code that computed it.
    """
    store.write_scores(path, store.Scores(scores, dict(codes), attributes))


def read(path: Path) -> tuple[ByMetric, Attributes]:
    """Read a file's scores and attributes; StoreError if it is of another version."""
    found = store.read_scores(path)
    return found.metrics, found.attributes


def kept(path: Path, attributes: Attributes, codes: Mapping[str, str]) -> ByMetric:
    """Return the scores in an existing file that match these activations and this code."""
    try:
        old = store.read_scores(path)
    except store.StoreError:  # it does not exist or has another version
        return {}
    if any(old.attributes.get(n) != attributes[n] for n in ("sources", "comparison_code")):
        return {}
    return {m: v for m, v in old.metrics.items() if codes.get(m) == old.codes[m]}
