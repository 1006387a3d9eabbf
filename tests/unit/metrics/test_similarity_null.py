"""What a similarity is by chance: closed forms against permutations."""

import math
from itertools import permutations

import numpy as np
import pytest
from scipy import stats
from similarity_cases import METRICS, Matrix, correlated, u_centred

from tending.metrics.similarity import Null
from tending.metrics.similarity._jackknife import debiased
from tending.metrics.similarity._moments import Moments, of_kernels, of_rows, side_motifs, u_part
from tending.metrics.similarity._permutations import _third_moment, motifs, split
from tending.metrics.similarity._streams import Aligned

CLOSED = ["angular_cka", "cka", "cka_debiased", "cka_rbf", "linear_regression"]
CLOSED += ["rsa_pearson", "rsa_spearman"]


def by_chance(name: str, x: Matrix, y: Matrix) -> Null:
    found = METRICS[name].influence
    assert found is not None
    null = found(x, y).null
    assert null is not None
    return null


def power_law(seed: int, n: int, d: int, exponent: float) -> tuple[Matrix, Matrix]:
    """Two unrelated Gaussian representations whose variances fall as i^-exponent."""
    x, y = np.random.default_rng(seed).normal(size=(2, n, d))
    scales = np.arange(1, d + 1) ** (-exponent / 2)
    return x * scales, y * scales


def test_moments_are_those_of_all_permutations() -> None:
    """All 7! orders of 7 rows: mean, variance and third moment, to rounding."""
    x, y = correlated(31, 7, 3, 4)
    (a, f), (b, g) = split(x @ x.T), split(y @ y.T)
    sums = []
    for order in map(list, permutations(range(7))):
        sums.append((a * b[np.ix_(order, order)]).sum() + 1.7 * f @ g[order])
    here, there = motifs(a, f), motifs(b, g)
    variance = 2 * here.squares * there.squares / 28 + 1.7**2 * here.spread * there.spread / 6
    assert np.mean(sums) == pytest.approx(0, abs=1e-10)
    assert np.mean(np.square(sums)) == pytest.approx(variance, rel=1e-10)
    third = _third_moment(7, here, there, 1.7)
    assert np.mean(np.power(sums, 3)) == pytest.approx(third, rel=1e-9)


def test_split_is_u_centring() -> None:
    x, _ = correlated(32, 9, 4, 4)
    part, effects = split(x @ x.T)
    assert part == pytest.approx(u_centred(x @ x.T), abs=1e-12)
    assert effects.sum() == pytest.approx(0, abs=1e-12)


def moments_both_ways(x: Matrix, y: Matrix) -> tuple[Moments, Moments]:
    rows = Aligned(x, y, least=4)
    here, there = rows.whole()
    return of_rows(rows), of_kernels(here @ here.T, there @ there.T)


def test_products_of_columns_give_what_the_kernels_give() -> None:
    """n = 300 rows of 6 and 8 columns: feature space, where the pairs of 128 rows are sampled."""
    features, kernels = moments_both_ways(*correlated(33, 300, 6, 8))
    assert len(features.sample) == 128 and len(kernels.sample) == 300
    for a, b in ((features.x, kernels.x), (features.y, kernels.y)):
        for name in ("diagonal", "squares", "own", "other"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-9, abs=1e-9)
        dense = motifs(u_part(b, kernels.sample), b.diagonal - b.diagonal.mean())
        found = side_motifs(a, features.sample)
        assert side_motifs(b, kernels.sample).cubes == pytest.approx(dense.cubes, rel=1e-9)
        for name in ("squares", "triangles", "spread", "third", "ends", "rows"):
            assert getattr(found, name) == pytest.approx(getattr(dense, name), rel=1e-9), name
    assert features.products == pytest.approx(kernels.products, rel=1e-9, abs=1e-9)
    # a mean over pairs of 128 rows in place of 300
    assert debiased(features).excess == pytest.approx(debiased(kernels).excess, rel=0.3)


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("exponent", [0.0, 0.5])
@pytest.mark.parametrize(("n", "d"), [(16, 8), (128, 40)])
def test_agrees_with_scipys_permutation_test(name: str, exponent: float, n: int, d: int) -> None:
    x, y = power_law(34, n, d, exponent)
    replications = 3000 if name in {"cka", "cka_debiased"} else 300
    compare = METRICS[name].compare
    drawn = stats.permutation_test(
        (np.arange(n),),
        lambda order: compare(x, y[order]),
        permutation_type="pairings",
        n_resamples=replications,
        rng=np.random.default_rng(35),
    ).null_distribution
    null = by_chance(name, x, y)
    standard_error = np.std(drawn) / math.sqrt(replications)
    assert abs(null.mean - np.mean(drawn)) < 4 * standard_error
    # 5 % lie above it, give or take 4 of their standard errors and the form of the distribution
    above = np.mean(drawn > null.high)
    assert abs(above - 0.05) < 4 * math.sqrt(0.05 * 0.95 / replications) + 0.01


@pytest.mark.parametrize(("d", "expected"), [(512, 0.80), (2560, 0.95)])
def test_unrelated_white_gaussians(d: int, expected: float) -> None:
    """n = 128: what biased CKA shows of representations that share nothing."""
    x, y = power_law(36, 128, d, 0.0)
    null = by_chance("cka", x, y)
    assert null.mean == pytest.approx(expected, abs=0.005)
    assert null.mean < null.high < null.mean + 0.01
    assert by_chance("cka_debiased", x, y).mean == 0


def test_the_null_of_debiased_cka_has_a_variance_of_n_alone() -> None:
    """2 / (n (n - 3)), the squared correlation's of Szekely & Rizzo (2013) with their freedom."""
    x, y = power_law(37, 128, 2000, 0.0)  # wide and white: not skewed, so the quantile says it
    expected = 1.6448536 * math.sqrt(2 / (128 * 125))
    assert by_chance("cka_debiased", x, y).high == pytest.approx(expected, rel=0.03)


def test_chance_of_regression_is_its_rank() -> None:
    x, y = correlated(38, 60, 9, 7)
    assert by_chance("linear_regression", x, y).mean == pytest.approx(7 / 59, rel=1e-12)


PERMUTED = sorted(name for name, metric in METRICS.items() if metric.permuted)


@pytest.mark.parametrize("name", PERMUTED)
@pytest.mark.parametrize(("d_x", "d_y"), [(5, 6), (6, 5)])
def test_a_prepared_permutation_is_the_score_of_the_permuted(name: str, d_x: int, d_y: int) -> None:
    x, y = correlated(39, 40, d_x, d_y)
    prepare = METRICS[name].permuted
    assert prepare is not None
    score = prepare(x, y)
    for order in (np.arange(40), np.random.default_rng(0).permutation(40)):
        assert score(order) == pytest.approx(METRICS[name].compare(x, y[order]), abs=1e-10)


def test_every_metric_has_a_null_that_costs_less_than_permuting_it() -> None:
    assert {*CLOSED, *PERMUTED} == set(METRICS)
