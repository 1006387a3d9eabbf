"""Inspection: a checkpoint is usable, or the message says which file is wrong and how."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from weight_writers import WRITERS, config_of

from tending.families import family
from tending.models import checkpoint_record
from tending.models.loading import load_model
from tending.models.weights import CheckpointError
from tending.stages.activations.activations import Extraction, capture
from tending.stages.spectra.weight_spectra import weight_spectra

DOWN = "gpt_neox.layers.1.mlp.dense_4h_to_h.weight"
State = dict[str, torch.Tensor]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.save(tiny.model("gpt_neox"), tmp_path / "step7")


def inspect(folder: Path) -> checkpoint_record.Checkpoint:
    return checkpoint_record.inspect(folder, "tiny", 7, "step7", "abc123")


def change(folder: Path, edit: Callable[[State], object]) -> None:
    file = folder / "model.safetensors"
    state = load_file(file)
    edit(state)
    save_file(state, file, {"format": "pt"})


def configure(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def save_as_transformers_4(model: Any, folder: Path) -> None:
    """A .bin with everything a module holds: tied heads twice, buffers, old masks."""
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for layer in range(model.config.num_hidden_layers):
        block, _, _ = tiny.kind(model).value_module(layer).rpartition(".")
        mask = torch.ones(1, 1, 32, 32, dtype=torch.bool).tril()
        state[f"{model.base_model_prefix}.{block}.bias"] = mask
    torch.save(state, config_of(model, folder) / "pytorch_model.bin")


def save_base_bin(model: Any, folder: Path) -> None:
    """The base model alone, whose names have no prefix, as GPT-2's on the hub."""
    torch.save(model.base_model.state_dict(), config_of(model, folder) / "pytorch_model.bin")


FORMATS: dict[str, Callable[[Any, Path], object]] = {
    "safetensors": tiny.save,
    "bin": save_as_transformers_4,
    "bin without prefix": save_base_bin,
}


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS.keys())
@pytest.mark.parametrize("name", tiny.MODELS)
def test_describes_a_checkpoint_of_every_model(
    name: str, write: Callable[[Any, Path], object], tmp_path: Path
) -> None:
    model = tiny.model(name)
    write(model, tmp_path)
    found = inspect(tmp_path)
    assert (found.model, found.step, found.revision, found.commit) == (
        "tiny",
        7,
        "step7",
        "abc123",
    )
    assert found.family == model.config.model_type
    counted = model.base_model if write is save_base_bin else model
    assert found.parameters == sum(p.numel() for p in counted.parameters())
    weights = found.weights()
    for key, parameter in model.base_model.named_parameters():
        assert np.array_equal(weights[key], parameter.detach().numpy())


@pytest.mark.parametrize("name", tiny.MODELS)
def test_every_format_gives_the_same_spectra_and_activations(name: str, tmp_path: Path) -> None:
    model, tokens, cpu = tiny.model(name), tiny.tokens(4, 5), torch.device("cpu")
    asked = Extraction(sequences=4, loss_sequences=4)
    made: dict[str, list[Any]] = {}
    for kind in ("safetensors", "bin"):
        FORMATS[kind](model, tmp_path / kind)
        found = inspect(tmp_path / kind)
        spectra = weight_spectra(family(found.family), found.weights(), found.config)
        loaded = load_model(tmp_path / kind, "float32", cpu)
        captured = capture(loaded, tokens, asked, lambda _: None, pytest.fail).arrays
        for key, array in {**spectra, **{f"{k} values": v for k, v in captured.items()}}.items():
            made.setdefault(key, []).append(array)
    assert len(made) == 7
    assert all(np.array_equal(one, other) for one, other in made.values())


def test_a_model_that_its_family_cannot_describe_is_named(tmp_path: Path) -> None:
    tiny.save(tiny.model("bloom"), tmp_path)
    configure(tmp_path, slow_but_exact=True, pretraining_tp=2)
    with pytest.raises(CheckpointError, match=rf"{tmp_path.name}.*set `slow_but_exact` to false"):
        inspect(tmp_path)


@pytest.mark.parametrize("kind", WRITERS)
def test_accepts_every_format(kind: str, tmp_path: Path) -> None:
    model = tiny.model("gpt_neox")
    WRITERS[kind](model, tmp_path)
    counted = model.base_model if kind == "safetensors without prefix" else model
    expected = sum(p.numel() for p in counted.parameters())  # old buffers are no parameters
    assert inspect(tmp_path).parameters == expected


def test_a_record_is_read_as_it_was_written(folder: Path, tmp_path: Path) -> None:
    checkpoint, record = inspect(folder), tmp_path / "records" / "step7.json"
    checkpoint_record.write(checkpoint, record)
    assert checkpoint_record.read(record) == checkpoint


@pytest.mark.parametrize("version", [0, 2, None])
def test_a_record_of_another_version_is_refused(
    folder: Path, tmp_path: Path, version: int | None
) -> None:
    record = tmp_path / "step7.json"
    checkpoint_record.write(inspect(folder), record)
    fields = json.loads(record.read_text())
    record.write_text(json.dumps({**fields, "schema_version": version}))
    with pytest.raises(
        CheckpointError, match=rf"step7\.json has schema version {version}.*reads 1"
    ):
        checkpoint_record.read(record)


def test_the_hash_changes_with_the_weights_only(folder: Path) -> None:
    first = inspect(folder)
    configure(folder, use_cache=False)
    (folder / "tokenizer.json").write_text("{}")
    tiny.save(tiny.model("gpt_neox"), folder)  # the same weights again
    assert inspect(folder).weights_sha256 == first.weights_sha256
    change(folder, lambda state: state[DOWN].view(-1)[5].add_(1e-6))
    assert inspect(folder).weights_sha256 != first.weights_sha256


def test_the_hash_sees_every_shard(tmp_path: Path) -> None:
    hashes = set()
    for layer in range(3):
        model = tiny.model("gpt_neox")
        with torch.no_grad():
            model.gpt_neox.layers[layer].mlp.dense_4h_to_h.bias[0] += 1
        found = inspect(tiny.save(model, tmp_path / str(layer), max_shard_size="8KB"))
        assert len(found.files) > 2
        hashes.add(found.weights_sha256)
    assert len(hashes) == 3


def test_an_unknown_family_lists_the_known(folder: Path) -> None:
    configure(folder, model_type="mamba")
    with pytest.raises(
        ValueError, match=r"unknown model family 'mamba'; available: .*gpt_neox.*mamba\.py"
    ):
        inspect(folder)


@pytest.mark.parametrize(
    "changes", [{"hidden_size": 32}, {"intermediate_size": 64}, {"vocab_size": 60}]
)
def test_a_config_of_another_size_is_refused(folder: Path, changes: dict[str, int]) -> None:
    configure(folder, **changes)
    with pytest.raises(CheckpointError, match=r"has shape \(.*\), but config\.json says \(.*\)"):
        inspect(folder)


def test_a_config_with_fewer_layers_is_refused(folder: Path) -> None:
    """The model would be measured without its last layer."""
    configure(folder, num_hidden_layers=2)
    with pytest.raises(CheckpointError, match=r"hold 6 weights .*no place for, 'layers\.2\."):
        inspect(folder)


def test_a_config_with_more_layers_is_refused(folder: Path) -> None:
    configure(folder, num_hidden_layers=4)
    with pytest.raises(CheckpointError, match=r"weight 'layers\.3\..*' is missing"):
        inspect(folder)


@pytest.mark.parametrize("lost", ["hidden_size", "num_attention_heads", "intermediate_size"])
def test_a_config_without_a_size_is_refused(folder: Path, lost: str) -> None:
    fields = json.loads((folder / "config.json").read_text())
    del fields[lost]
    (folder / "config.json").write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match=lost):
        inspect(folder)


def test_a_missing_weight_is_named(folder: Path) -> None:
    change(folder, lambda state: state.pop(DOWN))
    with pytest.raises(
        CheckpointError, match=f"weight '{DOWN.removeprefix('gpt_neox.')}' is missing"
    ):
        inspect(folder)


BROKEN: dict[str, tuple[list[float], int]] = {
    "one NaN": ([float("nan")], 1),
    "one infinity": ([float("inf")], 1),
    "both infinities": ([float("inf"), float("-inf")], 2),
    "all kinds": ([float("nan"), float("inf"), float("-inf"), 1.0], 3),
}


@pytest.mark.parametrize("where", [DOWN, "embed_out.weight"])
@pytest.mark.parametrize(("values", "count"), BROKEN.values(), ids=BROKEN.keys())
def test_values_that_are_not_finite_are_counted(
    folder: Path, where: str, values: list[float], count: int
) -> None:
    def damage(state: State) -> None:
        state[where].view(-1)[3 : 3 + len(values)] = torch.tensor(values)

    change(folder, damage)
    name = where.removeprefix("gpt_neox.")
    with pytest.raises(CheckpointError, match=f"'{name}' holds {count} values that are NaN"):
        inspect(folder)


@pytest.mark.parametrize(
    ("dtype", "value"), [(torch.float32, 3e38), (torch.float16, 65504.0), (torch.float64, 1.5e308)]
)
def test_huge_finite_values_are_accepted(folder: Path, dtype: torch.dtype, value: float) -> None:
    """Their sum overflows, in float64 too where they are float64."""

    def enlarge(state: State) -> None:
        state[DOWN] = torch.full_like(state[DOWN], value, dtype=dtype)

    change(folder, enlarge)
    assert np.all(
        inspect(folder).weights()[DOWN.removeprefix("gpt_neox.")]
        == np.float64(torch.tensor(value, dtype=dtype).item())
    )


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_missing_files_are_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=missing.replace(".", r"\.")):
        inspect(folder)
