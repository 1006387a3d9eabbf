"""Weight files in every format that checkpoints come in, and what must be refused."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tiny
import torch
from safetensors.torch import save_file
from weight_writers import PREFIX, WRITERS, save_bin, state_of

from tending.models.weights import CheckpointError, WeightFiles, read_config, weight_files

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

every_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())


def opened(folder: Path) -> WeightFiles:
    return WeightFiles(weight_files(folder), PREFIX)


@every_writer
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES.keys())
def test_every_format_gives_the_same_arrays(
    write: Callable[[Any, Path], object], dtype: torch.dtype, tmp_path: Path
) -> None:
    model = tiny.model("gpt_neox").to(dtype)
    write(model, tmp_path)
    weights = opened(tmp_path)
    for name, parameter in model.base_model.named_parameters():
        stored = weights[name]
        assert stored.dtype == np.float32, name
        assert np.array_equal(stored, parameter.detach().float().numpy()), name
        assert weights.shape(name) == tuple(parameter.shape)
        assert name in weights
    assert set(weights) >= {name for name, _ in model.base_model.named_parameters()}
    assert len(list(weights)) == len(weights)


def test_the_shards_are_shards(tmp_path: Path) -> None:
    tiny.save(tiny.model("gpt_neox"), tmp_path, max_shard_size="8KB")
    files = weight_files(tmp_path)
    assert len(files) > 2
    assert files == sorted(files)


def test_safetensors_come_before_bin(tmp_path: Path) -> None:
    """Many revisions on the hub hold both; the same weights are in them."""
    model = tiny.model("gpt_neox")
    save_bin(model, tmp_path)
    tiny.save(model, tmp_path)
    assert [f.name for f in weight_files(tmp_path)] == ["model.safetensors"]


def test_a_weight_that_is_not_there_is_a_key_error(tmp_path: Path) -> None:
    tiny.save(tiny.model("gpt_neox"), tmp_path)
    weights = opened(tmp_path)
    assert "layers.99.mlp" not in weights
    with pytest.raises(KeyError):
        weights["layers.99.mlp"]


# What must be refused


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json does not exist"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{'hidden_size': 4}", "not valid JSON"),
        (b'{"hidden_size": 4', "not valid JSON"),
        (b"", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b'{"hidden_size": 4}', "no `model_type`"),
        (b"[]", "no `model_type`"),
        (b'"model_type"', "no `model_type`"),
    ],
)
def test_a_config_that_is_none_is_named(text: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(CheckpointError, match=rf"config\.json.* {message}|{message}"):
        read_config(tmp_path)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    tiny.save(tiny.model("gpt_neox"), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(
        CheckpointError, match=r"no weights: expected model\.safetensors or pytorch_model\.bin"
    ):
        weight_files(tmp_path)


@pytest.mark.parametrize("kind", ["safetensors shards", "bin shards"])
def test_a_missing_shard_is_named(kind: str, tmp_path: Path) -> None:
    WRITERS[kind](tiny.model("gpt_neox"), tmp_path)
    lost = weight_files(tmp_path)[1]
    lost.unlink()
    with pytest.raises(CheckpointError, match=rf"1 of \d+ shards .* missing: {lost.name}"):
        weight_files(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"weight_map": []}', '{"weight_map": 3}']
)
def test_an_index_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"index\.json is not a weight index"):
        weight_files(tmp_path)


def damaged_sizes(file: Path) -> list[int]:
    size = file.stat().st_size
    return [0, 4, 100, size // 2, size - 1]


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("cut", range(5))
def test_a_file_cut_short_is_named(kind: str, cut: int, tmp_path: Path) -> None:
    WRITERS[kind](tiny.model("gpt_neox"), tmp_path)
    (file,) = weight_files(tmp_path)
    os.truncate(file, damaged_sizes(file)[cut])
    with pytest.raises(CheckpointError, match=file.name.replace(".", r"\.")):
        opened(tmp_path)


def test_a_web_page_instead_of_weights_is_named(tmp_path: Path) -> None:
    for name in ("model.safetensors", "pytorch_model.bin"):
        file = tmp_path / name
        file.write_text("<!DOCTYPE html><title>404</title>" * 20)
        with pytest.raises(CheckpointError, match=name):
            WeightFiles([file], PREFIX)


class Code:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (os.mkdir, (str(self.marker),))


def test_code_in_a_bin_is_refused_and_does_not_run(tmp_path: Path) -> None:
    file, marker = tmp_path / "pytorch_model.bin", tmp_path / "the code ran"
    state: dict[str, Any] = {**state_of(tiny.model("gpt_neox")), "extra": Code(marker)}
    torch.save(state, file)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin cannot be read") as caught:
        WeightFiles([file], PREFIX)
    assert not marker.exists()
    assert "convert it to safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)  # one line in the log
    assert "weights_only" not in str(caught.value)  # torch's advice to run the code is none of ours
    torch.load(file, weights_only=False)  # it would have run
    assert marker.exists()


def test_values_are_read_when_asked_for(tmp_path: Path) -> None:
    """Opening a large checkpoint reads its headers alone: other tensors may even be gone."""
    tiny.save(tiny.model("gpt_neox"), tmp_path, max_shard_size="8KB")
    weights = opened(tmp_path)
    names = list(weights)
    kept: npt.NDArray[Any] = weights[names[0]]
    for file in weight_files(tmp_path)[1:]:
        file.unlink()
    assert np.array_equal(weights[names[0]], kept)


def test_every_bfloat16_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    every = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    odd, file = torch.zeros(3, dtype=torch.uint8), tmp_path / "model.safetensors"
    save_file({"a": odd, "b": every.reshape(256, 256), "c": every[5].clone()}, file)
    weights = WeightFiles([file])
    assert weights["b"].dtype == np.float32
    want = every.reshape(256, 256).float().numpy()
    numbers = ~np.isnan(want)
    assert np.array_equal(np.isnan(weights["b"]), ~numbers)
    assert weights["b"][numbers].tobytes() == want[numbers].tobytes()
    assert weights["c"].shape == () and weights["c"] == every[5].float().item()
