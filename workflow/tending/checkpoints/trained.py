"""Models that the workflow trains itself: recipes and their checkpoint schedule."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tending.checkpoints import Model
from tending.core import paths, plugins

REQUIRED = ("recipe",)
OPTIONAL = ()
REMOTE = False


@dataclass(frozen=True)
class Recipe:
    """Everything a training depends on besides the corpus.

    Widths in units, learning_rate at its peak, batch in sequences of sequence_length tokens,
    steps in updates; a checkpoint is kept at 0, 1, 2, 4, ..., 512 and every save_every updates.
    training_tokens: how many tokens of the training stream, from its first on, are trained on
    again and again; None for all.
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
        """The fields by name, without a limit where there is none.

        It stands in manifests and decides whether a training can be taken up, so a key that a
        recipe does not use must not be in it.
        """
        return {name: value for name, value in asdict(self).items() if value is not None}


def recipe(model: Model) -> Recipe:
    """The recipe of a model in the config."""
    return Recipe(**model["recipe"])


def problems(recipe: Recipe) -> Iterator[str]:
    """Why a model cannot be trained by a recipe, as far as it can be said without the corpus."""
    if recipe.d_model % recipe.heads:
        yield f"recipe: d_model {recipe.d_model} is not a multiple of heads {recipe.heads}"
    needed = recipe.batch * (recipe.sequence_length + 1)  # each sequence and the token after it
    if recipe.training_tokens is not None and recipe.training_tokens < needed:
        yield (
            f"recipe: training_tokens {recipe.training_tokens} are less than one batch, "
            f"{recipe.batch} sequences of {recipe.sequence_length} tokens and the token after "
            f"each, which is {needed}; raise it or lower `batch` or `sequence_length`"
        )


def schedule(recipe: Recipe) -> list[int]:
    """Steps at which a training stores a checkpoint, ascending; Pythia's kind of schedule."""
    doubling = [0, *(2**k for k in range(10))]
    regular = range(0, recipe.steps + 1, recipe.save_every)
    return sorted({*(s for s in doubling if s <= recipe.steps), *regular, recipe.steps})


def steps(model: Model, study: str) -> list[int]:
    """All steps on the schedule, whether the study asks for them or not."""
    return schedule(recipe(model))


def folder(model: Model, step: int, study: str) -> Path:
    """The folder the training writes this step to."""
    return Path(paths.TRAINED_CHECKPOINT.format(study=study, model=model["name"], step=step))


def files(model: Model, step: int, study: str) -> list[str]:
    """The manifest, written when the training is complete."""
    return [paths.TRAINING_MANIFEST.format(study=study, model=model["name"])]


def revision(model: Model, step: int, study: str) -> str:
    """The step's folder name."""
    return f"step{step}"


def total_steps(model: Model, asked: list[int], study: str) -> int:
    """The recipe's steps."""
    return recipe(model).steps


def family(model: Model, step: int, study: str) -> str:
    """All trained models are of Pythia's family."""
    return "gpt_neox"


def config(model: Model, step: int, study: str) -> Mapping[str, Any]:
    """What the training is going to write there, as far as sizes go."""
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
    """The one that all models of the embedded corpus share."""
    return paths.EMBEDDED_TOKENIZER.format(study=study)


def context(model: Model, step: int, study: str) -> int:
    """The length the model is trained on."""
    return recipe(model).sequence_length
