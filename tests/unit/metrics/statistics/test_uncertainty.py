"""Standard errors, intervals, resamples and nulls of similarities."""

import importlib.util
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats
from similarity_cases import METRICS, Matrix, correlated, every_metric

from tending.metrics.similarity import Influence, Null, Similarity, UndefinedSimilarityError
from tending.metrics.statistics.uncertainty import DRAWS, Estimate, estimate, resampled


def correlation(x: Matrix, y: Matrix) -> float:
    """A metric of a user, with no influence of its own."""
    return float(np.corrcoef(x[:, 0], y[:, 0])[0, 1])


OWN = Similarity(correlation, "Correlation", (-1, 1), frozenset({"scaling"}), least=3)


@every_metric
def test_every_field_is_a_number_in_order(metric: Similarity) -> None:
    x, y = correlated(51, 90, 5, 6)
    found = estimate(metric, x, y)
    assert found.value == pytest.approx(metric.compare(x, y), abs=1e-12)
    assert found.low < found.value < found.high <= 1
    assert 0 < found.error < 0.2
    assert found.null_mean < found.null_high < found.value
    assert found.draws.shape == (DRAWS,)
    low, high = metric.bounds
    assert (low or -1) <= found.draws.min() and found.draws.max() < 1 and high == 1


@every_metric
@pytest.mark.parametrize("scale", [1, 7.3])
def test_the_reference_with_itself_has_no_error(metric: Similarity, scale: float) -> None:
    x, _ = correlated(52, 60, 5, 5)
    found = estimate(metric, x, scale * x)
    assert (found.value, found.error, found.low, found.high) == (1, 0, 1, 1)
    assert (found.draws == 1).all()
    assert found.null_mean < 0.9


@every_metric
def test_nearer_to_1_is_more_certain(metric: Similarity) -> None:
    """So that a threshold near 1 is not crossed by resampling what is far above it."""
    x, noise = np.random.default_rng(53).normal(size=(2, 200, 5))
    far, near = (estimate(metric, x, x + part * noise) for part in (0.5, 0.05))
    assert near.high <= 1 and near.draws.max() <= 1
    assert near.low > far.value


def test_draws_have_the_error_on_the_scale_of_the_interval() -> None:
    x, y = correlated(54, 70, 6, 6)
    metric = METRICS["cka_debiased"]
    assert metric.influence is not None
    found, known = estimate(metric, x, y), metric.influence(x, y)
    variance = known.values @ known.values - known.excess
    assert found.error == pytest.approx(math.sqrt(variance), rel=1e-12)
    bent = found.error / (1 - found.value**2)
    expected = resampled(known.values) * bent / np.linalg.norm(known.values)
    assert np.arctanh(found.draws) - math.atanh(found.value) == pytest.approx(expected)
    kurtosis = 70 * np.sum(known.values**4) / np.sum(known.values**2) ** 2
    quantile = stats.t(min(69, 140 / (kurtosis - 1))).ppf(0.975)
    assert math.atanh(found.high) - math.atanh(found.value) == pytest.approx(quantile * bent)
    assert math.atanh(found.value) - math.atanh(found.low) == pytest.approx(quantile * bent)


def test_resamples_are_of_the_same_sequences_everywhere() -> None:
    """Two layers alike but for their coordinates move together; the weights depend on n alone."""
    x, y = correlated(55, 80, 6, 6)
    turned = x @ np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    first, second = (estimate(METRICS["cka"], side, y).draws for side in (x, turned))
    assert first == pytest.approx(second, abs=1e-9)


def test_resamples_have_mean_0_and_the_variance_of_the_deviations() -> None:
    """Several blocks of weights: 2500 sequences; 200 draws know a variance to 10 %."""
    deviations = np.random.default_rng(56).normal(size=2500)
    sums = resampled(deviations) / np.linalg.norm(deviations)
    assert abs(sums.mean()) < 4 / math.sqrt(DRAWS)
    assert sums.std() == pytest.approx(1, abs=0.2)
    one_by_one = np.array([resampled(row)[0] for row in np.eye(5)])
    assert resampled(np.arange(5.0))[0] == pytest.approx(one_by_one @ np.arange(5))


@pytest.mark.parametrize("name", ["angular_cka", "cka", "linear_regression", "procrustes"])
def test_agrees_with_scipys_bootstrap(name: str) -> None:
    """Of scores with little bias at n = 300, d = 3, for which rows drawn twice do no harm."""
    x, y = correlated(57, 300, 3, 3)
    compare = METRICS[name].compare
    drawn = stats.bootstrap(
        (np.arange(300),),
        lambda rows: compare(x[rows], y[rows]),
        vectorized=False,
        n_resamples=300,
        method="percentile",
        rng=np.random.default_rng(58),
    )
    # 300 resamples know a standard error to 4 %
    assert estimate(METRICS[name], x, y).error == pytest.approx(drawn.standard_error, rel=0.16)


# Several rows of one sequence


@pytest.mark.parametrize("name", ["cka", "procrustes", "linear_regression", "cka_rbf"])
def test_rows_said_twice_say_nothing_new(name: str) -> None:
    x, y = correlated(59, 100, 4, 5)
    once = estimate(METRICS[name], x, y)
    twice = estimate(METRICS[name], np.repeat(x, 2, axis=0), np.repeat(y, 2, axis=0), 2)
    taken_for_sequences = estimate(METRICS[name], np.repeat(x, 2, axis=0), np.repeat(y, 2, axis=0))
    assert twice.error == pytest.approx(once.error, rel=0.1)
    assert taken_for_sequences.error < 0.8 * once.error


def test_whole_sequences_are_permuted() -> None:
    orders = []

    def spy(x: Matrix, y: Matrix) -> float:
        orders.append(y[:, 0])
        return 0.5

    rows = np.arange(24.0)[:, None]
    estimate(replace(OWN, compare=spy, influence=nothing), rows, rows, rows_per_sequence=4)
    assert len(orders) == 39
    for order in orders:
        blocks = order.reshape(-1, 4)
        assert (blocks - blocks[:, :1] == np.arange(4)).all() and (blocks[:, 0] % 4 == 0).all()
    assert len({tuple(order) for order in orders}) > 30


def test_one_sequence_leaves_the_error_open() -> None:
    x, y = correlated(66, 30, 2, 2)
    assert unknown(estimate(METRICS["cka"], x, y, rows_per_sequence=30))


def nothing(x: Matrix, y: Matrix) -> Influence:
    return Influence(0.5, np.zeros(len(x)))


# Metrics without an influence


def test_groups_left_out_know_the_error_of_a_correlation() -> None:
    """(1 - r^2) / sqrt(n), of 5 groups: 4 degrees of freedom, so their root mean square."""
    squares = []
    for seed in range(60):
        x, z = np.random.default_rng(seed).normal(size=(2, 120, 1))
        squares.append(estimate(OWN, x, 0.6 * x + 0.8 * z).error ** 2)
    assert math.sqrt(np.mean(squares)) == pytest.approx((1 - 0.36) / math.sqrt(120), rel=0.15)


def test_groups_are_of_whole_sequences() -> None:
    x, y = correlated(60, 60, 1, 1)
    once = estimate(OWN, x, y)
    thrice = estimate(OWN, np.repeat(x, 3, axis=0), np.repeat(y, 3, axis=0), 3)
    assert thrice.error == pytest.approx(once.error, rel=1e-9)
    assert thrice.draws == pytest.approx(once.draws, rel=1e-9)


def test_a_scale_without_end_is_left_straight() -> None:
    metric = replace(OWN, compare=lambda x, y: 10 * correlation(x, y), bounds=(None, None))
    found = estimate(metric, *correlated(61, 60, 1, 1))
    assert found.high - found.value == pytest.approx(found.value - found.low)
    assert found.high - found.value == pytest.approx(stats.t(4).ppf(0.975) * found.error)


def unknown(found: Estimate) -> bool:
    numbers = [found.error, found.low, found.high, *found.draws]
    return bool(np.isnan(numbers).all())


@pytest.mark.parametrize("n", [3, 5, 8])
def test_too_few_sequences_leave_the_error_open(n: int) -> None:
    x, y = correlated(62, n, 2, 2)
    found = estimate(replace(OWN, least=n), x, y)
    assert math.isfinite(found.value) and unknown(found)


def test_a_score_not_defined_in_a_part_leaves_the_error_open() -> None:
    def fussy(x: Matrix, y: Matrix) -> float:
        if not (x == 7).any():
            raise UndefinedSimilarityError("no 7")
        return correlation(x, y)

    x, y = correlated(63, 30, 2, 2)
    x[4, 0] = 7
    found = estimate(replace(OWN, compare=fussy), x, y)
    assert unknown(found) and math.isfinite(found.null_mean)


@every_metric
def test_as_few_sequences_as_a_metric_takes(metric: Similarity) -> None:
    for n in range(metric.least, metric.least + 8):
        x, y = correlated(64, n, 2, 3)
        try:
            metric.compare(x, y)
        except UndefinedSimilarityError:
            with pytest.raises(UndefinedSimilarityError):
                estimate(metric, x, y)
            continue
        found = estimate(metric, x, y)
        assert found.low <= found.value <= found.high or unknown(found) or found.value == 1


@every_metric
def test_raises_as_the_metric_does(metric: Similarity) -> None:
    x, y = correlated(65, 40, 3, 3)
    with pytest.raises(ValueError, match="39 sequences on one side, 40 on the other"):
        estimate(metric, x[:-1], y)
    with pytest.raises(UndefinedSimilarityError, match="constant"):
        estimate(metric, x, np.ones((40, 3)))


# Coverage; the whole experiment is bench/coverage.py


def bench() -> ModuleType:
    path = Path(__file__).parents[4] / "bench/coverage.py"
    spec = importlib.util.spec_from_file_location("coverage_experiment", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("n", "d", "exponent"), [(64, 24, 0.5), (64, 256, 0.0), (64, 24, 0.0)])
def test_intervals_cover_the_population_value(n: int, d: int, exponent: float) -> None:
    """400 replications: a standard error of 1.1 points about 95, of which 4 are allowed."""
    found = bench().experiment(n, d, exponent, replications=400)
    for true, coverage in found.items():
        assert 90.6 <= coverage.covered <= 99.4, true
        assert 0.9 < coverage.ratio < 1.15, true
        assert 90.6 <= coverage.biased <= 99.4, true
    if exponent == 0:  # what the pairs counted once are for
        assert all(coverage.plain > coverage.covered for coverage in found.values())


def of_rows(deviations: Matrix) -> Similarity:
    """A metric whose score is 0 and whose rows deviate by these numbers."""
    influence = Influence(0.0, deviations, null=Null(0.0, 0.0))
    return replace(OWN, influence=lambda *_: influence, bounds=(None, None))


def half_width_in_errors(deviations: Matrix) -> float:
    rows = np.zeros((deviations.size, 1))
    found = estimate(of_rows(deviations), rows, rows)
    assert found.high == pytest.approx(-found.low)
    return found.high / found.error


@pytest.mark.parametrize(("kurtosis", "freedom"), [(1, 127), (2, 127), (5, 64), (9, 32), (33, 8)])
def test_few_sequences_with_most_of_the_variance_widen_the_interval(
    kurtosis: float, freedom: float
) -> None:
    """Of n deviations, n / k are +-1 and the others 0, which have kurtosis k: 2 n / (k - 1)."""
    deviations = np.zeros(128)
    size = round(128 / kurtosis / 2)
    deviations[:size], deviations[size : 2 * size] = 1, -1
    exact = 2 * 128 / (128 / (2 * size) - 1) if 2 * size < 128 else math.inf
    assert half_width_in_errors(deviations) == pytest.approx(
        stats.t(min(127, exact)).ppf(0.975), rel=1e-9
    )
    assert min(127, exact) == pytest.approx(freedom, rel=0.15)


def test_normal_deviations_have_as_many_degrees_of_freedom_as_sequences() -> None:
    width = half_width_in_errors(np.random.default_rng(3).normal(size=4000))
    assert width == pytest.approx(stats.norm.ppf(0.975), rel=1e-3)


def test_procrustes_of_few_sequences_leaves_groups_out() -> None:
    """Its derivative is less than two thirds of the error there."""
    metric, random = METRICS["procrustes"], np.random.default_rng(5)
    found = []
    for _ in range(40):
        x, z = random.normal(size=(2, 24, 64))
        found.append(estimate(metric, x, x + z))
    scores = np.array([e.value for e in found])
    errors = np.array([e.error for e in found])
    assert 0.8 < np.sqrt(np.mean(errors**2)) / scores.std(ddof=1) < 1.7
    assert metric.influence is not None
    derived = np.linalg.norm(metric.influence(x, x + z).values)
    assert derived < 0.9 * np.sqrt(np.mean(errors**2))
    x, z = random.normal(size=(2, 200, 8))
    tall = metric.influence(x, x + z)
    assert estimate(metric, x, x + z).error == pytest.approx(np.linalg.norm(tall.values))


def test_a_sampled_excess_takes_off_no_more_than_half() -> None:
    """Of rows of which few are ten times longer, some samples hold many."""
    metric = METRICS["cka_debiased"]
    assert metric.influence is not None
    for seed in range(20):
        random = np.random.default_rng(seed)
        x, z = random.normal(size=(2, 600, 8))
        x[:5], z[:5] = 10 * x[:5], 10 * z[:5]
        known = metric.influence(x, x + z)
        variance = known.values @ known.values
        assert known.excess <= variance / 2
        error = estimate(metric, x, x + z).error
        assert 0.99 * math.sqrt(variance / 2) < error <= math.sqrt(variance)
