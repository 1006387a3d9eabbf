"""Divergence of next-token predictions: closed forms, laws, and the whole model's own logits."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import golden
import numpy as np
import numpy.typing as npt
import pytest
import tiny
import torch
from scipy.special import log_softmax, rel_entr, softmax

from tending.stages.activations.activations import OutOfMemoryError
from tending.stages.divergence import divergence
from tending.stages.divergence.divergence import Divergences, Predicted

LENGTH, SEQUENCES = 9, 7
POSITIONS = (0, 3, 8)
CAPPED = "gemma3_text capped"
Array = npt.NDArray[Any]


def nothing(_: object) -> None:
    """No progress bar and no warnings."""


def settings(**changes: Any) -> Predicted:
    return Predicted(
        **{"sequences": SEQUENCES, "positions": POSITIONS, "vocabulary": 50, **changes}
    )


def logits(model: Any, **changes: Any) -> Array:
    tokens = tiny.tokens(SEQUENCES, LENGTH)
    return np.concatenate(
        list(divergence.logits(model, tokens, settings(**changes), nothing, nothing))
    )


def compared(model: Any, reference: Array, **changes: Any) -> Divergences:
    return divergence.divergences(
        model,
        tiny.tokens(SEQUENCES, LENGTH),
        settings(**changes),
        lambda begin, end: reference[begin:end],
        nothing,
        nothing,
    )


def own_logits(model: Any, vocabulary: int = 50) -> Array:
    """By the whole causal language model, (sequences, positions, vocabulary), float64."""
    ids = torch.from_numpy(tiny.tokens(SEQUENCES, LENGTH).astype(np.int64))
    with torch.no_grad():
        found = model(input_ids=ids).logits
    return found[:, list(POSITIONS), :vocabulary].double().numpy()


def expected(p: Array, q: Array) -> Array:
    """KL of the softmax of p from that of q, over the last axis."""
    own: Array = softmax(p, axis=-1) * (log_softmax(p, axis=-1) - log_softmax(q, axis=-1))
    return own.sum(axis=-1)


# Closed forms


def test_two_tokens() -> None:
    p = torch.tensor([[1 / 2, 1 / 2], [1.0, 1.0]]).log()
    q = torch.tensor([[1 / 4, 3 / 4], [1.0, 3.0]], dtype=torch.float64).log()
    forward, reverse = divergence.divergence(p, q)
    # The second row's logits are shifted by a constant, which a softmax does not see.
    there = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    back = 0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2)
    assert forward.tolist() == pytest.approx([there] * 2, rel=1e-7)
    assert reverse.tolist() == pytest.approx([back] * 2, rel=1e-7)


def test_certainty_against_ignorance() -> None:
    """KL of a certain prediction from a uniform one over V tokens is ln V."""
    certain = torch.full((1, 1024), -800.0)
    certain[0, 5] = 0.0
    forward, reverse = divergence.divergence(certain, torch.zeros(1, 1024))
    assert float(forward) == pytest.approx(math.log(1024), rel=1e-12)
    assert float(reverse) == pytest.approx(800 * 1023 / 1024 - math.log(1024), rel=1e-12)


def test_scipy_agrees_and_nothing_is_negative() -> None:
    random = np.random.default_rng(0)
    p, q = (4 * random.standard_normal((40, 300)).astype(np.float32) for _ in range(2))
    forward, reverse = divergence.divergence(torch.from_numpy(p), torch.from_numpy(q))
    a, b = (softmax(x.astype(np.float64), axis=1) for x in (p, q))
    np.testing.assert_allclose(forward, rel_entr(a, b).sum(axis=1), rtol=1e-10)
    np.testing.assert_allclose(reverse, rel_entr(b, a).sum(axis=1), rtol=1e-10)
    assert float(forward.min()) > 0 and float(reverse.min()) > 0


def test_small_divergences_keep_their_digits() -> None:
    """Near P, KL is half the variance of the change of the logits under P."""
    random = np.random.default_rng(1)
    p = torch.from_numpy(random.standard_normal((5, 1000)))
    change = 1e-5 * torch.from_numpy(random.standard_normal((5, 1000)))
    weights = torch.softmax(p, dim=1)
    mean = (weights * change).sum(dim=1, keepdim=True)
    half_variance = 0.5 * (weights * (change - mean) ** 2).sum(dim=1)
    for found in divergence.divergence(p, p + change):
        np.testing.assert_allclose(found, half_variance, rtol=1e-3)


# Models


@pytest.mark.parametrize("name", [*tiny.FAMILIES, CAPPED, "opt post-norm", "opt old"])
def test_it_is_that_of_the_whole_models_own_predictions(name: str) -> None:
    one, other = tiny.model(name), tiny.model(name, seed=3)
    found = compared(other, logits(one))
    p, q = own_logits(one), own_logits(other)
    assert found.forward.shape == found.reverse.shape == (SEQUENCES, len(POSITIONS))
    np.testing.assert_allclose(found.forward, expected(p, q), rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(found.reverse, expected(q, p), rtol=1e-3, atol=1e-7)
    assert min(found.forward.min(), found.reverse.min()) > 0


def test_a_cap_on_the_logits_counts() -> None:
    one, other = (tiny.model("gemma2", seed=s) for s in (0, 3))
    open_one, open_other = (
        tiny.model("gemma2", seed=s, final_logit_softcapping=None) for s in (0, 3)
    )
    capped, free = compared(other, logits(one)), compared(open_other, logits(open_one))
    assert not np.allclose(capped.forward, free.forward, rtol=0.01)


def test_the_reference_itself_is_at_no_distance() -> None:
    model = tiny.model("gpt_neox")
    reference = logits(model)
    same = compared(model, reference)
    assert (same.forward == 0).all() and (same.reverse == 0).all()
    otherwise = compared(model, reference, batch_size=2)  # float32 rounds in another order
    assert np.abs(otherwise.forward).max() < 1e-11


def test_padding_does_not_matter() -> None:
    one, other = tiny.model("gpt_neox"), tiny.model("gpt_neox", seed=3)
    clean = compared(other, logits(one, vocabulary=40), vocabulary=40)
    p, q = own_logits(one, 40), own_logits(other, 40)
    np.testing.assert_allclose(clean.forward, expected(p, q), rtol=1e-3)
    with torch.no_grad():
        one.get_output_embeddings().weight[40:] = 1e6
        other.get_output_embeddings().weight[40:] = -1e6
    reference = logits(one, vocabulary=40)
    assert reference.shape == (SEQUENCES * len(POSITIONS), 40) and reference.dtype == np.float32
    dirty = compared(other, reference, vocabulary=40)
    np.testing.assert_array_equal(dirty.forward, clean.forward)
    np.testing.assert_array_equal(dirty.reverse, clean.reverse)


def test_there_are_no_more_tokens_than_logits() -> None:
    model = tiny.model("gpt_neox")
    assert divergence.vocabulary(model, 47) == 47
    assert divergence.vocabulary(model, 60) == 50
    with pytest.raises(ValueError, match=r"model predicts 50 tokens, the reference 60; .*`models`"):
        compared(model, np.zeros((SEQUENCES * 3, 60), np.float32), vocabulary=60)


def test_predictions_are_ordered_by_sequence_and_position() -> None:
    model = tiny.model("llama")
    found = logits(model).reshape(SEQUENCES, len(POSITIONS), 50)
    np.testing.assert_allclose(found, own_logits(model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("at_once", [1, 100, 2**22])
def test_batches_and_chunks_change_nothing(
    batch_size: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tiny.model("gpt_neox"), tiny.model("gpt_neox", seed=3)
    whole = compared(other, logits(one))
    monkeypatch.setattr(divergence, "LOGITS_PER_CHUNK", at_once)
    parts = compared(other, logits(one, batch_size=batch_size), batch_size=batch_size)
    np.testing.assert_allclose(parts.forward, whole.forward, rtol=1e-4)
    np.testing.assert_allclose(parts.reverse, whole.reverse, rtol=1e-4)


# Failures


@contextmanager
def room_for(model: Any, rows: int) -> Iterator[None]:
    """The output head runs out of memory above so many rows."""

    def refuse(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 TiB")

    handle = model.get_output_embeddings().register_forward_pre_hook(refuse)
    yield
    handle.remove()


def test_out_of_memory_halves_the_batch_and_changes_nothing() -> None:
    one, other = tiny.model("gpt_neox"), tiny.model("gpt_neox", seed=3)
    reference, tokens = logits(one), tiny.tokens(SEQUENCES, LENGTH)
    whole = compared(other, reference)
    done: list[int] = []
    warnings: list[str] = []
    with room_for(other, 2 * len(POSITIONS)):
        found = divergence.divergences(
            other,
            tokens,
            settings(batch_size=8),
            lambda begin, end: reference[begin:end],
            done.append,
            warnings.append,
        )
    assert done == [2, 2, 2, 1] and [w.rsplit(" ", 1)[-1] for w in warnings] == ["4", "2"]
    np.testing.assert_allclose(found.forward, whole.forward, rtol=1e-4)
    message = "one sequence of 9 tokens does not fit"
    with room_for(one, 1), pytest.raises(OutOfMemoryError, match=message):
        logits(one)


def test_what_is_not_finite_is_refused_with_its_sequence() -> None:
    model, tokens = tiny.model("gpt_neox"), tiny.tokens(SEQUENCES, LENGTH)
    only = tokens[4, 0]
    tokens[tokens == only] = (only + 1) % 50
    tokens[4, 0] = only
    with torch.no_grad():
        model.get_input_embeddings().weight[int(only)] = float("nan")
    with pytest.raises(ValueError, match=r"the logits of sequence 4 hold .*NaN or infinite"):
        list(divergence.logits(model, tokens, settings(batch_size=3), nothing, nothing))


def test_too_few_sequences_and_foreign_tokens() -> None:
    model = tiny.model("gpt_neox")
    with pytest.raises(ValueError, match=r"has 7 sequences, 8 are requested"):
        logits(model, sequences=8)
    tokens = np.full((SEQUENCES, LENGTH), 50, np.int32)
    with pytest.raises(ValueError, match=r"token 50 is outside the model's vocabulary of 50"):
        list(divergence.logits(model, tokens, settings(), nothing, nothing))


def test_golden_divergence(fixed_threads: None) -> None:
    one, other = (tiny.model("gpt_neox", seed=s) for s in (20241015, 20241016))
    numbers = {"logits": logits(one)[:3].ravel()[::7].astype(np.float64).tolist()}
    for vocabulary in (50, 41):
        found = compared(other, logits(one, vocabulary=vocabulary), vocabulary=vocabulary)
        numbers[f"forward {vocabulary}"] = found.forward.ravel().tolist()
        numbers[f"reverse {vocabulary}"] = found.reverse.ravel().tolist()
    golden.check("divergence", "divergence.py", divergence.VERSION, numbers, rtol=1e-4)
