"""Eigenvalues of symmetric matrices; large ones are first reduced to a band.

LAPACK's direct reduction to tridiagonal form spends half of its work on matrix-vector products,
which are fast while the matrix fits in the processor's cache and limited by memory otherwise.
Reduction to a band needs matrix-matrix products only, and a band is cheap to make tridiagonal.
"""

from itertools import pairwise

import numpy as np

from tending.core.arrays import Matrix

LARGE = 2304  # rows (about 40 MB) from which the band is faster
WIDTH = 48  # of the band
SIDE = 128  # columns per block; a block reaches from the diagonal down


def eigenvalues(symmetric: Matrix) -> Matrix:
    """Return all eigenvalues of an (n, n) matrix, ascending, (n,); a large one is overwritten."""
    if len(symmetric) < LARGE:
        return np.asarray(np.linalg.eigvalsh(symmetric))
    from scipy.linalg import eig_banded  # imported late: costs more than a small model

    values = eig_banded(
        banded(symmetric), lower=True, eigvals_only=True, check_finite=False, overwrite_a_band=True
    )
    return np.asarray(values)


def banded(symmetric: Matrix, width: int = WIDTH, side: int = SIDE) -> Matrix:
    """Reduce to a band with the same eigenvalues: lower band, (width + 1, n); row i is diagonal -i.

    Each block of columns is factored as A = Q R, and the trailing matrix B becomes Q' B Q, with
    Q = I - V T V' for Householder vectors V (Bischof, Lang & Sun, 2000). Only the lower triangle
    of the matrix and the blocks on its diagonal are used, and both are overwritten.
    """
    n = len(symmetric)
    for start in range(0, n - width - 1, width):
        begin = start + width
        packed, scales = np.linalg.qr(symmetric[begin:, start:begin], mode="raw")
        count = len(scales)
        symmetric[begin : begin + count, start:begin] = np.triu(packed.T[:count])
        v = np.tril(packed.T[:, :count], -1)
        np.fill_diagonal(v, 1)
        upper = np.triu(v.T @ v, 1)
        t = np.linalg.solve(np.eye(count) + scales[:, None] * upper, np.diag(scales))
        # block boundaries stay fixed, so that diagonal blocks are always complete
        cuts = [begin, *range(begin // side * side + side, n, side), n]
        blocks = [slice(a, b) for a, b in pairwise(cuts)]
        w = _times(symmetric, blocks, v @ t)
        w -= v @ (t.T @ (v.T @ w) / 2)
        left, right = np.hstack([w, v]), np.hstack([v, w]).T.copy()
        for block in blocks:
            down, across = slice(block.start, None), _from(block, begin)
            symmetric[down, block] -= left[block.start - begin :] @ right[:, across]
    band = np.zeros((width + 1, n))
    for i in range(min(width + 1, n)):
        band[i, : n - i] = np.diagonal(symmetric, -i)
    return band


def _times(symmetric: Matrix, blocks: list[slice], v: Matrix) -> Matrix:
    """Multiply the matrix, from the first block on, by v, reading its lower triangle only."""
    product, begin = np.zeros_like(v), blocks[0].start
    for block in blocks:
        here = _from(block, begin)
        column = symmetric[block.start :, block]
        product[here.start :] += column @ v[here]
        product[here] += column[here.stop - here.start :].T @ v[here.stop :]
    return product


def _from(block: slice, begin: int) -> slice:
    return slice(block.start - begin, block.stop - begin)
