"""Which weights are which, in every family: layouts that shapes cannot tell apart."""

import numpy as np
import pytest
import tiny
import torch

from tending.families import family


def ov_by_hand(heads: int, d_head: int) -> tuple[np.ndarray, np.ndarray]:
    d = heads * d_head
    fused = np.arange(3 * d * d, dtype=np.float32).reshape(3 * d, d)
    dense = np.arange(d * d, dtype=np.float32).reshape(d, d)
    return fused, dense


def gpt_neox_arange() -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """A layer of 2 heads, d_head 2, d_model 4, whose every weight is its own position."""
    fused, dense = ov_by_hand(heads=2, d_head=2)
    block = "layers.0.attention"
    weights = {
        f"{block}.query_key_value.weight": fused,
        f"{block}.query_key_value.bias": np.arange(12, dtype=np.float32),
        f"{block}.dense.weight": dense,
        f"{block}.dense.bias": np.arange(4, dtype=np.float32),
    }
    config = {
        "hidden_size": 4,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "vocab_size": 5,
        "max_position_embeddings": 8,
        "intermediate_size": 16,
    }
    return weights, config


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


def test_gpt_neox_without_attention_biases() -> None:
    weights, config = gpt_neox_arange()
    plain = {k: v for k, v in weights.items() if not k.endswith("bias")}
    kind = family("gpt_neox")
    attention = kind.attention(plain, config, 0)
    assert attention.value_bias is None and attention.output_bias is None
    names = set(kind.shapes({**config, "attention_bias": False}))
    assert not any(name.endswith(("dense.bias", "query_key_value.bias")) for name in names)
    model = tiny.model("gpt_neox", attention_bias=False)
    shapes = {n: tuple(p.shape) for n, p in model.base_model.named_parameters()}
    assert kind.shapes(model.config.to_dict()) == shapes


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_shapes_are_those_of_the_real_model(name: str) -> None:
    model = tiny.model(name)
    state = {n: tuple(t.shape) for n, t in model.base_model.state_dict().items()}
    assert family(name).shapes(model.config.to_dict()) == state


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_architecture_is_that_of_the_real_model(name: str) -> None:
    model = tiny.model(name)
    sizes = family(name).architecture(model.config.to_dict())
    assert sizes.vocabulary == model.get_input_embeddings().weight.shape[0]
    assert sizes.d_model == model.get_input_embeddings().weight.shape[1]
    assert sizes.layers == model.config.num_hidden_layers
    assert sizes.heads == model.config.num_attention_heads
    assert sizes.context == model.config.max_position_embeddings


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_prefix_and_modules_are_those_of_the_real_model(name: str) -> None:
    model, kind = tiny.model(name), family(name)
    assert f"{model.base_model_prefix}." == kind.PREFIX
    for layer in range(model.config.num_hidden_layers):
        down = model.base_model.get_submodule(kind.mlp_out_module(layer))
        weights = dict(model.base_model.named_parameters())
        assert kind.mlp_out(weights, layer).shape[0] == model.config.hidden_size
        assert torch.equal(kind.mlp_out(weights, layer), down.weight)
        assert model.base_model.get_submodule(kind.value_module(layer))


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_numpy_and_torch_are_split_alike(name: str) -> None:
    model, kind = tiny.model(name), family(name)
    config = model.config.to_dict()
    tensors = {k: v.detach() for k, v in model.base_model.named_parameters()}
    arrays = {k: v.numpy() for k, v in tensors.items()}
    one, other = kind.attention(tensors, config, 1), kind.attention(arrays, config, 1)
    for field in ("value", "value_bias", "output", "output_bias"):
        ours, theirs = getattr(one, field), getattr(other, field)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert np.array_equal(ours.numpy(), theirs)


def test_an_unknown_family_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"unknown model family 'nope'.*gpt_neox"):
        family("nope")
