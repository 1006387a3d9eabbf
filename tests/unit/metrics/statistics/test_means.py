"""Means over seeds and over pairs of seeds: closed forms, scipy, and coverage."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from tending.metrics.statistics import means


def test_a_mean_over_seeds_has_the_interval_of_the_t_test() -> None:
    values = np.random.default_rng(0).normal(0.7, 0.1, (5, 3))
    pooled = means.mean(values)
    for column in range(3):
        expected = stats.ttest_1samp(values[:, column], 0).confidence_interval(0.95)
        assert pooled.value[column] == pytest.approx(values[:, column].mean(), rel=1e-12)
        assert pooled.low[column] == pytest.approx(expected.low, rel=1e-12)
        assert pooled.high[column] == pytest.approx(expected.high, rel=1e-12)


def test_seeds_may_lie_along_any_axis() -> None:
    values = np.random.default_rng(1).normal(size=(4, 6))
    for one, other in zip(means.mean(values, axis=1), means.mean(values.T), strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_seed_has_a_mean_without_an_interval() -> None:
    pooled = means.mean([[0.5, 0.25]])
    assert pooled.value.tolist() == [0.5, 0.25]
    assert np.isnan(pooled.low).all() and np.isnan(pooled.high).all()


def test_a_seed_without_a_value_leaves_the_mean_empty_and_infinity_has_no_interval() -> None:
    pooled = means.mean([[1.0, np.inf], [np.nan, np.inf], [3.0, 1.0]])
    assert np.isnan(pooled.value[0]) and np.isinf(pooled.value[1])
    assert np.isnan(pooled.low).all() and np.isnan(pooled.high).all()


def test_the_mean_over_pairs_of_additive_seeds_has_the_interval_of_their_mean() -> None:
    """If every pair scores a_i + a_j, the mean is twice that of a, and the jackknife exact."""
    a = np.random.default_rng(2).normal(size=6)
    scores = [a[i] + a[j] for i, j in combinations(range(6), 2)]
    expected = stats.ttest_1samp(2 * a, 0).confidence_interval(0.95)
    pooled = means.mean_over_pairs(scores, 6)
    assert float(pooled.value) == pytest.approx(2 * a.mean(), rel=1e-12)
    assert float(pooled.low) == pytest.approx(expected.low, rel=1e-12)
    assert float(pooled.high) == pytest.approx(expected.high, rel=1e-12)


def test_equal_pairs_have_no_spread_and_two_seeds_no_interval() -> None:
    pooled = means.mean_over_pairs(np.full((10, 2), 0.3), 5)
    for end in pooled:
        np.testing.assert_allclose(end, 0.3, rtol=1e-14)
    alone = means.mean_over_pairs([0.4], 2)
    assert alone.value == 0.4 and np.isnan(alone.low) and np.isnan(alone.high)


def test_scores_must_be_as_many_as_pairs() -> None:
    with pytest.raises(ValueError, match="4 seeds have 6 pairs, got 5 scores"):
        means.mean_over_pairs(np.zeros(5), 4)


@pytest.mark.parametrize("noise", [0.2, 1.0])
def test_intervals_of_pairs_cover_at_least_as_often_as_they_say(noise: float) -> None:
    random, seeds, studies = np.random.default_rng(3), 5, 1500
    i, j = np.array(list(combinations(range(seeds), 2))).T
    a = random.normal(size=(seeds, studies))
    scores = a[i] + a[j] + noise * random.normal(size=(len(i), studies))
    pooled = means.mean_over_pairs(scores, seeds)
    covered = ((pooled.low <= 0) & (pooled.high >= 0)).mean()
    assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / studies)
