"""Files of metrics of one checkpoint's activations, and reuse of values that are still valid.

One float64 dataset `QUANTITY.COMPONENT` per number and component, (layers, [heads,] 3): value, low
and high. Root attributes: those of the activations; when these were written (`source_created`);
the hash of the stage's code; for every metric the hash of its code (`code_METRIC`) and its
quantities (`quantities_METRIC`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tending.core import provenance, store
from tending.core.aliases import Attributes
from tending.core.arrays import Array

LIBRARIES = ("scikit-dimension", "scikit-learn")  # used for fits
_EXTRACTED = ("weights_sha256", "corpus_sha256", "position", "sequences", "dtype")
_SAME = (*_EXTRACTED, "source_created", "representation_code")

Measurements = dict[str, dict[str, dict[str, Array]]]  # metric -> quantity -> component


@dataclass(frozen=True)
class Representations:
    """Contents of a file; measured: metric -> quantity -> component -> (layers, [heads,] 3)."""

    measured: Measurements
    codes: dict[str, str]
    attributes: Attributes


def attributes(source: Attributes, rows: int, code: str) -> Attributes:
    """Return a file's attributes from those of the activations; code: hash of the stage's code."""
    return {
        **source,
        "source_created": source["created"],
        "rows": rows,
        "representation_code": code,
        "fitted_with": " ".join(f"{k}={v}" for k, v in provenance.versions(LIBRARIES).items()),
    }


def write(path: Path, found: Representations) -> None:
    """Write measurements, whole or not at all."""
    told = {f"code_{metric}": code for metric, code in found.codes.items()}
    told |= {f"quantities_{metric}": " ".join(found.measured[metric]) for metric in found.codes}
    arrays = {
        f"{quantity}.{component}": values
        for quantities in found.measured.values()
        for quantity, components in quantities.items()
        for component, values in components.items()
    }
    store.write_arrays(path, arrays, {**found.attributes, **told})


def read(path: Path) -> Representations:
    """Read measurements; StoreError if the file is of another version."""
    held = store.read_arrays(path)
    codes = {
        name.removeprefix("code_"): str(value)
        for name, value in held.attributes.items()
        if name.startswith("code_") and name != "code_version"
    }
    by_quantity: dict[str, dict[str, Array]] = {}
    for name, values in held.arrays.items():
        quantity, _, component = name.partition(".")
        by_quantity.setdefault(quantity, {})[component] = values
    measured = {
        metric: {q: by_quantity[q] for q in str(held.attributes[f"quantities_{metric}"]).split()}
        for metric in codes
    }
    return Representations(measured, codes, held.attributes)


def kept(path: Path, told: Attributes, codes: Mapping[str, str]) -> Measurements:
    """Return an existing file's values for the same activations and metrics of unchanged code."""
    try:
        old = read(path)
    except store.StoreError:  # it does not exist or has another version
        return {}
    if any(str(old.attributes.get(name)) != str(told.get(name)) for name in _SAME):
        return {}
    return {m: q for m, q in old.measured.items() if codes.get(m) == old.codes[m]}
