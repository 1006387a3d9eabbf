"""Coverage of the 95 % interval of a median over layers, for layers of known CKA.

Rows of X and Z are independent standard Gaussians and Y = a X + b Z with a^2 + b^2 = 1, so that the
linear CKA of the distribution is a^2 in every layer (see coverage.py). X and Z have a component
common to all layers, because neighbouring layers are correlated.

Usage: python bench/median_coverage.py [--replications 1000] [--rows 128 512] [--width 64]
"""

import argparse
import math

import numpy as np
import numpy.typing as npt

from tending.core.estimates import Estimates
from tending.metrics.similarity import cka_debiased
from tending.metrics.statistics.uncertainty import DRAWS, estimate
from tending.stages.convergence.layer_median import median

LAYERS = {
    "6 alike": (0.6,) * 6,
    "6 spread": (0.2, 0.3, 0.45, 0.65, 0.8, 0.9),
    "5 spread": (0.2, 0.3, 0.6, 0.8, 0.9),
    "2 apart": (0.3, 0.9),
}
SHARED = (0.0, 0.9)  # share of the variance of X, and of Z, that is common to all layers
COLUMNS = ("layers", "shared", "n", "median", "covers", "above", "below", "error / sd")

Interval = tuple[float, float, float, float]  # value, standard error, low, high


def one(
    random: np.random.Generator, true: tuple[float, ...], shared: float, n: int, d: int
) -> Interval:
    """Compute the median over layers of debiased CKA in one sample, with its interval."""
    found = Estimates.undefined((len(true),), DRAWS)
    common = random.standard_normal((2, n, d))
    for layer, cka in enumerate(true):
        own = random.standard_normal((2, n, d))
        x, z = math.sqrt(shared) * common + math.sqrt(1 - shared) * own
        y = math.sqrt(cka) * x + math.sqrt(1 - cka) * z
        score = estimate(cka_debiased.METRIC, x, y)
        found.value[layer], found.draws[layer] = score.value, score.draws
    made = median(found)
    numbers = (made.value, made.standard_error, made.low, made.high)
    value, error, low, high = (float(number[0]) for number in numbers)
    return value, error, low, high


def row(true: float, found: npt.NDArray[np.float64]) -> list[str]:
    """Summarise coverage as cells of the table; found: (replications, 4)."""
    value, error, low, high = found.T
    holds = [(low <= true) & (true <= high), low > true, high < true]
    ratio = np.sqrt(np.mean(error**2)) / value.std(ddof=1)
    return [f"{true:g}", *(f"{100 * h.mean():.1f}" for h in holds), f"{ratio:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--width", type=int, default=64)
    options = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for name, true in LAYERS.items():
        for shared in SHARED:
            for n in options.rows:
                random = np.random.default_rng(0)
                sample = [
                    one(random, true, shared, n, options.width) for _ in range(options.replications)
                ]
                cells = row(float(np.median(true)), np.array(sample))
                print(f"| {' | '.join([name, f'{shared:g}', str(n), *cells])} |", flush=True)


if __name__ == "__main__":
    main()
