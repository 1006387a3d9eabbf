"""Coverage of the 95 % intervals of CKA, on data whose CKA is known.

Rows of X and Z are independent Gaussians with covariance S = diag(lambda), and Y = a X + b Z with
a^2 + b^2 = 1. Then Cov(x, y) = a S and Cov(y) = (a^2 + b^2) S = S, so that the linear CKA of the
distribution, |Cov(x, y)|^2 / (|Cov(x)| |Cov(y)|) in Frobenius norms, is a^2 for any spectrum.

Usage: python bench/coverage.py [--replications 1500] [--rows 128 512] [--widths 64 2560]
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tending.core.arrays import Matrix
from tending.core.tables import NORMAL_95
from tending.metrics.similarity import Influence, Null, cka_debiased
from tending.metrics.similarity._jackknife import biased, debiased
from tending.metrics.similarity._moments import Moments, of_kernels, of_rows
from tending.metrics.similarity._streams import Aligned
from tending.metrics.statistics.uncertainty import estimate

SPECTRA = {"white": 0.0, "i^-1/2": 0.5, "i^-1": 1.0}  # lambda_i = i^-exponent
TRUE_CKA = (0.2, 0.6, 0.95)
NOMINAL = 95.0
COLUMNS = (
    *("spectrum", "n", "d", "CKA", "covers", "above", "below", "error / sd", "plain jackknife"),
    *("mean of `cka`", "covers it"),
)

Interval = tuple[float, float, float, float]  # value, standard error, low, high


@dataclass(frozen=True)
class Coverage:
    """Percentage of intervals that cover the true value, or lie entirely above or below it.

    plain: coverage of value +- 1.96 plain jackknife errors. ratio: root mean square of the standard
    errors over the standard deviation of the scores. biased: coverage of biased CKA's interval for
    its mean over the replications, `mean`.
    """

    covered: float
    above: float
    below: float
    plain: float
    ratio: float
    biased: float
    mean: float


def experiment(
    n: int, d: int, exponent: float, replications: int, tails: float = math.inf, seed: int = 0
) -> dict[float, Coverage]:
    """Estimate coverage for every true CKA, with the same draws of X and Z.

    tails: degrees of freedom of a multivariate Student t distribution for each sequence's x and z,
    made by multiplying both by one number, which leaves the population's CKA unchanged.
    """
    random = np.random.default_rng(seed)
    scales = np.sqrt(np.arange(1, d + 1) ** -exponent / np.sum(np.arange(1, d + 1) ** -exponent))
    rows: dict[float, list[tuple[Interval, Interval, Interval]]] = {true: [] for true in TRUE_CKA}
    for _ in range(replications):
        # float32 halves the time, and its rounding is far below the sampling error of 512 rows
        x, z = random.standard_normal((2, n, d), dtype=np.float32) * scales.astype(np.float32)
        if math.isfinite(tails):
            radius = np.sqrt(tails / random.chisquare(tails, size=(n, 1))).astype(np.float32)
            x, z = x * radius, z * radius
        for true, moments in _moments(x, z):
            rows[true].append(_intervals(moments))
    return {true: _coverage(true, np.array(found)) for true, found in rows.items()}


def _moments(
    x: npt.NDArray[np.float32], z: npt.NDArray[np.float32]
) -> Iterator[tuple[float, Moments]]:
    n, d = x.shape
    if n > 2 * d:
        for true in TRUE_CKA:
            y = math.sqrt(true) * x + math.sqrt(1 - true) * z
            yield true, of_rows(Aligned(x, y, least=4))
        return
    x, z = x - x.mean(axis=0), z - z.mean(axis=0)
    xx, xz, zz = ((u @ v.T).astype(np.float64) for u, v in ((x, x), (x, z), (z, z)))
    for true in TRUE_CKA:
        mixed = math.sqrt(true * (1 - true)) * (xz + xz.T)
        yield true, of_kernels(_centred(xx), _centred(true * xx + mixed + (1 - true) * zz))


def _centred(k: Matrix) -> Matrix:
    """Centre rows and columns again in float64, for a kernel centred in float32."""
    rows = k.mean(axis=0)
    return np.asarray(k - rows[:, None] - rows[None, :] + rows.mean())


def _intervals(moments: Moments) -> tuple[Interval, Interval, Interval]:
    """Return intervals of debiased CKA, of the same by plain jackknife, and of biased CKA."""
    here = debiased(moments, with_null=False)
    error = float(np.linalg.norm(here.values))
    plain = here.score, error, here.score - NORMAL_95 * error, here.score + NORMAL_95 * error
    return _interval(here), plain, _interval(biased(moments, with_null=False))


def _interval(known: Influence) -> Interval:
    """Compute the interval as in a study."""
    known = replace(known, null=Null(math.nan, math.nan))  # not needed here
    rows = np.zeros((known.values.size, 1))
    found = estimate(replace(cka_debiased.METRIC, influence=lambda *_: known), rows, rows)
    return found.value, found.error, found.low, found.high


def _coverage(true: float, found: Matrix) -> Coverage:
    """Summarise intervals; found: (replications, 3, 4)."""
    value, error, low, high = found[:, 0].T
    mean = float(found[:, 2, 0].mean())
    return Coverage(
        covered=_percent((low <= true) & (true <= high)),
        above=_percent(low > true),
        below=_percent(high < true),
        plain=_percent((found[:, 1, 2] <= true) & (true <= found[:, 1, 3])),
        ratio=float(np.sqrt(np.mean(error**2)) / value.std(ddof=1)),
        biased=_percent((found[:, 2, 2] <= mean) & (mean <= found[:, 2, 3])),
        mean=mean,
    )


def _percent(holds: npt.NDArray[np.bool_]) -> float:
    return 100 * float(holds.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--replications", type=int, default=1500)
    parser.add_argument("--rows", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 2560])
    parser.add_argument("--spectra", nargs="+", choices=SPECTRA, default=list(SPECTRA))
    parser.add_argument("--tails", type=float, default=math.inf, help="degrees of freedom")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    spread = math.sqrt(NOMINAL * (100 - NOMINAL) / options.replications)
    print(f"{options.replications} replications: Monte Carlo standard error {spread:.2f} points\n")
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for name in options.spectra:
        for n in options.rows:
            for d in options.widths:
                shape = n, d, SPECTRA[name]
                found = experiment(*shape, options.replications, options.tails, options.seed)
                for true, c in found.items():
                    print(
                        f"| {name} | {n} | {d} | {true} | {c.covered:.1f} | {c.above:.1f} | "
                        f"{c.below:.1f} | {c.ratio:.2f} | {c.plain:.1f} | {c.mean:.3f} | "
                        f"{c.biased:.1f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
