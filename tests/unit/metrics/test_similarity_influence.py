"""What one row does to a similarity: closed forms against leaving the row out, and derivatives."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from similarity_cases import METRICS, Matrix, correlated

from tending.metrics.similarity import Influence, Similarity, UndefinedSimilarityError
from tending.metrics.similarity._jackknife import jackknifed

KNOWN = {name: metric for name, metric in METRICS.items() if metric.influence}
EXACT = {
    *("cka", "cka_debiased", "jaccard_knn", "linear_regression", "mutual_knn", "rsa_pearson"),
}
GROUPED = {"svcca", "pwcca"}  # no closed form
SHAPES = [(24, 5, 7), (30, 2, 3), (20, 60, 40)]

every_known = pytest.mark.parametrize("name", sorted(KNOWN))


def influence(name: str, x: Matrix, y: Matrix) -> Influence:
    found = KNOWN[name].influence
    assert found is not None
    return found(x, y)


def left_out(metric: Similarity, x: Matrix, y: Matrix) -> Matrix:
    """The jackknife's deviations by brute force."""
    scores = [metric.compare(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(len(x))]
    return jackknifed(np.array(scores))


def test_all_but_two_know_their_rows_influence() -> None:
    assert set(METRICS) - set(KNOWN) == GROUPED


@every_known
@pytest.mark.parametrize("shape", SHAPES)
def test_the_score_is_the_score(name: str, shape: tuple[int, int, int]) -> None:
    x, y = correlated(21, *shape)
    if name == "linear_regression" and shape[0] < shape[2]:
        with pytest.raises(UndefinedSimilarityError):
            influence(name, x, y)
        return
    found = influence(name, x, y)
    assert found.score == pytest.approx(METRICS[name].compare(x, y), abs=1e-12)
    assert found.values.shape == (shape[0],)
    assert abs(found.values.sum()) < 1e-10 * np.abs(found.values).sum()
    assert 0 <= found.excess < found.values @ found.values


@pytest.mark.parametrize("name", sorted(EXACT))
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_leaving_every_row_out(name: str, shape: tuple[int, int, int]) -> None:
    if name == "linear_regression" and shape[0] < shape[2]:
        return
    x, y = correlated(22, *shape)
    x, y = x + 0.5, y - 0.25
    expected = left_out(METRICS[name], x, y)
    # differences of scores near each other lose about 6 digits
    assert influence(name, x, y).values == pytest.approx(expected, abs=1e-9)


def test_rbf_cka_equals_leaving_every_row_out_at_its_bandwidths() -> None:
    x, y = correlated(23, 25, 4, 6)

    def kernel(side: Matrix) -> Matrix:
        squares = ((side[:, None] - side[None]) ** 2).sum(axis=2)
        pairs = squares[np.triu_indices(len(side), 1)]
        return np.asarray(np.exp(-squares / (2 * np.median(pairs))))

    def cka(k: Matrix, other: Matrix) -> float:
        h = np.eye(len(k)) - 1 / len(k)
        k, other = h @ k @ h, h @ other @ h
        return float((k * other).sum() / np.linalg.norm(k) / np.linalg.norm(other))

    k, other = kernel(x), kernel(y)
    kept = [np.delete(np.arange(25), i) for i in range(25)]
    expected = jackknifed(np.array([cka(k[np.ix_(i, i)], other[np.ix_(i, i)]) for i in kept]))
    assert influence("cka_rbf", x, y).values == pytest.approx(expected, abs=1e-10)


# Derivatives by the weight of a row, numerically


def derivative(score: Callable[[Matrix], float], n: int) -> Matrix:
    """Central differences of a score of weights, (n,), at 1."""
    step = 1e-5
    moved = [(score(1 + step * row), score(1 - step * row)) for row in np.eye(n)]
    return np.array([(up - down) / (2 * step) for up, down in moved])


@pytest.mark.parametrize(("n", "d_x", "d_y"), [(20, 4, 6), (12, 20, 30)])
def test_procrustes_is_the_derivative_by_weights(n: int, d_x: int, d_y: int) -> None:
    x, y = correlated(24, n, d_x, d_y)

    def weighted(w: Matrix) -> float:
        root, sides = np.sqrt(w)[:, None], []
        for side in (x, y):
            centred = root * (side - w @ side / w.sum())
            sides.append(centred / np.linalg.norm(centred))
        return float(np.linalg.svd(sides[1].T @ sides[0], compute_uv=False).sum())

    assert influence("procrustes", x, y).values == pytest.approx(derivative(weighted, n), abs=1e-7)


def test_spearman_is_the_derivative_by_weights_of_pairs() -> None:
    x, y = correlated(25, 14, 6, 7)
    first, second = np.triu_indices(14, 1)
    far: list[Any] = [1 - np.asarray(np.corrcoef(side))[first, second] for side in (x, y)]

    def weighted(w: Matrix) -> float:
        pairs = w[first] + w[second] - 1  # 1 + the step of a pair's row
        ranks = []
        for values in far:
            below = np.sign(values[:, None] - values[None, :])
            rank = below @ pairs
            ranks.append(rank - pairs @ rank / pairs.sum())
        a, b = ranks
        return float(pairs @ (a * b) / math.sqrt((pairs @ a**2) * (pairs @ b**2)))

    deletion = 14 / 12 * math.sqrt(13 / 14)  # from a derivative to a deletion, by its docstring
    expected = deletion * derivative(weighted, 14)
    assert influence("rsa_spearman", x, y).values == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("angle", "cosine"), [("angular_cka", "cka"), ("procrustes_angular", "procrustes")]
)
def test_an_angle_moves_by_its_slope(angle: str, cosine: str) -> None:
    x, y = correlated(26, 30, 5, 6)
    below, above = influence(cosine, x, y), influence(angle, x, y)
    step = 1e-6

    def similarity(c: float) -> float:
        return 1 - 2 * math.acos(c) / math.pi

    slope = (similarity(below.score + step) - similarity(below.score - step)) / (2 * step)
    assert above.values == pytest.approx(slope * below.values, rel=1e-6)
    assert above.excess == pytest.approx(slope**2 * below.excess, rel=1e-6)


@pytest.mark.parametrize("name", sorted(set(KNOWN) - EXACT))
def test_first_order_is_near_leaving_every_row_out(name: str) -> None:
    """What is left is of second order: a few percent of the error at n = 150."""
    x, y = correlated(27, 150, 6, 8)
    exact, found = left_out(METRICS[name], x, y), influence(name, x, y).values
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(exact), rel=0.1)
    assert np.corrcoef(exact, found)[0, 1] > 0.99


@pytest.mark.parametrize("name", ["cka", "cka_debiased", "rsa_pearson"])
def test_excess_is_the_variance_of_pairs_counted_twice(name: str) -> None:
    """White and wide: the pairs are nearly all of the variance, which the jackknife doubles.

    A jackknife of 64 rows knows its variance to about 20 %.
    """
    x, y = np.random.default_rng(0).normal(size=(2, 64, 2000))
    found = influence(name, x, y)
    assert found.excess / (found.values @ found.values) == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("name", ["cka", "cka_debiased", "linear_regression"])
def test_without_some_row_there_may_be_no_score(name: str) -> None:
    x, y = correlated(28, METRICS[name].least, 3, 1)
    found = influence(name, x, y)
    assert np.isnan(found.values).all() and found.null is None


def test_one_row_that_makes_all_the_difference() -> None:
    x, y = np.eye(12)[:, :1], correlated(29, 12, 3, 3)[0]
    assert np.isnan(influence("cka", x, y).values).all()


@pytest.mark.parametrize("name", ["mutual_knn", "jaccard_knn"])
def test_tied_neighbours_have_finite_influences(name: str) -> None:
    x, y = correlated(30, 40, 3, 3)
    x[5:25] = x[4]
    found = influence(name, x, y)
    assert np.isfinite(found.values).all()
    assert found.score == pytest.approx(METRICS[name].compare(x, y), abs=1e-12)
