"""CKA with a Gaussian kernel, which weights near sequences more than far ones."""

import numpy as np

from tending.core.arrays import Array, Matrix
from tending.metrics.similarity import Influence, Similarity, UndefinedSimilarityError, paired
from tending.metrics.similarity._geometry import squared_distances, unit
from tending.metrics.similarity._jackknife import biased
from tending.metrics.similarity._moments import of_kernels

ROUNDING = 1e-12  # of the largest squared distance; closer sequences are equal


def rbf_cka(x: Array, y: Array) -> float:
    """CKA of the kernels exp(-|x_i - x_j|^2 / (2 sigma^2)) (Kornblith et al., 2019).

    x: (sequences, d_x); y: (sequences, d_y); row i is the same sequence. In [0, 1], and far above
    0 for unrelated representations unless there are many more sequences than d. Raises ValueError
    if the row counts differ, there are fewer than 2, or a representation is constant, not finite or
    equal for most pairs of sequences, which leaves no bandwidth.
    """
    x, y = paired(x, y, least=2)
    return float(np.vdot(unit(_centred_kernel(x)), unit(_centred_kernel(y))))


def influence(x: Array, y: Array) -> Influence:
    """Compute leave-one-out influence, with bandwidths fixed at those of all rows.

    Raises as `rbf_cka` does.
    """
    x, y = paired(x, y, least=2)
    return biased(of_kernels(_centred_kernel(x), _centred_kernel(y)))


def _centred_kernel(x: Matrix) -> Matrix:
    """Return H K H for centred x, (n, n).

    ASSUME: sigma^2 is the median squared distance between sequences, separately for each side.
    """
    squares = squared_distances(unit(x))
    pairs = squares[np.triu_indices(len(squares), k=1)]
    bandwidth = np.median(pairs)
    if bandwidth <= ROUNDING * pairs.max():
        raise UndefinedSimilarityError("most pairs of sequences are alike: the bandwidth is 0")
    kernel = np.exp(squares / (-2 * bandwidth))
    rows = kernel.mean(axis=0)
    return np.asarray(kernel - rows[:, None] - rows[None, :] + rows.mean())


METRIC = Similarity(
    compare=rbf_cka,
    label="RBF CKA",
    bounds=(0, 1),
    invariant_to=frozenset({"rotation", "scaling", "translation"}),
    influence=influence,
)
