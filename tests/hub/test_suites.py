"""The suites that tests serve: read by transformers, and odd where they are asked to be."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from server import Hub
from suites import Layout, Suite

LAYOUTS: list[tuple[Layout, set[str]]] = [
    ("safetensors", {"model.safetensors"}),
    ("bin", {"pytorch_model.bin"}),
    ("both", {"model.safetensors", "pytorch_model.bin"}),
    ("safetensors shards", {f"model-0000{n}-of-00002.safetensors" for n in (1, 2)}),
    ("bin shards", {f"pytorch_model-0000{n}-of-00002.bin" for n in (1, 2)}),
]


@pytest.mark.parametrize(("layout", "weights"), LAYOUTS, ids=[name for name, _ in LAYOUTS])
def test_transformers_reads_a_suite(layout: Layout, weights: set[str], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    suite = Suite(layout=layout)
    files = suite.files(8)
    assert {name for name in files if "model" in name} - set(suite.unwanted) >= weights
    for name, content in files.items():
        if "/" not in name:
            (tmp_path / name).write_bytes(content)
    options: dict[str, Any] = {"output_loading_info": True, "dtype": "auto"}
    model, loaded = AutoModelForCausalLM.from_pretrained(tmp_path, **options)
    assert not any(loaded.values()), loaded
    embedding = model.get_input_embeddings().weight.detach().numpy()
    assert np.array_equal(embedding, suite.weights(8)["gpt_neox.embed_in.weight"])
    assert not np.array_equal(embedding, suite.weights(0)["gpt_neox.embed_in.weight"])
    read = AutoTokenizer.from_pretrained(tmp_path)
    ids = read("in the café")["input_ids"]
    assert read.decode(ids) == "in the café" and max(ids) < len(embedding)


def test_a_suite_can_have_odd_names_and_copies() -> None:
    odd = Suite(
        steps=(0, 1, 1000),
        layout="safetensors shards",
        branch="stage1-step{step}-tokens{tokens}B",
        same={1: 0},
        same_shard={0: 1000},
    )
    hub = Hub()
    commits = odd.publish(hub, "org/odd")
    branches = list(hub.repository("org/odd").branches)
    assert branches[1:] == [odd.name(step) for step in (0, 1, 1000)]
    assert branches[3] == "stage1-step1000-tokens5B"
    assert Suite(branch="ckpt_{step:03d}").name(3) == "ckpt_003"

    def hashes(revision: str) -> list[str]:
        commit = hub.repository("org/odd").find(revision)
        assert commit is not None
        return [commit.files[f"model-0000{n}-of-00002.safetensors"].sha256 for n in (1, 2)]

    zero, one, last = (hashes(commit) for commit in commits.values())
    assert zero[0] == last[0] != one[0] and zero[1] == one[1] != last[1]
    assert hashes("main") == last


def test_a_suite_is_published_quickly() -> None:
    Suite().files(0)  # imports
    start = time.perf_counter()
    with Hub() as hub:
        for seed in (1, 2):
            Suite(seed=seed, layout="both").publish(hub, f"org/suite{seed}")
    assert time.perf_counter() - start < 2
