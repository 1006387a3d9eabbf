"""A job imports a model class without what it does not use, and computes the same."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from tending import activations, models

# More than a second of imports that no stage uses: SciPy and torch.distributed are said to be
# absent, the compiler is not asked for.
UNUSED = ("scipy", "sklearn", "pandas", "torch.distributed.tensor", "torch.distributed.fsdp")
UNUSED += ("torch._inductor", "torch._dynamo.convert_frame")

JOB = """
import gc, json, sys
from pathlib import Path
from tending import lean_transformers
lean_transformers.import_model_class(sys.argv[1])
from test_lean_transformers import UNUSED, extracted
sums = extracted(Path(sys.argv[2]))
imported = [name for name in UNUSED if name in sys.modules]
import torch
restored = torch.distributed.is_available(), gc.isenabled()
import torch._dynamo.config  # whoever needs the compiler after all gets the real one
restored += torch._dynamo.config.recompile_limit > 0, callable(torch.compiler.disable(len))
print(json.dumps([sums, imported, restored]))
"""


def extracted(folder: Path) -> dict[str, Any]:
    """What extraction makes of a small model, as exact numbers, and a gradient."""
    model = models.load_model(folder, "float32", torch.device("cpu"))
    tokens = tiny.tokens(4, 12)
    settings = activations.Extraction(sequences=4, loss_sequences=4, batch_size=3)
    made = activations.capture(model, tokens, settings, lambda _: None, print)
    rows = torch.from_numpy(tokens.astype(np.int64))
    model(input_ids=rows, labels=rows).loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return {
        **{name: array.tobytes().hex() for name, array in made.arrays.items()},
        "gradients": [gradient.numpy().tobytes().hex() for gradient in gradients],
    }


@pytest.mark.parametrize("family", ["gpt_neox", "gemma3_text"])  # the latter has masks of its own
def test_a_job_imports_what_it_uses_and_computes_the_same(tmp_path: Path, family: str) -> None:
    folder = tiny.save(tiny.model(family), tmp_path / family)
    done = subprocess.run(
        [sys.executable, "-c", JOB, family, str(folder)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    numbers, imported, restored = json.loads(done.stdout)
    assert imported == []
    assert restored == [True] * 4
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the other process
    assert numbers == extracted(folder)
    torch.set_num_threads(threads)
