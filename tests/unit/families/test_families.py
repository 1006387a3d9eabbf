"""Which weights are which, in every family: layouts that shapes cannot tell apart."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from position_weights import gpt_neox_arange
from transformers import AutoConfig

from tending.families import family

every_model = pytest.mark.parametrize("name", tiny.MODELS)
Matrix = np.ndarray[Any, np.dtype[np.float32]]


def test_gpt_neox_value_rows_follow_their_own_head() -> None:
    """Rows: head 0 has q 0-1, k 2-3, v 4-5; head 1 has q 6-7, k 8-9, v 10-11."""
    weights, config = gpt_neox_arange()
    attention = family("gpt_neox").attention(weights, config, 0)
    by_hand = [
        [[16, 17, 18, 19], [20, 21, 22, 23]],  # rows 4 and 5
        [[40, 41, 42, 43], [44, 45, 46, 47]],  # rows 10 and 11
    ]
    assert np.asarray(attention.value).tolist() == by_hand
    assert np.asarray(attention.value_bias).tolist() == [[4, 5], [10, 11]]


def test_gpt_neox_value_is_not_the_last_third() -> None:
    """The published code's split has the same shape, and is rows 8 to 11."""
    weights, config = gpt_neox_arange()
    attention = family("gpt_neox").attention(weights, config, 0)
    thirds = weights["layers.0.attention.query_key_value.weight"][8:].reshape(2, 2, 4)
    assert np.asarray(attention.value).shape == thirds.shape
    assert not np.array_equal(attention.value, thirds)
    assert np.array_equal(np.asarray(attention.value)[1], thirds[1])  # right by chance


def test_gpt_neox_output_columns_belong_to_heads() -> None:
    weights, config = gpt_neox_arange()
    attention = family("gpt_neox").attention(weights, config, 0)
    assert np.asarray(attention.output).tolist() == [
        [[0, 1], [4, 5], [8, 9], [12, 13]],
        [[2, 3], [6, 7], [10, 11], [14, 15]],
    ]
    assert np.asarray(attention.output_bias).tolist() == [0, 1, 2, 3]


def positions(*shape: int) -> Matrix:
    """A weight whose every entry is its own position."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_llama_shares_value_heads_among_neighbours() -> None:
    """4 heads of width 1, 2 value heads, d_model 2: heads 0 and 1 use row 0, 2 and 3 row 1."""
    block = "layers.0.self_attn"
    weights = {
        f"{block}.v_proj.weight": positions(2, 2),
        f"{block}.v_proj.bias": np.array([5, 6]),
        f"{block}.o_proj.weight": positions(2, 4),
    }
    config = {"num_attention_heads": 4, "num_key_value_heads": 2}
    attention = family("llama").attention(weights, config, 0)
    assert np.asarray(attention.value).tolist() == [[[0, 1]], [[0, 1]], [[2, 3]], [[2, 3]]]
    assert np.asarray(attention.value_bias).tolist() == [[5], [5], [6], [6]]
    assert np.asarray(attention.output).tolist() == [
        [[0], [4]],
        [[1], [5]],
        [[2], [6]],
        [[3], [7]],
    ]
    assert attention.output_bias is None


def test_gpt2_has_its_values_in_the_last_third_of_columns() -> None:
    """d_model 4, 2 heads of 2: c_attn is (4, 12), its columns 8-9 and 10-11 the values."""
    weights = {
        "h.0.attn.c_attn.weight": positions(4, 12),
        "h.0.attn.c_attn.bias": positions(12),
        "h.0.attn.c_proj.weight": positions(4, 4),
        "h.0.attn.c_proj.bias": positions(4),
    }
    sizes = {"n_layer": 1, "vocab_size": 5, "n_positions": 8}
    attention = family("gpt2").attention(weights, {"n_embd": 4, "n_head": 2, **sizes}, 0)
    assert np.asarray(attention.value).tolist() == [
        [[8, 20, 32, 44], [9, 21, 33, 45]],
        [[10, 22, 34, 46], [11, 23, 35, 47]],
    ]
    assert np.asarray(attention.value_bias).tolist() == [[8, 9], [10, 11]]
    assert np.asarray(attention.output).tolist() == [  # rows 0-1 are head 0's, 2-3 head 1's
        [[0, 4], [1, 5], [2, 6], [3, 7]],
        [[8, 12], [9, 13], [10, 14], [11, 15]],
    ]
    assert np.asarray(attention.output_bias).tolist() == [0, 1, 2, 3]


def test_bloom_value_rows_follow_their_own_head() -> None:
    """d_model 4, 2 heads of 2: rows 4-5 are head 0's values, 10-11 head 1's."""
    block = "h.0.self_attention"
    weights = {
        f"{block}.query_key_value.weight": positions(12, 4),
        f"{block}.query_key_value.bias": positions(12),
        f"{block}.dense.weight": positions(4, 4),
        f"{block}.dense.bias": positions(4),
    }
    attention = family("bloom").attention(weights, {"n_head": 2}, 0)
    assert np.asarray(attention.value).tolist() == [
        [[16, 17, 18, 19], [20, 21, 22, 23]],
        [[40, 41, 42, 43], [44, 45, 46, 47]],
    ]
    assert np.asarray(attention.value_bias).tolist() == [[4, 5], [10, 11]]
    assert np.asarray(attention.output).tolist() == [
        [[0, 1], [4, 5], [8, 9], [12, 13]],
        [[2, 3], [6, 7], [10, 11], [14, 15]],
    ]


@pytest.mark.parametrize(
    ("name", "block", "output"),
    [
        ("opt", "decoder.layers.0.self_attn", "out_proj"),
        ("phi", "layers.0.self_attn", "dense"),
    ],
)
def test_opt_and_phi_have_heads_one_after_another(name: str, block: str, output: str) -> None:
    """d_model 4, 2 heads of 2: value rows 0-1 and output columns 0-1 are head 0's."""
    weights = {
        f"{block}.v_proj.weight": positions(4, 4),
        f"{block}.v_proj.bias": positions(4),
        f"{block}.{output}.weight": positions(4, 4),
        f"{block}.{output}.bias": positions(4),
    }
    attention = family(name).attention(weights, {"num_attention_heads": 2}, 0)
    assert np.asarray(attention.value).tolist() == [
        [[0, 1, 2, 3], [4, 5, 6, 7]],
        [[8, 9, 10, 11], [12, 13, 14, 15]],
    ]
    assert np.asarray(attention.value_bias).tolist() == [[0, 1], [2, 3]]
    assert np.asarray(attention.output).tolist() == [
        [[0, 1], [4, 5], [8, 9], [12, 13]],
        [[2, 3], [6, 7], [10, 11], [14, 15]],
    ]
    assert np.asarray(attention.output_bias).tolist() == [0, 1, 2, 3]


@every_model
def test_shapes_are_those_of_the_real_model(name: str) -> None:
    model = tiny.model(name)
    shapes = {n: tuple(p.shape) for n, p in model.base_model.named_parameters()}
    assert tiny.kind(model).shapes(model.config.to_dict()) == shapes


@every_model
def test_architecture_is_that_of_the_real_model(name: str) -> None:
    model = tiny.model(name)
    sizes = tiny.kind(model).architecture(model.config.to_dict())
    assert sizes.vocabulary == model.get_input_embeddings().weight.shape[0]
    assert sizes.d_model == model.config.hidden_size
    assert sizes.layers == model.config.num_hidden_layers
    assert sizes.heads == model.config.num_attention_heads
    assert sizes.context == getattr(model.config, "max_position_embeddings", 2048)


@every_model
def test_names_of_modules_and_head_are_those_of_the_real_model(name: str) -> None:
    model = tiny.model(name)
    kind, config = tiny.kind(model), model.config
    assert f"{model.base_model_prefix}." == kind.PREFIX
    outside = [n for n, _ in model.named_parameters() if not n.startswith(kind.PREFIX)]
    assert all(n.startswith(kind.HEADS) for n in outside)
    weights = dict(model.base_model.named_parameters())
    for layer in range(config.num_hidden_layers):
        assert kind.mlp_out(weights, layer).shape[0] == config.hidden_size
        assert model.base_model.get_submodule(kind.value_module(layer))


@every_model
def test_mlp_out_is_the_map_of_its_module(name: str) -> None:
    model = tiny.model(name)
    kind, weights = tiny.kind(model), dict(model.base_model.named_parameters())
    for layer in range(model.config.num_hidden_layers):
        down = model.base_model.get_submodule(kind.mlp_out_module(layer))
        matrix = kind.mlp_out(weights, layer)
        x = torch.randn(3, matrix.shape[1], generator=torch.Generator().manual_seed(layer))
        bias = 0 if down.bias is None else down.bias
        torch.testing.assert_close(down(x) - bias, x @ matrix.T)


@every_model
def test_maps_have_the_shapes_of_the_architecture(name: str) -> None:
    model = tiny.model(name)
    kind, config = tiny.kind(model), model.config.to_dict()
    sizes, weights = kind.architecture(config), dict(model.base_model.named_parameters())
    maps = kind.attention(weights, config, 1)
    assert tuple(maps.value.shape) == (sizes.heads, sizes.d_head, sizes.d_model)
    assert tuple(maps.output.shape) == (sizes.heads, sizes.d_model, sizes.d_head)
    if maps.value_bias is not None:
        assert tuple(maps.value_bias.shape) == (sizes.heads, sizes.d_head)
    if maps.output_bias is not None:
        assert tuple(maps.output_bias.shape) == (sizes.d_model,)


@every_model
def test_numpy_and_torch_are_split_alike(name: str) -> None:
    model = tiny.model(name)
    kind, config = tiny.kind(model), model.config.to_dict()
    tensors = {k: v.detach() for k, v in model.base_model.named_parameters()}
    arrays = {k: v.numpy() for k, v in tensors.items()}
    one, other = kind.attention(tensors, config, 1), kind.attention(arrays, config, 1)
    assert (one.clip, one.rms_eps) == (other.clip, other.rms_eps)
    for field in ("value", "value_bias", "output", "output_bias"):
        ours, theirs = getattr(one, field), getattr(other, field)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert np.array_equal(ours.numpy(), theirs)


# Configs


REQUIRED = {
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
    "max_position_embeddings",
    "intermediate_size",
    "ffn_dim",
    "n_embd",
    "n_layer",
    "n_head",
    "n_positions",
}


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_options_a_config_does_not_name_are_those_of_transformers(name: str) -> None:
    """Old files name sizes alone; then a family says what the config class would."""
    kind = family(name)
    sizes = {k: v for k, v in tiny.config(name).to_dict().items() if k in REQUIRED}
    if "num_attention_heads" in sizes:  # a multiple of every default number of value heads
        sizes |= {"num_attention_heads": 32, "hidden_size": 64}
    if name == "gemma4_text":
        sizes |= {"global_head_dim": 256}
        with pytest.raises(ValueError, match="heads of several shapes"):
            kind.architecture({k: v for k, v in sizes.items() if k != "global_head_dim"})
    whole = AutoConfig.for_model(name, **sizes).to_dict()
    assert kind.architecture(sizes) == kind.architecture(whole)
    assert kind.shapes(sizes) == kind.shapes(whole)
    assert whole["tie_word_embeddings"] == kind.TIED


def test_bloom_goes_by_the_names_of_its_old_configs() -> None:
    old = {"n_embed": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 50}
    new = {"hidden_size": 16, "n_layer": 2, "n_head": 4, "vocab_size": 50}
    kind = family("bloom")
    assert kind.shapes(old) == kind.shapes(new)
    assert kind.architecture(old).context == 2048
    assert kind.architecture({**old, "seq_length": 64}).context == 64


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("bloom", {"slow_but_exact": True, "pretraining_tp": 2}, "set `slow_but_exact` to false"),
        ("gemma4_text", {"num_kv_shared_layers": 1}, "another layer's keys and values"),
        ("gemma4_text", {"attention_k_eq_v": True}, "values that are the keys"),
        ("gemma4_text", {"enable_moe_block": True}, "mixture of experts"),
        ("gemma4_text", {"per_layer_config": {"2": {"head_dim": 8}}}, "heads of several shapes"),
    ],
)
def test_what_a_family_cannot_describe_is_refused(
    name: str, option: dict[str, Any], message: str
) -> None:
    config = {**tiny.config(name).to_dict(), **option}
    for function in (family(name).architecture, family(name).shapes):
        with pytest.raises(ValueError, match=message):
            function(config)


def test_bloom_that_is_slow_on_one_rank_or_quick_on_two_is_described() -> None:
    for option in ({"slow_but_exact": True}, {"pretraining_tp": 2}):
        assert family("bloom").architecture({**tiny.config("bloom").to_dict(), **option})


def test_an_unknown_family_lists_the_known() -> None:
    with pytest.raises(
        ValueError, match=r"unknown model family 'nope'.*gpt_neox.*families/nope\.py"
    ):
        family("nope")


def test_what_families_share_is_no_family() -> None:
    assert not [name for name in tiny.FAMILIES if name.startswith("_")]
    with pytest.raises(ValueError, match="unknown model family '_heads'"):
        family("_heads")
