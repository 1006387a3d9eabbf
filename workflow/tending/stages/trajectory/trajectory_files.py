"""The file of a model's trajectory metrics, `METRIC/MEASURE/COMPONENT`, and their axes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tending.core import store
from tending.core.aliases import Attributes
from tending.stages.trajectory.trajectory import Layer, Measured, Pair, pairs

_TAKEN = (  # attributes common to the files of all steps
    *("study", "model", "family", "parameters", "corpus_sha256", "tokens_shape"),
    *("position", "sequences", "dtype"),
)


@dataclass(frozen=True)
class Trajectory:
    """Measurements over all checkpoints of a model.

    measured: `METRIC/MEASURE/COMPONENT` -> (layers, ...) or `METRIC/MEASURE` -> (steps, ...).
    steps: ascending. pairs: component and layer, in the order of the axes of layer maps.
    rows: number of rows of activations that were compared.
    """

    measured: Measured
    steps: tuple[int, ...]
    pairs: tuple[Pair, ...]
    rows: int
    attributes: Attributes

    def of(self, metric: str, *component: str) -> Measured:
        """Return one metric's arrays, for a component if given, by the name of the measure."""
        named = {tuple(name.split("/")): values for name, values in self.measured.items()}
        return {n[1]: v for n, v in named.items() if (n[0], *n[2:]) == (metric, *component)}

    def layers(self, component: str) -> list[Layer]:
        """Return the layers of a component; [None] if the model has it once."""
        return [layer for name, layer in self.pairs if name == component]

    def components(self) -> list[str]:
        """Return components in the order of the activation file."""
        return list(dict.fromkeys(component for component, _ in self.pairs))


def whole_layers(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return the datasets of an activation file that hold whole layers, correct definition."""
    parts = {name: store.part_of(name) for name in shapes if name != store.LOSS}
    return [
        n for n, (_, heads, definition) in parts.items() if definition == "correct" and not heads
    ]


def described(readers: Mapping[int, store.Reader], metrics: Mapping[str, str]) -> dict[str, Any]:
    """Return the attributes of a trajectory file; StoreError if extraction differed between steps.

    readers: step -> activations. metrics: name -> hash of its code.
    """
    last = readers[max(readers)]
    for reader in readers.values():
        store.score_attributes(reader.attributes, last.attributes, "")
    components = whole_layers(last.shapes)
    axis = pairs({name: last.shapes[name] for name in components})
    return {
        **{name: last.attributes[name] for name in _TAKEN},
        "steps": np.array(list(readers), dtype=np.int64),
        "pairs": " ".join(f"{name}/{'' if layer is None else layer}" for name, layer in axis),
        "rows": last.shapes[components[0]][-2],
        "metrics": " ".join(f"{name}={code}" for name, code in metrics.items()),
    }


def write(path: Path, measured: Measured, attributes: Mapping[str, Any]) -> None:
    """Write measurements with their axes atomically."""
    store.write_arrays(path, measured, dict(attributes))


def read(path: Path) -> Trajectory:
    """Read a trajectory file; StoreError if it is of another version."""
    found = store.read_arrays(path)
    places = (pair.rsplit("/", 1) for pair in str(found.attributes["pairs"]).split())
    return Trajectory(
        measured=found.arrays,
        steps=tuple(int(step) for step in found.attributes["steps"]),
        pairs=tuple((component, int(layer) if layer else None) for component, layer in places),
        rows=int(found.attributes["rows"]),
        attributes=found.attributes,
    )
