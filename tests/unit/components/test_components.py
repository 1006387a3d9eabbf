"""Laws of every component in every family: it is what the model itself computes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from dense_products import dense_heads
from final_states import final
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.activations import ACT2FN

from tending import components, families
from tending.components import Probe
from tending.core import plugins
from tending.families import QueryKey
from tending.metrics.algebra import singular_values
from tending.stages.activations.attention_maps import AttentionMaps
from tending.stages.spectra import weight_spectra

every_model = pytest.mark.parametrize("name", tiny.MODELS)
every_component = pytest.mark.parametrize("component", plugins.names(components.PACKAGE))
PARTS = {name: components.component(name) for name in plugins.names(components.PACKAGE)}
NORMS = ("q_norm", "k_norm", "q_layernorm", "k_layernorm")


@contextmanager
def listening(model: Any, probes: list[Probe]) -> Iterator[list[Tensor]]:
    """What the model has at each probe, filled in when it runs."""
    heard = [torch.empty(0)] * len(probes)
    handles = []
    for i, probe in enumerate(probes):
        module = model.base_model.get_submodule(probe.module)

        def at_input(_: Any, arguments: Any, i: int = i) -> None:
            heard[i] = arguments[0]

        def at_output(_: Any, __: Any, given: Any, i: int = i) -> None:
            heard[i] = given[0] if isinstance(given, tuple) else given

        if probe.side == "input":
            handles.append(module.register_forward_pre_hook(at_input))
        else:
            handles.append(module.register_forward_hook(at_output))
    yield heard
    for handle in handles:
        handle.remove()


def run(model: Any, probes: list[Probe], length: int = 5) -> tuple[list[Tensor], Any]:
    """What is heard of three sequences, (3, length, width) each, and the base model's output."""
    rows = torch.from_numpy(tiny.tokens(3, length).astype(np.int64))
    with torch.no_grad(), listening(model, probes) as heard:
        output = model.base_model(input_ids=rows, use_cache=False, output_hidden_states=True)
    return [x.reshape(3, length, -1) for x in heard], output


def probes(model: Any, component: str) -> list[Probe]:
    """One of every layer, or one of the model."""
    layers = model.config.num_hidden_layers if PARTS[component].layers else 1
    return [components.probing(component).probe(tiny.kind(model), i) for i in range(layers)]


def weights_of(model: Any) -> dict[str, Tensor]:
    """Every weight by the family's name, the head's included, as files hold them."""
    state = {name: p.detach() for name, p in model.named_parameters()}
    return {name.removeprefix(tiny.kind(model).PREFIX): p for name, p in state.items()}


# The files


@every_component
def test_a_component_says_what_it_is(component: str) -> None:
    part = PARTS[component]
    assert part.label and part.description
    assert part.weights or part.activations
    assert part.whole or part.heads
    assert part.layers or not part.heads
    module = plugins.load(components.PACKAGE, component, "component")
    assert hasattr(module, "spectra") == part.weights
    assert hasattr(module, "probe") == part.activations
    assert not part.one_matrix or (part.weights and not part.heads)
    assert hasattr(module, "modules") == part.gradients
    assert hasattr(module, "matrix") == (part.gradients and part.one_matrix)
    assert hasattr(module, "factors") == (part.gradients and not part.one_matrix)


def test_labels_differ() -> None:
    assert len({part.label for part in PARTS.values()}) == len(PARTS)


def test_datasets_are_named_after_their_component() -> None:
    assert PARTS["attention_ov"].datasets() == ["attention_ov", "attention_ov_heads"]
    assert PARTS["mlp_in"].datasets() == ["mlp_in"]
    assert PARTS["qk"].datasets() == ["qk_heads"]


def test_an_unknown_component_lists_the_known() -> None:
    known = r"unknown component 'mlp'; available: attention_out, .*components/mlp\.py"
    with pytest.raises(ValueError, match=known):
        components.component("mlp")


@every_model
def test_a_gate_is_where_the_model_has_one(name: str) -> None:
    model = tiny.model(name)
    kind = tiny.kind(model)
    has_gate = any("gate_proj" in n for n, _ in model.named_modules())
    assert (families.gated(kind) is not None) == has_gate
    reason = components.inapplicable(PARTS["mlp_gate"], name, kind)
    assert (reason is None) == has_gate
    if reason:
        assert reason.startswith(f"{name} has no mlp_gate") and "`components`" in reason


# Activations


@every_model
def test_the_residual_stream_goes_from_block_to_block(name: str) -> None:
    """Each block is given what the one before gave, and the model ends with the last one's."""
    model = tiny.model(name)
    kind, layers = tiny.kind(model), model.config.num_hidden_layers
    entries = [Probe(kind.block_module(i), "input") for i in range(layers)]
    heard, output = run(model, [*probes(model, "residual"), *entries])
    given, received = heard[:layers], heard[layers:]
    for one, other in zip(given[:-1], received[1:], strict=True):
        assert torch.equal(one, other)
    with torch.no_grad():
        last = final(model)(given[-1])
    torch.testing.assert_close(last, output.last_hidden_state)


@every_model
def test_the_embedding_is_what_the_first_block_is_given(name: str) -> None:
    model = tiny.model(name)
    (heard,), output = run(model, probes(model, "embedding"))
    assert torch.equal(heard, output.hidden_states[0])


@every_model
def test_attention_writes_its_ov_circuit_where_a_token_sees_itself_alone(name: str) -> None:
    model = tiny.model(name)
    kind, config, weights = tiny.kind(model), model.config.to_dict(), weights_of(model)
    given, output = probes(model, "attention_ov"), probes(model, "attention_out")
    heard, _ = run(model, [*given, *output], length=1)
    for layer, (x, written) in enumerate(
        zip(heard[: len(given)], heard[len(given) :], strict=True)
    ):
        maps = kind.attention(weights, config, layer)
        bias = 0 if maps.output_bias is None else maps.output_bias
        circuit = AttentionMaps(maps)
        ours = circuit.whole(circuit.values(x[:, 0])) + bias
        torch.testing.assert_close(ours, written[:, 0], rtol=1e-4, atol=1e-5)


@every_model
def test_an_mlp_is_its_projections_with_the_nonlinearity_between(name: str) -> None:
    model = tiny.model(name)
    kind, config, weights = tiny.kind(model), model.config, weights_of(model)
    names = [n for n in ("mlp_in", "mlp_out", "mlp_gate") if not missing(model, n)]
    heard, _ = run(model, [probe for n in names for probe in probes(model, n)])
    layers = config.num_hidden_layers
    by_name = {n: heard[i * layers : (i + 1) * layers] for i, n in enumerate(names)}
    act = ACT2FN[nonlinearity(config)]
    for layer in range(layers):
        up = by_name["mlp_in"][layer]
        gate = by_name["mlp_gate"][layer] if "mlp_gate" in by_name else None
        inner = act(up) if gate is None else act(gate) * up
        bias = weights.get(f"{kind.mlp_out_module(layer)}.bias", torch.zeros(1))
        ours = inner @ kind.mlp_out(weights, layer).T + bias
        torch.testing.assert_close(ours, by_name["mlp_out"][layer], rtol=1e-4, atol=1e-5)


def missing(model: Any, component: str) -> str | None:
    return components.inapplicable(PARTS[component], "this", tiny.kind(model))


def nonlinearity(config: Any) -> str:
    """By the name that a config has for it; BLOOM has one, and no name."""
    names = ("hidden_activation", "hidden_act", "activation_function")
    return str(next((getattr(config, n) for n in names if hasattr(config, n)), "gelu_new"))


@every_model
@pytest.mark.parametrize("component", ["mlp_in", "mlp_gate"])
def test_a_projections_matrix_is_the_map_of_its_module(name: str, component: str) -> None:
    model = tiny.model(name)
    kind = tiny.kind(model)
    if missing(model, component):
        return
    for layer in range(model.config.num_hidden_layers):
        module = model.base_model.get_submodule(getattr(kind, f"{component}_module")(layer))
        matrix = getattr(kind, component)(weights_of(model), layer)
        x = torch.randn(3, matrix.shape[1], generator=torch.Generator().manual_seed(layer))
        bias = 0 if module.bias is None else module.bias
        torch.testing.assert_close(module(x) - bias, x @ matrix.T)


# Queries and keys


@every_model
def test_queries_and_keys_are_the_models_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At equal positions rotations cancel, so q'k, and |q| and |k|, are those of our maps."""
    if name.startswith("bloom"):
        return  # has no common interface; see below
    changes = {"clip_qkv": None} if name.startswith("olmo ") or name == "olmo" else {}
    model = tiny.model(name, **changes)
    without_norms(model)
    kind, config, weights = tiny.kind(model), model.config.to_dict(), weights_of(model)
    recorded: list[tuple[Tensor, Tensor]] = []

    def attend(module: Any, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Any:
        recorded.append((query, key))
        shape = (query.shape[0], query.shape[2], query.shape[1], value.shape[-1])
        return torch.zeros(shape), None

    AttentionInterface.register("recorded", attend)
    model.set_attn_implementation("recorded")
    heard, _ = run(model, probes(model, "attention_ov"))
    assert len(recorded) == len(heard)
    for layer, (x, (query, key)) in enumerate(zip(heard, recorded, strict=True)):
        maps = kind.query_key(weights, config, layer)
        q, k = applied(maps.query, maps.query_bias, x), applied(maps.key, maps.key_bias, x)
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        # a model may scale its queries before the product; a number is no part of the maps
        scale = (query.norm() / q.norm()).item()
        for ours, theirs in (
            (q * k, query * key / scale),
            (q * q, query**2 / scale**2),
            (k * k, key**2),
        ):
            torch.testing.assert_close(ours.sum(-1), theirs.sum(-1), rtol=1e-4, atol=1e-5)


def without_norms(model: Any) -> None:
    """Put nothing in place of the norms of queries and keys, which are no part of the maps."""
    for module in list(model.modules()):
        for norm in NORMS:
            if isinstance(getattr(module, norm, None), nn.Module):
                setattr(module, norm, nn.Identity())


def applied(maps: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    """(heads, d_head, d) of (sequences, length, d): (sequences, heads, length, d_head)."""
    values = torch.einsum("hkd,nld->nhlk", maps, x)
    return values if bias is None else values + bias[None, :, None]


@pytest.mark.parametrize("name", ["bloom", "bloom residual", "bloom untied", "gpt2", "opt"])
def test_attention_scores_are_those_of_the_maps(name: str) -> None:
    """Log odds of attending to one token or another, where no rotation comes between.

    Between two sequences the odds differ by the scores alone: ALiBi adds the same to both.
    """
    model = tiny.model(name)
    model.set_attn_implementation("eager")
    kind, config, weights = tiny.kind(model), model.config.to_dict(), weights_of(model)
    rows = torch.from_numpy(tiny.tokens(3, 5).astype(np.int64))
    with torch.no_grad(), listening(model, probes(model, "attention_ov")) as heard:
        attentions = model.base_model(input_ids=rows, output_attentions=True).attentions
    for layer, x in enumerate(heard):
        maps = kind.query_key(weights, config, layer)
        q, k = applied(maps.query, maps.query_bias, x), applied(maps.key, maps.key_bias, x)
        scores = (q @ k.swapaxes(-1, -2))[:, :, -1] / np.sqrt(q.shape[-1])
        odds, ours = attentions[layer][:, :, -1].log(), scores
        odds, ours = odds - odds[..., -1:], ours - ours[..., -1:]
        torch.testing.assert_close(odds - odds[:1], ours - ours[:1], rtol=1e-4, atol=1e-4)


def positions(*shape: int) -> np.ndarray[Any, Any]:
    """A weight whose every entry is its own position."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize(
    ("name", "module", "config"),
    [
        ("gpt_neox", "layers.0.attention.query_key_value", {"hidden_size": 4}),
        ("bloom", "h.0.self_attention.query_key_value", {"n_head": 2}),
    ],
)
def test_fused_queries_and_keys_lie_before_their_heads_values(
    name: str, module: str, config: dict[str, int]
) -> None:
    """d_model 4, 2 heads of 2. Rows: head 0 has q 0-1, k 2-3; head 1 has q 6-7, k 8-9."""
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 5}
    weights = {f"{module}.weight": positions(12, 4), f"{module}.bias": positions(12)}
    context = {"max_position_embeddings": 8}
    maps = families.family(name).query_key(weights, {**sizes, **config, **context}, 0)
    assert rows_of(maps) == ([[0, 1], [6, 7]], [[2, 3], [8, 9]])


@pytest.mark.parametrize(
    ("name", "block"), [("llama", "layers.0"), ("opt", "decoder.layers.0"), ("phi", "layers.0")]
)
def test_separate_queries_and_keys_have_heads_one_after_another(name: str, block: str) -> None:
    """4 heads of 1 in d_model 4; llama and phi share a key among two neighbours."""
    keys = 4 if name == "opt" else 2
    weights = {
        f"{block}.self_attn.{p}_proj.{part}": positions(*shape)
        for p, n in (("q", 4), ("k", keys))
        for part, shape in (("weight", (n, 4)), ("bias", (n,)))
    }
    config = {"num_attention_heads": 4, "num_key_value_heads": keys}
    query, key = rows_of(families.family(name).query_key(weights, config, 0))
    assert query == [[0], [1], [2], [3]]
    assert key == ([[0], [1], [2], [3]] if name == "opt" else [[0], [0], [1], [1]])


def rows_of(maps: QueryKey) -> tuple[list[list[int]], list[list[int]]]:
    """Which rows of a positional weight of width 4 the heads were given; biases must agree."""
    rows = []
    for weight, bias in ((maps.query, maps.query_bias), (maps.key, maps.key_bias)):
        assert (np.asarray(weight) % 4 == np.arange(4)).all()
        found_rows = (np.asarray(weight)[:, :, 0] / 4).astype(int).tolist()
        assert np.asarray(bias).tolist() == found_rows
        rows.append(found_rows)
    return rows[0], rows[1]


def test_gpt2_has_queries_and_keys_in_the_first_thirds_of_columns() -> None:
    """d_model 4, 2 heads of 2: columns 0-3 are queries, 4-7 keys."""
    weights = {"h.0.attn.c_attn.weight": positions(4, 12), "h.0.attn.c_attn.bias": positions(12)}
    config = {"n_embd": 4, "n_head": 2, "n_layer": 1, "vocab_size": 5, "n_positions": 8}
    maps = families.family("gpt2").query_key(weights, config, 0)
    assert np.asarray(maps.query)[:, :, 0].tolist() == [[0, 1], [2, 3]]
    assert np.asarray(maps.key)[:, :, 0].tolist() == [[4, 5], [6, 7]]
    assert np.asarray(maps.key)[1, 0].tolist() == [6, 18, 30, 42]
    assert np.asarray(maps.query_bias).tolist() == [[0, 1], [2, 3]]
    assert np.asarray(maps.key_bias).tolist() == [[4, 5], [6, 7]]


# Weights


@every_model
def test_embeddings_are_the_models_own(name: str) -> None:
    model = tiny.model(name)
    kind, weights = tiny.kind(model), weights_of(model)
    assert torch.equal(weights[kind.EMBEDDING], model.get_input_embeddings().weight)
    head = families.unembedding(kind, weights, model.config.to_dict())
    assert torch.equal(head, model.get_output_embeddings().weight)


def test_a_head_that_is_in_no_file_is_missed_by_name() -> None:
    model = tiny.model("gpt_neox")
    weights = dict(model.base_model.named_parameters())
    with pytest.raises(
        ValueError, match=r"no output head \(embed_out\.weight or lm_head\.weight\)"
    ):
        families.unembedding(tiny.kind(model), weights, model.config.to_dict())


@every_model
def test_spectra_equal_dense_svds(name: str) -> None:
    model = tiny.model(name)
    kind, config = tiny.kind(model), model.config.to_dict()
    weights = {n: p.numpy() for n, p in weights_of(model).items()}
    asked = [n for n, part in PARTS.items() if part.weights and not missing(model, n)]
    made = weight_spectra.weight_spectra(kind, weights, config, asked, tokens=47)
    assert set(made) == {dataset for n in asked for dataset in PARTS[n].datasets()}
    expected: dict[str, Any] = {
        "embedding": weights[kind.EMBEDDING][:47],
        "unembedding": families.unembedding(kind, weights, config)[:47],
    }
    for layer in range(model.config.num_hidden_layers):
        for n in ("mlp_in", "mlp_gate"):
            if n in made:
                expected[f"{n} {layer}"] = getattr(kind, n)(weights, layer)
        output = weights[f"{kind.attention_module(layer)}.weight"]
        expected[f"attention_output {layer}"] = output
        values = kind.attention(weights, config, layer).value
        distinct = np.unique(values.reshape(-1, values.shape[-1]), axis=0)
        expected[f"attention_value {layer}"] = distinct  # shared ones once; order is no matter
        maps = kind.query_key(weights, config, layer)
        flipped = replace(kind.attention(weights, config, layer), value=maps.key)
        flipped = replace(flipped, output=maps.query.swapaxes(1, 2))
        for head, product in enumerate(dense_heads(flipped)):
            expected[f"qk_heads {layer} {head}"] = product
    for key, matrix in expected.items():
        dataset, *index = key.split()
        ours = made[dataset][tuple(map(int, index))]
        dense = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)[: ours.size]
        assert ours == pytest.approx(dense, abs=1e-6 * dense[0])


def test_a_component_is_the_same_whatever_else_is_asked_for() -> None:
    model = tiny.model("llama")
    weights = {n: p.numpy() for n, p in weights_of(model).items()}
    kind, config = tiny.kind(model), model.config.to_dict()
    both = weight_spectra.weight_spectra(kind, weights, config, ["attention_ov", "mlp_out"])
    assert list(both) == ["attention_ov_heads", "attention_ov", "mlp_out"]
    one = weight_spectra.weight_spectra(kind, weights, config, ["mlp_out"])
    assert list(one) == ["mlp_out"] and np.array_equal(one["mlp_out"], both["mlp_out"])
    assert all(array.dtype == np.float64 for array in both.values())


@pytest.mark.parametrize("rank", [None, 3])
def test_many_rows_are_read_a_few_at_a_time(
    rank: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of full rank from the Gram matrix; of low rank, where squares hide zeros, from QR."""
    monkeypatch.setattr(singular_values, "CHUNK", 200)
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(301, 20)).astype(np.float32)
    if rank is not None:
        matrix = (rng.normal(size=(301, rank)) @ rng.normal(size=(rank, 20))).astype(np.float64)
    dense = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
    tolerance = 1e-7 if rank is None else 1e-13
    assert singular_values.tall_spectrum(matrix) == pytest.approx(dense, abs=tolerance * dense[0])
    assert singular_values.tall_spectrum(matrix.T) == pytest.approx(dense, abs=1e-7 * dense[0])
