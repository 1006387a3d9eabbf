"""Every PER and every CKA agrees with the way a user would compute it, to 1e-6 of itself.

Inputs are float32, as stored; both ways compute in float64. The dense way is an SVD of the d x d
product or matrix, and CKA from d x d products of features.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from similarity_cases import METRICS

from tending.components._weights import circuit_spectrum, head_spectra, of_matrix
from tending.families import Attention
from tending.metrics.algebra.singular_values import triangles
from tending.metrics.spectrum.proportional_effective_rank import proportional_effective_rank
from tending.metrics.trajectory import Stack

Matrix = npt.NDArray[np.floating[Any]]

TOLERANCE = 1e-6
HEADS, D_HEAD, D = 4, 16, 64

# relative singular values of k: nearly white; as of trained weights; down to what float32 can
# tell; below what squares can tell; collapsed, exactly and up to float32's rounding
SPECTRA = {
    "nearly white": lambda k: np.linspace(1, 0.5, k),
    "power law": lambda k: (1.0 + np.arange(k)) ** -1,
    "steep": lambda k: (1.0 + np.arange(k)) ** -4,
    "geometric to 1e-3": lambda k: 1e-3 ** (np.arange(k) / k),
    "geometric to 1e-7": lambda k: 1e-7 ** (np.arange(k) / k),
    "geometric to 1e-16": lambda k: 1e-16 ** (np.arange(k) / k),
    "collapsed": lambda k: np.where(np.arange(k) < max(1, k // 10), 1.0, 0.0),
    "nearly collapsed": lambda k: np.where(np.arange(k) < max(1, k // 10), 1.0, 1e-7),
    "all but one": lambda k: np.where(np.arange(k) < k - 1, 1.0, 1e-9),
}


def directions(rng: np.random.Generator, rows: int, columns: int) -> Matrix:
    return np.asarray(np.linalg.qr(rng.standard_normal((rows, columns)))[0])


def matrix(rng: np.random.Generator, kind: str, m: int, n: int) -> Matrix:
    """float32 (m, n) with relative singular values of that kind."""
    k = min(m, n)
    made = (directions(rng, m, k) * SPECTRA[kind](k)) @ directions(rng, n, k).T
    return np.asarray(made, dtype=np.float32)


def dense(product: Matrix, count: int | None = None) -> float:
    values = np.linalg.svd(product.astype(np.float64), compute_uv=False)[:count]
    return float(proportional_effective_rank(values))


@pytest.mark.parametrize("shape", [(64, 64), (64, 256), (256, 64), (1500, 48)])
@pytest.mark.parametrize("kind", SPECTRA)
def test_rank_of_a_stored_matrix(kind: str, shape: tuple[int, int]) -> None:
    a = matrix(np.random.default_rng(0), kind, *shape)
    ours = float(proportional_effective_rank(of_matrix(a).whole))
    assert ours == pytest.approx(dense(a), rel=TOLERANCE)


@pytest.mark.parametrize("kind", SPECTRA)
def test_rank_of_heads_and_of_their_sum(kind: str) -> None:
    rng = np.random.default_rng(1)
    output = np.stack([matrix(rng, kind, D, D_HEAD) for _ in range(HEADS)])
    value = np.stack([matrix(rng, kind, D_HEAD, D) for _ in range(HEADS)])
    attention = Attention(value, None, output, None)
    products = output.astype(np.float64) @ value.astype(np.float64)
    expected = [dense(product, D_HEAD) for product in products]
    ours = proportional_effective_rank(head_spectra(attention))
    assert ours == pytest.approx(expected, rel=TOLERANCE)
    whole = float(proportional_effective_rank(circuit_spectrum(attention)))
    assert whole == pytest.approx(dense(products.sum(axis=0)), rel=TOLERANCE)


def test_heads_that_are_dead_or_collapsed_do_not_disturb_others() -> None:
    """Each head's factor is made as its own condition asks."""
    rng = np.random.default_rng(2)
    kinds = ("nearly white", "collapsed", "geometric to 1e-7", "power law")
    stack = np.stack([matrix(rng, kind, D, D_HEAD) for kind in kinds]).astype(np.float64)
    for stacked in (stack, np.concatenate([stack, np.zeros((1, D, D_HEAD))])):
        for made, a in zip(triangles(stacked), stacked, strict=True):
            values, expected = (np.linalg.svd(x, compute_uv=False) for x in (made, a))
            # 1e-8 of each value: the condition below which Cholesky's factor is taken
            assert values == pytest.approx(expected, rel=1e-8, abs=1e-14)


def feature_cka(x: Matrix, y: Matrix) -> float:
    """Kornblith et al. (2019), from products of centred features."""
    x, y = (side.astype(np.float64) - side.mean(axis=0, dtype=np.float64) for side in (x, y))
    norms = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(y.T @ x) ** 2 / norms)


def feature_debiased(x: Matrix, y: Matrix) -> float:
    """The same with HSIC of Song et al. (2007), from the definition by Gram matrices."""
    k, other = (side.astype(np.float64) @ side.astype(np.float64).T for side in (x, y))
    return hsic(k, other) / float(np.sqrt(hsic(k, k)) * np.sqrt(hsic(other, other)))


def hsic(k: Matrix, other: Matrix) -> float:
    n = len(k)
    k, other = (a * (1 - np.eye(n)) for a in (k, other))
    rows = k.sum(axis=0) @ other.sum(axis=0)
    inner = (k * other).sum() + k.sum() * other.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * rows
    return float(inner / (n * (n - 3)))


DENSE = {"cka": feature_cka, "cka_debiased": feature_debiased}


def activations(kind: str, n: int, d: int, seed: int = 3) -> tuple[Matrix, Matrix]:
    """Two float32 representations of which one is the other, moved, with an offset of both."""
    rng = np.random.default_rng(seed)
    x = matrix(rng, kind, n, d)
    y = x + 0.5 * np.abs(x).mean() * rng.standard_normal((n, d))
    return x + np.float32(0.1), (2 * y - 0.3).astype(np.float32)


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("shape", [(40, 16), (40, 60), (400, 20)])
@pytest.mark.parametrize("kind", SPECTRA)
def test_similarity_of_two_representations(kind: str, shape: tuple[int, int], name: str) -> None:
    """The score alone, the score with its error, and every place of a map."""
    x, y = activations(kind, *shape)
    expected, metric = DENSE[name](x, y), METRICS[name]
    assert metric.influence is not None
    assert metric.compare(x, y) == pytest.approx(expected, rel=TOLERANCE)
    assert metric.influence(x, y).score == pytest.approx(expected, rel=TOLERANCE)
    placed = Stack([x, y].__getitem__, 2, directions=2).cka[name]
    assert placed[0, 1] == pytest.approx(expected, rel=TOLERANCE)
