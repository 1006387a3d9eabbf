"""Models that the workflow trains itself: recipes and their checkpoint schedule."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tending.core import paths, plugins
from tending.core.aliases import Model

REQUIRED = ("recipe",)
OPTIONAL = ()
REMOTE = False


@dataclass(frozen=True)
class Recipe:
    """Everything a training run depends on besides the corpus.

    Widths in units, learning_rate at its peak, batch in sequences of sequence_length tokens,
    steps in updates; a checkpoint is kept at 0, 1, 2, 4, ..., 512 and every save_every updates.
    training_tokens: train only on this many leading tokens of the training stream, over and over;
    None for all.
    """

    d_model: int
    layers: int
    heads: int
    learning_rate: float
    steps: int
    batch: int
    sequence_length: int
    save_every: int
    seed: int
    training_tokens: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, without those that are not set.

        Manifests store them, and they decide whether a training run can be resumed, so a key that
        a recipe does not use must be absent.
        """
        return {name: value for name, value in asdict(self).items() if value is not None}


def recipe(model: Model) -> Recipe:
    """Return the recipe of a model in the config."""
    return Recipe(**model["recipe"])


def problems(recipe: Recipe) -> Iterator[str]:
    """Yield reasons why a recipe cannot be trained, as far as they do not depend on the corpus."""
    if recipe.d_model % recipe.heads:
        yield f"recipe: d_model {recipe.d_model} is not a multiple of heads {recipe.heads}"
    needed = recipe.batch * (recipe.sequence_length + 1)  # each sequence and the token after it
    if recipe.training_tokens is not None and recipe.training_tokens < needed:
        yield (
            f"recipe: training_tokens {recipe.training_tokens} is less than one batch, "
            f"{recipe.batch} sequences of {recipe.sequence_length} tokens and the token after "
            f"each, which is {needed}; raise it or lower `batch` or `sequence_length`"
        )


def schedule(recipe: Recipe) -> list[int]:
    """Return the steps of stored checkpoints, ascending, on a schedule like Pythia's."""
    doubling = [0, *(2**k for k in range(10))]
    regular = range(0, recipe.steps + 1, recipe.save_every)
    return sorted({*(s for s in doubling if s <= recipe.steps), *regular, recipe.steps})


def steps(model: Model, study: str) -> list[int]:
    """Return all steps on the schedule, whether the study requests them or not."""
    return schedule(recipe(model))


def folder(model: Model, step: int, study: str) -> Path:
    """Return the folder that the training run writes this step to."""
    return Path(paths.TRAINED_CHECKPOINT.format(study=study, model=model["name"], step=step))


def files(model: Model, step: int, study: str) -> list[str]:
    """Return the manifest, written when the training run is complete."""
    return [paths.TRAINING_MANIFEST.format(study=study, model=model["name"])]


def revision(model: Model, step: int, study: str) -> str:
    """Return the step's folder name."""
    return f"step{step}"


def total_steps(model: Model, asked: list[int], study: str) -> int:
    """Return the recipe's number of steps."""
    return recipe(model).steps


def family(model: Model, step: int, study: str) -> str:
    """Return Pythia's family, to which all trained models belong."""
    return "gpt_neox"


def config(model: Model, step: int, study: str) -> Mapping[str, Any]:
    """Return the entries on sizes of the config.json that the training run will write."""
    own, vocabulary = recipe(model), plugins.constant("tending.corpus.embedded", "VOCABULARY")
    return {
        "model_type": family(model, step, study),
        "hidden_size": own.d_model,
        "num_hidden_layers": own.layers,
        "num_attention_heads": own.heads,
        "intermediate_size": 4 * own.d_model,
        "max_position_embeddings": own.sequence_length,
        "vocab_size": vocabulary,
    }


def tokenizer(model: Model, step: int, study: str) -> str:
    """Return the path of the tokenizer that all models of the embedded corpus share."""
    return paths.EMBEDDED_TOKENIZER.format(study=study)


def context(model: Model, step: int, study: str) -> int:
    """Return the sequence length the model is trained on."""
    return recipe(model).sequence_length
