"""Figures: tables in, a matplotlib Figure out, one file per figure, found by its name.

A figure module declares `TABLES`, `TITLE` and `CATEGORY` as literals, which are read without
importing it, and a function `draw(tables, options)`. Modules with an underscore are shared.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Options:
    """What a figure needs to know of a study beyond its tables.

    metrics: similarity metrics, in the order of the config; rank_metrics likewise.
    thresholds: scores a settled layer stays at or above; early: a fraction of training.
    sequences, position: how many activations were compared, and where they were probed.
    models: names in the order of the config, which breaks ties in the number of parameters.
    """

    study: str
    metrics: tuple[str, ...]
    rank_metrics: tuple[str, ...]
    thresholds: tuple[float, ...]
    early: float
    sequences: int
    position: str
    models: tuple[str, ...]

    @property
    def lead_metric(self) -> str:
        """The metric of figures that show one: debiased CKA if measured, otherwise the first."""
        return "cka_debiased" if "cka_debiased" in self.metrics else self.metrics[0]

    @property
    def lead_rank_metric(self) -> str:
        """The rank of figures that show one: the proportional one if measured, or the first."""
        proportional = "proportional_effective_rank"
        return proportional if proportional in self.rank_metrics else self.rank_metrics[0]

    @classmethod
    def from_json(cls, text: str) -> "Options":
        """Options as the plan writes them."""
        fields: dict[str, Any] = json.loads(text)
        fields |= {k: tuple(v) for k, v in fields.items() if isinstance(v, list)}
        return cls(**fields)
