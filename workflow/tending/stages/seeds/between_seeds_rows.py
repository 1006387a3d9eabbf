"""Rows of the table `groups` for pairs of seeds: each pair's scores, and means over pairs."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from tending.core.estimates import Estimates
from tending.core.store import part_of
from tending.core.tables import Columns
from tending.metrics.statistics import means
from tending.stages.convergence.layer_median import median
from tending.stages.convergence.score_rows import error_quantity, null_quantity

if TYPE_CHECKING:
    from tending.stages.seeds.between_seeds import ByMetric


def between_quantity(metric: str) -> str:
    """Name the similarity of different seeds' activations at one step, the mean over pairs."""
    return f"{metric}_between_seeds"


def pair_quantity(metric: str) -> str:
    """Name the similarity of one pair of seeds' activations at one step."""
    return f"{metric}_between_pair"


def pair_name(one: str, other: str) -> str:
    """Return the `model` of a row about two seeds, which no model can have as its name."""
    return f"{one} / {other}"


def between_blocks(
    scores: "ByMetric",
    attributes: Mapping[str, Any],
    models: Sequence[str],
    metrics: Sequence[str],
    training_steps: int,
) -> list[Columns]:
    """Return rows of one group and step, for every layer and for medians over layers.

    A component that the model has once has one row without a layer. models: the group's seeds, as
    in `members` of a file's `attributes`.
    """
    blocks: list[Columns] = []
    for metric in metrics:
        for name, estimates in scores[metric].items():
            component, _, definition = part_of(name)
            place = {
                "study": str(attributes["study"]),
                "parameters": int(attributes["parameters"]),
                "step": int(attributes["step"]),
                "progress": int(attributes["step"]) / training_steps,
                "component": component,
                "definition": definition,
            }
            group, rows = str(attributes["group"]), int(attributes["rows"])
            for found, layers in _parts(estimates):
                blocks += _means({**place, "model": group, **layers}, metric, found, len(models))
                blocks += _pairs({**place, "n": rows, **layers}, metric, found, models)
    return blocks


def _parts(estimates: Estimates) -> list[tuple[Estimates, Columns]]:
    """Split into estimates of (pairs, cells) with the cells' column: layers, then none."""
    if estimates.value.ndim > 1:
        layers = {"layer": np.arange(estimates.value.shape[1])}
        return [(estimates, layers), (median(estimates), {})]
    alone = {name: values[:, None] for name, values in vars(estimates).items()}
    return [(Estimates(**alone), {})]


def _means(place: Columns, metric: str, found: Estimates, seeds: int) -> list[Columns]:
    """Return rows of the mean over pairs, with its interval over seeds, and of the mean null."""
    quantity, common = between_quantity(metric), {**place, "n": len(found.value)}
    mean = means.mean_over_pairs(found.value, seeds)
    null = {"value": found.null_mean.mean(axis=0), "high": found.null_high.mean(axis=0)}
    return [
        {**common, "quantity": quantity, **mean._asdict()},
        {**common, "quantity": null_quantity(quantity), **null},
    ]


def _pairs(place: Columns, metric: str, found: Estimates, models: Sequence[str]) -> list[Columns]:
    """Return rows of each pair's scores with 95 % intervals, standard errors and nulls.

    Intervals and errors are over sequences.
    """
    names = [pair_name(*pair) for pair in combinations(models, 2)]
    own = {**place, "model": np.repeat(names, found.value.shape[1])}
    if "layer" in place:
        own["layer"] = np.tile(place["layer"], len(names))
    quantity = pair_quantity(metric)
    ends = {"low": found.low.ravel(), "high": found.high.ravel()}
    null = {"value": found.null_mean.ravel(), "high": found.null_high.ravel()}
    error = found.standard_error.ravel()
    return [
        {**own, "quantity": quantity, "value": found.value.ravel(), **ends},
        {**own, "quantity": error_quantity(quantity), "value": error},
        {**own, "quantity": null_quantity(quantity), **null},
    ]
