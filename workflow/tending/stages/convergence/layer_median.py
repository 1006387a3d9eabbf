"""The median of a score over layers, with what its sequences leave open."""

import numpy as np

from tending.core.estimates import Estimates

LOW, HIGH = 0.025, 0.975


def median(estimates: Estimates) -> Estimates:
    """Estimates of (..., layers) as those of their median, (..., 1).

    The median is taken within each resample, so that layers move together as they do: the standard
    error is the standard deviation of the resamples' medians, the interval from their 2.5 % to
    their 97.5 % quantile. The null is the median of the layers' nulls, mean and quantile each. NaN
    where a layer has no value; error and interval also where one has no resamples.
    """
    draws = np.median(estimates.draws.astype(np.float64), axis=-2, keepdims=True)
    # of 200 draws the fifth from either end: between the two lie 95 % of further ones
    low, high = np.quantile(draws, [LOW, HIGH], axis=-1, method="weibull")
    value, null_mean, null_high = (
        np.median(numbers, axis=-1, keepdims=True)
        for numbers in (estimates.value, estimates.null_mean, estimates.null_high)
    )
    error = draws.std(axis=-1, ddof=1)
    return Estimates(value, error, low, high, null_mean, null_high, draws.astype(np.float32))
