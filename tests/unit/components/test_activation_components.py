"""Activations of further components, as captured: laws over all families."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from final_states import final

from tending import components
from tending.stages.activations.activations import Captured, Extraction, capture

every_model = pytest.mark.parametrize("name", tiny.MODELS)
SEQUENCES, LENGTH = 6, 5
# Blocks that add what attention and MLP write to the stream, beside or after one another.
ADDING = ("gpt_neox", "llama", "mistral", "qwen2", "qwen3", "olmo", "smollm3", "gemma")
ADDING += ("gpt2", "bloom", "phi")  # the others have norms between


def take(model: Any, tokens: Any, *names: str, **settings: Any) -> dict[str, Any]:
    """Captured arrays of the named components at all positions."""
    asked = {"position": "all", "sequences": len(tokens), "components": names, **settings}
    found: Captured = capture(model, tokens, Extraction(**asked), lambda _: None, pytest.fail)
    return found.arrays


def hidden(model: Any, tokens: Any) -> Any:
    with torch.inference_mode():
        rows = torch.from_numpy(tokens.astype(np.int64))
        return model.base_model(input_ids=rows, use_cache=False, output_hidden_states=True)


def close(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@every_model
def test_the_residual_stream_ends_in_the_models_output(name: str) -> None:
    model, tokens = tiny.model(name), tiny.tokens(SEQUENCES, LENGTH)
    residual = take(model, tokens, "residual", batch_size=4)["residual"]
    with torch.inference_mode():
        ours = final(model)(torch.from_numpy(residual[-1]))
    close(ours, hidden(model, tokens).last_hidden_state.flatten(0, 1))


@every_model
def test_the_embedding_has_no_layers_and_enters_the_first_block(name: str) -> None:
    model, tokens = tiny.model(name), tiny.tokens(SEQUENCES, LENGTH)
    embedding = take(model, tokens, "embedding", batch_size=4)["embedding"]
    assert embedding.shape == (SEQUENCES * LENGTH, model.config.hidden_size)
    close(embedding, hidden(model, tokens).hidden_states[0].flatten(0, 1))


@every_model
def test_on_one_token_attention_writes_its_ov_circuit_and_its_bias(name: str) -> None:
    model, tokens = tiny.model(name), tiny.tokens(SEQUENCES, 1)
    found = take(model, tokens, "attention_ov", "attention_out")
    weights = {k: v.detach() for k, v in model.base_model.named_parameters()}
    for layer, written in enumerate(found["attention_out"]):
        maps = tiny.kind(model).attention(weights, model.config.to_dict(), layer)
        bias = 0 if maps.output_bias is None else maps.output_bias.numpy()
        close(found["attention_ov"][layer] + bias, written)


@pytest.mark.parametrize("name", ADDING)
def test_blocks_add_what_attention_and_mlp_write(name: str) -> None:
    model, tokens = tiny.model(name), tiny.tokens(SEQUENCES, LENGTH)
    found = take(model, tokens, "embedding", "attention_out", "mlp_out", "residual")
    stream = found["embedding"]
    for layer in range(model.config.num_hidden_layers):
        stream = stream + found["attention_out"][layer] + found["mlp_out"][layer]
        close(stream, found["residual"][layer])


@pytest.mark.parametrize("parallel", [True, False])
def test_gpt_neox_adds_them_in_either_order(parallel: bool) -> None:
    model = tiny.model("gpt_neox", use_parallel_residual=parallel)
    tokens = tiny.tokens(SEQUENCES, LENGTH)
    found = take(model, tokens, "embedding", "attention_out", "mlp_out", "residual")
    written = (found["attention_out"] + found["mlp_out"]).sum(axis=0)
    close(found["embedding"] + written, found["residual"][-1])


@every_model
def test_every_component_that_has_activations_is_taken(name: str) -> None:
    model, tokens = tiny.model(name), tiny.tokens(SEQUENCES, LENGTH)
    parts = [components.component(n) for n in components.plugins.names(components.PACKAGE)]
    kind, rows = tiny.kind(model), SEQUENCES * LENGTH
    asked = [p for p in parts if components.inapplicable(p, name, kind) is None]
    found = take(model, tokens, *(p.name for p in asked))
    expected = {d for p in asked if p.activations for d in p.datasets()}
    assert set(found) == expected and "unembedding" not in found
    layers = model.config.num_hidden_layers
    for part in asked:
        if part.activations:
            outer = (layers, rows) if part.layers else (rows,)
            assert found[part.name].shape[:-1] == outer
            assert found[part.name].dtype == np.float32


def test_the_others_are_the_same_whatever_else_is_asked_for() -> None:
    model, tokens = tiny.model("llama"), tiny.tokens(SEQUENCES, LENGTH)
    usual = take(model, tokens, *components.DEFAULT)
    more = take(model, tokens, "mlp_gate", "residual", *components.DEFAULT)
    assert list(usual) == ["attention_ov_heads", "attention_ov", "mlp_out"]
    for name, array in usual.items():  # of fewer rows at a time in the last layer
        np.testing.assert_allclose(array, more[name], rtol=2e-5, atol=2e-5)
    assert list(take(model, tokens, "mlp_out")) == ["mlp_out"]


def test_a_gate_is_refused_where_there_is_none() -> None:
    with pytest.raises(ValueError, match=r"gpt_neox has no mlp_gate .*`components`"):
        take(tiny.model("gpt_neox"), tiny.tokens(2, 3), "mlp_gate")
