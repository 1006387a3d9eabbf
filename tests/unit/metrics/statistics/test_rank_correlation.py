"""Rank correlation within strata: laws, closed forms, scipy, and the null distribution."""

from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, permutation_test, spearmanr

from tending.core.arrays import Matrix
from tending.metrics.statistics.rank_correlation import DRAWS, Association, associate, interval


def one(x: object, y: object, strata: object = None) -> Association:
    """The association of two sequences; strata: none by default."""
    first, second = np.array([x], dtype=float), np.array([y], dtype=float)
    return associate(first, second, np.zeros(first.shape[1]) if strata is None else strata)  # type: ignore[arg-type]


def numbers(found: Association) -> tuple[float, float, float, float, int]:
    parts = (found.value, found.low, found.high, found.p_value, found.n)
    return tuple(part.item() for part in parts)  # type: ignore[return-value]


def tied(seed: int, *shape: int) -> Matrix:
    """Random numbers of which many are alike."""
    return np.random.default_rng(seed).integers(0, 5, shape).astype(float)


@pytest.mark.parametrize("n", range(3, 8))
@pytest.mark.parametrize("sign", [1, -1])
def test_a_monotone_relation_is_perfect_and_its_p_value_is_exact(n: int, sign: int) -> None:
    """Of n! orders two are as extreme: the same and the reverse."""
    x = np.arange(n)
    value, low, high, p_value, count = numbers(one(x, sign * np.exp(x)))
    assert value == pytest.approx(sign)
    assert p_value == pytest.approx(2 / factorial(n))
    assert count == n
    if n >= 4:
        assert (high if sign > 0 else low) == sign
        assert -1 < (low if sign > 0 else high) < 1


@given(seed=st.integers(0, 10**6), n=st.integers(4, 30))
def test_spearmans_coefficient_is_scipys(seed: int, n: int) -> None:
    x, y = tied(seed, 2, n), tied(seed + 1, 3, n)
    found = associate(x, y, np.zeros(n)).value
    for i, j in np.ndindex(2, 3):
        if np.ptp(x[i]) and np.ptp(y[j]):
            assert found[i, j] == pytest.approx(spearmanr(x[i], y[j]).statistic)
        else:
            assert np.isnan(found[i, j])


@pytest.mark.parametrize("seed", range(4))
def test_exact_p_values_are_scipys(seed: int) -> None:
    x, y = tied(seed, 6), tied(seed + 10, 6)

    def strength(order: Matrix) -> float:
        return abs(float(spearmanr(order, y).statistic))

    # `pairings` permutes within the one sample: all 6! orders
    wanted = permutation_test(
        (x,), strength, permutation_type="pairings", alternative="greater", n_resamples=np.inf
    )
    assert one(x, y).p_value.item() == pytest.approx(wanted.pvalue)


def test_random_p_values_are_near_scipys_and_seeded() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    y = 0.5 * x + rng.normal(size=20)
    wanted = spearmanr(x, y).pvalue  # by Student's t, good to two digits for n = 20
    assert one(x, y).p_value.item() == pytest.approx(wanted, abs=0.01)
    assert numbers(one(x, y)) == numbers(one(x, y))
    assert one(x, x).p_value.item() == 1 / (1 + DRAWS)


def test_the_interval_is_the_published_example() -> None:
    """statpsych's ci.spear by Bonett, with Bonett & Wright (2000), to its seven digits."""
    x = [21, 4, 9, 12, 35, 18, 10, 22, 24, 1, 6, 8, 13, 16, 19]
    y = [67, 28, 30, 28, 52, 40, 25, 37, 44, 10, 14, 20, 28, 40, 51]
    value, low, high, _, _ = numbers(one(x, y))
    assert (value, low, high) == pytest.approx((0.8699639, 0.5840951, 0.9638297), abs=5e-8)


@pytest.mark.parametrize(("n", "rho"), [(4, 0.0), (6, 0.6), (12, 0.0), (12, 0.9), (24, 0.6)])
def test_the_interval_covers_what_it_should(n: int, rho: float) -> None:
    """At least 94 %: 95 % less 3 standard errors of the share of 4,000."""
    rng = np.random.default_rng(n)
    x = rng.standard_normal((4000, n))
    y = rho * x + np.sqrt(1 - rho**2) * rng.standard_normal((4000, n))
    ranks = [np.argsort(np.argsort(side)) - (n - 1) / 2 for side in (x, y)]
    value = (ranks[0] * ranks[1]).sum(axis=1) * 12 / (n**3 - n)
    low, high = interval(value, n)
    true = 6 / np.pi * np.arcsin(rho / 2)  # of the normal distribution
    assert np.mean((low <= true) & (true <= high)) > 0.94


def test_an_interval_needs_four_and_holds_its_value() -> None:
    value = np.array([-1.0, -0.5, 0.0, 1.0])
    assert np.isnan(interval(value, 3)).all()
    low, high = interval(value, 4)
    assert (low <= value).all() and (value <= high).all()
    assert (np.diff(low) >= 0).all() and (np.diff(high) >= 0).all()
    assert np.isnan(interval(np.nan, 10)).all()


@given(seed=st.integers(0, 10**6))
def test_monotone_transforms_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, strata = rng.normal(size=9), tied(seed, 9), np.repeat([0, 1], [4, 5])
    before = numbers(one(x, y, strata))
    assert numbers(one(np.exp(x), y**3, strata)) == before
    opposite = numbers(one(-x, y, strata))
    np.testing.assert_allclose(opposite, [-before[0], -before[2], -before[1], *before[3:]])


@given(seed=st.integers(0, 10**6))
def test_order_of_units_and_names_of_strata_change_nothing(seed: int) -> None:
    x, y, strata = tied(seed, 2, 9), tied(seed + 1, 2, 9), np.repeat([0, 1], [4, 5])
    order = np.random.default_rng(seed).permutation(9)
    names = np.array(["b", "a"])[strata]
    one, other = associate(x, y, strata), associate(x[:, order], y[:, order], names[order])
    for name in ("value", "low", "high", "p_value", "n"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-12)


# Pooled


def test_one_stratum_is_the_model_itself() -> None:
    x, y = tied(0, 3, 8), tied(1, 2, 8)
    alone, named = associate(x, y, np.zeros(8)), associate(x, y, ["m"] * 8)
    for name in ("value", "low", "high", "p_value", "n"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(named, name))


def test_the_pooled_value_is_the_weighted_mean_of_the_strata() -> None:
    x, y, strata = tied(2, 14), tied(3, 14), np.repeat([0, 1, 2], [3, 5, 6])
    own = [spearmanr(x[strata == m], y[strata == m]).statistic for m in range(3)]
    found = one(x, y, strata)
    assert found.value.item() == pytest.approx(np.average(own, weights=[2, 4, 5]))
    # degrees of freedom lose one per model: 14 - 3 + 1 units are left
    np.testing.assert_allclose((found.low, found.high), interval(found.value, 12))


def test_a_difference_between_models_alone_is_no_association() -> None:
    """Large shifts of both sides leave every number as it is without them."""
    rng = np.random.default_rng(0)
    x, y, strata = rng.normal(size=60), rng.normal(size=60), np.repeat(np.arange(5), 12)
    plain, shifted = one(x, y, strata), one(x + 100 * strata, y + 100 * strata, strata)
    assert numbers(plain) == numbers(shifted)
    assert abs(shifted.value.item()) < 0.3 and shifted.p_value.item() > 0.05
    assert one(x + 100 * strata, y + 100 * strata).value.item() > 0.9  # without strata


def test_the_pooled_p_value_enumerates_the_orders_within_strata() -> None:
    """2! x 3! orders, of which 2 agree perfectly or are the perfect reverse."""
    assert one([1, 2, 1, 2, 3], [1, 2, 1, 2, 3], [0, 0, 1, 1, 1]).p_value.item() == 2 / 12
    assert one([1, 2, 1, 2], [1, 2, 1, 2], [0, 0, 1, 1]).p_value.item() == 2 / 4


def test_a_stratum_without_variation_has_no_say() -> None:
    x, y = [1, 2, 3, 4, 1, 2, 3], [1, 3, 2, 4, 5, 5, 5]
    alone, pooled = one(x[:4], y[:4]), one(x, y, [0] * 4 + [1] * 3)
    np.testing.assert_allclose(numbers(pooled), numbers(alone))


# What has no value


def test_constant_input_has_no_correlation() -> None:
    value, low, high, p_value, n = numbers(one([1, 2, 3, 4], [7, 7, 7, 7]))
    assert np.isnan([value, low, high, p_value]).all() and n == 0


@pytest.mark.parametrize("strata", [[0, 0], [0, 0, 1], [0, 1, 2]])
def test_two_units_of_a_model_are_too_few(strata: list[int]) -> None:
    x = np.arange(float(len(strata)))
    value, low, high, p_value, _ = numbers(one(x, x, strata))
    assert np.isnan([value, low, high, p_value]).all()


def test_nothing_is_associated_with_nothing() -> None:
    assert associate(np.zeros((2, 0)), np.zeros((3, 0)), []).value.shape == (2, 3)
    assert associate(np.zeros((0, 5)), np.zeros((3, 5)), np.zeros(5)).n.shape == (0, 3)


def test_a_missing_number_takes_its_unit_out_of_that_pair_alone() -> None:
    x, y = tied(5, 2, 9), tied(6, 2, 9)
    x[0, 2] = y[1, 3] = y[1, 4] = np.nan
    found = associate(x, y, np.zeros(9))
    for i, j in np.ndindex(2, 2):
        kept = ~np.isnan(x[i]) & ~np.isnan(y[j])
        alone = associate(x[[i]][:, kept], y[[j]][:, kept], np.zeros(kept.sum()))
        assert found.n[i, j] == kept.sum()
        for name in ("value", "low", "high", "p_value"):
            assert getattr(found, name)[i, j] == pytest.approx(getattr(alone, name).item())


def test_infinity_is_the_largest_rank() -> None:
    x, settled = tied(7, 8), np.array([3.0, 1, np.inf, 4, np.inf, 2, 2, 1])
    late = np.where(np.isinf(settled), 99.0, settled)
    assert numbers(one(x, settled)) == numbers(one(x, late))


def test_rows_must_be_of_the_same_units() -> None:
    with pytest.raises(ValueError, match="3 and 4 units, but 3 have a stratum"):
        associate(np.zeros((1, 3)), np.zeros((1, 4)), np.zeros(3))


# The null distribution


@pytest.mark.parametrize("sizes", [(6,), (3, 4), (12, 12)], ids=str)
def test_p_values_are_uniform_if_nothing_is_associated(sizes: tuple[int, ...]) -> None:
    """No more often at or below a level than the level: within 3 standard errors of 300 pairs."""
    units = sum(sizes)
    rng = np.random.default_rng(units)
    strata = np.repeat(np.arange(len(sizes)), sizes)
    x, y = rng.normal(size=(300, units)), rng.normal(size=(1, units))
    p_values = associate(x, y, strata).p_value.ravel()
    for level in (0.05, 0.1, 0.25, 0.5):
        assert np.mean(p_values <= level) <= level + 3 * np.sqrt(level * (1 - level) / 300)
    if units > 12:  # the steps of an exact one are coarse
        assert kstest(p_values, "uniform").pvalue > 0.01
