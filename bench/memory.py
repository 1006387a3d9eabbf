"""Peak memory of the stages relative to the memory that they necessarily hold.

Usage: python -m bench.memory [--shapes 160m 410m] [--stages activations spectra ...] [--runs 3]

Each stage runs in a fresh process, as its script does: on a checkpoint of random weights in
float16, as Pythia's are, computed in float32, or on activation files of such a model, with STEPS
checkpoints and ROWS rows. Peak: resident memory above that after the imports, the largest over
runs, because it depends on how much the allocator returns. Must hold: the weights in float32 and
the results that are kept, or the activations that are read.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench import shapes
from bench.measure import peak_memory
from tending.core import plugins, store
from tending.families import family
from tending.models import checkpoint_record
from tending.stages.convergence.comparison import compare
from tending.stages.representation import representations
from tending.stages.representation.representation_config import package
from tending.stages.spectra.weight_spectra import weight_spectra
from tending.stages.trajectory import trajectory

SEQUENCES, LENGTH = 8, 512
STEPS, ROWS = 4, 512  # of the activation files
MIB = 2**20
TINY = "tiny"  # the folder of a model that warms up a process
SMALL = {"hidden_size": 32, "intermediate_size": 128, "num_attention_heads": 4, "vocab_size": 256}


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of stages over what they must hold.")
    parser.add_argument("--shapes", nargs="+", default=["160m", "410m"], choices=shapes.PYTHIA)
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--runs", type=int, default=3, help="of which the largest peak counts")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage:
        print(json.dumps(stage(asked.stage, asked.folder)))
        return
    print(f"{'stage':14}  {'shape':5}  peak MiB  must hold MiB  ratio")
    for shape in asked.shapes:
        with tempfile.TemporaryDirectory() as folder:
            save(shapes.config(shape), Path(folder))
            save(shapes.config("70m", 1, **SMALL), Path(folder) / TINY)
            for name in asked.stages:
                runs = [in_a_fresh_process(name, Path(folder)) for _ in range(asked.runs)]
                peak, held = max(runs)
                print(
                    f"{name:14}  {shape:5}  {peak:8.0f}  {held:13.0f}  {peak / held:5.2f}",
                    flush=True,
                )


def save(settings: Any, folder: Path) -> None:
    """Save a checkpoint of random weights, in float16, and activations of STEPS checkpoints."""
    import torch

    shapes.model(settings, dtype=torch.float16).save_pretrained(folder)
    layers, d = settings.num_hidden_layers, settings.hidden_size
    heads = settings.num_attention_heads
    wide = {"attention_ov": (layers, ROWS, d), "mlp_out": (layers, ROWS, d)}
    wide["attention_ov_heads"] = (layers, heads, ROWS, d // heads)
    common = dict.fromkeys(("study", "model", "family", "corpus_sha256", "position"), "bench")
    rng = np.random.default_rng(0)
    for step in range(STEPS):
        attributes = {
            **common,
            **{"step": step, "parameters": 1, "weights_sha256": str(step), "dtype": "float32"},
            **{"sequences": ROWS, "tokens_shape": (ROWS, LENGTH)},
        }
        with store.writing(folder / f"step{step}.h5", attributes, ROWS) as sink:
            for name, shape in wide.items():
                sink.append(name, rng.standard_normal(shape, dtype=np.float32))


def in_a_fresh_process(name: str, folder: Path) -> tuple[float, float]:
    """Measure a stage's peak and must-hold memory in a fresh process, MiB."""
    command = [sys.executable, "-m", "bench.memory", "--stage", name, "--folder", folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    peak, held = json.loads(done.stdout.splitlines()[-1])
    return peak, held


def stage(name: str, folder: Path) -> tuple[float, float]:
    """Measure one stage in this process, after a tiny model, so that imports do not count."""
    STAGES[name](folder / TINY)
    held: list[float] = []
    peak = peak_memory(lambda: held.append(STAGES[name](folder)))
    return peak, held[0] / MIB


def _loaded(checkpoint: Path) -> tuple[Any, Any, float]:
    import torch

    from tending.models import loading

    model = loading.load_model(checkpoint, "float32", torch.device("cpu"))
    tokens = np.random.default_rng(0).integers(
        0, model.config.vocab_size, size=(SEQUENCES, LENGTH + 1), dtype=np.int32
    )
    return model, tokens, sum(p.nbytes for p in model.parameters())


def _activations(checkpoint: Path, scored: int = 0) -> float:
    from tending.stages.activations import activations

    model, tokens, weights = _loaded(checkpoint)
    settings = activations.Extraction(sequences=SEQUENCES, loss_sequences=scored)
    captured = activations.capture(model, tokens[:, :-1], settings, lambda _: None, print)
    return weights + sum(array.nbytes for array in captured.arrays.values())


def _held_out_loss(checkpoint: Path) -> float:
    return _activations(checkpoint, SEQUENCES)


def _reference(checkpoint: Path) -> float:
    from tending.stages.divergence import divergence

    model, tokens, weights = _loaded(checkpoint)
    logits = divergence.logits(model, tokens, _predicted(model), lambda _: None, print)
    return weights + sum(array.nbytes for array in list(logits))


def _divergence(checkpoint: Path) -> float:
    """Run the divergence stage, with the reference's logits read in parts, as from a file."""
    from tending.stages.divergence import divergence

    model, tokens, weights = _loaded(checkpoint)
    count = model.config.vocab_size

    def reference(begin: int, end: int) -> Any:
        return np.random.default_rng(begin).standard_normal((end - begin, count), np.float32)

    measured = divergence.divergences(
        model, tokens, _predicted(model), reference, lambda _: None, print
    )
    return weights + measured.forward.nbytes + measured.reverse.nbytes


def _predicted(model: Any) -> Any:
    from tending.stages.divergence import divergence

    positions = tuple(range(63, LENGTH, 64))
    return divergence.Predicted(SEQUENCES, positions, model.config.vocab_size)


def _gradients(checkpoint: Path) -> float:
    """Run the gradient stage, which holds two batches' gradients and one pass's activations."""
    from tending.stages.gradients import gradients

    model, tokens, weights = _loaded(checkpoint)
    settings = gradients.Settings(micro_batch=1)
    batches = [("first", tokens[:1]), ("second", tokens[1:2])]
    with _saved_by_passes(model) as saved:
        for _ in gradients.of_batches(model, batches, settings, lambda _: None, print):
            pass
    d, layers = model.config.hidden_size, model.config.num_hidden_layers
    gradient = layers * 4 * (4 * d * d + 4 * d * d)  # query_key_value, dense, MLP output
    return weights + 2 * gradient + max(sum(of_pass.values()) for of_pass in saved)


@contextmanager
def _saved_by_passes(model: Any) -> Iterator[list[dict[int, int]]]:
    """Record the bytes that torch saves for the backward pass, except weights.

    Yields a list with one dictionary per pass, storage -> bytes.
    """
    import torch

    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    passes: list[dict[int, int]] = []
    forward = [False]

    def begin(*_: object) -> None:
        passes.append({})
        forward[0] = True

    def end(*_: object) -> None:
        forward[0] = False

    def saved(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if forward[0] and storage.data_ptr() not in weights:
            passes[-1][storage.data_ptr()] = storage.nbytes()
        return tensor

    base = model.base_model
    handles = [base.register_forward_pre_hook(begin), base.register_forward_hook(end)]
    with torch.autograd.graph.saved_tensors_hooks(saved, lambda tensor: tensor):
        yield passes
    for handle in handles:
        handle.remove()


def _spectra(checkpoint: Path) -> float:
    """Run the spectra stage; its inputs in float32 count as held, though it reads by matrix."""
    described = checkpoint_record.inspect(checkpoint, "model", 0, "revision")
    weight_spectra(family(described.family), described.weights(), described.config)
    return 4.0 * described.parameters


def _convergence(folder: Path) -> float:
    with store.Reader(folder / "step0.h5") as here, store.Reader(folder / "step1.h5") as there:
        compare(here, there, list(here.shapes), _similarities(), print)
        return 2 * _size(here)


def _representation(folder: Path) -> float:
    names = ("effective_rank", "anisotropy", "intrinsic_dimension")
    metrics = {n: plugins.load(package(n), n, "metric").METRIC for n in names}
    with store.Reader(folder / "step0.h5") as source:
        representations.measure(source, list(source.shapes), metrics, 1, print)
        return _size(source)


def _trajectory(folder: Path) -> float:
    metrics = {
        name: (
            str(plugins.constant(f"{plugins.TRAJECTORY}.{name}", "OVER")),
            plugins.load(plugins.TRAJECTORY, name, "trajectory metric").METRIC,
        )
        for name in ("drift", "checkpoint_map", "layer_map")
    }
    with ExitStack() as opened:
        files = (store.Reader(folder / f"step{step}.h5") for step in range(STEPS))
        sources = dict(enumerate(map(opened.enter_context, files)))
        trajectory.measure(sources, ["attention_ov", "mlp_out"], metrics, 8, print)
        return STEPS * 2 / 3 * _size(sources[0])  # heads are not read


def _similarities() -> dict[str, Any]:
    names = ("cka", "cka_debiased")
    return {n: plugins.load(plugins.SIMILARITY, n, "similarity metric").METRIC for n in names}


def _size(source: store.Reader) -> float:
    return sum(4.0 * math.prod(shape) for shape in source.shapes.values())


STAGES: dict[str, Callable[[Path], float]] = {
    "activations": _activations,
    "held-out loss": _held_out_loss,
    "reference": _reference,
    "divergence": _divergence,
    "gradients": _gradients,
    "spectra": _spectra,
    "convergence": _convergence,
    "representation": _representation,
    "trajectory": _trajectory,
}

if __name__ == "__main__":
    main()
