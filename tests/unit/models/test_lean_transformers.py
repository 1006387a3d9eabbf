"""A job imports a model class without what it does not use, and computes the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch
from lean_jobs import UNUSED, extracted

UNUSED += ("torch._inductor", "torch._dynamo.convert_frame")

JOB = """
import gc, json, sys
from pathlib import Path
from tending.models import lean_transformers
lean_transformers.import_model_class(sys.argv[1])
from lean_jobs import UNUSED, extracted
sums = extracted(Path(sys.argv[2]))
imported = [name for name in UNUSED if name in sys.modules]
import torch
restored = torch.distributed.is_available(), gc.isenabled()
import torch._dynamo.config  # whoever needs the compiler after all gets the real one
restored += torch._dynamo.config.recompile_limit > 0, callable(torch.compiler.disable(len))
print(json.dumps([sums, imported, restored]))
"""


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
