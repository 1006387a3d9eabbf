"""Singular values of dense matrices and of products, in float64, quicker than an SVD."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tending.metrics.algebra.eigenvalues import eigenvalues

LOST = 1e-8  # of the sum of singular values: what their squares may hide
PLAIN = 1e6  # condition of A'A below which its triangular factor is as good as that of A
HELD = 2**19  # numbers of a stack that are held in float64 at a time, 4 MiB: they stay in the cache
CHUNK = 2**22  # numbers of a tall matrix that are held in float64 at a time, 32 MiB
Spectrum = npt.NDArray[np.float64]


def product_spectra(left: Any, right: Any) -> Spectrum:
    """Singular values of every head's product, (heads, min(k, m, n)), without forming it.

    left: (heads, m, k), right: (heads, k, n). With L = Q_L R_L and R' = Q_R R_R, the product L R
    has the singular values of R_L R_R', a k x k matrix if k is at most m and n.
    """
    r_left, r_right = triangles(left), triangles(np.swapaxes(right, 1, 2))
    return np.asarray(np.linalg.svd(r_left @ r_right.swapaxes(1, 2), compute_uv=False))


def triangles(stack: Any) -> Spectrum:
    """R with R' R = A' A of every matrix A in a stack: (heads, m, k) -> (heads, min(m, k), k).

    Cholesky's factor of A' A, several times quicker than QR, moves singular values of A, and of
    products with it, by about k eps cond(A' A) of themselves: below PLAIN by 1e-8 at most. Where
    the condition is above that, the factor is that of A = Q R. In float64, of which few heads are
    made at a time.
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
    """At least the condition numbers of a stack of matrices, (heads,); inf if one is singular."""
    try:
        inverses = np.linalg.inv(grams)
    except np.linalg.LinAlgError:
        return np.full(len(grams), np.inf)
    return np.asarray(np.linalg.norm(grams, axis=(1, 2)) * np.linalg.norm(inverses, axis=(1, 2)))


def singular_values(matrix: Any) -> Spectrum:
    """Singular values of an (m, n) matrix, descending, (min(m, n),).

    From the eigenvalues of the smaller Gram matrix, several times quicker than an SVD. Squaring
    loses values below about 1e-8 of the largest; where there are so many that it would be seen in
    a sum over the spectrum, as in a matrix of low rank, the SVD itself is taken.
    """
    a: Spectrum = np.asarray(matrix, dtype=np.float64)
    values = _from_gram(a @ a.T if a.shape[0] <= a.shape[1] else a.T @ a)
    return values if _kept_by_squaring(values) else np.asarray(np.linalg.svd(a, compute_uv=False))


def tall_spectrum(matrix: Any) -> Spectrum:
    """The same for a matrix of many rows, such as an embedding, of which few are read at a time.

    Costs m n^2 operations and n x n numbers in float64 besides the matrix as it is. The slow way,
    where squaring loses too much, is an SVD of R in A = Q R, made of the rows bit by bit.
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
    """Whether the values that squares may hide add up to too little to be seen."""
    noise = values[0] * np.sqrt(values.size * np.finfo(np.float64).eps)
    return not np.count_nonzero(values < noise) * noise > LOST * values.sum()
