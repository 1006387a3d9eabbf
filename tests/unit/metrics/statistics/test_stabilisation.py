"""When a trajectory settles: against a brute-force reading of the definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tending.metrics.statistics.stabilisation import Bracket, Settling, settles

scores_of = st.lists(st.sampled_from([0.0, 0.5, 0.89, 0.9, 0.95, 1.0, math.nan]), min_size=1)


def by_definition(steps: list[int], scores: list[float], threshold: float) -> Bracket:
    """Try every checkpoint in turn: do all scores from it to the end stay at or above?"""
    for i, step in enumerate(steps):
        if all(score >= threshold for score in scores[i:]):
            return Bracket(low=steps[i - 1] if i else 0, high=step)
    return Bracket(None, None)


@given(scores=scores_of, gaps=st.data(), threshold=st.sampled_from([0.5, 0.9, 1.0, -0.1]))
def test_follows_the_definition(scores: list[float], gaps: st.DataObject, threshold: float) -> None:
    n = len(scores)
    steps = sorted(gaps.draw(st.sets(st.integers(0, 10**6), min_size=n, max_size=n)))
    assert settles(steps, scores, threshold) == by_definition(steps, scores, threshold)


@given(scores=scores_of, lower=st.floats(0, 1), higher=st.floats(0, 1))
def test_a_higher_threshold_is_reached_no_earlier(
    scores: list[float], lower: float, higher: float
) -> None:
    steps = list(range(len(scores)))
    one, other = (settles(steps, scores, t) for t in sorted((lower, higher)))
    assert other.high is None or (one.high is not None and one.high <= other.high)


@pytest.mark.parametrize(
    ("scores", "bracket"),
    [
        ([0.1, 0.5, 0.95, 1.0], Bracket(10, 100)),
        ([0.1, 0.95, 0.5, 1.0], Bracket(100, 1000)),  # a fall after the first crossing counts
        ([0.1, 0.9, 0.9, 0.9], Bracket(1, 10)),  # at the threshold is at or above it
        ([0.95, 0.95, 0.95, 1.0], Bracket(0, 1)),  # before the first checkpoint
        ([1.0, 1.0, 1.0, 0.89], Bracket(None, None)),  # never
        ([0.95, math.nan, 0.95, 1.0], Bracket(10, 100)),  # a missing score is not settled
        ([1.0, 1.0, 1.0, math.nan], Bracket(None, None)),
        ([math.nan] * 4, Bracket(None, None)),
    ],
)
def test_by_hand(scores: list[float], bracket: Bracket) -> None:
    assert settles([1, 10, 100, 1000], scores, 0.9) == bracket


def test_one_checkpoint() -> None:
    assert settles([7], [1.0], 0.9) == Bracket(0, 7)
    assert settles([7], [0.0], 0.9) == Bracket(None, None)


def test_settled_at_step_0() -> None:
    assert settles([0, 5], [1.0, 1.0], 0.9) == Bracket(0, 0)


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_any_sequence_of_scores(kind: type) -> None:
    assert settles([1, 2, 3], kind([0.0, 1.0, 1.0]), 0.5) == Bracket(1, 2)


@pytest.mark.parametrize(
    ("steps", "scores", "message"),
    [
        ([1, 2], [1.0], "2 steps but 1 scores"),
        ([1], [1.0, 1.0], "1 steps but 2 scores"),
        ([], [], "0 steps but 0 scores"),
        ([2, 1], [1.0, 1.0], r"steps must ascend, got \[2, 1\]"),
        ([1, 1], [1.0, 1.0], r"steps must ascend, got \[1, 1\]"),
    ],
)
def test_bad_input_is_refused(steps: list[int], scores: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settles(steps, scores, 0.9)


# Many trajectories at once


def followed(steps: list[int], scores: np.ndarray, thresholds: list[float]) -> Settling:
    """scores: (steps, ...)."""
    settling = Settling(thresholds)
    for step, row in zip(steps, scores, strict=True):
        settling.add(step, row)
    return settling


def test_many_trajectories_settle_as_each_alone() -> None:
    random = np.random.default_rng(0)
    steps = [0, 1, 4, 20, 100]
    scores = random.choice([0.5, 0.89, 0.9, 0.95, math.nan], size=(5, 3, 4, 50))
    settling = followed(steps, scores, [0.5, 0.9])
    for threshold in (0.5, 0.9):
        low, high = settling.brackets(threshold)
        assert low.shape == high.shape == (3, 4, 50)
        for cell in np.ndindex(3, 4, 50):
            alone = settles(steps, scores[(slice(None), *cell)], threshold)
            never = alone.high is None
            wanted = (math.inf, math.inf) if never else (alone.low, alone.high)
            assert (low[cell], high[cell]) == wanted


def test_of_many_a_higher_threshold_is_reached_no_earlier() -> None:
    scores = np.random.default_rng(1).random((9, 400))
    settling = followed(list(range(9)), scores, [0.1, 0.5, 0.8])
    ends = [settling.brackets(t)[1] for t in (0.1, 0.5, 0.8)]
    assert (ends[0] <= ends[1]).all() and (ends[1] <= ends[2]).all()


def test_of_many_higher_scores_settle_no_later() -> None:
    scores = np.random.default_rng(2).random((9, 400))
    one, other = (followed(list(range(9)), s, [0.5]).brackets(0.5) for s in (scores, scores + 0.2))
    assert (other[0] <= one[0]).all() and (other[1] <= one[1]).all()


def test_steps_of_many_must_ascend() -> None:
    settling = Settling([0.9])
    settling.add(5, [1.0])
    with pytest.raises(ValueError, match="steps must ascend, got 5 after 5"):
        settling.add(5, [1.0])
