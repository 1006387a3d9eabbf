"""Similarity metrics by name, naive versions from their definitions, and matrices."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from tending.core import plugins
from tending.metrics.similarity import Similarity

Matrix = npt.NDArray[np.float64]
PACKAGE = "tending.metrics.similarity"
METRICS: dict[str, Similarity] = {
    name: plugins.load(PACKAGE, name, "similarity metric").METRIC for name in plugins.names(PACKAGE)
}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())


def correlated(seed: int, n: int, d_x: int, d_y: int) -> tuple[Matrix, Matrix]:
    """Two representations that share a part, so that their similarity is neither 0 nor 1."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 3))
    x = shared @ rng.normal(size=(3, d_x)) + rng.normal(size=(n, d_x))
    y = shared @ rng.normal(size=(3, d_y)) + rng.normal(size=(n, d_y))
    return x, y


def rotation(seed: int, d: int) -> Matrix:
    """An orthogonal matrix; reflections are among them."""
    return np.asarray(np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0])


def naive_cka(x: Matrix, y: Matrix) -> float:
    """Kornblith et al. (2019), eq. 3 and 4: HSIC(K, L) = tr(KHLH) / (n - 1)^2."""
    n = len(x)
    h = np.eye(n) - np.ones((n, n)) / n
    k_x, k_y = x @ x.T, y @ y.T

    def hsic(a: Matrix, b: Matrix) -> float:
        return float(np.trace(a @ h @ b @ h)) / (n - 1) ** 2

    return hsic(k_x, k_y) / math.sqrt(hsic(k_x, k_x) * hsic(k_y, k_y))


def u_centred(k: Matrix) -> Matrix:
    """Szekely & Rizzo (2014), definition 2, for a Gram matrix without its diagonal."""
    n = len(k)
    k = k - np.diag(np.diag(k))
    row = k.sum(axis=1, keepdims=True) / (n - 2)
    u = k - row - row.T + k.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(u, 0.0)
    return np.asarray(u)


def naive_debiased(x: Matrix, y: Matrix) -> float:
    """The ratio of inner products of U-centred Gram matrices."""
    a, b = u_centred(x @ x.T), u_centred(y @ y.T)
    return float((a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum()))


NAIVE: dict[str, Callable[[Matrix, Matrix], float]] = {
    "cka": naive_cka,
    "cka_debiased": naive_debiased,
}
