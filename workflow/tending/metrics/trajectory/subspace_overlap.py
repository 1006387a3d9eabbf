"""Overlap of the leading directions of activations at two checkpoints."""

import numpy as np

from tending.core.arrays import Matrix
from tending.metrics.similarity import UndefinedSimilarityError, centred
from tending.metrics.similarity._geometry import directions
from tending.metrics.similarity._permutations import LEAST
from tending.metrics.trajectory import Stack, Tabled, TrajectoryMetric
from tending.metrics.trajectory._inner import Measured, feature_space
from tending.metrics.trajectory._intervals import (
    GROUPS,
    PARTS,
    jackknifed,
    with_errors,
    with_null,
)
from tending.metrics.trajectory._kernels import kernels
from tending.metrics.trajectory._kinds import Biased

OVER = "steps"
TABLED = True


def subspace_overlap(stack: Stack) -> Measured:
    """Return `overlap` ||U_s' U_t||_F^2 / k of one layer at all pairs of m steps, and `chance`.

    overlap: (m, m), in [0, 1]. U_t (n, k) are the left singular vectors of the k largest singular
    values of the centred activations, so that the overlap is the mean squared cosine of the
    principal angles between the two subspaces of the space of sequences (Bjorck & Golub 1973). k is
    `directions`, at most d and n - 1. NaN for a step whose activations have fewer directions than
    k. It comes with its error, interval and null, named as in `Stack.cka`; the error is that of a
    delete-a-group jackknife over GROUPS random groups of sequences, which recomputes the subspaces.
    `chance`, (), is k / (n - 1): the mean over subspaces in random position, and over all
    permutations.
    """
    n, width = stack.unit(0).shape
    k = chosen(stack.directions, n, width)
    leading = [_parts(stack.unit(i), stack.rows_per_sequence, k) for i in range(stack.count)]
    whole, *parts = map(list, zip(*leading, strict=True))
    overlap, without = _overlaps(whole, k), np.stack([_overlaps(part, k) for part in parts])
    variance = (jackknifed(without) ** 2).sum(axis=0)
    measured = with_errors("overlap", overlap, variance, len(parts) - 1, (0.0, 1.0))
    null = _by_chance(whole, overlap) if stack.rows_per_sequence == 1 else (overlap * np.nan,) * 2
    return measured | with_null("overlap", *null) | {"chance": np.array(k / (n - 1))}


def chosen(asked: int, n: int, width: int) -> int:
    """Cap a requested number of directions at the largest rank of activations (n, width)."""
    return min(asked, n - 1, width)


def _parts(x: Matrix, rows_per_sequence: int, k: int) -> list[Matrix]:
    """Return leading directions of all rows, then without each group of sequences.

    The random groups depend on the number of sequences alone.
    """
    sequences = len(x) // rows_per_sequence
    groups = np.arange(sequences) % min(sequences, GROUPS)
    group = np.repeat(np.random.default_rng(sequences).permutation(groups), rows_per_sequence)
    return [_leading(x, k), *(_leading(x[group != g], k) for g in range(groups.max() + 1))]


def _leading(x: Matrix, k: int) -> Matrix:
    """Return leading left singular vectors, (n, k), or fewer where the rank is lower."""
    try:
        return directions(centred(x))[0][:, :k]
    except UndefinedSimilarityError:
        return x[:, :0]


def _overlaps(leading: list[Matrix], k: int) -> Matrix:
    """Compute overlaps of all pairs, (m, m); NaN where there are fewer than k directions."""
    defined = np.array([1.0 if u.shape[1] == k else np.nan for u in leading])
    return feature_space(leading.__getitem__, len(leading)) / k * np.outer(defined, defined)


def _by_chance(leading: list[Matrix], overlap: Matrix) -> tuple[Matrix, Matrix]:
    """Compute mean and 95 % quantile of the overlap under permutation, (m, m) each.

    The overlap is the CKA of the directions, so its permutation moments are the same.
    """
    if len(leading[0]) < LEAST:
        return overlap * np.nan, overlap * np.nan
    known, kind = kernels(leading.__getitem__, len(leading)), Biased()
    mean, high = kind.chance(known, np.sqrt(kind.squares(known)))
    undefined = np.where(np.isnan(overlap), np.nan, 0)
    return mean + undefined, high + undefined


def rows(measured: Measured, progress: Matrix, reference: int) -> dict[str, Tabled]:
    """Return overlaps with the previous step (NaN at the first) and the reference, and chance."""
    overlaps = [measured[f"overlap{part}"] for part in PARTS]
    none = np.full((overlaps[0].shape[0], 1), np.nan)
    before = [
        np.hstack([none, np.diagonal(values, offset=1, axis1=1, axis2=2)]) for values in overlaps
    ]
    made = Tabled.of_score("subspace_overlap_step_to_step", before)
    at_end = [values[:, :, reference] for values in overlaps]
    made |= Tabled.of_score("subspace_overlap_with_reference", at_end)
    chance = np.broadcast_to(measured["chance"][:, None], overlaps[0].shape[:2])
    return {**made, "subspace_overlap_chance": Tabled(chance)}


METRIC = TrajectoryMetric(
    compute=subspace_overlap,
    label="Overlap of leading subspaces",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    source="Hotelling 1936; Bjorck & Golub 1973",
    rows=rows,
)
