"""Coverage of the late rise's interval, and its rate of false positives, for known mean losses.

The loss of sequence i at step s is mu_s + a_i + e_si: a_i (standard deviation 0.4) is common to all
steps; e_si (0.05) is independent between steps, or the sum of independent increments up to s
(walk), normal or exponential (skewed). The true rise is mu_last - min mu.

Usage: python bench/late_phase.py [--replications 2000] [--steps 12 50] [--sequences 128 512]
"""

import argparse
import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from tending.metrics.statistics import late_phase
from tending.metrics.statistics.means import student

Array = npt.NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, int]], Array]

SPREAD, COMMON = 0.05, 0.4
DRAWS = 1_999
COLUMNS = (
    *("course", "noise", "steps", "n", "true rise", "covers", "above", "below", "p <= 0.05"),
    *("holds best", "steps held", "chosen step: covers", "chosen step: p <= 0.05"),
    *("no pairs: covers", "no pairs: p <= 0.05"),
)


def courses(steps: int) -> dict[str, Array]:
    """Return mean losses at every step, by name of the course."""
    at = np.linspace(0, 1, steps)
    falling = 4 - 0.6 * at
    middle = steps // 2
    end = np.clip((at - at[middle]) / (1 - at[middle]), 0, 1)
    level = np.where(at < at[middle], falling, falling[middle])
    return {
        "falls": falling,
        "level": np.full(steps, 4.0),
        "falls, then level": level,
        "falls, then rises by 0.01": level + 0.01 * end,
        "falls, then rises by 0.03": level + 0.03 * end,
    }


def independent(random: np.random.Generator, shape: tuple[int, int]) -> Array:
    return SPREAD * random.standard_normal(shape)


def walk(random: np.random.Generator, shape: tuple[int, int]) -> Array:
    return np.asarray(independent(random, shape).cumsum(axis=0))


def skewed_walk(random: np.random.Generator, shape: tuple[int, int]) -> Array:
    return np.asarray(SPREAD * (random.standard_exponential(shape) - 1).cumsum(axis=0))


NOISES: Mapping[str, Noise] = {
    "independent": independent,
    "walk": walk,
    "skewed walk": skewed_walk,
}


def experiment(
    means: Array, noise: Noise, n: int, replications: int, common: float = COMMON, seed: int = 0
) -> list[float]:
    """Return percentages, except the sixth, which is the mean number of steps among the best."""
    random = np.random.default_rng(seed)
    steps = range(len(means))
    best = int(np.flatnonzero(means == means.min())[-1])
    true = float(means[-1] - means[best])
    found = []
    for _ in range(replications):
        losses = means[:, None] + common * random.standard_normal(n)
        losses = losses + noise(random, losses.shape)
        late = late_phase.of_losses(steps, losses, DRAWS)
        errors = losses.std(axis=1, ddof=1) / math.sqrt(n)
        apart = late_phase.of_means(losses.mean(axis=1), errors, steps)
        low, high = _chosen(losses, late.best)
        found.append(
            (
                late.low <= true <= late.high,
                late.low > true,
                late.high < true,
                late.p <= late_phase.LEVEL,
                best in late.among_best,
                len(late.among_best) / 100,
                low <= true <= high,
                low > 0,
                apart.low <= true <= apart.high,
                apart.p <= late_phase.LEVEL,
            )
        )
    return [100 * float(share) for share in np.mean(found, axis=0)]


def _chosen(losses: Array, best: int) -> tuple[float, float]:
    """Compute Student's paired interval for the best step as if it had been fixed in advance."""
    rise = losses[-1] - losses[best]
    half = float(student(len(rise) - 1)) * rise.std(ddof=1) / math.sqrt(len(rise))
    return rise.mean() - half, rise.mean() + half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--steps", type=int, nargs="+", default=[12, 50])
    parser.add_argument("--sequences", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--courses", nargs="+", choices=courses(2), default=list(courses(2)))
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument("--common", type=float, default=COMMON, help="standard deviation of a_i")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for steps in options.steps:
        for name in options.courses:
            means = courses(steps)[name]
            for noise in options.noises:
                for n in options.sequences:
                    shape = means, NOISES[noise], n
                    asked = options.replications, options.common, options.seed
                    found = experiment(*shape, *asked)
                    cells = [name, noise, str(steps), str(n), f"{means[-1] - means.min():.2f}"]
                    cells += [f"{value:.1f}" for value in found]
                    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
