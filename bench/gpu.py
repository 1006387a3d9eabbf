"""Extraction on a GPU compared with the CPU: speed, share of measured peak, memory, agreement.

Usage: python -m bench.gpu [--device cuda] [--shapes 410m 2.8b] [--dtypes float32 bfloat16]
       [--sequences 128] [--length 2048] [--compared 4] [--study]

Models have random weights. The table is printed and written to results/bench/gpu.csv. `--study`
also runs the default study on the device, in results/bench/gpu-study. `--device cpu --shapes tiny`
tries out the command where there is no GPU.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from bench import shapes
from bench.measure import peak_memory
from tending.metrics.similarity.cka import linear_cka
from tending.models import loading
from tending.stages.activations.activations import Extraction, capture

OUTPUT = Path("results/bench")
TINY = {"d_model": 64, "layers": 2, "heads": 4, "vocabulary": 256}
DAMP = 1e-12  # of a norm, against division by 0


@dataclass(frozen=True)
class Line:
    """Results for one shape in one dtype.

    matmul: operations per second of a square product on the device in that dtype; share: the
    share of it that extraction reached. peak_mib: memory above that in use before the model was
    loaded. error: largest over layers of |here - CPU in float32| / |CPU in float32|, Frobenius
    norms. lowest_cka: lowest over layers, between activations here and on the CPU.
    """

    shape: str
    device: str
    dtype: str
    sequences_per_second: float
    matmul_tflops: float
    share: float
    peak_mib: float
    error_mlp_out: float
    error_attention_ov: float
    lowest_cka: float


def main(arguments: list[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description="Extraction on a GPU beside the CPU.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shapes", nargs="+", default=["410m", "2.8b"],
                        choices=[*shapes.PYTHIA, "tiny"])  # fmt: skip
    parser.add_argument("--dtypes", nargs="+", default=list(loading.DTYPES), choices=loading.DTYPES)
    parser.add_argument("--sequences", type=int, default=128)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--compared", type=int, default=4, help="sequences run on the CPU too")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--study", action="store_true", help="run the default study on it too")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args(arguments)
    try:
        device = loading.choose_device(asked.device)
    except ValueError as error:
        sys.exit(f"{error}, or give --device cpu --shapes tiny to try the command without a GPU")
    lines = [line for shape in asked.shapes for line in measured(shape, device, asked)]
    asked.output.mkdir(parents=True, exist_ok=True)
    with (asked.output / "gpu.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(lines[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(line) for line in lines)
    print(f"{name_of(device)}\n" + "\n".join(f"{line}" for line in lines))
    if asked.study:
        study(asked.device, asked.output / "gpu-study")
    return lines


def measured(shape: str, device: torch.device, asked: argparse.Namespace) -> list[Line]:
    """Measure one shape in every requested dtype."""
    settings = tiny() if shape == "tiny" else shapes.config(shape)
    tokens = np.random.default_rng(0).integers(
        0, settings.vocab_size, size=(asked.sequences, asked.length), dtype=np.int32
    )
    compared = tokens[: min(asked.compared, len(tokens))]
    model = shapes.model(settings)
    truth = taken(model, compared)
    lines = []
    for dtype in asked.dtypes:
        before = memory(device)
        here = shapes.model(settings, dtype=loading.DTYPES[dtype]).to(device)

        def once(here: Any = here) -> None:
            taken(here, tokens)

        errors = compare(truth, taken(here, compared))
        peak = peak_of(once, device, before)
        seconds = statistics.median(timed(once, device) for _ in range(asked.repetitions))
        rate = matmul_rate(loading.DTYPES[dtype], device, 256 if shape == "tiny" else 8192)
        flops = shapes.forward_flops(settings, *tokens.shape, probed=1)
        lines.append(
            Line(
                shape, str(device), dtype, len(tokens) / seconds, rate / 1e12,
                flops / seconds / rate, peak, *errors,
            )
        )  # fmt: skip
        del here, once
    return lines


def tiny() -> Any:
    """Return a configuration small enough for a test."""
    return shapes.config(
        "70m",
        TINY["layers"],
        hidden_size=TINY["d_model"],
        intermediate_size=4 * TINY["d_model"],
        num_attention_heads=TINY["heads"],
        vocab_size=TINY["vocabulary"],
    )


def taken(model: Any, tokens: Any) -> dict[str, Any]:
    """Extract activations at the last token, as the workflow's stage does."""
    settings = Extraction(sequences=len(tokens))
    return capture(model, tokens, settings, lambda _: None, print).arrays


def compare(truth: dict[str, Any], found: dict[str, Any]) -> tuple[float, float, float]:
    """Return the largest relative errors of MLP and attention activations, and the lowest CKA."""
    errors, scores = [], []
    for name in ("mlp_out", "attention_ov"):
        pairs = list(zip(truth[name], found[name], strict=True))
        errors.append(max(float(np.linalg.norm(b - a) / (np.linalg.norm(a) + DAMP))
                          for a, b in pairs))  # fmt: skip
        scores += [float(linear_cka(a, b)) for a, b in pairs]
    return errors[0], errors[1], min(scores)


def settled(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Measure wall-clock seconds, with the GPU synchronised."""
    settled(device)
    begin = time.perf_counter()
    run()
    settled(device)
    return time.perf_counter() - begin


def matmul_rate(dtype: torch.dtype, device: torch.device, size: int) -> float:
    """Measure operations per second of a square product, the median of five."""
    a = torch.randn(size, size, device=device).to(dtype)
    torch.mm(a, a)
    seconds = statistics.median(timed(lambda: torch.mm(a, a), device) for _ in range(5))
    return 2.0 * size**3 / seconds


def memory(device: torch.device) -> int:
    """Return bytes in use on the device; 0 for the CPU, whose peak is relative to the run."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def peak_of(run: Callable[[], object], device: torch.device, before: int) -> float:
    """Measure peak memory of a run in MiB, including the model on a GPU but not on the CPU."""
    if device.type != "cuda":
        return peak_memory(run)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def study(device: str, folder: Path) -> None:
    """Run the default study through the workflow, with extraction on the device."""
    root = Path(__file__).parents[1]
    config = yaml.safe_load((root / "config.yaml").read_text("utf-8"))
    config["extraction"]["device"] = device
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(config), "utf-8")
    command = ["--snakefile", str(root / "Snakefile"), "--directory", str(folder), "--cores", "all"]
    command += ["--resources", "gpu=1", "--configfile", str(folder / "study.yaml")]
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *command], env=dict(os.environ), check=False
    )
    print(f"the default study on {device}: {time.perf_counter() - begin:.0f} s, "
          f"exit status {done.returncode}")  # fmt: skip


if __name__ == "__main__":
    main()
