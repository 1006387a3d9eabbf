"""Singular values of dense matrices and of products, in float64, faster than an SVD."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tending.metrics.algebra.eigenvalues import eigenvalues

LOST = 1e-8  # the largest share of the sum of singular values that squaring may lose
PLAIN = 1e6  # condition of A'A below which its Cholesky factor is as accurate as R in A = Q R
HELD = 2**19  # entries of a stack in float64 at a time: 4 MiB, which fits in the cache
CHUNK = 2**22  # entries of a tall matrix in float64 at a time: 32 MiB
Spectrum = npt.NDArray[np.float64]


def product_spectra(left: Any, right: Any) -> Spectrum:
    """Return the singular values of each head's product without forming it.

    left: (heads, m, k); right: (heads, k, n). Returns (heads, min(k, m, n)). With L = Q_L R_L and
    R' = Q_R R_R, the product L R has the singular values of R_L R_R', a k x k matrix if k is at
    most m and n.
    """
    r_left, r_right = triangles(left), triangles(np.swapaxes(right, 1, 2))
    return np.asarray(np.linalg.svd(r_left @ r_right.swapaxes(1, 2), compute_uv=False))


def triangles(stack: Any) -> Spectrum:
    """Return R with R' R = A' A for each A of a stack: (heads, m, k) -> (heads, min(m, k), k).

    The Cholesky factor of A' A, several times faster than QR, changes the singular values of A
    and of its products by a relative error of about k eps cond(A' A): at most 1e-8 for a condition
    below PLAIN. Above that, R comes from A = Q R. Computed in float64, a few heads at a time.
    """
    heads, m, k = stack.shape
    some = max(1, HELD // (m * k))
    parts = (np.asarray(stack[i : i + some], dtype=np.float64) for i in range(0, heads, some))
    return np.concatenate([_triangles(part) for part in parts])


def _triangles(stack: Spectrum) -> Spectrum:
    heads, m, k = stack.shape
    if m < k:
        return np.asarray(np.linalg.qr(stack, mode="r"))
    grams = stack.swapaxes(1, 2) @ stack
    plain = _conditions(grams) < PLAIN
    made: Spectrum = np.empty((heads, k, k))
    made[plain] = np.linalg.cholesky(grams[plain]).swapaxes(1, 2)
    if not plain.all():
        made[~plain] = np.linalg.qr(stack[~plain], mode="r")
    return made


def _conditions(grams: Spectrum) -> Spectrum:
    """Return upper bounds of the condition numbers, (heads,); all inf if a matrix is singular."""
    try:
        inverses = np.linalg.inv(grams)
    except np.linalg.LinAlgError:
        return np.full(len(grams), np.inf)
    return np.asarray(np.linalg.norm(grams, axis=(1, 2)) * np.linalg.norm(inverses, axis=(1, 2)))


def singular_values(matrix: Any) -> Spectrum:
    """Return the singular values of an (m, n) matrix, descending, (min(m, n),).

    They come from the eigenvalues of the smaller Gram matrix, several times faster than an SVD.
    Squaring loses values below about 1e-8 of the largest; where enough of them are lost to affect
    a sum over the spectrum, as in a matrix of low rank, an SVD is used instead.
    """
    a: Spectrum = np.asarray(matrix, dtype=np.float64)
    values = _from_gram(a @ a.T if a.shape[0] <= a.shape[1] else a.T @ a)
    return values if _kept_by_squaring(values) else np.asarray(np.linalg.svd(a, compute_uv=False))


def tall_spectrum(matrix: Any) -> Spectrum:
    """Return the singular values of a tall matrix, such as an embedding, read in blocks of rows.

    Descending, (min(m, n),), as from `singular_values`. Costs m n^2 operations and n x n numbers
    in float64 besides the matrix itself. Where squaring loses too much, the slower fallback is an
    SVD of R in A = Q R, accumulated block by block.
    """
    if matrix.shape[0] <= matrix.shape[1]:
        return singular_values(matrix)
    width = matrix.shape[1]
    rows = max(width, CHUNK // width)
    chunks = [slice(i, i + rows) for i in range(0, matrix.shape[0], rows)]
    gram: Spectrum = np.zeros((width, width))
    for chunk in chunks:
        part: Spectrum = np.asarray(matrix[chunk], dtype=np.float64)
        gram += part.T @ part
    values = _from_gram(gram)
    if _kept_by_squaring(values):
        return values
    r: Spectrum = np.zeros((0, width))
    for chunk in chunks:
        r = np.asarray(np.linalg.qr(np.vstack([r, matrix[chunk]]), mode="r"))
    return np.asarray(np.linalg.svd(r, compute_uv=False))


def _from_gram(gram: Spectrum) -> Spectrum:
    squares = np.clip(eigenvalues(gram)[::-1], 0.0, None)  # rounding may go below 0
    return np.asarray(np.sqrt(squares))


def _kept_by_squaring(values: Spectrum) -> bool:
    """Return whether the values that squaring may lose add up to a negligible share."""
    noise = values[0] * np.sqrt(values.size * np.finfo(np.float64).eps)
    return not np.count_nonzero(values < noise) * noise > LOST * values.sum()
