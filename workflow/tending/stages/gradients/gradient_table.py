"""Measurements of gradients as rows of the table `gradients`: means over batches."""

from collections.abc import Iterator, Mapping

import numpy as np

from tending.core.arrays import Floats
from tending.core.tables import Columns, Where, interval_block
from tending.metrics.spectrum import VALUE, Shape, SpectrumMetric, quantity
from tending.metrics.statistics import means
from tending.stages.convergence import component_filter
from tending.stages.gradients.gradient_file import Gradients

Bounds = tuple[float | None, float | None]

NORM, COSINE, LOSS = "gradient_norm", "gradient_cosine", "gradient_loss"


def blocks(
    place: Where,
    gradients: Gradients,
    metrics: Mapping[str, SpectrumMetric],
    only: Mapping[str, list[str]],
) -> Iterator[Columns]:
    """Yield rows of one checkpoint: every metric of every spectrum, norms, cosines and the loss.

    only: components of each metric that is restricted to some. A metric of one matrix has rows only
    for gradients of a single stored matrix, whose shape is in the file.
    """
    n = len(gradients.batches)
    for name, values in gradients.spectra.items():
        for metric_name, metric in metrics.items():
            if component_filter.taken(only, metric_name, name):
                shape = gradients.shapes.get(name)
                for what, pooled in _spectrum(metric_name, metric, values, shape):
                    yield _rows(place, name, pooled, what, n)
    for name, values in gradients.norms.items():
        yield _rows(place, name, over_batches(values, (0, None)), NORM, n)
    for name, values in gradients.cosines.items():
        yield _rows(place, name, over_pairs(values), COSINE, len(values))
    yield _loss(place, over_batches(gradients.loss, (0, None)), n)


def _spectrum(
    name: str, metric: SpectrumMetric, values: Floats, shape: Shape | None
) -> Iterator[tuple[str, means.Pooled]]:
    """Yield quantity and mean over batches of a metric's numbers; values: (batches, ..., k)."""
    if metric.one_matrix and shape is None:
        return
    for detail, numbers in metric.numbers(values, shape).items():
        bounds = metric.range(values.shape[-1]) if detail == VALUE else (None, None)
        yield quantity(name, detail), over_batches(numbers, bounds)


def over_batches(values: Floats, bounds: Bounds = (None, None)) -> means.Pooled:
    """Average over batches (the first axis), with Student's 95 % interval clipped to the bounds.

    Batches are drawn independently of each other. A single batch has no interval. NaN where any
    batch is NaN.
    """
    return _within(means.mean(values), bounds)


def over_pairs(values: Floats) -> means.Pooled:
    """Average cosines of consecutive batches, (pairs, ...), with a 95 % interval.

    Adjacent pairs share a batch. Their covariance is at most half the variance of one pair
    (Hoeffding, 1948), so the variance of the mean of m pairs is at most (2 m - 1) / (m (m - 1))
    times the variance between them. The interval uses this bound, so it is conservative. It is
    Student's with m - 1 degrees of freedom; none for one pair.
    """
    m = len(values)
    centre = values.mean(axis=0)
    half = np.full_like(centre, np.nan)
    if m > 1:
        error = values.std(axis=0, ddof=1) * np.sqrt((2 * m - 1) / (m * (m - 1)))
        half = means.student(m - 1) * error
    return _within(means.Pooled(centre, centre - half, centre + half), (-1, 1))


def _within(pooled: means.Pooled, bounds: Bounds) -> means.Pooled:
    """Clip the interval to the bounds."""
    low, high = bounds
    ends = pooled.low, pooled.high
    if low is not None or high is not None:
        ends = np.clip(pooled.low, low, high), np.clip(pooled.high, low, high)
    return means.Pooled(pooled.value, *ends)


def _rows(place: Where, name: str, pooled: means.Pooled, what: str, n: int) -> Columns:
    return interval_block(place, name, np.stack(pooled, axis=-1), what, n)


def _loss(place: Where, pooled: means.Pooled, n: int) -> Columns:
    """Return the row of the loss, without a component."""
    ends = {name: [float(number)] for name, number in pooled._asdict().items()}
    return {**vars(place), "quantity": LOSS, "definition": "correct", **ends, "n": n}
