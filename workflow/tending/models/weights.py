"""Weights of a checkpoint in Hugging Face format, read one tensor at a time.

A folder holds config.json and either safetensors or .bin files, whole or in shards named by an
index. Safetensors are read without torch and transformers; .bin files are read by torch with
`weights_only`, so that no code in a checkpoint is ever run.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

FORMATS = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
)


class CheckpointError(ValueError):
    """A checkpoint that cannot be used, with the file and the remedy."""


def read_config(folder: Path) -> dict[str, Any]:
    """Read the checkpoint's config.json; raise CheckpointError if it is missing or malformed."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} does not exist; a checkpoint folder in Hugging Face format has a config.json"
        ) from None
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); copy it again") from None
    if not isinstance(config, dict) or "model_type" not in config:
        raise CheckpointError(f"{path} has no `model_type`; copy the checkpoint's own config.json")
    return config


def weight_files(folder: Path) -> list[Path]:
    """Return the checkpoint's weight files in one format, safetensors before .bin, sorted.

    Raises CheckpointError if there are none or the index names a missing shard.
    """
    for single, index in FORMATS:
        if (folder / index).exists():
            return _shards(folder, index)
        if (folder / single).exists():
            return [folder / single]
    names = " or ".join(single for single, _ in FORMATS)
    raise CheckpointError(f"{folder} holds no weights: expected {names}, whole or with an index")


def _shards(folder: Path, index: str) -> list[Path]:
    try:
        names = sorted(set(json.loads((folder / index).read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / index} is not a weight index ({error})") from None
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise CheckpointError(
            f"{folder}: {len(missing)} of {len(names)} shards named in {index} are missing: "
            f"{', '.join(missing)}; download them again"
        )
    return [folder / name for name in names]


class WeightFiles(Mapping[str, npt.NDArray[Any]]):
    """Tensors of a checkpoint by name, read from its files when indexed.

    Names have the base model's prefix removed, as a family file uses them. 16-bit types are
    returned as float32, which represents them exactly.
    """

    def __init__(self, files: list[Path], prefix: str = "") -> None:
        self._prefix = prefix
        self._home: dict[str, Path] = {}
        self._loaded: dict[Path, Mapping[str, Any]] = {}
        for file in files:
            for name in self._names(file):
                self._home[name.removeprefix(prefix)] = file

    def _names(self, file: Path) -> list[str]:
        if file.suffix == ".bin":
            return list(self._load_bin(file))
        try:
            with safe_open(file, framework="np") as handle:
                return list(handle.keys())
        except SafetensorError as error:
            raise CheckpointError(
                f"{file} is damaged or cut short ({error}); copy it again"
            ) from None

    def _load_bin(self, file: Path) -> Mapping[str, Any]:
        if file not in self._loaded:
            import torch

            try:
                self._loaded[file] = torch.load(file, map_location="cpu", weights_only=True)
            except Exception as error:
                # torch raises many types here: a cut-off zip, a pickle with code, a wrong magic.
                # Its message is long and advises running the code, so only the type is shown.
                raise CheckpointError(
                    f"{file} cannot be read as plain weights ({type(error).__name__}): it is cut "
                    f"short, or holds code, which is never run; copy it again or convert it to "
                    f"safetensors"
                ) from None
        return self._loaded[file]

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        file = self._home[name]
        if file.suffix == ".bin":
            loaded = self._load_bin(file)
            tensor = loaded[name] if name in loaded else loaded[self._prefix + name]
            return _numpy(tensor)
        with safe_open(file, framework="np") as handle:
            stored = name if name in set(handle.keys()) else self._prefix + name
            kind = handle.get_slice(stored).get_dtype()
            if kind != "BF16":
                return _exact(handle.get_tensor(stored))
        return _bfloat16(file, stored)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor, without reading it where the format allows."""
        file = self._home[name]
        if file.suffix == ".bin":
            return self[name].shape
        with safe_open(file, framework="np") as handle:
            stored = name if name in set(handle.keys()) else self._prefix + name
            return tuple(handle.get_slice(stored).get_shape())

    def __iter__(self) -> Iterator[str]:
        return iter(self._home)

    def __len__(self) -> int:
        return len(self._home)


def _numpy(tensor: Any) -> npt.NDArray[Any]:
    if tensor.is_floating_point() and tensor.element_size() < 4:
        tensor = tensor.float()
    return np.asarray(tensor.numpy())


def _bfloat16(file: Path, name: str) -> npt.NDArray[Any]:
    """Read a bfloat16 tensor of safetensors as float32: NumPy has no such type, torch is slow.

    Importing torch takes seconds. A bfloat16 is the upper half of the float32 of the same value.
    """
    with file.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        entry = json.loads(handle.read(length))[name]
        begin, end = entry["data_offsets"]
        handle.seek(8 + length + begin)
        halves = np.fromfile(handle, "<u2", (end - begin) // 2)
    wide = halves.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32).reshape(entry["shape"])


def _exact(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.astype(np.float32) if array.dtype == np.float16 else array
