"""Sums of two centred kernels from which scores, deletions and permutations of CKA follow.

K and L, (n, n), are the kernels, with rows and columns of mean 0. For linear CKA, K = X X', and the
rows of X and d x d products give every sum without any n x n matrix.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tending.core.arrays import Matrix
from tending.metrics.similarity import Indices
from tending.metrics.similarity._permutations import Motifs
from tending.metrics.similarity._streams import Aligned, Representation

SAMPLE = 128  # fewest rows whose pairs represent all pairs where these are not computed


@dataclass(frozen=True)
class Side:
    """Sums over one kernel K.

    diagonal: K_ii; squares: sum_j K_ij^2; own: K times its diagonal; other: K times the diagonal
    of the other kernel; all (n,). part: (m, m), K between the rows of the sample. products: K or
    X' X, either of which has the non-zero eigenvalues of K.
    """

    diagonal: Matrix
    squares: Matrix
    own: Matrix
    other: Matrix
    part: Matrix
    products: Matrix

    @cached_property
    def effects(self) -> Matrix:
        """Row effects u, (n,), such that K_ij + u_i + u_j is U-centred off the diagonal."""
        n = len(self.diagonal)
        return np.asarray((self.diagonal - self.diagonal.sum() / (2 * (n - 1))) / (n - 2))


@dataclass(frozen=True)
class Moments:
    """Sums over two kernels K (x) and L (y).

    products: sum_j K_ij L_ij, (n,). sample: indices of the m rows of the parts.
    """

    n: int
    x: Side
    y: Side
    products: Matrix
    sample: Indices

    @cached_property
    def u_parts(self) -> tuple[Matrix, Matrix]:
        """Both U-centred kernels between the rows of the sample, (m, m)."""
        return u_part(self.x, self.sample), u_part(self.y, self.sample)

    @cached_property
    def motifs(self) -> tuple[Motifs, Motifs]:
        """Motif sums of both U-centred kernels, for permutations."""
        return _motifs(self.x, self.u_parts[0]), _motifs(self.y, self.u_parts[1])


@dataclass(frozen=True)
class Inner:
    """<K, L>, <K, K>, <L, L> of two linear kernels, and their diagonals x and y, (n,)."""

    xy: float
    xx: float
    yy: float
    x: Matrix
    y: Matrix


def inner_products(rows: Aligned) -> Inner:
    """Compute inner products in example space, n x n, or feature space, d x d.

    Chooses the space with the smaller matrices.
    """
    x_diagonal, y_diagonal = np.empty(rows.n), np.empty(rows.n)
    if rows.n < max(rows.widths):
        x, y = rows.whole()
        k, other = x @ x.T, y @ y.T
        norms = float(np.vdot(k, k)), float(np.vdot(other, other))
        return Inner(float(np.vdot(k, other)), *norms, np.diag(k), np.diag(other))
    xx, yy, xy = _zeros(rows.widths)
    for where, x, y in rows.blocks():
        x_diagonal[where], y_diagonal[where] = _row_products(x, x), _row_products(y, y)
        xx, yy, xy = xx + x.T @ x, yy + y.T @ y, xy + x.T @ y
    norms = float(np.vdot(xx, xx)), float(np.vdot(yy, yy))
    return Inner(float(np.vdot(xy, xy)), *norms, x_diagonal, y_diagonal)


def _zeros(widths: tuple[int, int]) -> list[Matrix]:
    """Return zero matrices for X'X, Y'Y and X'Y."""
    return [np.zeros((widths[i], widths[j])) for i, j in ((0, 0), (1, 1), (0, 1))]


def of_rows(rows: Aligned) -> Moments:
    """Compute the moments of two representations' linear kernels in the cheaper space."""
    if rows.n <= 2 * max(rows.widths):
        x, y = rows.whole()
        return of_kernels(x @ x.T, y @ y.T, _of_columns(x), _of_columns(y))
    return _of_features(rows)


def _of_columns(x: Matrix) -> Matrix | None:
    """Return X' X where it is much smaller than the kernel, so that its cube is cheaper."""
    return x.T @ x if 2 * x.shape[1] <= len(x) else None


def linear(x: Representation, y: Representation) -> Moments:
    """Compute the moments of two representations' linear kernels. Raises as `paired` does."""
    return of_rows(Aligned(x, y, least=2))


def of_kernels(
    k: Matrix, other: Matrix, of_k: Matrix | None = None, of_other: Matrix | None = None
) -> Moments:
    """Compute the moments of two doubly centred kernels, (n, n).

    of_k, of_other: X' X and Y' Y, where these are smaller than the kernels.
    """
    diagonals = np.diag(k).copy(), np.diag(other).copy()
    x = _dense_side(k, *diagonals, k if of_k is None else of_k)
    y = _dense_side(other, *diagonals[::-1], other if of_other is None else of_other)
    return Moments(len(k), x, y, _row_products(k, other), np.arange(len(k)))


def _dense_side(k: Matrix, diagonal: Matrix, other: Matrix, products: Matrix) -> Side:
    return Side(diagonal, _row_products(k, k), k @ diagonal, k @ other, k, products)


def _row_products(a: Matrix, b: Matrix) -> Matrix:
    return np.asarray(np.einsum("ij,ij->i", a, b))


def _of_features(rows: Aligned) -> Moments:
    """Compute the moments in two passes over rows: first X' X etc., then each row's products."""
    n, sample = rows.n, _sample(rows.n, max(SAMPLE, *rows.widths))
    k, other, chosen_x, chosen_y = np.empty(n), np.empty(n), [], []
    xx, yy, xy = _zeros(rows.widths)
    ends = np.zeros((2, rows.widths[0])), np.zeros((2, rows.widths[1]))
    for where, x, y in rows.blocks():
        k[where], other[where] = _row_products(x, x), _row_products(y, y)
        xx, yy, xy = xx + x.T @ x, yy + y.T @ y, xy + x.T @ y
        both = np.stack([k[where], other[where]])
        ends = ends[0] + both @ x, ends[1] + both @ y
        here = sample[(sample >= where.start) & (sample < where.stop)] - where.start
        chosen_x.append(x[here])
        chosen_y.append(y[here])
    squares, others, products = np.empty((2, n)), np.empty((4, n)), np.empty(n)
    for where, x, y in rows.blocks():
        products[where] = _row_products(x @ xy, y)
        squares[:, where] = _row_products(x @ xx, x), _row_products(y @ yy, y)
        others[:, where] = np.concatenate([ends[0] @ x.T, ends[1] @ y.T])
    part_x, part_y = np.concatenate(chosen_x), np.concatenate(chosen_y)
    here = Side(k, squares[0], others[0], others[1], part_x @ part_x.T, xx)
    there = Side(other, squares[1], others[3], others[2], part_y @ part_y.T, yy)
    return Moments(n, here, there, products, sample)


def _sample(n: int, size: int) -> Indices:
    """Draw `size` of n rows, in order; the same rows for the same n."""
    return np.sort(np.random.default_rng(n).permutation(n)[:size])


def u_part(side: Side, sample: Indices) -> Matrix:
    """Return the U-centred kernel between the rows of the sample, (m, m)."""
    u = side.effects[sample]
    part: Matrix = side.part + u[:, None]
    part += u
    np.fill_diagonal(part, 0)
    return part


def side_motifs(side: Side, sample: Indices) -> Motifs:
    """Compute motif sums of the U-centred kernel and its row effects, for permutations.

    Where the sample is not all rows, the sum of cubes is estimated from its pairs; it is the only
    sum that does not follow from products of columns, and it matters little for n above d.
    """
    return _motifs(side, u_part(side, sample))


def _motifs(side: Side, part: Matrix) -> Motifs:
    """Compute motif sums given the U-centred kernel between the sampled rows, (m, m)."""
    n, m = len(side.diagonal), len(part)
    effects = side.diagonal - side.diagonal.mean()
    squares = _u_squares(side)
    delta = side.diagonal + 2 * side.effects
    return Motifs(
        squares=float(squares.sum()),
        cubes=float(np.vdot(part * part, part)) * n * (n - 1) / (m * (m - 1)),
        triangles=_triangles(side),
        spread=float(effects @ effects),
        third=float((effects**3).sum()),
        ends=float(effects @ side.own - delta @ effects**2),
        rows=float(effects @ squares),
    )


def _u_squares(side: Side) -> Matrix:
    """Sum the squared U-centred kernel over j, (n,)."""
    n, k, u = len(side.diagonal), side.diagonal, side.effects
    effects = (n - 4) * u**2 + 2 * u * u.sum() + u @ u
    return np.asarray(side.squares - k**2 + effects + 2 * side.own / (n - 2) - 4 * u * k)


def _triangles(side: Side) -> float:
    """Trace of the cube of M + u 1' + 1 u', the U-centred kernel, with M = K - diag(delta)."""
    n, u = len(side.diagonal), side.effects
    delta = side.diagonal + 2 * u
    ku, s, uu = side.own / (n - 2), float(u.sum()), float(u @ u)
    # the matrix is symmetric; a product with its own transpose costs half
    cube = float(np.vdot(side.products @ side.products.T, side.products))
    m_cubed = cube - 3 * side.squares @ delta + 3 * side.diagonal @ delta**2 - (delta**3).sum()
    mme = -2 * delta @ (ku - delta * u)
    mee = -2 * s * (delta @ u) + n * (u @ ku - delta @ u**2) - uu * delta.sum()
    return float(m_cubed + 3 * mme + 3 * mee + 2 * s**3 + 6 * n * s * uu)
