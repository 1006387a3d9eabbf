"""Scores of one checkpoint as rows of the table `convergence`."""

import numpy as np

from tending.core.estimates import Estimates
from tending.core.store import part_of
from tending.core.tables import Columns, Where, layer_block


def error_quantity(metric: str) -> str:
    """Name the standard error of a score over sequences."""
    return f"{metric}_standard_error"


def null_quantity(metric: str) -> str:
    """Name the null, the score of permuted sequences: value is its mean, high its 95 % quantile."""
    return f"{metric}_null"


def heads_null_quantity(metric: str) -> str:
    """Name the range of nulls of a layer's heads.

    value is the smallest mean, high the largest 95 % quantile.
    """
    return f"{metric}_heads_null"


def score_blocks(
    place: Where, name: str, metric: str, estimates: Estimates, n: int
) -> list[Columns]:
    """Return rows of one metric and dataset: scores with intervals, standard errors and nulls.

    For heads, which make up most of the table, there are only scores and one row of nulls per
    layer; errors and nulls of each head would triple the rows. They are in the score files.
    """
    interval = {"low": estimates.low.ravel(), "high": estimates.high.ravel()}
    blocks: list[Columns] = [{**layer_block(place, name, estimates.value, metric, n), **interval}]
    if part_of(name)[1]:
        return [*blocks, _heads_null(place, name, metric, estimates, n)]
    null = layer_block(place, name, estimates.null_mean, null_quantity(metric), n)
    return [
        *blocks,
        layer_block(place, name, estimates.standard_error, error_quantity(metric), n),
        {**null, "high": estimates.null_high.ravel()},
    ]


def _heads_null(place: Where, name: str, metric: str, estimates: Estimates, n: int) -> Columns:
    """Return one row per layer, ignoring heads without a null."""
    component, _, definition = part_of(name)
    lowest, highest = (
        np.fmin.reduce(estimates.null_mean, axis=1),
        np.fmax.reduce(estimates.null_high, axis=1),
    )
    quantity = heads_null_quantity(metric)
    rows = layer_block(place, component, lowest, quantity, n)
    return {**rows, "high": highest, "definition": definition}
