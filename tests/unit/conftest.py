"""Seeded examples, a fixed number of threads, and no leaks of torch's switches between tests."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile(
    "tending", derandomize=True, database=None, deadline=None, max_examples=25
)
settings.load_profile("tending")


@pytest.fixture
def fixed_threads() -> Iterator[None]:
    """torch on OMP_NUM_THREADS threads (1 where unset), its switches restored afterwards."""
    import torch

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
