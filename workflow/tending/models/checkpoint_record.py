"""Inspection and record of a checkpoint, before a GPU is used.

The record of a checkpoint names its folder and files, their hashes, its family and its size.
Every later stage starts from the record.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tending.core import atomic, provenance
from tending.families import Family, family, tied
from tending.models.weights import CheckpointError, WeightFiles, read_config, weight_files

VERSION = 1  # raise it when the record of the same checkpoint changes
COUNTED = "weights of the base model and of the output head, a tied head's once; no buffers"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that passed inspection.

    parameters counts every weight of the base model and of the output head that the files hold.
    A head that is the embedding's matrix is counted once, even if the files hold it twice; buffers
    (masks, rotary frequencies) are not counted. parameters_counted states this in the record.
    weights_sha256 identifies the weights: one hash over the hashes of all files, by name.
    revision and commit are the origin of the files, as far as their source knows it.
    """

    model: str
    step: int
    revision: str
    commit: str
    folder: str
    family: str
    parameters: int
    files: dict[str, str]
    weights_sha256: str
    config: dict[str, Any]
    parameters_counted: str = COUNTED
    schema_version: int = VERSION
    repository: str = ""  # on the hub; with `fetched` enough to fetch the files again
    fetched: dict[str, dict[str, Any]] = field(default_factory=dict)

    def weights(self) -> WeightFiles:
        """Return the weights, by the family's names."""
        folder = Path(self.folder)
        return WeightFiles([folder / name for name in self.files], family(self.family).PREFIX)


def inspect(folder: Path, model: str, step: int, revision: str, commit: str = "") -> Checkpoint:
    """Check a checkpoint folder and describe it.

    Raises CheckpointError naming the file and the remedy if config or weights are missing, a
    shard is missing, a weight's shape differs from the config's, or a value is NaN or infinite;
    ValueError if the model family is unknown.
    """
    config = read_config(folder)
    family_name = str(config["model_type"])
    kind = family(family_name)
    files = weight_files(folder)
    weights = WeightFiles(files, kind.PREFIX)
    names = _check_shapes(folder, weights, kind, config)
    for name in names:
        _check_finite(folder, name, weights)
    hashes = {file.name: provenance.file_sha256(file) for file in files}
    return Checkpoint(
        model=model,
        step=step,
        revision=revision,
        commit=commit,
        folder=str(folder),
        family=family_name,
        parameters=sum(int(np.prod(weights.shape(name))) for name in names),
        files=hashes,
        weights_sha256=provenance.text_sha256(json.dumps(hashes, sort_keys=True)),
        config=config,
    )


def write(checkpoint: Checkpoint, path: Path) -> None:
    """Write the record as JSON."""
    atomic.write_text(path, json.dumps(asdict(checkpoint), indent=2, sort_keys=True) + "\n")


def read(path: Path) -> Checkpoint:
    """Read a record; raise CheckpointError if another version of tending wrote it."""
    fields: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if fields.get("schema_version") != VERSION:
        raise CheckpointError(
            f"{path} has schema version {fields.get('schema_version')}, this version of tending "
            f"reads {VERSION}; delete the file and run the workflow again"
        )
    return Checkpoint(**fields)


def _check_shapes(
    folder: Path, weights: WeightFiles, kind: Family, config: Mapping[str, Any]
) -> list[str]:
    """Check all shapes; return the names of the model's weights, including the output head's."""
    try:
        expected = kind.shapes(config)
    except KeyError as error:
        raise CheckpointError(
            f"{folder}: config.json has no {error}; copy the checkpoint's own config.json"
        ) from None
    except ValueError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    for name, shape in expected.items():
        if name not in weights:
            raise CheckpointError(
                f"{folder}: weight {name!r} is missing, but config.json describes a model that "
                f"has it; config and weights are of different models, or the file is truncated"
            )
        if weights.shape(name) != shape:
            raise CheckpointError(
                f"{folder}: weight {name!r} has shape {weights.shape(name)}, but config.json "
                f"says {shape}; config and weights are of different models"
            )
    _check_surplus(folder, weights, kind, expected)
    return [*expected, *_head(weights, kind, config)]


def _check_surplus(
    folder: Path, weights: WeightFiles, kind: Family, expected: Mapping[str, tuple[int, ...]]
) -> None:
    """Reject weights that the config's model has no place for; buffers have other names."""
    known = {*expected, *(name for name in weights if name.startswith(kind.HEADS))}
    surplus = sorted(n for n in weights if n.endswith(".weight") and n not in known)
    if surplus:
        raise CheckpointError(
            f"{folder}: the files hold {len(surplus)} weights that config.json has no place for, "
            f"{surplus[0]!r} first; config and weights are of different models"
        )


def _head(weights: WeightFiles, kind: Family, config: Mapping[str, Any]) -> list[str]:
    """List the output head's own weights by name; a tied head's matrix is the embedding's."""
    shared = [f"{head}weight" for head in kind.HEADS] if tied(kind, config) else []
    return [name for name in weights if name.startswith(kind.HEADS) and name not in shared]


def _check_finite(folder: Path, name: str, weights: WeightFiles) -> None:
    values = weights[name]
    # A sum is not finite if any term is not, and it makes no copy of a large matrix; only a sum
    # that overflowed needs the slow check.
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum(dtype=np.float64)
    if np.isfinite(total) or np.isfinite(values).all():
        return
    broken = int(values.size - np.isfinite(values).sum())
    raise CheckpointError(
        f"{folder}: weight {name!r} holds {broken} values that are NaN or infinite; the file is "
        f"damaged or training diverged: get the checkpoint again or leave its step out"
    )


def attributes(study: str, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the attributes that every file about a checkpoint records of it."""
    return {
        "study": study,
        "model": checkpoint.model,
        "family": checkpoint.family,
        "parameters": checkpoint.parameters,
        "step": checkpoint.step,
        "revision": checkpoint.revision,
        "commit": checkpoint.commit,
        "weights_sha256": checkpoint.weights_sha256,
    }
