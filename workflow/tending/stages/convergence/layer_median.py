"""Median of a score over layers, with its sampling uncertainty over sequences."""

import numpy as np

from tending.core.estimates import Estimates

LOW, HIGH = 0.025, 0.975


def median(estimates: Estimates) -> Estimates:
    """Reduce estimates of (..., layers) to those of their median, (..., 1).

    The median is computed within each resample, which preserves the dependence between layers: the
    standard error is the standard deviation of the resamples' medians, and the interval runs from
    their 2.5 % to their 97.5 % quantile. The null is the median of the layers' nulls, for mean and
    quantile each. NaN where a layer has no value; error and interval also where one has no
    resamples.
    """
    draws = np.median(estimates.draws.astype(np.float64), axis=-2, keepdims=True)
    # the fifth of 200 draws from either end; 95 % of further draws lie between the two
    low, high = np.quantile(draws, [LOW, HIGH], axis=-1, method="weibull")
    value, null_mean, null_high = (
        np.median(numbers, axis=-1, keepdims=True)
        for numbers in (estimates.value, estimates.null_mean, estimates.null_high)
    )
    error = draws.std(axis=-1, ddof=1)
    return Estimates(value, error, low, high, null_mean, null_high, draws.astype(np.float32))
