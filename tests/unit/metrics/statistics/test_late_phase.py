"""The late phase: closed forms, laws, known cases, and what simulated trajectories give."""

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from tending.metrics.statistics import late_phase
from tending.metrics.statistics.late_phase import LEVEL, LatePhase, of_losses, of_means

Array = npt.NDArray[np.float64]
STEPS = (0, 10, 20, 40, 80, 100)


def losses(means: npt.ArrayLike, n: int = 64, noise: float = 0.05, seed: int = 0) -> Array:
    """(steps, n): sequences differ by far more than one sequence does from step to step."""
    random = np.random.default_rng(seed)
    centre = np.asarray(means, dtype=float)[:, None]
    return centre + random.normal(0, 0.4, n) + noise * random.standard_normal((len(centre), n))


def numbers(late: LatePhase) -> Array:
    """Everything of it in one row."""
    return np.concatenate([np.atleast_1d(v) for v in dataclasses.astuple(late)]).astype(float)


def exact(means: npt.ArrayLike, n: int = 20) -> Array:
    """Losses in which every sequence has the same difference between two steps."""
    return np.asarray(means, dtype=float)[:, None] + np.linspace(-1, 1, n)


# Closed forms


def test_of_a_falling_loss_the_last_step_is_the_best_and_nothing_has_risen() -> None:
    for made in (losses(np.linspace(5, 3, 6)), exact(np.linspace(5, 3, 6))):
        late = of_losses(STEPS, made)
        assert (late.best, late.rise, late.low, late.high, late.p) == (100, 0, 0, 0, 1)
        assert late.among_best == (100,)
        assert (late.change_high[:-1] < 0).all() and late.change[-1] == 0


def test_a_known_shift_is_found_exactly() -> None:
    late = of_losses(STEPS, exact([5, 4, 3, 3.25, 3.5, 3.75]))
    assert (late.best, late.rise) == (20, pytest.approx(0.75))
    assert [late.low, late.high] == pytest.approx([0.75, 0.75])
    assert late.p == 2 / (1 + late_phase.DRAWS)
    assert late.among_best == (20,)
    np.testing.assert_allclose(late.change, [-1.25, -0.25, 0.75, 0.5, 0.25, 0], atol=1e-12)


def test_equal_steps_are_all_the_best_and_the_latest_is_named() -> None:
    late = of_losses(STEPS, exact([5, 3, 4, 3, 3, 3]))
    assert (late.best, late.rise, late.p) == (100, 0, 1)
    assert late.among_best == (10, 40, 80, 100)
    again = losses([5, 3, 3.02, 3.1, 3.1, 3.1])
    again[5] = again[4]  # the same checkpoint under two names
    late = of_losses(STEPS, again)
    assert late.change_low[4] == late.change_high[4] == 0
    assert late.best_p[4] == late.best_p[5]


def test_two_steps_are_a_paired_t_test() -> None:
    """Nothing is chosen, so twice the one-sided p-value is that of Student's test."""
    made = losses([3.0, 3.04], n=30)
    late = of_losses([1, 2], made)
    test = stats.ttest_rel(made[1], made[0])
    ends = test.confidence_interval(0.95)
    assert late.rise == pytest.approx(made[1].mean() - made[0].mean())
    # 9,999 draws: three standard errors of a share of p / 2, and of its 97.5 % quantile
    assert late.p == pytest.approx(test.pvalue, abs=6 * (test.pvalue / 2 / 9_999) ** 0.5)
    assert late.high == pytest.approx(ends.high)
    assert late.low == pytest.approx(ends.low, abs=0.03 * (ends.high - ends.low))


def test_means_without_pairs_are_bonferronis_bound() -> None:
    late = of_means([3.0, 2.9, 3.1], [0.03, 0.04, 0.05], [0, 1, 2])
    ratio = max(0.1 / np.hypot(0.03, 0.05), 0.2 / np.hypot(0.04, 0.05))
    assert late.p == pytest.approx(2 * 2 * stats.norm.sf(ratio))
    assert (late.best, late.rise) == (1, pytest.approx(0.2))
    high = max(0.1 + 1.96 * np.hypot(0.03, 0.05), 0.2 + 1.96 * np.hypot(0.04, 0.05))
    assert late.high == pytest.approx(high, rel=1e-4)
    sure = of_means([3.0, 2.0, 3.1], [0.0, 0.0, 0.0], [0, 1, 2])
    assert [sure.low, sure.high, sure.p] == pytest.approx([1.1, 1.1, 0])


# Laws


def test_the_order_of_sequences_and_of_steps_does_not_matter() -> None:
    made = losses([5, 3.5, 3.0, 3.01, 3.0, 3.02])
    late = numbers(of_losses(STEPS, made))
    random = np.random.default_rng(3)
    shuffled = made[:, random.permutation(made.shape[1])]
    np.testing.assert_allclose(numbers(of_losses(STEPS, shuffled)), late, atol=1e-9)
    order = random.permutation(len(STEPS))
    again = of_losses([STEPS[i] for i in order], made[order])
    np.testing.assert_array_equal(numbers(again), late)


def test_what_all_steps_share_does_not_count_and_the_unit_is_a_unit() -> None:
    made = losses([5, 3.5, 3.0, 3.01, 3.0, 3.02])
    late = of_losses(STEPS, made)
    harder = of_losses(STEPS, made + np.random.default_rng(4).normal(0, 3, made.shape[1]))
    twice = of_losses(STEPS, 2 * made)
    for other, unit in ((harder, 1), (twice, 2)):
        assert other.best == late.best and other.among_best == late.among_best
        wanted = [unit * v for v in (late.rise, late.low, late.high)]
        assert [other.rise, other.low, other.high] == pytest.approx(wanted)
        assert other.p == late.p


@pytest.mark.parametrize("rise", [0.0, 0.005, 0.01, 0.02])
def test_interval_p_value_and_the_set_of_best_steps_say_the_same(rise: float) -> None:
    for seed in range(15):
        made = losses([5, 3.2, 3.0, 3.0, 3.0 + rise / 2, 3.0 + rise], seed=seed)
        errors = made.std(axis=1, ddof=1) / 8 / 10
        for late in (of_losses(STEPS, made, 999), of_means(made.mean(axis=1), errors, STEPS)):
            assert 0 <= late.low <= late.rise <= late.high
            assert (late.p <= LEVEL) == (late.low > 0) == (STEPS[-1] not in late.among_best)
            assert late.best in late.among_best
            assert late.p == late.best_p[-1]
            assert (late.change_low <= late.change).all()
            assert (late.change <= late.change_high).all()


def test_a_score_of_which_more_is_better_is_turned_round() -> None:
    score, errors = [0.2, 0.5, 0.6, 0.55, 0.5, 0.45], [0.02] * 6
    late = of_means(score, errors, STEPS, higher_is_better=True)
    assert (late.best, late.rise) == (20, pytest.approx(0.15))
    other = of_means([-s for s in score], errors, STEPS)
    np.testing.assert_array_equal(numbers(late), numbers(other))


def test_pairs_narrow_the_interval() -> None:
    made = losses([5, 3.2, 3.0, 3.0, 3.05, 3.1])
    paired = of_losses(STEPS, made)
    alone = of_means(made.mean(axis=1), made.std(axis=1, ddof=1) / 8, STEPS)
    assert paired.rise == pytest.approx(alone.rise)
    assert paired.high - paired.low < (alone.high - alone.low) / 3


def test_steps_that_have_no_value_are_left_out() -> None:
    late = of_means([3.0, np.nan, 2.9, np.nan], [0.1, np.nan, 0.1, np.nan], [0, 1, 2, 3])
    assert late.steps == (0, 2) and late.best == 2 and not np.isnan(late.p)


# Nothing to judge by


def test_without_errors_only_the_best_step_and_the_rise_are_known() -> None:
    cases = [
        of_losses([5], losses([3.0])),
        of_losses([1, 2], losses([3.0, 4.0], n=1)),
        of_means([3.0, 4.0], [0.1, np.nan], [1, 2]),
        of_means([3.0], [0.1], [1]),
    ]
    for late in cases:
        unknown = [late.low, late.high, late.p, *late.best_p, *late.change_low, *late.change_high]
        assert np.isnan(unknown).all() and late.among_best == ()
    assert [late.rise > 0 for late in cases] == [False, True, True, False]


@pytest.mark.parametrize(
    ("steps", "rows", "message"),
    [
        ([1, 2], np.ones((3, 4)), "2 steps have 3 outcomes"),
        ([1, 2, 1], np.ones((3, 4)), r"a step is there twice among \[1, 1, 2\]"),
        ([1, 2], np.array([[1.0, 2.0], [1.0, np.inf]]), "losses at step 2 are not all finite"),
    ],
)
def test_what_cannot_be_judged_is_named(steps: list[int], rows: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of_losses(steps, rows)


def test_means_that_cannot_be_judged_are_named() -> None:
    with pytest.raises(ValueError, match="no step has a value"):
        of_means([np.nan], [0.1], [1])
    with pytest.raises(ValueError, match=r"not negative, found -0\.1"):
        of_means([1.0, 2.0], [0.1, -0.1], [1, 2])


# Simulation


def test_a_level_trajectory_seldom_shows_a_rise_and_one_chosen_step_often_does() -> None:
    """12 steps as good as each other: 2.5 % is expected, 300 replications know it to 0.9 points."""
    found, chosen = 0, 0
    for seed in range(300):
        made = losses(np.full(12, 3.0), n=64, seed=seed)
        late = of_losses(range(12), made, draws=399)
        found += late.p <= LEVEL
        rise = made[-1] - made[late.best]
        chosen += rise.mean() > stats.t.ppf(0.975, 63) * rise.std(ddof=1) / 8
    assert found / 300 < 0.05
    assert chosen / 300 > 0.09


def test_the_interval_holds_the_true_rise_and_the_set_the_best_step() -> None:
    """Noise that is common to neighbours (a walk) and noise that is not."""
    means = np.array([3.5, 3.2, 3.0, 3.005, 3.01, 3.02, 3.03, 3.04])
    held, best = 0, 0
    for seed, walk in itertools.product(range(100), (False, True)):
        noise = 0.05 * np.random.default_rng(seed).standard_normal((8, 64))
        made = losses(means, noise=0, seed=seed) + (noise.cumsum(axis=0) if walk else noise)
        late = of_losses(range(8), made, draws=399)
        held += late.low <= 0.04 <= late.high
        best += 2 in late.among_best
    assert held / 200 > 0.92  # 0.95 less two standard errors
    assert best / 200 > 0.95


def test_means_alone_hold_the_true_rise_too() -> None:
    random = np.random.default_rng(11)
    means, errors = np.array([3.3, 3.0, 3.02, 3.05]), np.array([0.02, 0.01, 0.03, 0.02])
    drawn = means + errors * random.standard_normal((300, 4))
    made = [of_means(values, errors, range(4)) for values in drawn]
    assert np.mean([late.low <= 0.05 <= late.high for late in made]) > 0.93
    assert np.mean([1 in late.among_best for late in made]) > 0.96
