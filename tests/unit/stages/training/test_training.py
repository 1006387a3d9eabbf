"""Training: its schedule, and that the same recipe gives the same bytes, come what may."""

import math
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import free_biases
import golden
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, GPTNeoXForCausalLM

from tending.checkpoints import trained
from tending.checkpoints.trained import Recipe, schedule
from tending.corpus import Tokens, embedded
from tending.run.resources import size_of
from tending.stages.training import training

pytestmark = pytest.mark.usefixtures("fixed_threads")

VOCABULARY = 40
RECIPE = Recipe(
    d_model=16,
    layers=2,
    heads=2,
    learning_rate=1e-2,
    steps=10,
    batch=4,
    sequence_length=8,
    save_every=5,
    seed=3,
)
Report = Callable[[int, float], object]


class CutOffError(Exception):
    """The process ended here."""


def stream(seed: int = 0) -> Tokens:
    """25 rows of 9 tokens and a rest."""
    return np.random.default_rng(seed).integers(0, VOCABULARY, 25 * 9 + 4).astype(np.int32)


def train(
    folder: Path, recipe: Recipe = RECIPE, report: Report = lambda *_: None, corpus: str = "a"
) -> list[list[float]]:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = folder.parent / "tokenizer.json"
    tokenizer.write_text('{"any": "text"}')
    return training.train(recipe, stream(), VOCABULARY, tokenizer, folder, corpus, report)


def cut_off_after(updates: int) -> Report:
    """A report that fails once so many updates are done in this process."""
    done = iter(range(1, 10_000))

    def report(number: int, loss: float) -> None:
        if next(done) == updates:
            raise CutOffError

    return report


def weights(folder: Path) -> dict[str, bytes]:
    """The bytes of every checkpoint's weights, by step folder."""
    return {f.parent.name: f.read_bytes() for f in sorted(folder.glob("step*/model.safetensors"))}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    folder = tmp_path_factory.mktemp("undisturbed") / "model"
    train(folder)
    return folder


# Schedules


def test_the_schedule_doubles_and_then_is_regular() -> None:
    long = replace(RECIPE, steps=1500, save_every=400)
    doubling = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert schedule(long) == sorted([*doubling, 400, 800, 1200, 1500])


def test_a_short_schedule_ends_with_its_training() -> None:
    assert schedule(RECIPE) == [0, 1, 2, 4, 5, 8, 10]
    assert schedule(replace(RECIPE, steps=1)) == [0, 1]
    assert schedule(replace(RECIPE, steps=3, save_every=100)) == [0, 1, 2, 3]


def test_learning_rate_warms_up_peaks_and_falls_to_a_tenth() -> None:
    recipe = replace(RECIPE, steps=1000, learning_rate=1.0)
    rate = [training.learning_rate(recipe, step) for step in range(1001)]
    assert rate[0] == pytest.approx(0.1)  # warm-up over 10 updates: 1/10, 2/10, ...
    assert rate[4] == pytest.approx(0.5)
    assert rate[9] == rate[10] == pytest.approx(1.0)
    assert rate[505] == pytest.approx(0.55)  # half-way down the cosine
    assert rate[10 + 330] == pytest.approx(0.1 + 0.9 * 0.75)  # cos 60 degrees = 1/2
    assert rate[1000] == pytest.approx(0.1)
    assert np.all(np.diff(rate[10:]) < 0)


@pytest.mark.parametrize("steps", [1, 2, 49])
def test_a_short_training_warms_up_over_one_update(steps: int) -> None:
    recipe = replace(RECIPE, steps=steps)
    assert training.learning_rate(recipe, 0) == pytest.approx(recipe.learning_rate)


# Initial weights and data


def test_initial_weights_have_pythias_standard_deviations() -> None:
    d, layers = 128, 3
    recipe = replace(RECIPE, d_model=d, layers=layers, heads=4)
    model = GPTNeoXForCausalLM(training.configuration(recipe, 256))
    training.initialise(model, seed=5)
    small, into_residual = math.sqrt(2 / (5 * d)), 2 / (layers * math.sqrt(d))
    for name, parameter in model.named_parameters():
        values = parameter.detach().numpy()
        if name.endswith(("attention.dense.weight", "mlp.dense_4h_to_h.weight")):
            assert values.std() == pytest.approx(into_residual, rel=0.05), name
        elif values.ndim == 2:
            assert values.std() == pytest.approx(small, rel=0.05), name
        else:
            assert np.all(values == (1.0 if name.endswith("norm.weight") else 0.0)), name
        if values.ndim == 2:
            assert abs(values.mean()) < 4 * values.std() / math.sqrt(values.size), name


def test_initial_weights_follow_from_the_seed_alone() -> None:
    models = [GPTNeoXForCausalLM(training.configuration(RECIPE, VOCABULARY)) for _ in range(3)]
    for model, seed in zip(models, (5, 5, 6), strict=True):
        training.initialise(model, seed)
    one, same, other = (m.gpt_neox.embed_in.weight for m in models)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_model_has_pythias_architecture() -> None:
    config = training.configuration(RECIPE, VOCABULARY)
    assert config.use_parallel_residual and not config.tie_word_embeddings
    assert config.intermediate_size == 4 * RECIPE.d_model
    assert config.rope_parameters["partial_rotary_factor"] == 0.25
    assert config.max_position_embeddings == RECIPE.sequence_length


def test_an_epoch_has_every_row_once_at_most() -> None:
    tokens = np.arange(25 * 9 + 4, dtype=np.int32)  # every token is its own place
    epochs = []
    for epoch in range(2):
        batches = [training.batch(tokens, RECIPE, 6 * epoch + i) for i in range(6)]
        assert {tuple(b.shape) for b in batches} == {(4, 9)}
        rows = torch.cat(batches)
        assert torch.equal(rows, rows[:, :1] + torch.arange(9))  # rows are cut whole
        assert torch.all(rows[:, 0] % 9 == 0)
        assert len(set(rows[:, 0].tolist())) == 24
        epochs.append(rows)
    assert not torch.equal(epochs[0], epochs[1])  # each epoch in another order
    other = torch.cat([training.batch(tokens, replace(RECIPE, seed=4), i) for i in range(6)])
    assert not torch.equal(epochs[0], other)


def test_too_little_text_for_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="3 training rows of 9 tokens; a batch is 4"):
        training.batch(stream()[: 3 * 9 + 8], RECIPE, 0)


# The same bytes


def test_checkpoints_are_those_of_the_schedule_and_load(undisturbed: Path) -> None:
    assert set(weights(undisturbed)) == {f"step{s}" for s in schedule(RECIPE)}
    folders = {p.name for p in undisturbed.iterdir() if p.is_dir()}
    assert folders == {f"step{s}" for s in schedule(RECIPE)}  # nothing half-made is left
    for step in (0, 10):
        model = AutoModelForCausalLM.from_pretrained(undisturbed / f"step{step}")
        logits = model(input_ids=torch.zeros(1, 3, dtype=torch.long)).logits
        assert logits.shape == (1, 3, VOCABULARY)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        tokenizer = undisturbed / f"step{step}" / "tokenizer.json"
        assert tokenizer.read_text() == '{"any": "text"}'


def test_step_0_holds_the_initial_weights(undisturbed: Path) -> None:
    model = GPTNeoXForCausalLM(training.configuration(RECIPE, VOCABULARY))
    training.initialise(model, RECIPE.seed)
    stored = load_file(undisturbed / "step0" / "model.safetensors")
    for name, parameter in model.named_parameters():
        key = name.replace("lm_head", "embed_out")  # the head's name in Pythia's files
        assert np.array_equal(stored[key], parameter.detach().numpy()), name


def test_the_same_recipe_gives_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)  # the global seed has no part in it
    train(tmp_path / "again")
    assert weights(tmp_path / "again") == weights(undisturbed)


def test_steps_differ(undisturbed: Path) -> None:
    assert len(set(weights(undisturbed).values())) == len(schedule(RECIPE))


@pytest.mark.parametrize("updates", [1, 2, 6, 9])
def test_an_interrupted_training_is_taken_up(
    undisturbed: Path, tmp_path: Path, updates: int
) -> None:
    folder = tmp_path / "cut"
    with pytest.raises(CutOffError):
        train(folder, report=cut_off_after(updates))
    # the report comes before the checkpoint of its step is written
    last = max(s for s in schedule(RECIPE) if s < updates)
    assert set(weights(folder)) == {f"step{s}" for s in schedule(RECIPE) if s <= last}
    reports: list[int] = []
    log = train(folder, report=lambda number, _: reports.append(number))
    assert reports == ([last] if last else []) + [1] * (RECIPE.steps - last)
    assert weights(folder) == weights(undisturbed)
    assert [row[0] for row in log] == list(range(1, RECIPE.steps + 1))


def test_interrupted_twice(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    for updates in (6, 4):
        with pytest.raises(CutOffError):
            train(folder, report=cut_off_after(updates))
    train(folder)
    assert weights(folder) == weights(undisturbed)


def test_killed_between_a_checkpoint_and_its_state(undisturbed: Path, tmp_path: Path) -> None:
    """The checkpoint of step 5 is there, the state is still that of step 4."""
    folder = tmp_path / "cut"
    with pytest.raises(CutOffError):
        train(folder, report=cut_off_after(5))
    state = (folder / "state.pt").read_bytes()
    with pytest.raises(CutOffError):
        train(folder, report=cut_off_after(3))  # one report for step 4, then steps 5 and 6
    (folder / "state.pt").write_bytes(state)
    (folder / ".step8.partial").mkdir()  # and a checkpoint was being written
    train(folder)
    assert weights(folder) == weights(undisturbed)
    assert not (folder / ".step8.partial").exists()


def test_a_finished_training_is_not_done_again(undisturbed: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*") if p.is_file()}
    reports: list[int] = []
    log = train(undisturbed, report=lambda number, _: reports.append(number))
    assert reports == [RECIPE.steps]
    assert len(log) == RECIPE.steps
    after = {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*") if p.is_file()}
    assert after == before


def test_a_checkpoint_that_was_deleted_is_made_again(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    train(folder)
    for file in (folder / "step4").iterdir():
        file.unlink()
    (folder / "step4").rmdir()
    train(folder)
    assert weights(folder) == weights(undisturbed)


def test_another_recipe_starts_anew_and_leaves_nothing_of_the_old(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    train(folder)
    other = replace(RECIPE, seed=8, steps=3, save_every=3)
    train(folder, other)
    train(tmp_path / "fresh", other)
    assert weights(folder) == weights(tmp_path / "fresh")
    assert {p.name for p in folder.iterdir() if p.is_dir()} == {"step0", "step1", "step2", "step3"}


def test_another_corpus_starts_anew(tmp_path: Path) -> None:
    folder, short = tmp_path / "model", replace(RECIPE, steps=2)
    train(folder, short)
    reports: list[int] = []
    train(folder, short, lambda number, _: reports.append(number), corpus="b")
    assert reports == [1, 1]


def test_the_log_has_its_columns(undisturbed: Path) -> None:
    log = np.array(train(undisturbed))
    assert log.shape == (RECIPE.steps, len(training.LOG_COLUMNS))
    columns = dict(zip(training.LOG_COLUMNS, log.T, strict=True))
    assert columns["step"].tolist() == list(range(1, RECIPE.steps + 1))
    assert np.all(np.isfinite(columns["training_loss"])) and np.all(columns["training_loss"] > 0)
    rates = [training.learning_rate(RECIPE, step) for step in range(RECIPE.steps)]
    assert columns["learning_rate"] == pytest.approx(rates)


def test_the_first_loss_is_that_of_the_initial_model(undisturbed: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(undisturbed / "step0")
    rows = training.batch(stream(), RECIPE, 0)
    with torch.no_grad():
        own = model(input_ids=rows, labels=rows).loss  # mean over the same 8 predictions a row
    assert train(undisturbed)[0][1] == pytest.approx(float(own), rel=1e-5)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    log = train(tmp_path / "model", replace(RECIPE, steps=60, save_every=60))
    assert np.mean([row[1] for row in log[-6:]]) < log[0][1] - 0.3


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    wild = replace(RECIPE, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match=r"at step \d+: lower the model's learning_rate"):
        train(tmp_path / "model", wild)


def test_golden_training(tmp_path: Path) -> None:
    """All that training determines, which the free biases of keys are not (see free_biases.py)."""
    recipe = replace(RECIPE, steps=3, save_every=3)
    log = train(tmp_path / "model", recipe)
    stored = load_file(tmp_path / "model" / "step3" / "model.safetensors")
    numbers = {"training_loss": [row[1] for row in log], "learning_rate": [row[2] for row in log]}
    config = training.configuration(recipe, VOCABULARY)
    for name, tensor in sorted(stored.items()):
        free = free_biases.free(config, name, tensor.size)
        flat = tensor.astype(np.float64).ravel()[~free]
        key = f"{name} without free biases of keys" if free.any() else name
        numbers[key] = [*flat[:3].tolist(), float(np.sqrt((flat**2).mean()))]
    golden.check("training", "training.py", training.VERSION, numbers, rtol=1e-4)


def test_a_model_is_built_at_the_sizes_that_are_planned_with() -> None:
    """What the rest of the study knows of a model before it is trained."""
    planned = trained.config({"recipe": asdict(RECIPE)}, 0, "any")
    built = training.configuration(RECIPE, planned["vocab_size"])
    assert size_of(planned) == size_of(built.to_dict())
    assert planned["vocab_size"] == embedded.VOCABULARY
