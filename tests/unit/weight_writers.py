"""Checkpoints written in every layout of weight files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny
import torch
from safetensors.torch import save_file

from tending.families import family

PREFIX = family("gpt_neox").PREFIX
State = dict[str, torch.Tensor]


def state_of(model: Any) -> State:
    """Weights as older checkpoints name them, with the buffers that those carry."""
    state = {PREFIX + n: p.detach().clone() for n, p in model.base_model.named_parameters()}
    state["embed_out.weight"] = model.get_output_embeddings().weight.detach().clone()
    for layer in range(model.config.num_hidden_layers):
        block = f"{PREFIX}layers.{layer}.attention"
        state[f"{block}.bias"] = torch.ones(1, 1, 32, 32, dtype=torch.bool).tril()
        state[f"{block}.masked_bias"] = torch.tensor(-1e9)
        state[f"{block}.rotary_emb.inv_freq"] = torch.ones(2)
    return state


def config_of(model: Any, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    model.config.save_pretrained(folder)
    return folder


def save_bin(model: Any, folder: Path) -> None:
    torch.save(state_of(model), config_of(model, folder) / "pytorch_model.bin")


def save_old_safetensors(model: Any, folder: Path) -> None:
    save_file(state_of(model), config_of(model, folder) / "model.safetensors", {"format": "pt"})


def save_bin_shards(model: Any, folder: Path) -> None:
    state = state_of(model)
    names = list(state)
    shards = {f"pytorch_model-0000{i + 1}-of-00003.bin": names[i::3] for i in range(3)}
    for file, inside in shards.items():
        torch.save({n: state[n] for n in inside}, config_of(model, folder) / file)
    weight_map = {name: file for file, inside in shards.items() for name in inside}
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def save_base(model: Any, folder: Path) -> None:
    """Only the base model, whose weights have no prefix."""
    tiny.save(model.base_model, folder)


WRITERS: dict[str, Callable[[Any, Path], object]] = {
    "safetensors": tiny.save,
    "safetensors shards": lambda model, folder: tiny.save(model, folder, max_shard_size="8KB"),
    "safetensors with old buffers": save_old_safetensors,
    "safetensors without prefix": save_base,
    "bin": save_bin,
    "bin shards": save_bin_shards,
}
