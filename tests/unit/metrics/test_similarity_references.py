"""Similarity metrics against independent implementations, closed forms and damaged inputs."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, stats
from scipy.spatial.distance import pdist, squareform
from similarity_cases import METRICS, NAIVE, Matrix, correlated, naive_cka, rotation

from tending.metrics.similarity import UndefinedSimilarityError

Metric = Callable[[Matrix, Matrix], float]
seeds = st.integers(0, 2**32 - 1)


def compare(name: str, x: Matrix, y: Matrix) -> float:
    return METRICS[name].compare(x, y)


# Independent references, written plainly from the papers' formulas


def angle_as_similarity(cosine: float) -> float:
    return 1 - 2 * math.acos(min(cosine, 1.0)) / math.pi


def naive_rbf_cka(x: Matrix, y: Matrix) -> float:
    """Kornblith et al. (2019), eq. 4 with HSIC of Gaussian kernels."""
    n = len(x)
    h = np.eye(n) - np.ones((n, n)) / n
    kernels = []
    for side in (x, y):
        squares = pdist(side, "sqeuclidean")
        kernels.append(np.exp(-squareform(squares) / (2 * np.median(squares))))
    k, other = kernels

    def hsic(a: Matrix, b: Matrix) -> float:
        return float(np.trace(a @ h @ b @ h))

    return hsic(k, other) / math.sqrt(hsic(k, k) * hsic(other, other))


def naive_procrustes(x: Matrix, y: Matrix) -> float:
    """The scale of scipy's orthogonal Procrustes problem, both sides of norm 1."""
    width = max(x.shape[1], y.shape[1])
    sides = []
    for side in (x, y):
        side = side - side.mean(axis=0)
        wide = np.zeros((len(side), width))
        wide[:, : side.shape[1]] = side / np.linalg.norm(side)
        sides.append(wide)
    return float(linalg.orthogonal_procrustes(sides[1], sides[0])[1])


def whitened(x: Matrix) -> Matrix:
    """x times the inverse square root of its covariance (ZCA), n >> d."""
    x = x - x.mean(axis=0)
    return np.asarray(x @ np.real(linalg.inv(linalg.sqrtm(x.T @ x))))


def naive_svcca(x: Matrix, y: Matrix) -> float:
    """Raghu et al. (2017): eigenvectors of the covariance, then CCA of the projections."""
    kept = []
    for side in (x, y):
        values, vectors = np.linalg.eigh(np.cov(side.T).reshape(side.shape[1], -1))
        values, vectors = values[::-1], vectors[:, ::-1]
        count = 1
        while values[:count].sum() < 0.99 * values.sum():
            count += 1
        kept.append(side @ vectors[:, :count])
    return float(np.mean(linalg.svdvals(whitened(kept[0]).T @ whitened(kept[1]))))


def naive_pwcca(x: Matrix, y: Matrix) -> float:
    """Morcos et al. (2018), eq. 3 to 5: the narrower side weighs, the first if equal."""
    if y.shape[1] < x.shape[1]:
        x, y = y, x
    white = whitened(x)
    u, correlations, _ = linalg.svd(white.T @ whitened(y), full_matrices=False)
    centred = x - x.mean(axis=0)
    total = weight_sum = 0.0
    for i, correlation in enumerate(correlations):
        variate = white @ u[:, i]
        weight = sum(abs(float(variate @ centred[:, j])) for j in range(x.shape[1]))
        total, weight_sum = total + weight * correlation, weight_sum + weight
    return float(total / weight_sum)


def naive_dissimilarities(x: Matrix) -> Matrix:
    return np.asarray(pdist(x, "correlation"))


def naive_rsa_pearson(x: Matrix, y: Matrix) -> float:
    return float(stats.pearsonr(naive_dissimilarities(x), naive_dissimilarities(y))[0])


def naive_rsa_spearman(x: Matrix, y: Matrix) -> float:
    return float(stats.spearmanr(naive_dissimilarities(x), naive_dissimilarities(y))[0])


def naive_regression(x: Matrix, y: Matrix) -> float:
    """1 - residual over total sum of squares of x on y and an intercept."""
    design = np.column_stack([np.ones(len(y)), y])
    coefficients = linalg.lstsq(design, x)[0]
    residual = ((x - design @ coefficients) ** 2).sum()
    return float(1 - residual / ((x - x.mean(axis=0)) ** 2).sum())


def naive_neighbours(x: Matrix) -> list[set[int]]:
    far = squareform(pdist(x, "cosine"))
    np.fill_diagonal(far, np.inf)
    return [{int(j) for j in np.argsort(row)[:10]} for row in far]


def naive_mutual_knn(x: Matrix, y: Matrix) -> float:
    pairs = zip(naive_neighbours(x), naive_neighbours(y), strict=True)
    return float(np.mean([len(a & b) / 10 for a, b in pairs]))


def naive_jaccard_knn(x: Matrix, y: Matrix) -> float:
    pairs = zip(naive_neighbours(x), naive_neighbours(y), strict=True)
    return float(np.mean([len(a & b) / len(a | b) for a, b in pairs]))


REFERENCES: dict[str, Metric] = {
    "angular_cka": lambda x, y: angle_as_similarity(naive_cka(x, y)),
    "cka_rbf": naive_rbf_cka,
    "jaccard_knn": naive_jaccard_knn,
    "linear_regression": naive_regression,
    "mutual_knn": naive_mutual_knn,
    "procrustes": naive_procrustes,
    "procrustes_angular": lambda x, y: angle_as_similarity(naive_procrustes(x, y)),
    "pwcca": naive_pwcca,
    "rsa_pearson": naive_rsa_pearson,
    "rsa_spearman": naive_rsa_spearman,
    "svcca": naive_svcca,
}


def test_every_metric_has_an_independent_reference() -> None:
    assert {*REFERENCES, *NAIVE} == set(METRICS)


@pytest.mark.parametrize("name", REFERENCES)
@given(seed=seeds, n=st.integers(24, 40), d_x=st.integers(3, 10), d_y=st.integers(3, 10))
def test_equals_its_reference(name: str, seed: int, n: int, d_x: int, d_y: int) -> None:
    x, y = correlated(seed, n, d_x, d_y)
    x, y = x + 0.5, y - 0.25
    # the references whiten with an inverse covariance, which costs digits
    assert compare(name, x, y) == pytest.approx(REFERENCES[name](x, y), abs=1e-8)


WITHOUT_INVERSE = sorted(set(REFERENCES) - {"svcca", "pwcca", "linear_regression"})


@pytest.mark.parametrize("name", WITHOUT_INVERSE)
def test_equals_its_reference_with_fewer_sequences_than_dimensions(name: str) -> None:
    x, y = correlated(1, 16, 50, 70)
    assert compare(name, x, y) == pytest.approx(REFERENCES[name](x, y), abs=1e-10)


@pytest.mark.parametrize("name", sorted(set(REFERENCES) - {"rsa_pearson", "rsa_spearman"}))
def test_a_repeated_column_is_no_new_direction(name: str) -> None:
    """Rank-deficient sides: a column written twice at 1/sqrt(2) has the same Gram matrix."""
    x, y = correlated(2, 30, 5, 6)
    twice = np.hstack([x[:, :1], x]) * np.sqrt([0.5, 0.5, 1, 1, 1, 1])
    if METRICS[name].any_coordinates:
        assert compare(name, twice, y) == pytest.approx(compare(name, x, y), abs=1e-10)
    assert 0 <= compare(name, twice, y) <= 1
    assert compare(name, twice, twice) == pytest.approx(1, abs=1e-10)


# Closed forms


def orthonormal(n: int, k: int) -> Matrix:
    """k centred orthonormal columns."""
    x = np.random.default_rng(3).normal(size=(n, k))
    return np.asarray(np.linalg.qr(x - x.mean(axis=0))[0])


def half_shared() -> tuple[Matrix, Matrix]:
    """Two orthonormal representations of 4 columns that share 2."""
    q = orthonormal(40, 6)
    return q[:, :4], q[:, 2:]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cka", 0.5),
        ("angular_cka", 1 - 2 / 3),  # arccos 0.5 is 60 degrees
        ("procrustes", 0.5),
        ("procrustes_angular", 1 - 2 / 3),
        ("svcca", 0.5),
        ("linear_regression", 0.5),
    ],
)
def test_half_of_the_directions_shared_is_one_half(name: str, expected: float) -> None:
    assert compare(name, *half_shared()) == pytest.approx(expected, abs=1e-12)


def test_pwcca_weighs_by_projection() -> None:
    """Correlations cos a and cos b of columns of norms 3 and 1: (3 cos a + cos b) / 4."""
    q = orthonormal(30, 5)
    a, b = 0.3, 1.1
    x = q[:, :2] * [3, 1]
    y = np.column_stack(
        [
            math.cos(a) * q[:, 0] + math.sin(a) * q[:, 2],
            math.cos(b) * q[:, 1] + math.sin(b) * q[:, 3],
        ]
    )
    assert compare("pwcca", x, y) == pytest.approx((3 * math.cos(a) + math.cos(b)) / 4, abs=1e-12)
    # of equal ranks the first weighs; a third direction in it hands the weighing over
    assert compare("pwcca", y, x) == pytest.approx((math.cos(a) + math.cos(b)) / 2, abs=1e-12)
    more = np.column_stack([y, q[:, 4]])
    assert compare("pwcca", more, x) == pytest.approx((3 * math.cos(a) + math.cos(b)) / 4, abs=1e-9)


def test_procrustes_is_the_distance_of_its_source() -> None:
    """Ding et al. (2021): ||X||^2 + ||Y||^2 - 2 ||X'Y||_* = 2 - 2 similarity at norm 1."""
    x, y = correlated(3, 20, 6, 6)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    turn = linalg.orthogonal_procrustes(y, x)[0]
    distance = np.linalg.norm(x - y @ turn) ** 2
    assert compare("procrustes", x, y) == pytest.approx(1 - distance / 2, abs=1e-12)


@pytest.mark.parametrize("name", ["angular_cka", "procrustes_angular"])
@given(seed=seeds)
def test_an_angle_obeys_the_triangle_inequality(name: str, seed: int) -> None:
    x, y = correlated(seed, 12, 4, 4)
    z = x + 0.3 * np.random.default_rng(seed + 1).normal(size=x.shape)
    xy, yz, xz = (1 - compare(name, a, b) for a, b in ((x, y), (y, z), (x, z)))
    assert xy <= xz + yz + 1e-12


@pytest.mark.parametrize("name", ["angular_cka", "procrustes_angular"])
@pytest.mark.parametrize("n", [10, 100])
def test_a_small_angle_keeps_its_digits(name: str, n: int) -> None:
    """arccos of a cosine 1 - 1e-18 would be 0. Half the change is half of the angle."""
    x, y = correlated(5, n, 4, 4)
    near, nearer = (1 - compare(name, x, x + e * y) for e in (2e-9, 1e-9))
    assert 0 < nearer < 1e-8
    assert near / nearer == pytest.approx(2, rel=1e-3)


def test_rsa_of_three_sequences_in_a_plane() -> None:
    """Rows at angles of a plane: 1 - the cosine of their differences."""

    def at(*angles: float) -> Matrix:
        plane = orthonormal(6, 2)  # its columns sum to 0, so correlations are cosines
        return np.array([math.cos(a) * plane[:, 0] + math.sin(a) * plane[:, 1] for a in angles])

    x, y = at(0, 0.2, 0.6), at(0, 0.9, 0.5)  # differences .2 .6 .4 and .9 .5 .4
    ranks_x, ranks_y = [0, 2, 1], [2, 1, 0]
    expected = stats.pearsonr(ranks_x, ranks_y)[0]
    assert compare("rsa_spearman", x, y) == pytest.approx(expected, abs=1e-12)
    cosines = [1 - np.cos([0.2, 0.6, 0.4]), 1 - np.cos([0.9, 0.5, 0.4])]
    assert compare("rsa_pearson", x, y) == pytest.approx(stats.pearsonr(*cosines)[0], abs=1e-10)


def test_rsa_spearman_gives_ties_their_mean_rank() -> None:
    """Rows of two columns correlate at 1 or -1, up to rounding."""
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2, 20, 2))
    ties = [np.round(naive_dissimilarities(side)) for side in (x, y)]
    assert set(ties[0]) == {0, 2}
    expected = stats.spearmanr(ties[0], ties[1])[0]
    assert compare("rsa_spearman", x, y) == pytest.approx(expected, abs=1e-12)


# Neighbours


def test_neighbours_of_two_far_groups() -> None:
    """11 sequences a group are each other's 10 neighbours; other groups share what they share."""
    rng = np.random.default_rng(7)
    near = rng.normal(size=(22, 4)) * 0.01

    def groups(member: Matrix) -> Matrix:
        return near + np.column_stack([member, 1 - member, np.zeros((22, 2))])

    x = groups(np.repeat([0.0, 1.0], 11))
    y = groups(np.tile([0.0, 1.0], 11))
    assert compare("mutual_knn", x, x[::-1]) == 1
    same = (x[:, :1].round() == x[:, :1].round().T) & (y[:, :1].round() == y[:, :1].round().T)
    common = same.sum(axis=1) - 1
    assert compare("mutual_knn", x, y) == pytest.approx((common / 10).mean(), abs=1e-12)
    assert compare("jaccard_knn", x, y) == pytest.approx((common / (20 - common)).mean(), abs=1e-12)


@pytest.mark.parametrize("name", ["mutual_knn", "jaccard_knn"])
def test_ties_share_the_last_places(name: str) -> None:
    """Orthogonal sequences are all as near: 10 of 15 places, 10 / 15 each."""
    x = np.eye(16)
    y = np.random.default_rng(8).normal(size=(16, 5))
    common = 10 * 10 / 15
    expected = common / 10 if name == "mutual_knn" else common / (20 - common)
    assert compare(name, x, y) == pytest.approx(expected, abs=1e-12)
    assert compare(name, x, x[::-1]) == 1


@pytest.mark.parametrize("name", ["mutual_knn", "jaccard_knn"])
def test_repeated_sequences_do_not_depend_on_their_order(name: str) -> None:
    """The first layer gives the same output for the same token."""
    x, y = correlated(9, 40, 5, 5)
    x[:30] = x[np.arange(30) % 2]
    order = np.random.default_rng(9).permutation(40)
    value = compare(name, x, y)
    assert compare(name, x[order], y[order]) == pytest.approx(value, abs=1e-12)
    assert compare(name, x @ rotation(0, 5), y) == pytest.approx(value, abs=1e-12)
    assert compare(name, x, x) == 1


def test_unrelated_neighbours_agree_by_chance() -> None:
    rng = np.random.default_rng(10)
    values = [compare("mutual_knn", *rng.normal(size=(2, 100, 20))) for _ in range(20)]
    assert np.mean(values) == pytest.approx(10 / 99, abs=0.01)


# No value


@pytest.mark.parametrize(("n", "d", "defined"), [(12, 12, False), (12, 11, False), (12, 10, True)])
def test_regression_on_n_minus_1_directions_fits_anything(n: int, d: int, defined: bool) -> None:
    rng = np.random.default_rng(11)
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(n, d))
    assert (naive_regression(x, y) < 1 - 1e-6) == defined  # noise, and would score 1
    if defined:
        assert compare("linear_regression", x, y) < 1 - 1e-6
        return
    with pytest.raises(UndefinedSimilarityError, match="12 sequences of rank 11 predict anything"):
        compare("linear_regression", x, y)
    assert compare("linear_regression", y, x) < 1  # the fitted side may be as wide as it likes


def test_regression_of_noise_scores_its_share_of_directions() -> None:
    rng = np.random.default_rng(12)
    values = [compare("linear_regression", *rng.normal(size=(2, 60, 20))) for _ in range(40)]
    assert np.mean(values) == pytest.approx(20 / 59, abs=0.01)


def test_regression_sees_the_span_of_its_predictor_only() -> None:
    x, y = correlated(13, 30, 4, 5)
    mixed = y @ np.random.default_rng(13).normal(size=(5, 5))
    expected = compare("linear_regression", x, y)
    assert compare("linear_regression", x, mixed) == pytest.approx(expected, abs=1e-10)


def test_svcca_is_undefined_where_all_directions_are_kept() -> None:
    rng = np.random.default_rng(14)
    wide, narrow = rng.normal(size=(12, 40)), rng.normal(size=(12, 3))
    for pair in ((wide, narrow), (narrow, wide)):
        with pytest.raises(UndefinedSimilarityError, match="directions of 12 sequences correlate"):
            compare("svcca", *pair)
    spiked = rng.normal(size=(12, 3)) @ rng.normal(size=(3, 40)) + 1e-3 * wide
    assert compare("svcca", spiked, narrow) < 1  # n < d, but 3 components have 99 %


@pytest.mark.parametrize(("n", "defined"), [(9, False), (10, True)])
def test_svcca_needs_more_sequences_than_components(n: int, defined: bool) -> None:
    """With one fewer, one correlation is 1 whatever the pair."""
    q = np.random.default_rng(19).normal(size=(2, n, 5))
    x, y = (np.linalg.qr(side - side.mean(axis=0))[0] for side in q)
    x = x[:, :4]
    largest = float(linalg.svdvals(x.T @ y)[0])
    assert (largest < 1 - 1e-9) == defined
    if defined:
        assert 0 < compare("svcca", x, y) < 1
        return
    with pytest.raises(UndefinedSimilarityError, match="compare more than 9 sequences"):
        compare("svcca", x, y)


def test_svcca_keeps_exactly_99_percent() -> None:
    """100 equal directions: 99 are 99 %, whatever the rounding of the sum."""
    q = orthonormal(300, 110)
    value = compare("svcca", q[:, :100], q[:, :3] @ rotation(1, 3))
    assert value <= 1
    x = q[:, :2] * np.sqrt([0.99, 0.01])
    assert compare("svcca", x, q[:, :1]) == pytest.approx(1, abs=1e-12)
    assert compare("svcca", x, q[:, 1:2]) == pytest.approx(0, abs=1e-12)  # the second is cut


@pytest.mark.parametrize(("n", "defined"), [(8, False), (9, False), (10, True)])
def test_pwcca_needs_more_sequences_than_both_ranks(n: int, defined: bool) -> None:
    x, y = correlated(15, n, 4, 5)
    if defined:
        assert 0 < compare("pwcca", x, y) < 1
        return
    with pytest.raises(UndefinedSimilarityError, match="compare more than 9 sequences"):
        compare("pwcca", x, y)


def test_rbf_without_a_bandwidth_is_undefined() -> None:
    x, y = correlated(16, 12, 3, 3)
    x[:10] = x[0]  # 45 of 66 pairs
    for pair in ((x, y), (y, x)):
        with pytest.raises(UndefinedSimilarityError, match="bandwidth is 0"):
            compare("cka_rbf", *pair)


@pytest.mark.parametrize("name", ["rsa_pearson", "rsa_spearman"])
def test_rsa_without_dissimilarities_is_undefined(name: str) -> None:
    x, y = correlated(17, 12, 5, 5)
    flat = x.copy()
    flat[3] = 0.1
    cases = [
        (flat, "same activation in all columns"),
        (x[:, :1], "same activation in all columns"),
        (np.eye(12), "equally dissimilar"),
        (np.outer(np.arange(1, 13), [1.0, 2, 4]), "constant"),
    ]
    for bad, message in cases:
        for pair in ((bad, y), (y, bad)):
            with pytest.raises(UndefinedSimilarityError, match=message):
                compare(name, *pair)


@pytest.mark.parametrize("name", ["mutual_knn", "jaccard_knn"])
def test_neighbours_without_directions_are_undefined(name: str) -> None:
    x, y = correlated(18, 14, 4, 4)
    zero = x.copy()
    zero[5] = 0
    one_way = np.outer(np.arange(1, 15), [1.0, 0.3, 0.1])
    for bad, message in ((zero, "a sequence is zero"), (one_way, "constant")):
        for pair in ((bad, y), (y, bad)):
            with pytest.raises(UndefinedSimilarityError, match=message):
                compare(name, *pair)


@pytest.mark.parametrize("name", METRICS)
@given(seed=seeds)
def test_two_columns_of_equal_sequences_are_no_error(name: str, seed: int) -> None:
    """Few distinct sequences: a number in range, or said to be undefined."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, size=(14, 2)).astype(float)
    y = rng.normal(size=(14, 2))
    try:
        value = compare(name, x, y)
    except UndefinedSimilarityError:
        return
    low, high = METRICS[name].bounds
    assert (low is None or value >= low - 1e-12) and (high is None or value <= high + 1e-12)
