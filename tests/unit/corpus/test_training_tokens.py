"""Trainings on the first tokens of the stream: what is read, what is recorded, and overfitting."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tending.checkpoints.trained import Recipe, problems, schedule
from tending.corpus import Tokens
from tending.metrics.statistics import late_phase
from tending.models import loading
from tending.stages.activations import activations
from tending.stages.training import training

pytestmark = pytest.mark.usefixtures("fixed_threads")

VOCABULARY = 40
RECIPE = Recipe(
    d_model=16,
    layers=1,
    heads=2,
    learning_rate=3e-2,
    steps=96,
    batch=8,
    sequence_length=16,
    save_every=16,
    seed=0,
)
SMALL = replace(RECIPE, steps=4, save_every=4)


def text(tokens: int, seed: int) -> Tokens:
    """A Markov chain, the same for all seeds: every token is followed by one of four."""
    follows = np.random.default_rng(0).integers(0, VOCABULARY, (VOCABULARY, 4))
    chain = [0]
    for choice in np.random.default_rng(seed).integers(0, 4, tokens - 1):
        chain.append(follows[chain[-1], choice])
    return np.array(chain, dtype=np.int32)


def train(folder: Path, recipe: Recipe, tokens: Tokens) -> list[list[float]]:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = folder.parent / "tokenizer.json"
    tokenizer.write_text("{}")
    return training.train(recipe, tokens, VOCABULARY, tokenizer, folder, "a", lambda *_: None)


def last_weights(folder: Path, recipe: Recipe) -> bytes:
    return (folder / f"step{recipe.steps}" / "model.safetensors").read_bytes()


def held_out(folder: Path, recipe: Recipe) -> late_phase.LatePhase:
    """The late phase of a training, by the loss of 128 sequences that it has not seen."""
    probe = text(128 * 16, seed=2).reshape(128, 16)
    settings = activations.Extraction(sequences=128, loss_sequences=128)
    losses = []
    for step in schedule(recipe):
        model = loading.load_model(folder / f"step{step}", "float32", torch.device("cpu"))
        captured = activations.capture(model, probe, settings, lambda _: None, pytest.fail)
        losses.append(captured.arrays["held_out_loss"])
    return late_phase.of_losses(schedule(recipe), losses)


# What is read


def test_the_first_tokens_are_those_of_a_shorter_text(tmp_path: Path) -> None:
    """Nothing after them has a part in it: not in the data, its order, or the epochs."""
    stream, limited = text(3000, seed=1), replace(SMALL, training_tokens=500)
    train(tmp_path / "limited", limited, stream)
    train(tmp_path / "short", SMALL, stream[:500])
    train(tmp_path / "long", SMALL, stream)
    ours = last_weights(tmp_path / "limited", limited)
    assert ours == last_weights(tmp_path / "short", SMALL)
    assert ours != last_weights(tmp_path / "long", SMALL)


def test_as_many_as_there_are_is_all(tmp_path: Path) -> None:
    stream = text(700, seed=1)
    every = replace(SMALL, training_tokens=700)
    assert np.array_equal(training.part(stream, every), stream)
    assert np.array_equal(training.part(stream, SMALL), stream)


def test_more_than_there_are_is_refused_before_anything_is_trained_or_deleted(
    tmp_path: Path,
) -> None:
    train(tmp_path / "model", SMALL, text(700, seed=1))
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match="training_tokens 701, but the corpus has 700 training to"):
        train(tmp_path / "model", replace(SMALL, training_tokens=701), text(700, seed=1))
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_less_than_a_batch_is_a_problem_of_the_recipe() -> None:
    assert not list(problems(replace(RECIPE, training_tokens=8 * 17)))
    (problem,) = problems(replace(RECIPE, training_tokens=8 * 17 - 1))
    assert "training_tokens 135 is less than one batch" in problem and "136" in problem


# What is recorded


def test_a_recipe_without_a_limit_is_recorded_as_before_there_was_one() -> None:
    """Else trainings of earlier versions would not be taken up, and manifests would change."""
    assert json.dumps(RECIPE.as_dict(), sort_keys=True) == (
        '{"batch": 8, "d_model": 16, "heads": 2, "layers": 1, "learning_rate": 0.03, '
        '"save_every": 16, "seed": 0, "sequence_length": 16, "steps": 96}'
    )
    limited = replace(RECIPE, training_tokens=800)
    assert limited.as_dict() == {**RECIPE.as_dict(), "training_tokens": 800}


def test_the_stored_state_names_its_recipe_as_before(tmp_path: Path) -> None:
    train(tmp_path / "model", SMALL, text(700, seed=1))
    state = torch.load(tmp_path / "model" / "state.pt", weights_only=True)
    assert state["fingerprint"] == (
        f"[{training.VERSION}, "
        '{"batch": 8, "d_model": 16, "heads": 2, "layers": 1, "learning_rate": 0.03, '
        '"save_every": 4, "seed": 0, "sequence_length": 16, "steps": 4}, "a"]'
    )


def test_another_number_of_tokens_starts_anew(tmp_path: Path) -> None:
    stream = text(700, seed=1)
    for tokens in (None, 300, 301):
        log = train(tmp_path / "model", replace(SMALL, training_tokens=tokens), stream)
        assert len(log) == SMALL.steps
        state = torch.load(tmp_path / "model" / "state.pt", weights_only=True)
        assert json.loads(state["fingerprint"])[1].get("training_tokens") == tokens


# What it is for


def test_few_tokens_again_and_again_give_a_late_rise_that_is_found(tmp_path: Path) -> None:
    """The same training on enough text gives none: its last step is its best."""
    stream = text(20_000, seed=1)
    few = replace(RECIPE, training_tokens=800)
    log = train(tmp_path / "few", few, stream)
    train(tmp_path / "all", RECIPE, stream)
    rise, none = held_out(tmp_path / "few", few), held_out(tmp_path / "all", RECIPE)
    assert rise.best <= 48
    assert rise.low > 0.1 and rise.p < 0.01
    assert log[-1][1] < log[rise.best - 1][1]  # while what is trained on goes on falling
    assert none.best == 96 and none.rise == 0
    assert none.p > 0.5
