"""Values published in arXiv 2410.11451, and the quantities here that correspond to them.

The numbers and their sources are in data/published_values.csv and the README beside it. Standard
library only, because planning a study needs the steps that the paper shows.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parent / "data" / "published_values.csv"
COMPARISON = "published_comparison"  # the table that sets a study beside the paper
METRICS = {"cka": "cka", "per_weight": "proportional_effective_rank"}  # the paper's quantity: ours

# Settings of the paper's comparison of activations; the weights' ranks depend on none of them.
SEQUENCES, POSITION, REFERENCE = 128, "last", 143000
BATCH = 142999  # the step whose first sequences were used
DATASETS = ("pietrolesci/pile-deduped-pythia-preshuffled",)  # that have this step under this number


@dataclass(frozen=True)
class Value:
    """One published number, known to within +-error; see data/README.md for the fields."""

    source: str
    model: str
    step: int
    component: str
    part: str
    layer: int | None
    quantity: str
    definition: str
    value: float
    error: float


def values() -> list[Value]:
    """Return everything that is known about the published numbers."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return [_value(row) for row in csv.DictReader(file)]


def medians(model: str) -> list[Value]:
    """Return the published medians over a model's layers that can be computed here."""
    return [
        v for v in values() if (v.source, v.model) == ("figure", model) and v.quantity in METRICS
    ]


def _value(row: dict[str, str]) -> Value:
    return Value(
        source=row["source"],
        model=row["model"],
        step=int(row["step"]),
        component=row["component"],
        part=row["part"],
        layer=int(row["layer"]) if row["layer"] else None,
        quantity=row["quantity"],
        definition=row["definition"],
        value=float(row["value"]),
        error=float(row["error"]),
    )
