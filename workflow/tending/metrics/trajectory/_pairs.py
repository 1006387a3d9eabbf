"""CKA of every two representations with its error over sequences, its interval and its null.

The results equal those of `metrics.statistics.uncertainty.estimate` for each pair, but come from
sums over rows, and over pairs of rows, of all pairs of Gram matrices at once.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tending.core.arrays import Matrix
from tending.metrics.similarity._jackknife import ROUNDING
from tending.metrics.trajectory import _inner
from tending.metrics.trajectory._inner import Measured, Read, gram_tiles, of_grams
from tending.metrics.trajectory._intervals import freedom, jackknifed, with_errors, with_null
from tending.metrics.trajectory._kernels import Kernels, kernels, sample
from tending.metrics.trajectory._kinds import Biased, Debiased, Kind, Sums
from tending.metrics.trajectory._rows import PairSums, RowSums

CANCELLED = 1e-12  # of the summands; a smaller sum is rounding


def cka(read: Read, count: int, rows_per_sequence: int = 1) -> Measured:
    """Compute `cka` and `cka_debiased` of all pairs, (m, m), with errors, intervals and nulls.

    Entries are named as in `_intervals`. read: (i) -> (n, d_i) with centred columns and norm 1; or
    all 0, which makes its pairs NaN. rows_per_sequence: consecutive rows that belong to one
    sequence; if several, there is no null, as permuting whole sequences has no closed form. Raises
    ValueError for fewer than 4 rows.
    """
    known = kernels(read, count, most=_inner.BUDGET)
    chosen = sample(known.n, known.width)
    every, held = len(chosen) == known.n, known.size <= _inner.BUDGET
    scores = [_Scores(kind, known, rows_per_sequence) for kind in (Biased(), Debiased())]
    powers = [PairSums(one.kind.effects(known.diagonals)[chosen]) for one in scores]
    # multiplications: m^2 n^2 from Gram matrices, which take m n^2 d, or m^2 n d^2 from features
    tall = not every and known.n * (known.width + count) > count * known.width**2
    for first in _blocks(known):
        sums = RowSums(known.diagonals, first)
        if tall:
            sums.add_features(read)
        elif known.grams is not None:
            sums.add_grams(known.grams)
        else:
            tiles = gram_tiles(read, count, known.n, held=held)
            _add(tiles, [sums, *powers] if every and first.start == 0 else [sums])
        for score in scores:
            score.take(sums)
    if known.grams is not None:
        _add(of_grams(known.grams), powers)
    if not every:
        _add(gram_tiles(lambda i: read(i)[chosen], count, len(chosen), held=held), powers)
    pairs = zip(scores, powers, strict=True)
    return {name: made for score, power in pairs for name, made in score.named(power).items()}


def _blocks(known: Kernels) -> Iterator[slice]:
    """Yield slices of at least one kernel whose sums with all later ones fit in BUDGET."""
    start, most = 0, _inner.BUDGET // (16 * known.n)
    while start < known.count:
        sizes = np.cumsum(np.arange(known.count - start, 0, -1))
        stop = start + max(1, int(np.searchsorted(sizes, most, side="right")))
        yield slice(start, stop)
        start = stop


def _add(tiles: Iterable[tuple[slice, slice, Matrix]], into: Sequence[RowSums | PairSums]) -> None:
    for tile in tiles:
        for sums in into:
            sums.add(*tile)


class _Scores:
    """One kind of CKA of all pairs, (m, m), filled in as sums are added."""

    def __init__(self, kind: Kind, known: Kernels, rows_per_sequence: int) -> None:
        self.kind, self._known, self._each = kind, known, rows_per_sequence
        self._squares = kind.squares(known)
        d = known.diagonals
        left = kind.without(Sums(known.squares, d, d, 2 * known.ends))
        some = left > ROUNDING * known.squares.sum(axis=0)
        self._left = np.sqrt(np.where(some, left, np.nan))
        self._inner, self._variance, self._freedom = np.full((3, known.count, known.count), np.nan)

    def take(self, sums: RowSums) -> None:
        """Compute inner products and jackknife variances for the pairs in the sums."""
        d = self._known.diagonals
        for i in range(sums.first.start, sums.first.stop):
            pair = Sums(sums.products[:, sums.of(i)], d[:, [i]], d[:, i:], sums.ends[:, sums.of(i)])
            without = self.kind.without(pair) / self._left[:, [i]] / self._left[:, i:]
            deviations = jackknifed(without)
            if self._each > 1:  # sum over the rows of a sequence
                deviations = deviations.reshape(-1, self._each, deviations.shape[1]).sum(axis=1)
            self._put(self._inner, i, self.kind.inner(pair))
            if len(deviations) > 1:
                self._put(self._variance, i, (deviations**2).sum(axis=0))
            self._put(self._freedom, i, freedom(deviations))

    @staticmethod
    def _put(into: Matrix, i: int, values: Matrix) -> None:
        into[i, i:] = into[i:, i] = values

    def named(self, powers: PairSums) -> Measured:
        """Return scores, errors, intervals and nulls by name, once all pairs have been added."""
        norms = np.sqrt(self._squares)
        score, variance = self._inner / np.outer(norms, norms), self._variance
        null = np.full((2, *score.shape), np.nan)
        if self._each == 1:
            excess = _excess(score, self._squares, powers, self._known.n)
            if powers.rows < self._known.n:  # a sampled row of large norm may inflate it
                excess = np.fmin(excess, variance / 2)
            variance = np.maximum(variance - excess, excess)
            null[:] = self.kind.chance(self._known, norms)
        name = self.kind.name
        scores = with_errors(name, score, variance, self._freedom, self.kind.bounds)
        return scores | with_null(name, *null)


def _excess(score: Matrix, squares: Matrix, sums: PairSums, n: int) -> Matrix:
    """Variance due to single pairs of rows, (m, m), which the jackknife counts twice.

    Twice the sum of squares of g_rs about their mean, where g is the score's derivative by pairs of
    rows, g = K L / (|K| |L|) - score / 2 (K^2 / |K|^2 + L^2 / |L|^2). Near a score of 1 the sum
    cancels; if only rounding is left, it is set to 0, so that errors are not too small.
    """
    norms = np.sqrt(squares)
    both = sums.squares / np.outer(squares, squares)
    cubes = sums.cubes / np.outer(squares * norms, norms)
    fourth = np.diagonal(both)[:, None] + np.diagonal(both)
    parts = both, -score * (cubes + cubes.T), score**2 / 4 * (fourth + 2 * both)
    total, size = sum(parts), sum(np.abs(part) for part in parts)
    own = np.diagonal(sums.products) / squares
    mean = sums.products / np.outer(norms, norms) - score / 2 * (own[:, None] + own)
    pairs = sums.rows * (sums.rows - 1)
    left = np.where(total > CANCELLED * size, total - mean**2 / pairs, 0)
    return np.asarray(2 * np.maximum(left, 0) * n * (n - 1) / pairs)
