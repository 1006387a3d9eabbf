"""Effects of a model's size and learning rate on when its layers settle."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tending.core import tables
from tending.core.arrays import Floats
from tending.metrics.statistics.means import BRACKET, student
from tending.stages.convergence import stabilisation_rows

SIZE, RATE = "per_doubling_of_size", "per_doubling_of_learning_rate"
UNADJUSTED = "per_doubling_of_size_unadjusted"
CORRELATION = "size_learning_rate_correlation"
PEAK = "peak_learning_rate"
# ASSUME: above a correlation of 0.95, where collinearity inflates the variance of both effects
# tenfold (Marquardt 1970), size and learning rate cannot be separated.
MOST_CORRELATED = 0.95


@dataclass(frozen=True)
class Fit:
    """Least-squares coefficients with 95 % intervals, NaN where there is none.

    weights: (coefficients, observations); every coefficient is the observations' weighted sum.
    """

    value: Floats
    low: Floats
    high: Floats
    weights: Floats


def least_squares(y: npt.ArrayLike, x: npt.ArrayLike) -> Fit:
    """Fit y, (n,), on x, (n, k), by ordinary least squares with an intercept, which comes first.

    Intervals: HC3 standard errors (MacKinnon & White 1985), which allow each configuration its own
    variance, with Student's t for n - k - 1 degrees of freedom. There is none without degrees of
    freedom, where a single observation determines a coefficient (leverage 1), or where the fit is
    exact and leaves no residual variance. Raises ValueError if a column of x depends linearly on
    the others.
    """
    values, columns = np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)
    centre = columns.mean(axis=0)
    design = np.column_stack([np.ones(len(values)), columns - centre])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError("the regressors are not independent, so their effects are not defined")
    weights = np.linalg.pinv(design)
    leverage = np.einsum("ij,ji->i", design, weights)
    weights[0] -= centre @ weights[1:]  # back to an intercept at x = 0
    value = weights @ values
    residuals = values - np.column_stack([np.ones(len(values)), columns]) @ value
    half = np.full(len(value), np.nan)
    degrees = len(values) - len(value)
    exact = np.abs(residuals).max() <= 1e-12 * max(1.0, float(np.abs(values).max()))
    if degrees >= 1 and leverage.max() < 1 - 1e-9 and not exact:
        error = np.sqrt(((weights * residuals / (1 - leverage)) ** 2).sum(axis=1))
        half = student(degrees) * error
    return Fit(value, value - half, value + half, weights)


def bounds(weights: Floats, low: npt.ArrayLike, high: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return the smallest and largest weighted sums of observations that lie in [low, high]."""
    least, most = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    up, down = np.maximum(weights, 0), np.minimum(weights, 0)
    return up @ least + down @ most, up @ most + down @ least


def correlation(sizes: npt.ArrayLike, rates: npt.ArrayLike) -> float:
    """Correlate log2 size and log2 rate (Pearson); NaN if one is unknown or does not vary."""
    x, y = np.log2(np.asarray(sizes, float)), np.log2(np.asarray(rates, float))
    if not np.isfinite(y).all() or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def effects(
    stabilisation: pd.DataFrame,
    metrics: Sequence[str],
    thresholds: Sequence[float],
    rates: Mapping[str, float],
) -> list[tables.Columns]:
    """Return blocks of effects on the fraction of training after which a model's layers settle.

    stabilisation: its table, whose medians over whole layers are used, one per model. rates: peak
    learning rate by model, where known. See docs/tables.md.
    """
    models = stabilisation.drop_duplicates("model").set_index("model")
    together = correlation(models["parameters"], [rates.get(str(m), np.nan) for m in models.index])
    common = {"study": stabilisation["study"].iloc[0], "definition": "correct"}
    blocks: list[tables.Columns] = [
        {**common, "quantity": CORRELATION, "value": together, "n": [len(models)]},
        *(
            {**common, **dict(own[["parameters"]]), "model": [m], "quantity": PEAK, "value": rate}
            for m, own in models.iterrows()
            if (rate := rates.get(str(m))) is not None
        ),
    ]
    if np.isnan(together) or abs(together) > MOST_CORRELATED:
        logging.info("size and learning rate cannot be told apart: correlation %s", together)
    wanted = [stabilisation_rows.fraction_quantity(m, t) for m in metrics for t in thresholds]
    medians = stabilisation[stabilisation["layer"].isna() & stabilisation["quantity"].isin(wanted)]
    for key, rows in medians.groupby(["component", "quantity", "definition"], sort=False):
        component, quantity, definition = map(str, key)
        place = {**common, "component": component, "definition": definition, "n": [len(rows)]}
        for name, row in _effects(rows, rates, together).items():
            blocks.append({**place, "quantity": f"{quantity}_{name}", **row})
    return blocks


def _effects(
    rows: pd.DataFrame, rates: Mapping[str, float], together: float
) -> dict[str, dict[str, float]]:
    """Estimate effects for one component, metric and threshold, by name; rows: one per model."""
    values, low, high = (rows[c].to_numpy(dtype=float) for c in ("value", "low", "high"))
    size = np.log2(rows["parameters"].to_numpy(dtype=float))
    rate = np.log2([rates.get(str(m), np.nan) for m in rows["model"]])
    told_apart = abs(together) <= MOST_CORRELATED  # False for NaN
    found: dict[str, dict[str, float]] = {}
    for names, columns in (((SIZE, RATE), [size, rate]), ((UNADJUSTED,), [size])):
        empty = np.isnan(values).any() or np.ptp(size) == 0  # NaN: a model that never settles
        fit = None
        if not empty and (len(columns) == 1 or told_apart) and len(values) > len(columns) + 1:
            fit = least_squares(values, np.column_stack(columns))
            ends = bounds(fit.weights, low, high)
        for i, name in enumerate(names, start=1):
            found[name] = _row(*(e[i] for e in (fit.value, fit.low, fit.high))) if fit else _row()
            inside = _row(fit.value[i], ends[0][i], ends[1][i]) if fit else _row()
            found[name + BRACKET] = inside
    return found


def _row(value: Any = np.nan, low: Any = np.nan, high: Any = np.nan) -> dict[str, float]:
    return {"value": float(value), "low": float(low), "high": float(high)}
