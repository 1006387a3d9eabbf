"""The studies that come with the workflow, planned against repositories with their refs."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from server import Hub

REPOSITORY = Path(__file__).parents[2]
STUDIES = REPOSITORY / "studies"
PYTHIA = [0, *(2**k for k in range(10)), *range(1000, 143001, 1000)]
PAPER = 27
GPT_NEOX = {
    "model_type": "gpt_neox",
    "hidden_size": 512,
    "num_attention_heads": 8,
    "num_hidden_layers": 6,
    "intermediate_size": 2048,
    "max_position_embeddings": 2048,
    "vocab_size": 50304,
}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 576,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "num_hidden_layers": 30,
    "intermediate_size": 1536,
    "max_position_embeddings": 2048,
    "vocab_size": 49152,
}


def publish(hub: Hub, repository: str, branches: list[str], config: dict[str, Any]) -> None:
    """A repository whose branches hold a config and, for weights, a few bytes of their own."""
    hub.add(repository)
    for name in [*branches, "main"]:
        weights = f"{repository} {branches[-1] if name == 'main' else name}".encode()
        files = {"config.json": json.dumps(config).encode(), "tokenizer.json": b"{}"}
        hub.commit(repository, {**files, "model.safetensors": weights}, branch=name)


def steps_of_olmo2() -> list[int]:
    """With gaps, and with a last step that is no round number, as there."""
    return [s for s in range(0, 1900000, 10000) if s not in (40000, 700000)] + [1907359]


def branches_of_olmo2() -> list[str]:
    numbered = [f"stage1-step{s}-tokens{-(-s * 2097152 // 10**9)}B" for s in steps_of_olmo2()]
    return ["step150-tokens1B", "stage2-ingredient1-step1000-tokens3B", *numbered]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running


def planned(hub: Hub, name: str, folder: Path) -> dict[str, int]:
    """Jobs of a dry run of a study in `folder`, by rule; the hub is asked for what there is."""
    config = study(name)
    for model in config["models"]:
        model.pop("pins", None)
    asked = folder / name
    asked.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules"]
    command += ["--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(asked), "--cores", "1"]
    own = {"PYTHONPATH": str(REPOSITORY / "workflow"), "HF_HUB_OFFLINE": "0"}
    environment = {**os.environ, **hub.environment(folder / "home"), **own}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    table = re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)
    return {rule: int(count) for rule, count in table}


def study(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((STUDIES / name).read_text("utf-8"))
    return read


def check(jobs: dict[str, int], checkpoints: int) -> None:
    for rule in ("activations", "spectra", "convergence"):
        assert jobs[rule] == checkpoints, rule
    # with divergences, what others are compared with is fetched by a rule of its own
    assert jobs["fetch"] + jobs.get("fetch_reference", 0) == checkpoints
    assert jobs["corpus_revision"] == jobs["corpus"] == jobs["audit_table"] == 1


@pytest.mark.parametrize(
    ("name", "models"), [("pythia.yaml", 5), ("pythia-70m.yaml", 1), ("polypythias.yaml", 45)]
)
def test_pythia_and_its_seeds(hub: Hub, tmp_path: Path, name: str, models: int) -> None:
    lacking = {"410m-seed2": 111000, "410m-seed6": 88000, "410m-seed9": 40000}
    for model in study(name)["models"]:
        steps = [s for s in PYTHIA if s != lacking.get(model["name"])]
        publish(hub, model["repository"], [f"step{s}" for s in steps], GPT_NEOX)
    jobs = planned(hub, name, tmp_path)
    check(jobs, models * PAPER)
    groups = {model["group"] for model in study(name)["models"] if "group" in model}
    assert jobs.get("between", 0) == len(groups) * PAPER
    assert len(groups) == (5 if name == "polypythias.yaml" else 0)
    asked = "gradients" in study(name)
    assert asked == (name != "polypythias.yaml")
    assert jobs.get("gradients", 0) == asked * models * PAPER
    assert jobs.get("gradient_batches", 0) == asked * PAPER  # all sizes share one data order
    assert jobs.get("batches_revision", 0) == asked
    assert hub.sent("*.safetensors") == 0


def test_olmo2(hub: Hub, tmp_path: Path) -> None:
    (model,) = study("olmo2.yaml")["models"]
    olmo2 = {**LLAMA, "model_type": "olmo2", "max_position_embeddings": 4096}
    publish(hub, model["repository"], branches_of_olmo2(), olmo2)
    jobs = planned(hub, "olmo2.yaml", tmp_path)
    check(jobs, len({*steps_of_olmo2()[::10], 1907359}))
    assert jobs["hub_tokenizer"] == 1


def test_smollm2(hub: Hub, tmp_path: Path) -> None:
    steps = list(range(40000, 2000001, 40000))
    for model in study("smollm2.yaml")["models"]:
        publish(hub, model["repository"], [f"step-{s}" for s in steps], LLAMA)
    check(planned(hub, "smollm2.yaml", tmp_path), 3 * len({*steps[::4], steps[-1]}))
