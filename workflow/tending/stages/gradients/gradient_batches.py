"""Batches of tokens on which gradients are computed, and the files that hold them.

Update t uses the batch of step t, counted from 0, and leads from checkpoint t to checkpoint t + 1:
checkpoint t has been trained on the batches of steps below t, and that of step t comes next.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tending.core import store
from tending.core.aliases import Attributes
from tending.corpus import CorpusError, Tokens, Wanted, hub, tokens, tokens_sha256
from tending.stages.training import data_order

if TYPE_CHECKING:
    from tending.corpus._parquet import Shard

VERSION = 1  # increase it when a change alters the batches: gradients are then recomputed

TOKENS = "tokens"
NAMES = "names"  # attribute: names of the batches, as JSON
SEE_ROWS = "`gradients.data.rows_per_step` and `gradients.sequences`"
SEE_STEPS = ("`gradients.data` and `gradients.window`", "`gradients.sequences`")

Batches = list[tuple[str, Tokens]]  # name, (sequences, length + 1): row t predicts t + 1


@dataclass(frozen=True)
class Read:
    """Batches and the hash of their tokens; of_training: whether they come from training steps."""

    batches: Batches
    sha256: str
    of_training: bool


def name(step: int) -> str:
    """Return the name of a training batch in files and errors."""
    return f"training step {step}"


def of_training(stream: Tokens, asked: Mapping[str, Any]) -> Batches:
    """Return training batches of a model that the workflow trained.

    stream: its training data. asked: `steps`, `sequences` (the first of each batch) and the
    recipe's `batch`, `sequence_length`, `seed` and, if it has a limit, `training_tokens`.
    """
    order = {key: asked[key] for key in ("batch", "sequence_length", "seed")}
    stream = stream[: asked.get("training_tokens")]
    return [
        (name(step), data_order.rows(stream, step, **order)[: asked["sequences"]].astype(np.int32))
        for step in asked["steps"]
    ]


def of_dataset(pin: Path, asked: Mapping[str, Any], context: int) -> Batches:
    """Read training batches from a hub dataset in training order, at the pinned commit.

    asked: `steps`, `sequences` and the keys of `gradients.data`. context: context length of the
    models; rows keep one more token, which is the last target. Raises CorpusError if the dataset
    has no such rows, HubError if it cannot be read.
    """
    from tending.corpus import _parquet

    with _own_keys():
        _, paths, opener = hub.located(pin, asked)
        start = 0
        if "step_column" in asked:  # of a thousand files or so, the first ones are skipped
            column = asked["step_column"]
            start = _parquet.first_with_step(paths, opener, column, asked["steps"][0])
        found = _Shards(_parquet.shards(paths[start:], opener))
        wanted = Wanted(asked["sequences"], None, context + 1)
        made = []
        for step in asked["steps"]:
            pieces = _pieces(found, asked, step)
            matrix = _parquet.matrix(pieces, asked["column"], None)
            made.append((name(step), tokens.first_rows(matrix, wanted).tokens))
        return made


def _pieces(found: "_Shards", asked: Mapping[str, Any], step: int) -> list[Any]:
    """Read the first rows of a step's batch."""
    from tending.corpus import _parquet

    column, count = asked["column"], asked["sequences"]
    if "step_column" in asked:
        steps = asked["step_column"]
        return _parquet.rows_of_step(iter(found), column, steps, step, count, SEE_STEPS)
    start = step * asked["rows_per_step"]
    return _parquet.rows_from(iter(found), column, start, count, SEE_ROWS)


class _Shards:
    """Files of a dataset, each opened only once however often they are iterated over."""

    def __init__(self, shards: "Iterator[Shard]") -> None:
        self._rest = shards
        self._opened: list[Shard] = []

    def __iter__(self) -> "Iterator[Shard]":
        i = 0
        while True:
            if i == len(self._opened):
                following = next(self._rest, None)
                if following is None:
                    return
                self._opened.append(following)
            yield self._opened[i]
            i += 1


@contextmanager
def _own_keys() -> Iterator[None]:
    """Rewrite corpus errors, which name keys of `corpus`, to name keys of `gradients.data`."""
    try:
        yield
    except CorpusError as error:
        said = str(error).replace("`corpus.batch.column`", "`gradients.data.step_column`")
        raise CorpusError(said.replace("`corpus.", "`gradients.data.")) from None


def held_out(probe: Tokens, count: int, sequences: int) -> Batches:
    """Divide the study's tokens into `count` equal parts; return the first `sequences` of each.

    probe: (rows, length). Remaining rows are not used. Raises CorpusError if there are too few.
    """
    each = len(probe) // count
    if each == 0:
        raise CorpusError(
            f"{len(probe)} sequences cannot be divided into {count} batches; lower "
            f"`gradients.held_out_batches` or raise `corpus.sequences`"
        )
    parts = [probe[i * each : (i + 1) * each] for i in range(count)]
    return [(f"held-out batch {i + 1}", part[:sequences]) for i, part in enumerate(parts)]


def write(path: Path, batches: Batches, attributes: Attributes) -> None:
    """Write training batches of one size: `tokens` (batches, sequences, length + 1), and names."""
    stacked = np.stack([rows for _, rows in batches])
    described = {
        NAMES: json.dumps([called for called, _ in batches]),
        "corpus_sha256": tokens_sha256(stacked),
        "tokens_shape": stacked.shape,
    }
    store.write_arrays(path, {TOKENS: stacked}, {**attributes, **described})


def read(path: Path, parts: Sequence[int]) -> Read:
    """Read batches from a file of batches, or make them from the study's tokens.

    parts: number of batches and of sequences in each, for dividing the study's tokens.
    """
    file = store.read_arrays(path, [TOKENS])
    array, digest = file.arrays[TOKENS], str(file.attributes["corpus_sha256"])
    if array.ndim == 2:
        return Read(held_out(array, *parts), digest, of_training=False)
    names = json.loads(file.attributes[NAMES])
    return Read(list(zip(names, array, strict=True)), digest, of_training=True)
