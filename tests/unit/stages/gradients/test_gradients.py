"""Gradients against autograd through transformers' own loss, on tiny models of every family."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import golden
import numpy as np
import numpy.typing as npt
import pytest
import tiny
import torch
from torch import Tensor

from tending import components
from tending.stages.activations import held_out_loss
from tending.stages.activations.activations import OutOfMemoryError
from tending.stages.gradients import gradients
from tending.stages.gradients.gradients import BatchGradient, Settings, of_batches

every_model = pytest.mark.parametrize("name", tiny.MODELS)
every_family = pytest.mark.parametrize("name", tiny.FAMILIES)

SEQUENCES, LENGTH = 5, 7  # of which six tokens are predicted
Matrix = npt.NDArray[np.float64]


PARTS = [components.component(name) for name in components.with_gradients()]


def of_family(model: Any) -> tuple[str, ...]:
    """Every component with gradients that the model has."""
    name, kind = model.config.model_type, tiny.kind(model)
    return tuple(p.name for p in PARTS if components.inapplicable(p, name, kind) is None)


def take(model: Any, *batches: Any, **settings: Any) -> list[BatchGradient]:
    """What is kept of the gradients of batches, of all the model's components."""
    asked = Settings(**{"components": of_family(model), "micro_batch": 2, **settings})
    named = [(f"batch {i}", tokens) for i, tokens in enumerate(batches)]
    return list(of_batches(model, named, asked, lambda _: None, pytest.fail))


def same(found: list[BatchGradient], expected: list[BatchGradient], rtol: float = 1e-5) -> None:
    """Equal up to the float32 rounding of sums in another order; cosines are that far from it."""
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-6)
        assert ours.spectra.keys() == theirs.spectra.keys()
        for key, s in theirs.spectra.items():
            np.testing.assert_allclose(ours.spectra[key], s, rtol=rtol, atol=rtol * s.max())
            np.testing.assert_allclose(ours.norms[key], theirs.norms[key], rtol=rtol)
        for key, c in theirs.cosines.items():
            np.testing.assert_allclose(ours.cosines[key], c, atol=rtol)


@cache
def model_of(name: str) -> Any:
    return tiny.model(name)


# Against autograd


def by_autograd(model: Any, tokens: Any) -> tuple[float, dict[str, Tensor], dict[str, Tensor]]:
    """Loss, weights and their gradients, float64, by transformers' own loss of the whole batch."""
    rows = torch.from_numpy(tokens.astype(np.int64))
    loss = model(input_ids=rows, labels=rows, use_cache=False).loss
    named = dict(model.base_model.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    grads = [
        torch.zeros_like(p) if g is None else g for p, g in zip(named.values(), found, strict=True)
    ]
    weights = {n: p.detach().double() for n, p in named.items()}
    return loss.item(), weights, dict(zip(named, (g.double() for g in grads), strict=True))


def dense_change(model: Any, weights: Any, grads: Any, layer: int) -> Tensor:
    """Derivative of every head's W_O W_V, as a dense matrix, along the gradient of all weights."""
    kind, config = tiny.kind(model), model.config.to_dict()

    def products(tensors: dict[str, Tensor]) -> Tensor:
        maps = kind.attention(tensors, config, layer)
        return torch.einsum("hdk,hke->hde", maps.output, maps.value)

    _, change = torch.func.jvp(products, (weights,), (grads,))
    return change


def assert_spectrum(found: Matrix, norm: Any, dense: Tensor) -> None:
    """Singular values and the norm are those of the dense matrix, of which no other is not 0."""
    s = torch.linalg.svdvals(dense).numpy()
    np.testing.assert_allclose(found, s[: len(found)], rtol=0, atol=1e-5 * s[0])
    assert s[len(found) :].max(initial=0) < 1e-9 * s[0]
    assert norm == pytest.approx(float(torch.linalg.norm(dense)), rel=1e-5)


@every_model
def test_gradients_are_those_of_autograd_on_dense_matrices(name: str) -> None:
    model, tokens = model_of(name), tiny.tokens(SEQUENCES, LENGTH)
    (found,) = take(model, tokens)
    loss, weights, grads = by_autograd(model, tokens)
    kind, sizes = tiny.kind(model), tiny.kind(model).architecture(model.config.to_dict())
    assert found.loss == pytest.approx(loss, rel=1e-5)
    for layer in range(sizes.layers):
        heads = dense_change(model, weights, grads, layer)
        expected = {("attention_ov", layer): heads.sum(0)}
        expected |= {("attention_ov_heads", layer, h): heads[h] for h in range(sizes.heads)}
        moved = kind.attention(grads, model.config.to_dict(), layer)
        repeats = sizes.heads // (moved.value_heads or sizes.heads)
        expected["attention_value", layer] = moved.value[::repeats].flatten(0, 1)
        expected["attention_output", layer] = grads[f"{kind.attention_module(layer)}.weight"]
        for part in ("mlp_in", "mlp_out", "mlp_gate"):
            if part in found.spectra:
                module = getattr(kind, f"{part}_module")(layer)
                expected[part, layer] = grads[f"{module}.weight"]
        for (dataset, *index), dense in expected.items():
            at = tuple(index)
            assert_spectrum(found.spectra[dataset][at], found.norms[dataset][at], dense)
        assert {dataset for dataset, *_ in expected} == set(found.spectra)


@every_model
def test_shapes_types_and_names(name: str) -> None:
    """A head's change has 2 d_head singular values, or d; where heads share values, others are."""
    model = model_of(name)
    sizes = tiny.kind(model).architecture(model.config.to_dict())
    first, second = take(model, *[tiny.tokens(SEQUENCES, LENGTH, seed) for seed in (1, 2)])
    values = min(2 * sizes.d_head, sizes.d_model)
    assert first.spectra["attention_ov"].shape == (sizes.layers, sizes.d_model)
    assert first.spectra["attention_ov_heads"].shape == (sizes.layers, sizes.heads, values)
    datasets = {d for part in PARTS if part.name in of_family(model) for d in part.datasets()}
    assert set(first.spectra) == set(first.norms) == set(second.cosines) == datasets
    assert first.cosines == {}
    for key, s in first.spectra.items():
        assert {a.dtype.name for a in (s, first.norms[key], second.cosines[key])} == {"float64"}
        assert first.norms[key].shape == second.cosines[key].shape == s.shape[:-1]
        assert (np.diff(s) <= 0).all() and (s >= 0).all()
        np.testing.assert_allclose(first.norms[key], np.sqrt((s**2).sum(-1)), rtol=1e-6)
    assert set(first.shapes) == datasets - {"attention_ov", "attention_ov_heads"}
    for key, shape in first.shapes.items():
        assert first.spectra[key].shape == (sizes.layers, min(shape))


# Batches


def test_every_sequence_weighs_the_same_whatever_the_micro_batch() -> None:
    """128 sequences: micro-batches of 3 leave two for the last, of which a mean weighs more."""
    model = tiny.model("gpt_neox", num_hidden_layers=1)
    tokens = tiny.tokens(128, LENGTH)
    whole = take(model, tokens, micro_batch=128)
    for size in (1, 3):
        same(take(model, tokens, micro_batch=size), whole)
    repeated = np.concatenate([tokens, tokens[-1:]])  # weighs double: that much would be seen
    with pytest.raises(AssertionError):
        same(take(model, repeated, micro_batch=128), whole)


@every_family
def test_neither_micro_batches_nor_checkpointing_nor_chunks_change_the_gradient(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(name)
    batches = [tiny.tokens(SEQUENCES, LENGTH, seed) for seed in (1, 2)]
    whole = take(model, *batches, micro_batch=64)
    monkeypatch.setattr(held_out_loss, "LOGITS_PER_CHUNK", 50 * LENGTH * 2)
    same(take(model, *batches, micro_batch=3, checkpointing=True), whole)


def test_the_same_batch_twice_has_a_cosine_of_1() -> None:
    tokens = tiny.tokens(SEQUENCES, LENGTH)
    _, again, other = take(model_of("llama"), tokens, tokens[::-1], tiny.tokens(9, 4, seed=3))
    for key, cosine in again.cosines.items():
        np.testing.assert_allclose(cosine, 1, atol=1e-6)
        assert (other.cosines[key] < 0.999).all() and (other.cosines[key] >= -1).all()


@pytest.mark.parametrize("name", ["gpt_neox", "olmo", "gemma4_text"])
def test_the_gradient_of_two_batches_together_is_their_mean(name: str) -> None:
    """So |u|^2 = (|a|^2 + |b|^2 + 2 |a||b| cos(a, b)) / 4, and u'b = (a'b + |b|^2) / 2."""
    one, two = (tiny.tokens(SEQUENCES, LENGTH, seed) for seed in (1, 2))
    a, b, u = take(model_of(name), one, two, np.concatenate([one, two]))
    assert u.loss == pytest.approx((a.loss + b.loss) / 2, rel=1e-6)
    for key, together in u.norms.items():
        product = a.norms[key] * b.norms[key] * b.cosines[key]
        square = (a.norms[key] ** 2 + b.norms[key] ** 2 + 2 * product) / 4
        np.testing.assert_allclose(together**2, square, rtol=1e-4)
        cosine = (product + b.norms[key] ** 2) / 2 / (together * b.norms[key])
        np.testing.assert_allclose(u.cosines[key], cosine, atol=1e-5)


# The model


def test_only_what_is_needed_has_gradients_and_all_is_as_it_was_afterwards() -> None:
    model = tiny.model("gpt2").train()
    model.transformer.h[1].eval()
    frozen = model.transformer.wpe.weight.requires_grad_(False)
    modes = [module.training for module in model.modules()]
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    settings = Settings(components=("mlp_out", "mlp_in"), checkpointing=True)
    batches = [("one", tiny.tokens(3, 4)), ("two", tiny.tokens(3, 4))]
    for _ in of_batches(model, batches, settings, lambda _: None, pytest.fail):
        needed = {name for name, p in model.named_parameters() if p.requires_grad}
        assert needed == {
            f"transformer.h.{i}.{module}.{part}"
            for i in range(3)
            for module in ("mlp.c_fc", "mlp.c_proj")
            for part in ("weight", "bias")
        }
        assert not any(module.training for module in model.modules())
        assert all(p.grad is None for p in model.parameters())
    assert [p is not frozen for p in model.parameters()] == [
        p.requires_grad for p in model.parameters()
    ]
    assert [module.training for module in model.modules()] == modes
    assert not any("forward" in vars(module) for module in model.modules())
    assert all(torch.equal(weights[n], p) for n, p in model.named_parameters())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_checkpointing_runs_blocks_again_and_nothing_drops_out(checkpointing: bool) -> None:
    model = tiny.model("opt", dropout=0.5, attention_dropout=0.5).train()
    tokens = tiny.tokens(4, LENGTH)
    expected = take(tiny.model("opt"), tokens, micro_batch=4)
    runs = []
    module = model.base_model.get_submodule(tiny.kind(model).mlp_in_module(1))
    handle = module.register_forward_hook(lambda *_: runs.append(1))
    same(take(model, tokens, micro_batch=4, checkpointing=checkpointing), expected)
    handle.remove()
    assert len(runs) == 1 + checkpointing


def test_bfloat16_gradients_are_summed_in_float32() -> None:
    """One sequence many times: bfloat16 would round each sum to 8 bits."""
    tokens = np.repeat(tiny.tokens(1, LENGTH), 40, axis=0)
    model = tiny.model("gpt_neox", num_hidden_layers=1).bfloat16()
    same(take(model, tokens, micro_batch=1), take(model, tokens[:1]), rtol=1e-4)


# What must not pass


def failing(model: Any, tokens: Any, **settings: Any) -> Iterator[BatchGradient]:
    asked = Settings(**{"components": ("mlp_out",), **settings})
    batches = [("training step 12", tokens)]
    return of_batches(model, batches, asked, lambda _: None, pytest.fail)


def test_a_loss_that_is_not_finite_is_refused() -> None:
    model = tiny.model("gpt_neox")
    with torch.no_grad():
        model.base_model.layers[1].mlp.dense_4h_to_h.weight[0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"^training step 12: .*loss of nan.*float32"):
        next(failing(model, tiny.tokens(3, 4)))
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_a_gradient_that_is_not_finite_is_refused_where_the_loss_is() -> None:
    model = tiny.model("gpt_neox")

    def explode(_: Any, __: Any, output: Tensor) -> None:
        output.register_hook(lambda gradient: gradient * torch.inf)

    model.base_model.layers[2].mlp.dense_4h_to_h.register_forward_hook(explode)
    message = r"^training step 12: .*gradient of layers\.0\.mlp\.dense_4h_to_h\..* `steps`"
    with pytest.raises(FloatingPointError, match=message):
        next(failing(model, tiny.tokens(3, 4)))


@pytest.mark.parametrize("token", [50, -1])
def test_a_token_outside_the_vocabulary_is_refused(token: int) -> None:
    tokens = tiny.tokens(3, 4)
    tokens[2, 3] = token
    with pytest.raises(ValueError, match=f"^training step 12: token {token} is outside .* of 50"):
        next(failing(model_of("gpt_neox"), tokens))


@pytest.mark.parametrize("shape", [(3, 1), (3, 0), (0, 4)])
def test_batches_that_predict_nothing_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"^training step 12: "):
        next(failing(model_of("gpt_neox"), np.zeros(shape, dtype=np.int32)))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("residual", r"residual has no gradients; .*attention_output, attention_ov, "),
        ("mlp_gate", r"gpt_neox has no mlp_gate .*`gradients\.components`"),
        ("mlp", r"unknown component 'mlp'"),
    ],
)
def test_components_without_gradients_are_refused(part: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(failing(model_of("gpt_neox"), tiny.tokens(3, 4), components=("mlp_out", part)))


# Out of memory


@contextmanager
def room_for(model: Any, sequences: int, backward: bool) -> Iterator[None]:
    """Memory runs out above so many sequences, forward or at the end of the backward pass."""
    running = [0]

    def see(_: Any, __: Any, inputs: dict[str, Tensor]) -> None:
        running[0] = len(inputs["input_ids"])
        refuse() if not backward else None

    def refuse(*_: Any) -> None:
        if running[0] > sequences:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 TiB")

    handles = [model.base_model.register_forward_pre_hook(see, with_kwargs=True)]
    if backward:  # the first layer's is the last: the sums hold those of the others by then
        last: Any = model.base_model.layers[0].attention.query_key_value.weight
        handles.append(last.register_post_accumulate_grad_hook(refuse))
    yield
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("backward", [False, True])
def test_out_of_memory_halves_the_micro_batch_and_changes_nothing(backward: bool) -> None:
    model, warnings, done = tiny.model("gpt_neox"), [], []
    batches = [tiny.tokens(11, LENGTH, seed) for seed in (1, 2)]
    expected = take(model, *batches, micro_batch=11)
    named = list(zip(("one", "two"), batches, strict=True))
    settings = Settings(components=of_family(model), micro_batch=8)
    with room_for(model, 3, backward):
        found = list(of_batches(model, named, settings, done.append, warnings.append))
    same(found, expected)
    assert [w.rsplit(" ", 1)[-1] for w in warnings] == ["4", "2"]
    assert all(w.startswith("one: out of memory with") for w in warnings)
    assert done == [2, 2, 2, 2, 2, 1] * 2


def test_half_of_what_was_tried_is_next_also_in_a_small_batch() -> None:
    """Half of a micro-batch that is larger than the batch would be the same once more."""
    model, warnings = tiny.model("gpt_neox"), list[str]()
    named = [("one", tiny.tokens(4, LENGTH))]
    settings = Settings(components=("mlp_out",), micro_batch=32)
    with room_for(model, 3, backward=False):
        list(of_batches(model, named, settings, lambda _: None, warnings.append))
    assert warnings == [
        "one: out of memory with 4 sequences at a time; restarting the batch with 2"
    ]


def test_memory_that_runs_out_half_way_throws_away_what_was_summed() -> None:
    model, calls, done = tiny.model("gpt_neox"), iter(range(100)), []
    tokens = tiny.tokens(8, LENGTH)
    expected = take(model, tokens, micro_batch=8)

    def third(*_: Any) -> None:
        if next(calls) == 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")

    handle = model.base_model.layers[1].register_forward_pre_hook(third)
    settings = Settings(components=of_family(model), micro_batch=2)
    found = list(of_batches(model, [("one", tokens)], settings, done.append, lambda _: None))
    handle.remove()
    same(found, expected)
    assert done == [2, 2] + [1] * 4  # four were reported before the batch started anew


def test_one_sequence_that_does_not_fit_is_a_clear_error() -> None:
    model = tiny.model("gpt_neox")
    message = r"one: .*one sequence of 6 tokens does not fit .*`gradients\.checkpointing: true`"
    settings = Settings(components=("mlp_out",), micro_batch=4)
    found = of_batches(
        model, [("one", tiny.tokens(4, LENGTH))], settings, lambda _: None, lambda _: None
    )
    with room_for(model, 0, backward=False), pytest.raises(OutOfMemoryError, match=message):
        next(found)


def test_another_fault_goes_on_as_it_is() -> None:
    model = tiny.model("gpt_neox")

    def fail(*_: object) -> None:
        raise RuntimeError("a fault in the model")

    model.base_model.layers[1].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="a fault in the model"):
        next(failing(model, tiny.tokens(3, 4)))
    assert all(p.requires_grad for p in model.parameters())


# Stored numbers


def test_golden_gradients(fixed_threads: None) -> None:
    numbers: dict[str, list[float]] = {}
    for name in ("gpt_neox", "llama"):
        model = tiny.model(name, seed=20241015)
        batches = [tiny.tokens(9, LENGTH, seed=20241015 + i) for i in range(2)]
        first, second = take(model, *batches, micro_batch=4)
        numbers[f"{name} loss"] = [first.loss, second.loss]
        for key, s in second.spectra.items():
            flat = s.ravel()
            spread = flat[np.linspace(0, flat.size - 1, 8).astype(int)].tolist()
            norms = [second.norms[key].ravel()[0], first.norms[key].ravel()[-1]]
            numbers[f"{name} {key}"] = [*spread, *norms, second.cosines[key].ravel()[-1]]
    golden.check("gradients", "gradients.py", gradients.VERSION, numbers, rtol=1e-4)
