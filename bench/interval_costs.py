"""Cost of a similarity's error, interval, resamples and null, as a multiple of the score's time.

Usage: OMP_NUM_THREADS=1 python bench/interval_costs.py
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tending.core import plugins
from tending.metrics.similarity import Similarity, UndefinedSimilarityError
from tending.metrics.statistics.uncertainty import estimate

PACKAGE = "tending.metrics.similarity"
SHAPES = ((512, 128), (512, 512), (128, 2560))  # rows, width of both sides
REPETITIONS = 3


def seconds(run: Callable[[], object]) -> float:
    """Measure CPU seconds of the fastest of REPETITIONS runs after a warm-up run."""
    run()
    taken = []
    for _ in range(REPETITIONS):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


def without_permutations(metric: Similarity) -> Similarity:
    """Return the same metric with permutations that cost nothing."""
    return replace(metric, permuted=lambda x, y: lambda order: 0.0)


def row(name: str, n: int, d: int) -> str:
    x, noise = np.random.default_rng(0).standard_normal((2, n, d), dtype=np.float32)
    y, metric = x + noise, plugins.load(PACKAGE, name, "similarity metric").METRIC
    try:
        score = seconds(lambda: metric.compare(x, y))
    except UndefinedSimilarityError:
        return f"| `{name}` | {n} | {d} | not defined | | |"
    interval = seconds(lambda: estimate(without_permutations(metric), x, y))
    whole = seconds(lambda: estimate(metric, x, y))
    times = f"{interval / score:.1f} | {whole / score:.1f}"
    return f"| `{name}` | {n} | {d} | {1000 * score:.1f} ms | {times} |"


if __name__ == "__main__":
    print("| similarity | n | d | score | with interval | with permutations |")
    print("|---|---|---|---|---|---|")
    for name in plugins.names(PACKAGE):
        for n, d in SHAPES:
            print(row(name, n, d), flush=True)
