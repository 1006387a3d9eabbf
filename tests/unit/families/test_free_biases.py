"""No measurement sees the biases that training leaves to rounding (see free_biases.py)."""

from collections.abc import Callable
from typing import Any

import free_biases
import numpy as np
import pytest
import tiny
import torch

from tending import components
from tending.stages.activations.activations import Extraction, capture
from tending.stages.divergence import divergence
from tending.stages.divergence.divergence import Predicted
from tending.stages.gradients import gradients
from tending.stages.gradients.gradients import Settings
from tending.stages.spectra import weight_spectra

LENGTH = 9
Numbers = dict[str, Any]
every_family = pytest.mark.parametrize("name", free_biases.FAMILIES)


def nothing(*_: object) -> None:
    """No progress bar and no warnings."""


def of_model(model: Any, key: str) -> tuple[str, ...]:
    """Components of the model for which `key` (weights, activations or gradients) holds."""
    kind, name = tiny.kind(model), model.config.model_type
    parts = [components.component(n) for n in components.plugins.names(components.PACKAGE)]
    fit = [p for p in parts if components.inapplicable(p, name, kind) is None]
    return tuple(p.name for p in fit if getattr(p, key))


def of_activations(model: Any) -> Numbers:
    asked = Extraction(sequences=6, loss_sequences=6, components=of_model(model, "activations"))
    return dict(capture(model, tiny.tokens(6, LENGTH), asked, nothing, pytest.fail).arrays)


def of_weights(model: Any) -> Numbers:
    names = of_model(model, "weights")
    tensors = {
        key.removeprefix(tiny.kind(model).PREFIX): value.detach().numpy()
        for key, value in model.state_dict().items()
    }
    weights = weight_spectra.ModelWeights(
        tensors=tensors, config=model.config.to_dict(), kind=tiny.kind(model)
    )
    found = {n: components.weighing(n).spectra(weights, 0) for n in names}
    return {
        f"{n} {part}": getattr(s, part) for n, s in found.items() for part in ("whole", "heads")
    }


def of_gradients(model: Any) -> Numbers:
    asked = Settings(components=of_model(model, "gradients"), micro_batch=2)
    batches = [("one", tiny.tokens(4, LENGTH)), ("two", tiny.tokens(4, LENGTH, seed=2))]
    _, found = gradients.of_batches(model, batches, asked, nothing, pytest.fail)
    return {"loss": found.loss, **found.spectra, **{f"norm {k}": v for k, v in found.norms.items()}}


def of_predictions(model: Any) -> Numbers:
    asked = Predicted(sequences=4, positions=(0, 3, 8), vocabulary=50)
    found = divergence.logits(model, tiny.tokens(4, LENGTH), asked, nothing, nothing)
    logits = torch.from_numpy(np.concatenate(list(found)))
    return {"log-probabilities": torch.log_softmax(logits.double(), -1).numpy()}


def moved(model: Any, mask: Callable[[str, int], Any]) -> Any:
    """The model with a Gaussian number added to the masked entries of every parameter."""
    generator = np.random.default_rng(3)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            chosen = torch.from_numpy(mask(key, parameter.numel()))
            noise = torch.from_numpy(generator.normal(size=int(chosen.sum())).astype(np.float32))
            parameter.reshape(-1)[chosen] += noise
    return model


@every_family
@pytest.mark.parametrize("measure", [of_activations, of_weights, of_gradients, of_predictions])
def test_no_measurement_sees_them(name: str, measure: Callable[[Any], Numbers]) -> None:
    model = tiny.model(name)
    before = measure(model)
    after = measure(moved(model, lambda *key: free_biases.free(model.config, *key)))
    assert before.keys() == after.keys()
    for key, values in before.items():
        if values is not None:
            largest = float(np.abs(values).max())
            np.testing.assert_allclose(after[key], values, atol=1e-5 * largest, err_msg=key)


@every_family
def test_their_gradient_is_rounding_and_that_of_the_others_is_not(name: str) -> None:
    model, tokens = tiny.model(name), torch.from_numpy(tiny.tokens(4, LENGTH)).long()
    model.double()(input_ids=tokens, labels=tokens).loss.backward()
    largest = max(float(p.grad.abs().max()) for p in model.parameters())
    count = 0
    for key, parameter in model.named_parameters():
        mask = free_biases.free(model.config, key, parameter.numel())
        entries = parameter.grad.reshape(-1).numpy()
        assert np.all(np.abs(entries[mask]) < 1e-6 * largest), key  # some softmaxes are float32
        if mask.any():
            assert np.all(np.abs(entries[~mask]) > 1e-6 * largest), key
        count += mask.sum()
    assert count


def test_a_bias_of_a_query_is_seen() -> None:
    """The comparison can fail: queries' biases weigh the keys, and are determined."""

    def of_queries(key: str, size: int) -> Any:
        mask = np.zeros(size, bool)
        if key.endswith("query_key_value.bias"):
            mask.reshape(4, 3, -1)[:, 0] = True
        return mask

    model = tiny.model("gpt_neox")
    before = of_activations(model)
    after = of_activations(moved(model, of_queries))
    assert max(float(np.abs(after[k] - v).max()) for k, v in before.items()) > 1e-2
