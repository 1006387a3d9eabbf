"""Dataset repositories of token rows in Parquet files, as training corpora are published."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from server import Hub

CARD = """---
license: mit
configs:
{configs}
---

# Rows of tokens, in the order of training
"""
CONFIG = """- config_name: {name}
  data_files:
  - split: train
    path: {folder}/train-*.parquet"""


@dataclass(frozen=True)
class Rows:
    """Rows of tokens in the order a model was trained on them: batch after batch.

    `columns` names the row's number, its batch and its tokens; a row's number or batch can be left
    out. `configs` lists named parts, each with all the rows of its own seed in a folder of its own.
    """

    files: int = 3
    batches_per_file: int = 4
    rows_per_batch: int = 8
    length: int = 33
    columns: Mapping[str, str] = field(
        default_factory=lambda: {"row": "uid", "batch": "batch_idx", "tokens": "token_ids"}
    )
    configs: Sequence[str] = ()
    vocabulary: int = 258
    seed: int = 0

    @property
    def rows(self) -> int:
        return self.files * self.batches_per_file * self.rows_per_batch

    def tokens(self, config: int = 0) -> npt.NDArray[np.uint16]:
        """Every row, (rows, length), of one part."""
        drawn = np.random.default_rng([self.seed, config])
        return drawn.integers(0, self.vocabulary, (self.rows, self.length), np.uint16)

    def parquet(self, file: int, config: int = 0) -> bytes:
        """One file, a row group for each batch so that a filter has something to skip."""
        size = self.batches_per_file * self.rows_per_batch
        numbers = np.arange(file * size, (file + 1) * size)
        values: dict[str, Any] = {
            "row": pa.array(numbers, pa.int64()),
            "batch": pa.array(numbers // self.rows_per_batch, pa.int64()),
            "tokens": pa.array(list(self.tokens(config)[numbers]), pa.list_(pa.uint16())),
        }
        table = pa.table({name: values[kind] for kind, name in self.columns.items()})
        written = io.BytesIO()
        pq.write_table(table, written, row_group_size=self.rows_per_batch)
        return written.getvalue()

    def publish(self, hub: "Hub", name: str, gated: bool = False) -> str:
        """Put the rows on a hub as a dataset; the commit."""
        hub.add(name, "dataset", gated=gated)
        contents: dict[str, bytes] = {}
        for config, folder in enumerate(self.configs or ["data"]):
            for file in range(self.files):
                path = f"{folder}/train-{file:05}-of-{self.files:05}.parquet"
                contents[path] = self.parquet(file, config)
        if self.configs:
            told = "\n".join(CONFIG.format(name=c, folder=c) for c in self.configs)
            contents["README.md"] = CARD.format(configs=told).encode()
        return hub.commit(name, contents, title="Upload dataset")


STEPS_AND_IDS = {"batch": "step", "tokens": "ids"}
