"""Extraction of activations at each sequence's last token, compared with a plain forward pass.

Ours is the work of the workflow's stage once the model is loaded: the components `attention_ov`,
per head and whole, and `mlp_out`, written to a file, without the held-out loss. The other is the
obvious implementation: the causal language model of transformers, with hooks that keep the output
of every attention and MLP. Where ours uses oneDNN, there are also rows with torch's own products
and their rate, as on machines where torch's own library is fastest.
"""

import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from bench import shapes
from bench.measure import Row
from tending.core import store
from tending.models import onednn
from tending.stages.activations import activations

# shape, layers (None: all), sequences and their length, target
SHAPES = (
    ("70m", None, 4, 512, 2.4),
    ("160m", None, 4, 512, 1.6),
    ("410m", None, 4, 512, 1.15),
    ("2.8b", 1, 2, 512, None),
)
LARGE = (("2.8b", None, 2, 512, None),)


def rows(threads: int) -> Iterator[Row]:
    """Yield rows for whole models, and for one layer of 2.8b."""
    for shape in SHAPES:
        for row in _row(*shape):
            yield row
            if onednn.quicker() and shape[1] is None:
                yield by_torch(row)


def large_rows(threads: int) -> Iterator[Row]:
    """Yield rows for the whole 2.8b model: 11 GB of weights."""
    for shape in LARGE:
        yield from _row(*shape)


def _row(
    shape: str, layers: int | None, sequences: int, length: int, target: float | None
) -> Iterator[Row]:
    settings = shapes.config(shape, layers)
    model = shapes.model(settings)
    tokens = np.random.default_rng(0).integers(
        0, shapes.VOCABULARY, size=(sequences, length), dtype=np.int32
    )
    agree(model, tokens[:1, :32])
    part = "" if layers is None else f", {layers} layer"
    note = "one layer is also the last, of which ours needs little" if layers == 1 else ""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "activations.h5"
        yield Row(
            work="extraction",
            shape=f"{shape}{part}, {sequences} x {length} tokens",
            ours=lambda: ours(model, tokens, file),
            other=lambda: hooked(model, tokens),
            alternative="transformers, causal LM with hooks",
            flops=shapes.forward_flops(settings, sequences, length, probed=1),
            bytes=4.0 * sum(p.numel() for p in model.gpt_neox.layers.parameters()),
            precision="float32",
            target=target,
            note=note,
        )


def by_torch(row: Row) -> Row:
    """Return the same row without oneDNN."""

    def without() -> None:
        with patch.object(activations, "products", nullcontext):
            row.ours()

    return replace(
        row, work=f"{row.work}, products by torch", ours=without, precision="float32 by torch"
    )


def ours(model: Any, tokens: Any, file: Path) -> None:
    """Do the stage's work: forward pass, circuits, file."""
    settings = activations.Extraction(sequences=len(tokens))
    with store.writing(file, {"study": "bench"}, len(tokens)) as sink:
        activations.stream(model, tokens, settings, sink, lambda _: None, print)


def hooked(model: Any, tokens: Any) -> dict[str, torch.Tensor]:
    """Return the logits and the full outputs of every attention and MLP."""
    kept: dict[str, torch.Tensor] = {}
    handles = []
    for i, layer in enumerate(model.gpt_neox.layers):
        for name, module in ((f"attention {i}", layer.attention.dense), (f"mlp {i}", layer.mlp)):
            hook = lambda _, __, output, name=name: kept.__setitem__(name, output.detach())  # noqa: E731
            handles.append(module.register_forward_hook(hook))
    with torch.no_grad():
        kept["logits"] = model(torch.from_numpy(tokens.astype(np.int64))).logits
    for handle in handles:
        handle.remove()
    return kept


def agree(model: Any, tokens: Any) -> None:
    """Raise AssertionError unless both ways yield the same MLP outputs, so do the same work."""
    settings = activations.Extraction(sequences=len(tokens))
    found = activations.capture(model, tokens, settings, lambda _: None, print).arrays["mlp_out"]
    kept = hooked(model, tokens)
    for layer, rows in enumerate(found):
        expected = kept[f"mlp {layer}"][:, -1].numpy()
        np.testing.assert_allclose(rows, expected, rtol=1e-3, atol=1e-4)
