"""The file of one checkpoint's gradients: measurements by batch."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tending.components._weights import Shape
from tending.core import store
from tending.core.aliases import Attributes
from tending.core.arrays import Floats
from tending.stages.spectra.spectrum_file import SHAPES

LOSS = "loss"
SPECTRA, NORMS, COSINES = "spectra", "norms", "cosines"  # groups of the file
BATCHES = "batches"  # attribute: names of the batches, as JSON


class Measured(Protocol):
    """Measurements of the gradient of one batch; see gradients.BatchGradient."""

    loss: float
    spectra: dict[str, Floats]
    norms: dict[str, Floats]
    cosines: dict[str, Floats]
    shapes: dict[str, Shape]


@dataclass(frozen=True)
class Gradients:
    """Arrays by name of component (with suffix _heads for its heads), the batches first.

    loss: (batches,). spectra: (batches, layers, [heads,] values), descending. norms: (batches,
    layers, [heads]). cosines: with the gradient of the previous batch, (batches - 1, layers,
    [heads]); empty for a single batch. batches: their names. shapes: shapes of matrices as stored.
    """

    loss: Floats
    spectra: dict[str, Floats]
    norms: dict[str, Floats]
    cosines: dict[str, Floats]
    batches: list[str]
    shapes: dict[str, Shape]
    attributes: Attributes


def write(
    path: Path,
    names: list[str],
    measured: Iterable[Measured],
    attributes: Attributes,
) -> None:
    """Write the measurements of all batches atomically.

    names: names of the batches; measured: measurements of each. Nothing is written if measuring
    one raises; a FloatingPointError then names the checkpoint.
    """
    try:
        each = list(measured)
    except FloatingPointError as error:
        where = f"{attributes['model']} at step {attributes['step']}"
        raise FloatingPointError(f"{where}, {error}") from None
    arrays = {LOSS: np.array([one.loss for one in each], dtype=np.float64)}
    for group in (SPECTRA, NORMS, COSINES):
        had = [getattr(one, group) for one in each[group == COSINES :]]
        for name in had[0] if had else ():
            arrays[f"{group}/{name}"] = np.stack([one[name] for one in had]).astype(np.float64)
    described = {BATCHES: json.dumps(names), SHAPES: json.dumps(each[0].shapes, sort_keys=True)}
    store.write_arrays(path, arrays, {**attributes, **described})


def read(path: Path) -> Gradients:
    """Read a file of gradients; StoreError if it is of another version."""
    file = store.read_arrays(path)
    groups: dict[str, dict[str, Floats]] = {SPECTRA: {}, NORMS: {}, COSINES: {}}
    for name, array in file.arrays.items():
        group, _, dataset = name.partition("/")
        if group in groups:
            groups[group][dataset] = array
    told = json.loads(file.attributes[SHAPES])
    return Gradients(
        loss=file.arrays[LOSS],
        **groups,
        batches=json.loads(file.attributes[BATCHES]),
        shapes={name: (int(m), int(n)) for name, (m, n) in told.items()},
        attributes=file.attributes,
    )
