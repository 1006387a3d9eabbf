"""Loading models from checkpoint folders, for forward passes."""

from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors import safe_open

from tending.families import family
from tending.models.weights import read_config, weight_files

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """Return a device: `auto` is CUDA if there is a GPU, else the CPU; other names are torch's.

    Raises ValueError if there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device {name!r} cannot be used ({str(error).splitlines()[0]}); set "
            f"`extraction.device` to auto, cpu or a device of this machine"
        ) from None
    return device


def load_model(folder: Path, dtype: str, device: torch.device, with_loss: bool = True) -> Any:
    """Load the causal language model of a checkpoint folder in `dtype`, for forward passes.

    Raises ValueError if the folder is gone, which transformers would look for on the hub, holds a
    model of an unknown family, or lacks weights, which transformers would draw at random; an
    output head may be missing if no loss is computed.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{folder} was removed after inspection; restore it or, if the workflow trained it, "
            f"delete {folder.parent / 'manifest.json'} and run again"
        )
    family(str(read_config(folder)["model_type"]))  # before the weights are read
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model, loading = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].from_pretrained(
        None,  # not the folder: its mapped files would stay in memory until all are read
        config=config,
        state_dict=_tensors(folder),
        dtype=DTYPES[dtype],
        output_loading_info=True,
    )  # attention is PyTorch's own, or eager where a family has terms that it lacks
    base = f"{model.base_model_prefix}."
    missing = [n for n in sorted(loading["missing_keys"]) if with_loss or n.startswith(base)]
    if missing:
        raise ValueError(
            f"{folder} lacks {len(missing)} weights of its model, {missing[0]} first; get the "
            f"whole checkpoint, or, if only the output head is missing, set "
            f"`held_out_loss.sequences` to 0 and leave `divergence` out"
        )
    return model.to(device).eval()


def _tensors(folder: Path) -> dict[str, Any]:
    """Return a checkpoint's tensors by name; those in safetensors are read when indexed."""
    found: dict[str, Any] = {}
    for file in weight_files(folder):
        if file.suffix == ".bin":
            mapped = is_zipfile(file)  # files in the format before torch 1.6 cannot be
            found |= torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
        else:
            handle: Any = safe_open(file, framework="pt", backend="pread")
            found |= {name: handle.get_slice(name) for name in handle.keys()}  # noqa: SIM118
    return found
