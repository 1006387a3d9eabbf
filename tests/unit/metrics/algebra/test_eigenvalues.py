"""Eigenvalues through a band are those of the matrix."""

import numpy as np
import numpy.typing as npt
import pytest

from tending.metrics.algebra import eigenvalues as module
from tending.metrics.algebra.eigenvalues import banded, eigenvalues

Matrix = npt.NDArray[np.float64]


def symmetric(n: int, values: Matrix | None = None) -> Matrix:
    a = np.random.default_rng(n).standard_normal((n, n))
    if values is None:
        return np.asarray(a + a.T)
    q = np.linalg.qr(a)[0]
    return np.asarray((q * values) @ q.T)


def dense(band: Matrix) -> Matrix:
    """The symmetric matrix of a lower band."""
    n = band.shape[1]
    lower = sum((np.diag(row[: n - i], -i) for i, row in enumerate(band) if i < n), np.zeros(()))
    return np.asarray(lower + np.tril(lower, -1).T)


@pytest.mark.parametrize("side", [4, 7, 64])
@pytest.mark.parametrize("width", [1, 3, 8, 40])
@pytest.mark.parametrize("n", [1, 2, 9, 30, 41])
def test_a_band_has_the_eigenvalues_of_the_matrix(n: int, width: int, side: int) -> None:
    a = symmetric(n)
    expected = np.linalg.eigvalsh(a)
    found = np.linalg.eigvalsh(dense(banded(a, width, side)))
    np.testing.assert_allclose(found, expected, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize(
    "values",
    [np.zeros(50), np.ones(50), np.repeat([1.0, 0.0], 25), np.logspace(0, -20, 50)],
    ids=["zero", "identity", "projection", "steep"],
)
def test_a_large_matrix_goes_through_a_band(
    values: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE", 50)
    monkeypatch.setattr(module, "banded", lambda a: banded(a, 6, 16))
    found = eigenvalues(symmetric(50, values))
    assert found == pytest.approx(np.sort(values), abs=1e-14)
    assert np.all(np.diff(found) >= 0)


def test_a_small_matrix_is_left_as_it_is() -> None:
    a = symmetric(20)
    before = a.copy()
    assert eigenvalues(a) == pytest.approx(np.linalg.eigvalsh(before))
    assert np.array_equal(a, before)
