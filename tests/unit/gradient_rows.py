"""Fabricated rows of the table of gradients, for figures."""

import itertools
from collections.abc import Sequence
from typing import Any

BATCHES = 5


def rows(places: Sequence[Any], steps: Sequence[int], metrics: Sequence[str]) -> list[Any]:
    """Norms that fall, cosines that fall below 0 at the end, ranks that rise.

    places: (model, component, layer, head); the last step has one batch less than the others.
    """
    made: list[dict[str, Any]] = []
    for model, step in itertools.product({p[0]: None for p in places}, steps):
        n = BATCHES - (step == steps[-1])
        made.append(_row(model, step, n, "gradient_loss", 5 - 2 * step / steps[-1]))
    for (model, component, layer, head), step in itertools.product(places, steps):
        n, progress = BATCHES - (step == steps[-1]), step / steps[-1]
        place = {"component": component, "layer": layer, "head": head}
        numbers = dict.fromkeys(metrics, 0.3 + 0.1 * progress + 0.01 * layer)
        numbers["gradient_norm"] = 0.0 if step == steps[0] and layer == 0 else 0.5 / (1 + progress)
        numbers["gradient_cosine"] = 0.8 - progress + 0.02 * layer
        for quantity, value in numbers.items():
            count = n - (quantity == "gradient_cosine")
            made.append(_row(model, step, count, quantity, value) | place)
    return made


def _row(model: Any, step: int, n: int, quantity: str, value: float) -> dict[str, Any]:
    ends = {"low": value - 0.1, "high": value + 0.1}
    return {"model": model.name, "step": step, "n": n, "quantity": quantity, "value": value} | ends
