"""Peak memory of the stages that hold a model, over what they must hold.

Usage: python -m bench.memory [--shapes 160m 410m] [--stages activations divergence gradients]

Each stage works in a fresh process, as its script does, on a checkpoint of random weights in
float16, as Pythia's are, computed in float32. Peak: resident memory above what stood after the
imports. Must hold: the weights in float32, and what is kept of them or of the activations.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import shapes
from bench.measure import peak_memory

SEQUENCES, LENGTH = 8, 512
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of stages over what they must hold.")
    parser.add_argument("--shapes", nargs="+", default=["160m", "410m"], choices=shapes.PYTHIA)
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage:
        print(json.dumps(stage(asked.stage, asked.checkpoint)))
        return
    print(f"{'stage':12}  {'shape':5}  peak MiB  must hold MiB  ratio")
    for shape in asked.shapes:
        with tempfile.TemporaryDirectory() as folder:
            save(shape, Path(folder))
            for name in asked.stages:
                peak, held = in_a_fresh_process(name, Path(folder))
                print(
                    f"{name:12}  {shape:5}  {peak:8.0f}  {held:13.0f}  {peak / held:5.2f}",
                    flush=True,
                )


def save(shape: str, folder: Path) -> None:
    """A checkpoint of random weights, in float16."""
    import torch

    shapes.model(shapes.config(shape), dtype=torch.float16).save_pretrained(folder)


def in_a_fresh_process(name: str, checkpoint: Path) -> tuple[float, float]:
    """Peak and must-hold of a stage, MiB."""
    command = [sys.executable, "-m", "bench.memory", "--stage", name, "--checkpoint", checkpoint]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    peak, held = json.loads(done.stdout.splitlines()[-1])
    return peak, held


def stage(name: str, checkpoint: Path) -> tuple[float, float]:
    """Measure one stage in this process."""
    import torch

    from tending import activations, divergence, gradients, models  # noqa: F401 - imports aside

    with torch.inference_mode():  # the class and the kernels too
        shapes.model(shapes.config("70m", 1, vocab_size=8))(torch.zeros(1, 2, dtype=torch.long))
    held: list[float] = []
    peak = peak_memory(lambda: held.append(STAGES[name](checkpoint)))
    return peak, held[0] / MIB


def _loaded(checkpoint: Path) -> tuple[Any, Any, float]:
    import torch

    from tending import models

    model = models.load_model(checkpoint, "float32", torch.device("cpu"))
    tokens = np.random.default_rng(0).integers(
        0, model.config.vocab_size, size=(SEQUENCES, LENGTH + 1), dtype=np.int32
    )
    return model, tokens, sum(p.nbytes for p in model.parameters())


def _activations(checkpoint: Path) -> float:
    from tending import activations

    model, tokens, weights = _loaded(checkpoint)
    settings = activations.Extraction(sequences=SEQUENCES)
    found = activations.capture(model, tokens[:, :-1], settings, lambda _: None, print)
    return weights + sum(array.nbytes for array in found.arrays.values())


def _divergence(checkpoint: Path) -> float:
    from tending import divergence

    model, tokens, weights = _loaded(checkpoint)
    settings = divergence.Predicted(
        SEQUENCES, tuple(range(63, LENGTH, 64)), model.config.vocab_size
    )
    kept = list(divergence.logits(model, tokens[:, :-1], settings, lambda _: None, print))
    return weights + sum(array.nbytes for array in kept)


def _gradients(checkpoint: Path) -> float:
    """Kept are the gradients of what is asked for, of this batch and of the one before."""
    from tending import gradients

    model, tokens, weights = _loaded(checkpoint)
    settings = gradients.Settings(micro_batch=1)
    batches = [("first", tokens[:1]), ("second", tokens[1:2])]
    for _ in gradients.of_batches(model, batches, settings, lambda _: None, print):
        pass
    d, layers = model.config.hidden_size, model.config.num_hidden_layers
    return weights + 2 * layers * 4 * (4 * d * d + 4 * d * d)  # query_key_value, dense, MLP output


STAGES: dict[str, Callable[[Path], float]] = {
    "activations": _activations,
    "divergence": _divergence,
    "gradients": _gradients,
}

if __name__ == "__main__":
    main()
