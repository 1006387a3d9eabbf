"""Checkpoints of the user's own: folders in Hugging Face format, in every layout of weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from studies import Run, Workplace

from tending.core import store

STEPS = [0, 2, 6]


def as_bin(folder: Path) -> None:
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()


def in_shards(folder: Path) -> None:
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    home = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(tensors)}
    for shard in set(home.values()):
        part = {name: t for name, t in tensors.items() if home[name] == shard}
        save_file(part, folder / shard, {"format": "pt"})
    index = {"metadata": {}, "weight_map": home}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    weights.unlink()


@pytest.fixture
def local(finished: tuple[Workplace, Run], tmp_path: Path) -> Workplace:
    """The trained model `a` and the probe tokens, as a user would bring their own."""
    import shutil

    workplace = Workplace(tmp_path)
    for step in STEPS:
        source = finished[0].results / f"training/a/step{step}"
        shutil.copytree(source, tmp_path / f"suite/step{step}")
    tokens = store.read_arrays(finished[0].results / "corpus/tokens.h5").arrays["tokens"]
    # Longer rows than the model's context of 16, to be cut
    np.save(tmp_path / "tokens.npy", np.concatenate([tokens, tokens[:, :4]], axis=1))
    return workplace


def configure(workplace: Workplace, **changes: Any) -> Workplace:
    path = f"{workplace.folder}/suite/step{{step}}"
    settings: dict[str, Any] = {
        "models": [{"name": "mine", "source": "local", "path": path}],
        "corpus": {
            "source": "tokens",
            "path": str(workplace.folder / "tokens.npy"),
            "sequences": 24,
        },
    }
    return workplace.configure(**{**settings, **changes})


def test_every_layout_gives_the_trained_models_numbers(
    local: Workplace, finished: tuple[Workplace, Run]
) -> None:
    as_bin(local.folder / "suite/step0")
    in_shards(local.folder / "suite/step2")
    done = configure(local).finish()
    assert done.jobs["checkpoint"] == done.jobs["activations"] == 3
    assert "train" not in done.jobs
    log = (local.results / "logs/corpus/tokens.log").read_text("utf-8")
    assert "rows of 20 tokens cut to 16" in log
    assert "logs/corpus/tokens.log: rows of 20 tokens cut to 16" in done.output
    for step in STEPS:
        for kind in ("convergence", "spectra"):
            path = f"{kind}/{{}}/step{step}.h5"
            mine = local.results / path.format("mine")
            theirs = finished[0].results / path.format("a")
            if kind == "spectra":
                here, there = store.read_arrays(mine).arrays, store.read_arrays(theirs).arrays
            else:
                here, there = (
                    {name: e.value for name, e in scores.metrics["cka_debiased"].items()}
                    for scores in (store.read_scores(mine), store.read_scores(theirs))
                )
            for name, values in there.items():
                np.testing.assert_array_equal(here[name], values)


def test_text_is_tokenised_with_the_models_own_tokenizer(local: Workplace) -> None:
    (local.folder / "prose").mkdir()
    for name in ("one.txt", "two.txt"):
        text = f"This is the {name} of two texts, which the model has not seen. " * 40
        (local.folder / "prose" / name).write_text(text)
    corpus = {"source": "text", "path": f"{local.folder}/prose", "sequences": 24}
    configure(local, corpus=corpus).finish("results/tiny/corpus/tokens.h5")
    tokens = store.read_arrays(local.results / "corpus/tokens.h5").arrays["tokens"]
    assert tokens.shape == (24, 16)


def damage_with_nan(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["gpt_neox.layers.1.mlp.dense_4h_to_h.weight"][0, 0] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def damage_config(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 24}))


def lose_a_shard(folder: Path) -> None:
    in_shards(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_with_nan, "dense_4h_to_h.weight' holds 1 values that are NaN or infinite"),
        (damage_config, "has shape (32, 8), but config.json says (24, 8)"),
        (lose_a_shard, "1 of 2 shards named in model.safetensors.index.json are missing"),
    ],
)
def test_a_damaged_checkpoint_is_named_before_its_activations(
    local: Workplace, damage: Callable[[Path], None], message: str
) -> None:
    damage(local.folder / "suite/step2")
    target = "results/tiny/activations/mine/step2.h5"
    done = configure(local).run(target)
    assert done.returncode == 1
    assert message in done.output
    assert "Traceback" not in (local.results / "logs/checkpoints/mine/step2.log").read_text()
    assert "activations" not in done.jobs
    assert not (local.results / "activations").exists()


def test_a_missing_step_is_named_before_anything_runs(local: Workplace) -> None:
    done = configure(local, steps=[0, 2, 5, 6]).run()
    assert done.returncode == 1
    assert "mine: step 5 does not exist; the nearest that do are 0, 2, 6" in done.output
    assert not done.jobs


def test_changed_weights_are_seen(local: Workplace) -> None:
    configure(local).finish("results/tiny/spectra/mine/step2.h5")
    before = store.read_arrays(local.results / "spectra/mine/step2.h5")
    weights = local.folder / "suite/step2/model.safetensors"
    save_file({k: 2 * v for k, v in load_file(weights).items()}, weights, {"format": "pt"})
    done = local.finish("results/tiny/spectra/mine/step2.h5")
    assert done.jobs == {"checkpoint": 1, "spectra": 1}
    after = store.read_arrays(local.results / "spectra/mine/step2.h5")
    assert before.attributes["weights_sha256"] != after.attributes["weights_sha256"]
    np.testing.assert_allclose(after.arrays["mlp_out"], 2 * before.arrays["mlp_out"], rtol=1e-6)
