"""Partial correlation over steps: against other computations, and where nothing is associated."""

import numpy as np
import pytest
from scipy import signal, stats

from tending.metrics.statistics.partial_correlation import (
    LEAST,
    effective_steps,
    partial,
    pooled,
    within_steps,
)

STEPS = np.array([0, 1, 4, 16, 64, 128, 256, 300, 512, 800, 1024], dtype=float)
RNG = np.random.default_rng(7)
X, Y = RNG.standard_normal((2, 4, len(STEPS))).cumsum(axis=-1)  # four models


def residuals(series: np.ndarray, z: np.ndarray) -> np.ndarray:
    design = np.column_stack([np.ones_like(z), z])
    left: np.ndarray = series - design @ np.linalg.lstsq(design, series, rcond=None)[0]
    return left


def test_it_is_the_correlation_of_residuals_of_ranks() -> None:
    ranks = [stats.rankdata(s) for s in (X[0], Y[0], STEPS)]
    wanted = stats.pearsonr(residuals(ranks[0], ranks[2]), residuals(ranks[1], ranks[2]))
    assert partial(X[0], Y[0], STEPS, ranks=True).value == pytest.approx(wanted.statistic)


def test_it_has_the_closed_form_of_three_correlations() -> None:
    for ranks, z in ((True, STEPS), (False, np.log1p(STEPS))):
        correlation = stats.spearmanr if ranks else stats.pearsonr
        xy, xz, yz = (correlation(*p).statistic for p in ((X[1], Y[1]), (X[1], z), (Y[1], z)))
        wanted = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
        assert partial(X[1], Y[1], STEPS, ranks=ranks).value == pytest.approx(wanted)


def test_of_ranks_no_increasing_function_of_anything_matters() -> None:
    plain = partial(X[0], Y[0], STEPS, ranks=True)
    bent = partial(np.exp(X[0]), Y[0] ** 3, np.log(STEPS + 9), ranks=True)
    assert (bent.value, bent.low, bent.p_value) == (plain.value, plain.low, plain.p_value)


def test_of_values_the_step_counts_by_its_logarithm() -> None:
    line = 5 - 3 * np.log1p(STEPS)
    plain, tilted = (partial(X[0], y, STEPS, ranks=False) for y in (Y[0], Y[0] + line))
    assert tilted.value == pytest.approx(plain.value)
    assert tilted.p_value == plain.p_value


@pytest.mark.parametrize(
    ("y", "ranks"), [(np.sqrt(STEPS), True), (-STEPS, True), (2 - np.log1p(STEPS), False)]
)
def test_nothing_is_left_of_the_line_itself(y: np.ndarray, ranks: bool) -> None:
    found = partial(X[0], y, STEPS, ranks=ranks)
    assert np.isnan([found.value, found.low, found.high, found.p_value]).all()
    assert found.n == len(STEPS)


def test_missing_values_and_too_few_steps() -> None:
    y = Y[0].copy()
    y[[2, 5]] = np.nan
    kept = ~np.isnan(y)
    assert partial(X[0], y, STEPS, ranks=True).value == pytest.approx(
        partial(X[0][kept], y[kept], STEPS[kept], ranks=True).value
    )
    y[: -LEAST + 1] = np.nan
    few = partial(X[0], y, STEPS, ranks=True)
    assert np.isnan(few.value) and few.n == LEAST - 1


def test_p_is_the_share_of_shifts_in_time() -> None:
    z = np.log1p(STEPS)
    ex, ey = residuals(X[2], z), residuals(Y[2], z)
    moves = [np.roll(side, k) for side in (ey, ey[::-1]) for k in range(len(ey))]
    moved = [abs(stats.pearsonr(ex, residuals(move, z)).statistic) for move in moves]
    wanted = np.mean(np.array(moved) >= moved[0] - 1e-9)
    assert partial(X[2], Y[2], STEPS, ranks=False).p_value == pytest.approx(wanted)


def test_an_interval_holds_its_value_and_needs_independent_steps() -> None:
    noise = np.random.default_rng(1).standard_normal((2, 40))
    found = partial(*noise, np.arange(40), ranks=False)
    assert -1 < found.low < found.value < found.high < 1
    slow = partial(np.sin(STEPS / 400), np.cos(STEPS / 400), STEPS, ranks=False)
    assert np.isfinite(slow.value) and np.isnan(slow.low)


def test_steps_that_repeat_each_other_count_less() -> None:
    white = np.random.default_rng(2).standard_normal((2, 400))
    assert effective_steps(*white) == pytest.approx(400, rel=0.02)
    slow = [signal.lfilter([1], [1, -0.8], row) for row in white]
    assert effective_steps(*slow) == pytest.approx(400 * 0.36 / 1.64, rel=0.15)


def test_the_pooled_coefficient_is_the_mean_on_the_scale_of_artanh() -> None:
    parts = [partial(x, y, STEPS, ranks=False) for x, y in zip(X, Y, strict=True)]
    z = np.arctanh([part.value for part in parts])
    found = pooled(parts)
    assert found.value == pytest.approx(np.tanh(z.mean()))
    low, high = stats.t.interval(0.95, len(z) - 1, z.mean(), stats.sem(z))
    assert (found.low, found.high) == pytest.approx((np.tanh(low), np.tanh(high)))
    assert found.n == 4 * len(STEPS)


def test_models_that_repeat_each_other_are_no_more_evidence() -> None:
    one = partial(X[0], Y[0], STEPS, ranks=False)
    assert pooled([one] * 5).p_value == one.p_value


def test_without_common_steps_there_is_no_pooled_p() -> None:
    parts = [partial(X[0], Y[0], steps, ranks=True) for steps in (STEPS, STEPS + 1)]
    found = pooled(parts)
    assert np.isfinite(found.value) and np.isnan(found.p_value)
    assert np.isnan(pooled(parts[:1]).low) and np.isfinite(pooled(parts[:1]).p_value)
    assert np.isnan(pooled([]).value)


def test_what_all_models_do_at_a_step_counts_for_nothing() -> None:
    course = 50 * np.sin(np.arange(len(STEPS)))
    plain = within_steps(X, Y, STEPS)
    found = within_steps(X + course, Y - course, STEPS)
    assert found.value == pytest.approx(plain.value) and found.p_value == plain.p_value
    left = [residuals((side - side.mean(axis=0)).T, np.log1p(STEPS)).ravel() for side in (X, Y)]
    assert plain.value == pytest.approx(stats.pearsonr(*left).statistic)
    assert np.isnan(within_steps(X[:2], Y[:2], STEPS).value)
    same = np.tile(course, (4, 1))
    assert np.isnan(within_steps(same, Y, STEPS).value)


def test_independent_series_that_repeat_themselves_are_seldom_associated() -> None:
    """5 % of p-values are at most 0.05; those of exchangeable steps would be 21 %."""
    rng, runs = np.random.default_rng(3), 300
    slow = signal.lfilter([1], [1, -0.8], rng.standard_normal((2, runs, 3, 60)), axis=-1)[..., 34:]
    at = np.arange(26.0)
    found = {"one": 0, "pooled": 0, "within": 0}
    for x, y in zip(*slow, strict=True):
        parts = [partial(a, b, at, ranks=True) for a, b in zip(x, y, strict=True)]
        found["one"] += parts[0].p_value <= 0.05
        found["pooled"] += pooled(parts).p_value <= 0.05
        found["within"] += within_steps(x, y, at).p_value <= 0.05
    assert max(found.values()) <= 0.10 * runs  # 0.05 and four of its standard errors
