"""Activations against Hugging Face's own modules, on tiny random models of every family."""

import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import golden
import numpy as np
import numpy.typing as npt
import pytest
import tiny
import torch
from memory_limits import room_for
from safetensors.torch import load_file, save_file
from torch import Tensor

from tending.families import Attention, family
from tending.metrics.similarity.cka import linear_cka
from tending.models import loading, onednn
from tending.stages.activations import activations, held_out_loss
from tending.stages.activations.activations import Extraction, OutOfMemoryError, capture

every_family = pytest.mark.parametrize("name", tiny.FAMILIES)
every_model = pytest.mark.parametrize("name", tiny.MODELS)  # the laws: options of families too

SEQUENCES, LENGTH = 12, 7


@cache
def model_of(name: str) -> Any:
    return tiny.model(name)


def no_warning(text: str) -> None:
    pytest.fail(f"unexpected warning: {text}")


def assert_close(actual: Any, expected: Any) -> None:
    """Equal up to the float32 rounding of sums in another order."""
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-5)


def run(model: Any, tokens: npt.NDArray[np.int32], **settings: Any) -> dict[str, Any]:
    """The captured arrays of all sequences, with other settings where named."""
    asked = Extraction(**{"sequences": len(tokens), **settings})
    return dict(capture(model, tokens, asked, lambda _: None, no_warning).arrays)


@dataclass
class Seen:
    """What Hugging Face's own modules took in and gave out, (sequences, length, width)."""

    value_inputs: list[Tensor]
    attention_outputs: list[Tensor]
    mlp_outputs: list[Tensor]


def output_projection(model: Any, layer: int) -> torch.nn.Module:
    """The module whose weight W_O is: the only one that shares its memory."""
    maps = tiny.kind(model).attention(
        dict(model.base_model.named_parameters()), model.config.to_dict(), layer
    )
    memory = maps.output.untyped_storage().data_ptr()
    (module,) = (
        m
        for m in model.base_model.modules()
        if isinstance(weight := getattr(m, "weight", None), Tensor)
        and weight.untyped_storage().data_ptr() == memory
    )
    return module


def seen(model: Any, tokens: npt.NDArray[np.int32]) -> Seen:
    """One plain pass with our own hooks on the projections."""
    kind, kept, handles = tiny.kind(model), Seen([], [], []), []

    def whole(x: Tensor) -> Tensor:
        return x.reshape(*tokens.shape, -1).clone()

    for layer in range(model.config.num_hidden_layers):
        module = model.base_model.get_submodule
        handles += [
            module(kind.value_module(layer)).register_forward_pre_hook(
                lambda _, args: kept.value_inputs.append(whole(args[0]))
            ),
            output_projection(model, layer).register_forward_hook(
                lambda _, __, output: kept.attention_outputs.append(whole(output))
            ),
            module(kind.mlp_out_module(layer)).register_forward_hook(
                lambda _, __, output: kept.mlp_outputs.append(whole(output))
            ),
        ]
    with torch.inference_mode():
        model(input_ids=torch.from_numpy(tokens.astype(np.int64)), use_cache=False)
    for handle in handles:
        handle.remove()
    return kept


def attention_of(model: Any, layer: int) -> Attention:
    weights = {k: v.detach() for k, v in model.base_model.named_parameters()}
    return tiny.kind(model).attention(weights, model.config.to_dict(), layer)


def terms(attention: Attention, x: Tensor) -> Tensor:
    """W_O^h (W_V^h LN(x) + b_V^h) written out head by head, (heads, rows, d_model), float64.

    With what the family has between the two maps.
    """
    found = []
    for head in range(len(attention.value)):
        value = x.double() @ attention.value[head].double().T
        if attention.value_bias is not None:
            value = value + attention.value_bias[head].double()
        if attention.clip is not None:
            value = torch.minimum(value, torch.tensor(attention.clip))
            value = torch.maximum(value, torch.tensor(-attention.clip))
        if attention.rms_eps is not None:
            value = value / ((value**2).mean(dim=-1, keepdim=True) + attention.rms_eps).sqrt()
        found.append(value @ attention.output[head].double().T)
    return torch.stack(found)


# The two exact tests of a family


@every_model
def test_on_one_token_attention_ov_is_the_output_projections_without_its_bias(name: str) -> None:
    model, tokens = model_of(name), tiny.tokens(SEQUENCES, 1)
    captured, expected = run(model, tokens), seen(model, tokens)
    for layer, output in enumerate(expected.attention_outputs):
        bias = getattr(output_projection(model, layer), "bias", None)
        without = output[:, 0] if bias is None else output[:, 0] - bias.detach()
        assert (bias is None) == (attention_of(model, layer).output_bias is None)
        assert_close(captured["attention_ov"][layer], without.numpy())


@every_model
def test_the_sum_over_heads_is_the_whole_layer(name: str) -> None:
    model, tokens = model_of(name), tiny.tokens(SEQUENCES, LENGTH)
    captured, inputs = run(model, tokens), seen(model, tokens).value_inputs
    for layer, x in enumerate(inputs):
        summed = terms(attention_of(model, layer), x[:, -1]).sum(dim=0)
        assert_close(captured["attention_ov"][layer], summed.numpy())


@every_model
def test_heads_have_the_gram_matrix_of_their_terms(name: str) -> None:
    """So every similarity of Gram matrices is the same, with d_head numbers in place of d."""
    model, tokens = model_of(name), tiny.tokens(SEQUENCES, LENGTH)
    stored, inputs = run(model, tokens)["attention_ov_heads"], seen(model, tokens).value_inputs
    other = np.random.default_rng(0).normal(size=(SEQUENCES, 9))
    assert stored.shape[-1] < model.config.hidden_size
    for layer, x in enumerate(inputs):
        for head, term in enumerate(terms(attention_of(model, layer), x[:, -1]).numpy()):
            ours = stored[layer, head].astype(np.float64)
            np.testing.assert_allclose(ours @ ours.T, term @ term.T, rtol=1e-4, atol=1e-4)
            ours_centred, centred = ours - ours.mean(axis=0), term - term.mean(axis=0)
            np.testing.assert_allclose(
                ours_centred @ ours_centred.T, centred @ centred.T, rtol=1e-4, atol=1e-4
            )
            assert linear_cka(ours, other) == pytest.approx(linear_cka(term, other), abs=1e-5)
            assert linear_cka(ours, term) == pytest.approx(1.0, abs=1e-6)


@every_model
def test_mlp_out_is_the_down_projections_output(name: str) -> None:
    model, tokens = model_of(name), tiny.tokens(SEQUENCES, LENGTH)
    captured, expected = run(model, tokens), seen(model, tokens)
    for layer, output in enumerate(expected.mlp_outputs):
        assert_close(captured["mlp_out"][layer], output[:, -1].numpy())


@every_model
def test_shapes_types_and_names(name: str) -> None:
    model = model_of(name)
    sizes = tiny.kind(model).architecture(model.config.to_dict())
    captured = run(model, tiny.tokens(SEQUENCES, LENGTH), position="all", loss_sequences=5)
    rows = SEQUENCES * LENGTH
    assert {key: (a.shape, a.dtype.name) for key, a in captured.items()} == {
        "attention_ov": ((sizes.layers, rows, sizes.d_model), "float32"),
        "attention_ov_heads": ((sizes.layers, sizes.heads, rows, sizes.d_head), "float32"),
        "mlp_out": ((sizes.layers, rows, sizes.d_model), "float32"),
        "held_out_loss": ((5,), "float64"),
    }


# Looking changes nothing


def hooks_of(model: Any) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@every_model
def test_a_capture_leaves_the_models_outputs_bit_identical(name: str) -> None:
    model, tokens = tiny.model(name), tiny.tokens(SEQUENCES, LENGTH)
    ids = torch.from_numpy(tokens.astype(np.int64))
    with torch.inference_mode():
        before = model(input_ids=ids, use_cache=False).logits
        with onednn.products():  # as in a capture: its rounding is another than MKL's
            hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    during: list[Tensor] = []
    watch = model.get_submodule(model.base_model_prefix).register_forward_hook(
        lambda _, __, output: during.append(output.last_hidden_state.clone())
    )
    run(model, tokens, batch_size=SEQUENCES, loss_sequences=SEQUENCES)
    watch.remove()
    run(model, tokens)  # not to its end
    with torch.inference_mode():
        assert torch.equal(during[0], hidden)
        assert torch.equal(model(input_ids=ids, use_cache=False).logits, before)
    assert hooks_of(model) == 0


@every_family
def test_hooks_are_removed_when_the_model_fails(name: str) -> None:
    model = tiny.model(name)

    def fail(*_: object) -> None:
        raise RuntimeError("a fault in the model")

    handle = model.base_model.get_submodule(
        family(name).mlp_out_module(1)
    ).register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="a fault in the model"):
        run(model, tiny.tokens(2, 3))
    handle.remove()
    assert hooks_of(model) == 0


@every_family
def test_the_head_is_not_called_without_a_loss(name: str) -> None:
    model = tiny.model(name)

    def called(*_: object) -> None:
        raise AssertionError("the language-model head was called")

    model.get_output_embeddings().register_forward_pre_hook(called)
    assert "held_out_loss" not in run(model, tiny.tokens(4, 5), loss_sequences=0)
    with pytest.raises(AssertionError, match="was called"):  # so the hook would have seen it
        run(model, tiny.tokens(4, 5), loss_sequences=1)


# Positions


@every_family
@pytest.mark.parametrize(
    ("position", "index"), [("last", 6), (0, 0), (3, 3), (6, 6), (-1, 6), (-7, 0), (-3, 4)]
)
def test_a_position_is_that_token(name: str, position: str | int, index: int) -> None:
    model, tokens = model_of(name), tiny.tokens(5, LENGTH)
    every = run(model, tokens, position="all")["mlp_out"]
    chosen = run(model, tokens, position=position)["mlp_out"]
    layers, _, width = every.shape
    assert_close(chosen, every.reshape(layers, 5, LENGTH, width)[:, :, index])


@every_family
def test_all_positions_are_rows_by_sequence_then_position(name: str) -> None:
    model, tokens = model_of(name), tiny.tokens(4, LENGTH)
    captured, expected = run(model, tokens, position="all", batch_size=3), seen(model, tokens)
    for layer in range(model.config.num_hidden_layers):
        flat = expected.mlp_outputs[layer].flatten(0, 1).numpy()
        assert_close(captured["mlp_out"][layer], flat)
        x = expected.value_inputs[layer].flatten(0, 1)
        whole = terms(attention_of(model, layer), x).sum(dim=0).numpy()
        assert_close(captured["attention_ov"][layer], whole)


@pytest.mark.parametrize("position", [7, -8, 1000])
def test_a_position_outside_the_sequence_is_refused(position: int) -> None:
    with pytest.raises(ValueError, match=f"position {position} is outside sequences of 7 tokens"):
        run(model_of("gpt_neox"), tiny.tokens(2, LENGTH), position=position)


# Batches, losses, counts


@every_family
def test_batch_size_changes_rounding_only(name: str) -> None:
    model, tokens = model_of(name), tiny.tokens(SEQUENCES, LENGTH)
    whole = run(model, tokens, batch_size=64, loss_sequences=SEQUENCES)
    for size in (1, 3):
        parts = run(model, tokens, batch_size=size, loss_sequences=SEQUENCES)
        assert parts.keys() == whole.keys()
        for key, array in parts.items():
            assert_close(array, whole[key])


@every_model
def test_held_out_loss_is_the_models_own(name: str) -> None:
    model, tokens = model_of(name), tiny.tokens(6, LENGTH)
    losses = run(model, tokens, loss_sequences=6)["held_out_loss"]
    for row, loss in zip(torch.from_numpy(tokens.astype(np.int64)), losses, strict=True):
        with torch.inference_mode():
            own = model(input_ids=row[None], labels=row[None]).loss
        assert loss == pytest.approx(float(own), rel=1e-5)


@every_family
@pytest.mark.parametrize("logits", [1, 50 * LENGTH * 2])
def test_chunks_of_logits_change_rounding_only(
    name: str, logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokens = model_of(name), tiny.tokens(5, LENGTH)
    whole = run(model, tokens, loss_sequences=5)["held_out_loss"]
    monkeypatch.setattr(held_out_loss, "LOGITS_PER_CHUNK", logits)
    chunked = run(model, tokens, loss_sequences=5)["held_out_loss"]
    np.testing.assert_allclose(chunked, whole, rtol=1e-6)


@every_family
@pytest.mark.parametrize(("probed", "scored"), [(3, 9), (9, 3), (4, 4), (5, 0)])
@pytest.mark.parametrize("batch_size", [2, 64])
def test_probed_and_scored_sequences_are_the_first_of_each(
    name: str, probed: int, scored: int, batch_size: int
) -> None:
    model, tokens = model_of(name), tiny.tokens(10, LENGTH)
    all_of_them = run(model, tokens, loss_sequences=10)
    done: list[int] = []
    settings = Extraction(sequences=probed, loss_sequences=scored, batch_size=batch_size)
    captured = capture(model, tokens, settings, done.append, no_warning).arrays
    assert sum(done) == max(probed, scored)
    for key in ("attention_ov", "attention_ov_heads", "mlp_out"):
        assert_close(captured[key], all_of_them[key][..., :probed, :])
    if scored:
        expected = all_of_them["held_out_loss"][:scored]
        np.testing.assert_allclose(captured["held_out_loss"], expected, rtol=1e-5)


def test_more_sequences_than_there_are_is_refused() -> None:
    def progress(done: int) -> None:
        assert done > 0, "no progress: this would go on for ever"

    asked = Extraction(sequences=5, batch_size=2)
    with pytest.raises(ValueError, match=r"3 sequences|5 sequences"):
        capture(model_of("gpt_neox"), tiny.tokens(3, 4), asked, progress, no_warning)


def test_a_loss_of_single_tokens_is_refused() -> None:
    """A sequence of one token predicts nothing."""
    with pytest.raises(ValueError, match=r"one token|1 token"):
        run(model_of("gpt_neox"), tiny.tokens(3, 1), loss_sequences=3)


# What must not pass


@pytest.mark.parametrize("token", [50, 50_000, -1])
def test_a_token_outside_the_vocabulary_is_refused(token: int) -> None:
    tokens = tiny.tokens(3, 4)
    tokens[2, 1] = token
    with pytest.raises(ValueError, match=f"token {token} is outside the model's vocabulary of 50"):
        run(model_of("gpt_neox"), tokens)


@every_family
def test_weights_that_are_nan_are_refused(name: str) -> None:
    model = tiny.model(name)
    with torch.no_grad():
        family(name).mlp_out(dict(model.base_model.named_parameters()), 1)[0, 0] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinite"):
        run(model, tiny.tokens(3, 4))


# Out of memory


def test_out_of_memory_halves_the_batch_and_changes_nothing() -> None:
    model, tokens = tiny.model("gpt_neox"), tiny.tokens(SEQUENCES, LENGTH)
    expected = run(model, tokens, loss_sequences=7)
    warnings: list[str] = []
    done: list[int] = []
    with room_for(model, 3):
        captured = capture(
            model,
            tokens,
            Extraction(sequences=SEQUENCES, loss_sequences=7, batch_size=8),
            done.append,
            warnings.append,
        ).arrays
    assert [w.rsplit(" ", 1)[-1] for w in warnings] == ["4", "2"]
    assert all("out of memory" in w for w in warnings)
    assert done == [2] * 6
    for key, array in captured.items():
        assert_close(array, expected[key])


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_nothing_of_a_batch_is_kept_when_memory_runs_out_at_its_end(
    failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory may run out where the captured layers are stacked, after the loss is known."""
    model, tokens = tiny.model("gpt_neox"), tiny.tokens(8, LENGTH)
    expected = run(model, tokens, loss_sequences=8)
    stack, calls = torch.stack, iter(range(1, 1000))

    def stack_until(tensors: list[Tensor], *rest: Any) -> Tensor:
        if next(calls) == failing:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 TiB")
        return stack(tensors, *rest)

    monkeypatch.setattr(torch, "stack", stack_until)
    settings = Extraction(sequences=8, loss_sequences=8, batch_size=8)
    captured = capture(model, tokens, settings, lambda _: None, lambda _: None).arrays
    assert {k: a.shape for k, a in captured.items()} == {k: a.shape for k, a in expected.items()}
    for key, array in captured.items():
        assert_close(array, expected[key])


def test_a_single_sequence_that_does_not_fit_is_a_clear_error() -> None:
    model = tiny.model("gpt_neox")
    message = r"one sequence of 7 tokens does not fit in memory; shorten `corpus.length`"
    settings = Extraction(sequences=4, batch_size=4)
    with room_for(model, 0), pytest.raises(OutOfMemoryError, match=message):
        capture(model, tiny.tokens(4, LENGTH), settings, lambda _: None, lambda _: None)


# Loading


@every_family
def test_loads_in_the_dtype_that_is_asked_for(name: str, tmp_path: Path) -> None:
    stored = model_of(name)
    tokens, cpu = tiny.tokens(6, LENGTH), torch.device("cpu")
    folder = tiny.save(stored, tmp_path)
    exact = loading.load_model(folder, "float32", cpu)
    assert not exact.training
    assert {p.dtype for p in exact.parameters()} == {torch.float32}
    short = loading.load_model(folder, "bfloat16", cpu)
    assert {p.dtype for p in short.parameters()} == {torch.bfloat16}
    expected, loaded = run(stored, tokens), run(exact, tokens)
    rounded = run(short, tokens, loss_sequences=6)
    for key, array in loaded.items():
        assert_close(array, expected[key])
        assert rounded[key].dtype == np.float32
        assert linear_cka(rounded[key][-1].reshape(-1, 6).T, array[-1].reshape(-1, 6).T) > 0.99
        assert not np.array_equal(rounded[key], array)


def test_half_precision_files_are_computed_in_float32(tmp_path: Path) -> None:
    """transformers 5 would otherwise run such a checkpoint in the type of its file."""
    folder = tiny.save(tiny.model("gpt_neox").half(), tmp_path)
    model = loading.load_model(folder, "float32", torch.device("cpu"))
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_an_unknown_family_is_refused_before_its_weights_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(ValueError, match=r"unknown model family 'mamba'; available: .*mamba\.py"):
        loading.load_model(tmp_path, "float32", torch.device("cpu"))


@pytest.mark.parametrize("name", ["gemma2", "bloom"])
def test_a_family_that_torchs_attention_does_not_know_is_loaded(name: str, tmp_path: Path) -> None:
    """Gemma 2 caps its attention scores and BLOOM adds ALiBi's: eager attention has both."""
    folder = tiny.save(model_of(name), tmp_path)
    loaded = loading.load_model(folder, "float32", torch.device("cpu"))
    assert loaded.config._attn_implementation == "eager"
    neox = loading.load_model(
        tiny.save(model_of("gpt_neox"), tmp_path / "neox"), "float32", torch.device("cpu")
    )
    assert neox.config._attn_implementation == "sdpa"


def test_the_clip_and_the_cap_are_at_work() -> None:
    """Otherwise the laws above would hold without them."""
    tokens = tiny.tokens(SEQUENCES, LENGTH)
    clipped, free = run(tiny.model("olmo"), tokens), run(tiny.model("olmo", clip_qkv=None), tokens)
    assert not np.allclose(clipped["attention_ov"], free["attention_ov"], rtol=0.1)
    losses = [
        run(tiny.model("gemma2", final_logit_softcapping=cap), tokens, loss_sequences=4)
        for cap in (1.5, None)
    ]
    assert not np.allclose(losses[0]["held_out_loss"], losses[1]["held_out_loss"], rtol=0.01)


def test_auto_and_named_devices() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert loading.choose_device("auto").type == expected
    assert loading.choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "", "tpu:0"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used .*`extraction.device`"):
        loading.choose_device(device)


# Stored numbers


def sample(array: npt.NDArray[Any]) -> list[float]:
    """Eight values spread over an array and its root mean square."""
    flat = array.astype(np.float64).ravel()
    spread = flat[np.linspace(0, flat.size - 1, 8).astype(int)]
    return [*spread.tolist(), float(np.sqrt((flat**2).mean()))]


def test_a_checkpoint_that_is_gone_is_not_looked_for_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"step4 was removed .* restore it .*manifest.json"):
        loading.load_model(tmp_path / "step4", "float32", torch.device("cpu"))


def test_golden_activations(fixed_threads: None) -> None:
    model, tokens = tiny.model("gpt_neox", seed=20241015), tiny.tokens(9, LENGTH, seed=20241015)
    numbers: dict[str, list[float]] = {}
    for position in ("last", "all", -3):
        captured = run(model, tokens, position=position, loss_sequences=5)
        # of heads no coordinates are promised, only their inner products
        heads = captured.pop("attention_ov_heads")
        captured["products of attention_ov_heads"] = heads @ heads.swapaxes(-1, -2)
        numbers |= {f"{key} {position}": sample(array) for key, array in captured.items()}
    golden.check("activations", "activations.py", activations.VERSION, numbers, rtol=1e-4)


def test_a_checkpoint_without_its_output_head(tmp_path: Path) -> None:
    """transformers would draw the head at random, and the loss would be that of chance."""
    folder = tiny.save(tiny.model("gpt_neox"), tmp_path / "step4")
    weights = load_file(folder / "model.safetensors")
    base = {name: w for name, w in weights.items() if not name.startswith(("embed_out", "lm_head"))}
    assert len(base) == len(weights) - 1
    save_file(base, folder / "model.safetensors", {"format": "pt"})
    cpu = torch.device("cpu")
    with pytest.raises(
        ValueError, match=r"lacks 1 weights of its model, .*held_out_loss.sequences"
    ):
        loading.load_model(folder, "float32", cpu)
    assert loading.load_model(folder, "float32", cpu, with_loss=False)
    del base["gpt_neox.embed_in.weight"]
    save_file(base, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weights of its model, gpt_neox\.embed_in"):
        loading.load_model(folder, "float32", cpu, with_loss=False)


LOADED = """
import sys
from pathlib import Path
import torch
from bench.measure import peak_memory
from tending.models import loading
small, large = ((Path(folder), "float32", torch.device("cpu")) for folder in sys.argv[1:])
loading.load_model(*small)  # what is imported does not count
kept = []
peak = peak_memory(lambda: kept.append(loading.load_model(*large)))
print(peak * 2**20 / sum(p.nbytes for p in kept[0].parameters()))
"""


def test_loading_holds_hardly_more_than_the_weights(tmp_path: Path) -> None:
    """A mapped file of half-precision tensors would stay until all are converted: 1.5 times."""
    wide = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 8}
    large = tiny.save(tiny.model("gpt_neox", **wide).half(), tmp_path / "large")
    small = tiny.save(tiny.model("gpt_neox").half(), tmp_path / "small")
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(small), str(large)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert 0.9 < float(done.stdout) < 1.3
