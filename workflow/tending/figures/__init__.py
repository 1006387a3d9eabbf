"""Figures: tables in, a matplotlib Figure out, one file per figure, found by its name.

A figure module declares `TABLES`, `TITLE` and `CATEGORY` as literals, which are read without
importing it, and a function `draw(tables, options)`; `OPTIONAL` names further tables, shown where a
study has them. Modules with a leading underscore are shared.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tending.metrics import spectrum


@dataclass(frozen=True)
class Options:
    """Settings of a study that figures need in addition to its tables.

    metrics: similarity metrics, in the order of the config; rank_metrics likewise.
    thresholds: scores a settled layer stays at or above; early: a fraction of training.
    sequences, position: number of sequences compared, and where they were probed.
    models: names in the order of the config, which breaks ties in the number of parameters.
    progress: fractions of training at which similarities are compared with ranks.
    references: each model's reference step; for a model that is missing, its last step.
    groups: model -> the configuration of which it is one seed, for models that have one.
    """

    study: str
    metrics: tuple[str, ...]
    rank_metrics: tuple[str, ...]
    thresholds: tuple[float, ...]
    early: float
    sequences: int
    position: str
    models: tuple[str, ...]
    progress: tuple[float, ...] = (0.1, 0.2)
    references: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def lead_metric(self) -> str:
        """The metric of figures that show only one: debiased CKA if measured, else the first."""
        return "cka_debiased" if "cka_debiased" in self.metrics else self.metrics[0]

    @property
    def lead_rank_metric(self) -> str:
        """The rank of figures that show only one: proportional if measured, else the first."""
        return spectrum.lead(self.rank_metrics)

    @classmethod
    def from_json(cls, text: str) -> "Options":
        """Parse options from JSON, as written by the plan."""
        fields: dict[str, Any] = json.loads(text)
        fields |= {k: tuple(v) for k, v in fields.items() if isinstance(v, list)}
        return cls(**fields)
