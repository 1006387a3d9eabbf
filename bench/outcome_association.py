"""False positives and coverage of the association with outcomes, on simulated series.

x and y of every model are first-order autoregressive over T checkpoints, with innovations of
correlation rho; a course common to all models is then added to both (`shared`: a straight line in
log step, or a parabola), of 5 standard deviations. Prints a Markdown table with the percentage of
p-values of at most 0.05, and of intervals that cover rho.

python bench/outcome_association.py [REPLICATIONS]
"""

import sys

import numpy as np

from tending.metrics.statistics.partial_correlation import partial, pooled, within_steps

MODELS = 3
SEED = 0


def series(
    rng: np.random.Generator, phi: float, rho: float, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate x and y, both (models, steps)."""
    shocks = rng.standard_normal((2, MODELS, steps))
    shocks[1] = rho * shocks[0] + (1 - rho**2) ** 0.5 * shocks[1]
    made = np.empty_like(shocks)
    made[..., 0] = shocks[..., 0] / ((1 - phi**2) ** 0.5 if phi < 1 else 1)
    for t in range(1, steps):
        made[..., t] = phi * made[..., t - 1] + shocks[..., t]
    return made[0], made[1]


def shared(course: str, steps: int, phi: float) -> np.ndarray:
    """Return the course common to all models, (steps,)."""
    at = np.linspace(-1, 1, steps)
    size = 5 / (1 - min(phi, 0.95) ** 2) ** 0.5
    return size * {"none": 0 * at, "line": at, "parabola": 2 * at**2 - 1}[course]


def cell(phi: float, rho: float, course: str, steps: int, replications: int) -> str:
    """Simulate one setting; return a row of the table."""
    rng = np.random.default_rng([SEED, steps])
    at = np.expm1(np.linspace(0, 8, steps))  # linear in the checkpoint is linear in log(step + 1)
    p_values: dict[str, list[float]] = {}
    held: dict[str, list[float]] = {}
    for _ in range(replications):
        x, y = series(rng, phi, rho, steps)
        x, y = x + shared(course, steps, phi), y + shared(course, steps, phi)
        for name, ranks in (("spearman", True), ("pearson", False)):
            parts = [partial(a, b, at, ranks=ranks) for a, b in zip(x, y, strict=True)]
            for kind, part in ((name, parts[0]), (f"pooled {name}", pooled(parts))):
                p_values.setdefault(kind, []).append(part.p_value)
                inside = np.nan if np.isnan(part.low) else float(part.low <= rho <= part.high)
                held.setdefault(kind, []).append(inside)
        p_values.setdefault("within", []).append(within_steps(x, y, at).p_value)
    shares = [100 * np.mean(np.array(p) <= 0.05) for p in p_values.values()]
    covers = [
        f"{100 * np.nanmean(h):.0f} ({100 * np.mean(np.isnan(h)):.0f})" for h in held.values()
    ]
    cells = [f"{rho:g}", course, f"{steps}", f"{phi:g}", *(f"{s:.1f}" for s in shares), *covers]
    return f"| {' | '.join(cells)} |"


def main(replications: int) -> None:
    kinds = ["Spearman", "pooled", "Pearson", "pooled"]
    head = [
        "rho",
        "shared",
        "T",
        "phi",
        *kinds,
        "within steps",
        *(f"{k}: holds" for k in kinds),
    ]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    cells = [(p, 0.0, "none") for p in (0.0, 0.5, 0.8, 0.95, 1.0)]
    cells += [(0.8, 0.0, "line"), (0.8, 0.0, "parabola"), (0.5, 0.6, "none"), (0.8, 0.6, "none")]
    for phi, rho, course in cells:
        for steps in (8, 11, 26, 153):
            few = max(replications // (4 if steps > 100 else 1), 1)
            print(cell(phi, rho, course, steps, few), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
