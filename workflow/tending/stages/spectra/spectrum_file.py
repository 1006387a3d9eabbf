"""Provenance of a file of spectra, so that datasets that are still valid are not recomputed."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tending import components
from tending.components._weights import Shape
from tending.core import provenance, store
from tending.core.aliases import Attributes
from tending.metrics.algebra.singular_values import Spectrum
from tending.models.checkpoint_record import Checkpoint
from tending.stages.spectra.weight_spectra import PUBLISHED

MADE = "component_codes"  # attribute: component -> hash of all its values depend on, as JSON
SHAPES = "matrix_shapes"  # attribute: dataset -> shape of the stored matrices, as JSON


def fingerprints(
    checkpoint: Checkpoint, codes: Mapping[str, str], code: str, tokens: int | None
) -> dict[str, str]:
    """Hash everything that each component's values depend on; return hashes by component.

    codes: hash of every component's code. code: hash of the code of the family and of reading
    weights. tokens: see `ModelWeights`; only embeddings depend on it.
    """
    made = {}
    for name, own in codes.items():
        rows = None if components.component(name).layers else tokens
        text = f"{own} {code} {checkpoint.weights_sha256} {rows}"
        made[name] = provenance.text_sha256(text)[:16]
    return made


def kept(
    path: Path, made: Mapping[str, str], published: bool
) -> tuple[dict[str, Spectrum], dict[str, Shape]]:
    """Return the datasets of an existing file that are still valid, and their matrices' shapes.

    made: current `fingerprints`. published: whether the published definition is required too.
    """
    try:
        old = store.read_arrays(path)
    except store.StoreError:  # it does not exist or has another version
        return {}, {}
    before = json.loads(old.attributes.get(MADE, "{}"))
    shapes: dict[str, Shape] = {}
    arrays: dict[str, Spectrum] = {}
    for name in [name for name, code in made.items() if before.get(name) == code]:
        wanted = datasets(name, published)
        if set(wanted) <= set(old.arrays):
            arrays |= {dataset: old.arrays[dataset] for dataset in wanted}
    for dataset, (m, n) in json.loads(old.attributes.get(SHAPES, "{}")).items():
        if dataset in arrays:
            shapes[dataset] = (m, n)
    return arrays, shapes


def missing(names: Iterable[str], arrays: Mapping[str, Spectrum]) -> list[str]:
    """Return the components without any dataset in `arrays`."""
    return [n for n in names if not set(components.component(n).datasets()) & set(arrays)]


def datasets(name: str, published: bool) -> list[str]:
    """Return the names of a component's datasets in a file of spectra."""
    own = components.component(name).datasets()
    if published and name in PUBLISHED:
        own += [f"{dataset}{store.PUBLISHED}" for dataset in own]
    return own


def attributes(
    made: Mapping[str, str], shapes: Mapping[str, Shape], tokens: int | None
) -> Attributes:
    """Return the attributes of a file of spectra beyond those of every file about a checkpoint."""
    said = {MADE: json.dumps(made, sort_keys=True), SHAPES: json.dumps(shapes, sort_keys=True)}
    return said if tokens is None else {**said, "vocabulary": tokens}


def shape_of(read: Attributes, dataset: str) -> Shape | None:
    """Return the shape of the matrices behind a dataset; None for a product of several."""
    shape = json.loads(read.get(SHAPES, "{}")).get(dataset)
    return None if shape is None else (shape[0], shape[1])
