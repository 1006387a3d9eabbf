"""The last layer cut short: the same numbers, and what is left out is not computed."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch

from tending.components import component
from tending.families import attention_aside
from tending.stages.activations import activations
from tending.stages.activations.activations import Extraction, capture
from tending.stages.activations.early_exit import last_layer

SEQUENCES, LENGTH = 4, 7
DEFAULT = ("attention_ov", "mlp_out")
SETS = [DEFAULT, ("attention_ov",), ("mlp_out",), ("mlp_in", "embedding"), ("attention_out",),
        ("attention_out", "mlp_out"), ("residual", "mlp_out")]  # fmt: skip


def taken(model: Any, position: Any, *names: str) -> dict[str, Any]:
    settings = Extraction(position, sequences=SEQUENCES, components=names)
    tokens = tiny.tokens(SEQUENCES, LENGTH)
    return dict(capture(model, tokens, settings, lambda _: None, pytest.fail).arrays)


@pytest.mark.parametrize("names", SETS, ids=" ".join)
@pytest.mark.parametrize("name", tiny.MODELS)
def test_the_numbers_are_those_of_the_whole_pass(
    name: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, position = tiny.model(name), [1, -2]
    short = taken(model, position, *names)
    monkeypatch.setattr(activations, "last_layer", lambda *_: None)
    whole = taken(model, position, *names)
    assert short.keys() == whole.keys()
    for key, array in whole.items():
        np.testing.assert_allclose(short[key], array, rtol=2e-5, atol=2e-5)


def rows_seen(model: Any, position: Any, *names: str) -> dict[str, int]:
    """How many positions each linear projection of the last layer is given in all."""
    seen: dict[str, int] = {}
    kind = tiny.kind(model)
    last = model.config.num_hidden_layers - 1
    modules = {
        "value": kind.value_module(last), "attention": kind.attention_module(last),
        "in": kind.mlp_in_module(last), "out": kind.mlp_out_module(last),
    }  # fmt: skip
    handles = [
        model.base_model.get_submodule(module).register_forward_pre_hook(
            lambda _, args, key=key: seen.__setitem__(key, args[0][..., 0].numel())
        )
        for key, module in modules.items()
    ]
    handles.append(model.base_model.register_forward_hook(lambda *_: seen.update(end=1)))
    taken(model, position, *names)
    for handle in handles:
        handle.remove()
    return seen


def test_what_is_left_out_is_not_computed() -> None:
    probed, every = SEQUENCES, SEQUENCES * LENGTH
    beside, after = tiny.model("gpt_neox"), tiny.model("gpt_neox", use_parallel_residual=False)
    # hooks of ours run first, so `in` counts what comes before it is narrowed
    assert rows_seen(beside, "last", *DEFAULT) == {"value": probed, "in": every, "out": probed}
    assert rows_seen(after, "last", *DEFAULT) == {
        "value": every, "attention": every, "in": every, "out": probed,
    }  # fmt: skip
    assert rows_seen(beside, "last", "attention_ov") == {"value": probed}
    assert "end" in rows_seen(beside, "last", "residual", "mlp_out")


def test_attention_is_needed_where_the_mlp_is_given_its_result() -> None:
    model = tiny.model("gpt_neox", use_parallel_residual=False)
    config, kind = model.config.to_dict(), tiny.kind(model)
    parts = [component(name) for name in DEFAULT]
    cut = last_layer(model.base_model, kind, config, parts)
    assert cut is not None and cut.attention is None
    assert attention_aside(kind, {**config, "use_parallel_residual": True}, 2) is not None
    assert attention_aside(tiny.kind(tiny.model("llama")), {}, 2) is None


def test_a_loss_is_of_the_whole_pass() -> None:
    model, tokens = tiny.model("phi"), tiny.tokens(SEQUENCES, LENGTH)
    settings = Extraction(sequences=SEQUENCES, loss_sequences=1, batch_size=2)
    found = capture(model, tokens, settings, lambda _: None, pytest.fail).arrays
    ids = torch.from_numpy(tokens[:1].astype(np.int64))
    with torch.inference_mode():
        own = model(input_ids=ids, labels=ids).loss
    assert found["held_out_loss"] == pytest.approx(float(own), rel=1e-5)
    assert found["mlp_out"].shape[1] == SEQUENCES


def test_a_fault_in_the_last_layer_is_not_taken_for_its_end() -> None:
    model = tiny.model("phi")
    module = model.base_model.get_submodule(tiny.kind(model).mlp_out_module(2))

    def fail(*_: object) -> None:
        raise RuntimeError("a fault in the model")

    handle = module.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="a fault in the model"):
        taken(model, "last", *DEFAULT)
    handle.remove()
    assert "forward" not in vars(model.base_model.layers[2].self_attn)
    assert len(taken(model, "last", *DEFAULT)["mlp_out"]) == 3
