"""Eigenvalues of symmetric matrices; of large ones through a band instead of at once.

LAPACK makes a matrix tridiagonal with products of the matrix and a vector, half of all it does.
They are quick while the matrix is in the processor's cache, and wait for memory where it is not.
A band is reached with products of matrices alone, and a band costs little to make tridiagonal.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

LARGE = 2304  # rows, about 40 MB, from where on the band is quicker
WIDTH = 48  # of the band
SIDE = 128  # of blocks of columns that are worked on at a time, from the diagonal down

Matrix = npt.NDArray[np.float64]


def eigenvalues(symmetric: Matrix) -> Matrix:
    """All eigenvalues of an (n, n) matrix, ascending, (n,). A large matrix may be overwritten."""
    if len(symmetric) < LARGE:
        return np.asarray(np.linalg.eigvalsh(symmetric))
    from scipy.linalg import eig_banded  # not before: it takes longer to import than a small model

    values = eig_banded(
        banded(symmetric), lower=True, eigvals_only=True, check_finite=False, overwrite_a_band=True
    )
    return np.asarray(values)


def banded(symmetric: Matrix, width: int = WIDTH, side: int = SIDE) -> Matrix:
    """The lower band, (width + 1, n), of a matrix with the same eigenvalues; row i is diagonal -i.

    A block of columns at a time is reduced by A = Q R and the rest becomes Q' rest Q, with
    Q = I - V T V' of Householder's vectors V (Bischof, Lang & Sun, 2000). The matrix is
    overwritten, its lower triangle and the blocks on the diagonal alone.
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
        # the blocks stand still, so that those on the diagonal are always whole
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
    """The matrix from the first block on times v, from its lower triangle."""
    product, begin = np.zeros_like(v), blocks[0].start
    for block in blocks:
        here = _from(block, begin)
        column = symmetric[block.start :, block]
        product[here.start :] += column @ v[here]
        product[here] += column[here.stop - here.start :].T @ v[here.stop :]
    return product


def _from(block: slice, begin: int) -> slice:
    return slice(block.start - begin, block.stop - begin)
