"""First-order changes of products, from their factors: dense matrices and closed forms."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tending.stages.gradients.gradient_spectra import (
    Change,
    cosine,
    inner,
    norm,
    product_change,
    spectrum,
)

Matrix = npt.NDArray[np.float64]
Pair = tuple[Matrix, Matrix]

SIZES = [(3, 20, 4, 17), (2, 9, 5, 9), (1, 6, 6, 6), (2, 4, 7, 5)]  # heads, m, k, n
every_size = pytest.mark.parametrize("size", SIZES)


def pair(size: tuple[int, int, int, int], seed: int, scale: float = 1.0) -> Pair:
    """Left (heads, m, k) and right (heads, k, n), Gaussian."""
    (heads, m, k, n), rng = size, np.random.default_rng(seed)
    return scale * rng.normal(size=(heads, m, k)), scale * rng.normal(size=(heads, k, n))


def dense(change: Change) -> Any:
    return change.left if change.right is None else change.left @ change.right


@every_size
def test_a_change_is_the_limit_of_differences(size: tuple[int, int, int, int]) -> None:
    """((L + e dL)(R + e dR) - (L - e dL)(R - e dR)) / 2e, exactly: the second order cancels."""
    (left, right), (d_left, d_right) = pair(size, 0), pair(size, 1)
    ahead, back = ((left + e * d_left) @ (right + e * d_right) for e in (0.5, -0.5))
    found = product_change((left, right), (d_left, d_right))
    np.testing.assert_allclose(dense(found), ahead - back, rtol=0, atol=1e-12)


@every_size
@pytest.mark.parametrize("scale", [1.0, 1e-7])  # gradients are small beside weights
def test_singular_values_are_those_of_the_dense_change(
    size: tuple[int, int, int, int], scale: float
) -> None:
    _, m, k, n = size
    change = product_change(pair(size, 0), pair(size, 1, scale))
    expected = np.linalg.svd(dense(change), compute_uv=False)[:, : min(2 * k, m, n)]
    found = spectrum(change)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * expected.max())
    np.testing.assert_allclose(norm(change), np.sqrt((found**2).sum(-1)), rtol=1e-12)


@every_size
def test_one_matrix_has_all_its_values(size: tuple[int, int, int, int]) -> None:
    (left, right), (d_left, d_right) = pair(size, 0), pair(size, 1)
    change = product_change((left[0], right[0]), (d_left[0], d_right[0]))
    expected = np.linalg.svd(dense(change), compute_uv=False)
    found = spectrum(change)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * expected[0])


def test_a_matrix_is_its_own_change() -> None:
    matrix = np.random.default_rng(0).normal(size=(6, 9))
    np.testing.assert_allclose(
        spectrum(Change(matrix)), np.linalg.svd(matrix, compute_uv=False), rtol=1e-9
    )
    assert norm(Change(matrix)) == pytest.approx(np.linalg.norm(matrix), rel=1e-14)


@every_size
def test_inner_products_are_those_of_the_dense_changes(size: tuple[int, int, int, int]) -> None:
    weights = pair(size, 0)
    one, two = (product_change(weights, pair(size, seed)) for seed in (1, 2))
    expected = (dense(one) * dense(two)).sum(axis=(-1, -2))
    np.testing.assert_allclose(inner(one, two), expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(inner(one, two), inner(two, one), rtol=1e-10, atol=1e-10)


@every_size
def test_cosines_of_the_same_the_opposite_and_another_scale(
    size: tuple[int, int, int, int],
) -> None:
    weights, (left, right) = pair(size, 0), pair(size, 1)
    change = product_change(weights, (left, right))
    for factor, expected in ((1.0, 1.0), (1e-9, 1.0), (-3.0, -1.0)):
        other = product_change(weights, (factor * left, factor * right))
        found = cosine(change, other)
        assert found is not None and (np.abs(found) <= 1).all()
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_perpendicular_changes_have_a_cosine_of_0() -> None:
    """e_1 e_1' and e_1 e_2', and their sum at 45 degrees to each."""
    first, second = np.zeros((2, 1, 2, 2))
    first[0, 0, 0], second[0, 0, 1] = 1, 1
    one, two, both = (Change(x[0]) for x in (first, second, first + second))
    assert cosine(one, two) == pytest.approx(0)
    assert cosine(one, both) == pytest.approx(np.sqrt(0.5))


def test_a_gradient_of_0_has_no_direction() -> None:
    """Zeros and a norm of 0, but a cosine that is missing; other heads have theirs."""
    size = (2, 6, 2, 5)
    weights, (left, right) = pair(size, 0), pair(size, 1)
    left[1], right[1] = 0, 0
    change = product_change(weights, (left, right))
    assert spectrum(change)[1] == pytest.approx(0, abs=1e-15) and norm(change)[1] == 0
    found = cosine(change, change)
    assert found is not None
    np.testing.assert_array_equal(np.isnan(found), [False, True])
    assert cosine(change, None) is None
