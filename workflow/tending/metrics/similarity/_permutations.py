"""Moments of a sum over pairs of rows under all permutations of the rows of one side.

Symmetric matrices a and b, (n, n), are each split into a U-centred part a~, b~, whose diagonal is 0
and whose rows sum to 0, and row effects f, g, with mean 0. When one side is permuted, the sum is
<a~, b~> + w f'g + a constant, where w depends on the statistic. Because the rows of a~ sum to 0,
products of its entries over distinct indices reduce to the sums of `Motifs`; the coefficients below
count the ways in which the indices of a product can coincide. The variance of the first term is
2 |a~|^2 |b~|^2 / (n (n - 3)), that of f'g is |f|^2 |g|^2 / (n - 1), and they are uncorrelated.
The first two moments are those of Kazi-Aoual et al. (1995), in this form.
"""

import math
from dataclasses import dataclass

import numpy as np

from tending.core.arrays import Matrix
from tending.metrics.similarity import Null

LEAST = 6  # rows, because the third moment has six indices
ONE_SIDED_95 = 1.6448536269514722  # standard errors to the 95 % quantile


Number = float | Matrix


@dataclass(frozen=True)
class Motifs:
    """Sums over a U-centred a~, (n, n), and row effects f, (n,); arrays for several sides.

    squares: sum a~_ij^2; cubes: sum a~_ij^3; triangles: tr a~^3; spread: sum f_i^2;
    third: sum f_i^3; ends: f' a~ f; rows: sum_ij f_i a~_ij^2.
    """

    squares: Number
    cubes: Number
    triangles: Number
    spread: Number = 0.0
    third: Number = 0.0
    ends: Number = 0.0
    rows: Number = 0.0


def motifs(a: Matrix, effects: Matrix) -> Motifs:
    """Compute the sums for a dense U-centred matrix."""
    squares = a * a
    return Motifs(
        squares=float(squares.sum()),
        cubes=float(np.vdot(squares, a)),
        triangles=float(np.vdot(a @ a, a)),
        spread=float(effects @ effects),
        third=float((effects**3).sum()),
        ends=float(effects @ a @ effects),
        rows=float(effects @ squares.sum(axis=1)),
    )


def split(a: Matrix) -> tuple[Matrix, Matrix]:
    """Split a symmetric matrix into its U-centred part, (n, n), and row effects, (n,).

    a_ij = part_ij + effect_i + effect_j + constant off the diagonal; the diagonal is ignored.
    """
    n = len(a)
    sums = a.sum(axis=1) - np.diag(a)
    effects = (sums - sums.mean()) / (n - 2)
    part = a - effects[:, None] - effects[None, :] - sums.mean() / (n - 1)
    np.fill_diagonal(part, 0)
    return part, effects


def null(n: int, x: Motifs, y: Motifs, weight: float, mean: float, scale: float) -> Null:
    """Compute the null of (mean + <a~, b~> + weight f'g) / scale with b permuted, n >= LEAST.

    The mean is exact. The quantile is that of a Pearson type III distribution with the exact
    variance and skewness (Josse, Pages & Husson, 2008), by Wilson & Hilferty's cube-root formula.
    """
    found = nulls(n, x, y, weight, np.asarray(mean), np.asarray(scale))
    return Null(*(float(number) for number in found))


def nulls(
    n: int, x: Motifs, y: Motifs, weight: float, mean: Matrix, scale: Matrix
) -> tuple[Matrix, Matrix]:
    """Compute means and quantiles of many pairs at once, with broadcasting; see `null`."""
    deviation = np.sqrt(
        2 * x.squares * y.squares / (n * (n - 3)) + weight**2 * x.spread * y.spread / (n - 1)
    )
    moving = np.where(deviation > 0, deviation, 1.0)
    skewness = _third_moment(n, x, y, weight) / moving**3
    return mean / scale, (mean + deviation * _pearson_three_95(skewness)) / scale


def _third_moment(n: int, x: Motifs, y: Motifs, weight: float) -> Number:
    """Third central moment of <a~, b~> + weight f'g under permutation."""
    two, three, four, five, six = (math.perm(n, k) for k in range(2, 7))
    cubes, triangles = x.cubes * y.cubes, x.triangles * y.triangles
    paths = (x.cubes - x.triangles) * (y.cubes - y.triangles)
    forks = 4 * (x.triangles - 2 * x.cubes) * (y.triangles - 2 * y.cubes)
    pairs = cubes * (4 / two + 24 / three + 56 / four) + triangles * 8 / three
    pairs += paths * 24 / four + forks * (12 / five + 16 / six)
    mixed = x.rows * y.rows * (4 / two + 20 / three + 52 / four + 64 / five)
    ends = x.ends * y.ends * 2 / (n * (n - 3))
    third = x.third * y.third * n / ((n - 1) * (n - 2))
    return pairs + 3 * weight * mixed + 3 * weight**2 * ends + weight**3 * third


def _pearson_three_95(skewness: Number) -> Matrix:
    """95 % quantile of the Pearson type III distribution of mean 0 and variance 1."""
    normal = np.abs(skewness) < 1e-4  # the limit is normal, the formula 0 / 0
    bent = np.where(normal, 1.0, skewness)
    root = 1 + bent * ONE_SIDED_95 / 6 - bent**2 / 36
    return np.where(normal, ONE_SIDED_95, 2 / bent * (root**3 - 1))
