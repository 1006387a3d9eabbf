"""Requirements on a study with gradients. No torch, because planning imports this."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tending import components as parts
from tending.checkpoints import hub, source
from tending.core.aliases import Config, Model
from tending.corpus.hub import ROWS_PER_STEP
from tending.families import family
from tending.study.selection import asked, steps

TRAINED = "trained"


def of_training(config: Config, model: Model) -> bool:
    """Return whether a model's gradients use training batches, not fixed held-out ones."""
    wanted, known = config["gradients"]["batches"], _known(config, model)
    return bool(wanted == "training" or (wanted == "auto" and known))


def _known(config: Config, model: Model) -> bool:
    """Return whether the order of a model's training data is known."""
    return model["source"] == TRAINED or "data" in config["gradients"]


def data(config: Config) -> dict[str, Any]:
    """Return the settings of the training dataset, with rows_per_step if no column has the step."""
    named: Mapping[str, Any] = config["gradients"]["data"]
    rows = {} if "step_column" in named else {"rows_per_step": ROWS_PER_STEP}
    return {**rows, **named}


def end(config: Config, model: Model, own: Sequence[int]) -> int:
    """Return the number of updates in a model's training run; own: its steps in the study."""
    return source(model["source"]).total_steps(model, list(own), config["study"])


def problems(config: Config) -> Iterator[str]:
    """Yield problems with `gradients`. config: one whose steps and corpus are valid."""
    if "gradients" not in config:
        return
    yield from (f"gradients: {text}" for text in _components(config))
    yield from (f"gradients: {text}" for text in _data(config))
    for model in config["models"]:
        yield from (f"gradients: {model['name']}: {text}" for text in _batches(config, model))


def _components(config: Config) -> Iterator[str]:
    """Yield unknown components, those without gradients, and those that a family lacks."""
    known = []
    for name in config["gradients"]["components"]:
        try:
            known.append(parts.component(name))
        except ValueError as error:
            yield f"components: {error}"
    able = parts.with_gradients()
    for part in [part for part in known if part.name not in able]:
        yield f"components: {part.name} has no gradients; those that do are {', '.join(able)}"
    for model in config["models"]:
        try:
            own = steps(config, model)
            name = source(model["source"]).family(model, own[-1], config["study"])
            kind = family(name)
        except (ValueError, KeyError, IndexError, OSError):
            continue  # reported elsewhere, or checked once the hub has been queried
        for part in known:
            reason = parts.inapplicable(part, name, kind, "gradients.components")
            if reason is not None:
                yield f"{model['name']}: {reason}"


def _data(config: Config) -> Iterator[str]:
    """Yield problems with settings of a training dataset that would have no effect."""
    settings = config["gradients"]
    named = settings.get("data")
    if named is None:
        return
    if settings["batches"] == "held_out":
        yield "`data` means nothing with `batches: held_out`; remove one of them"
    if all(model["source"] == TRAINED for model in config["models"]):
        yield "`data` means nothing for models that the workflow trains; remove it"
    if "step_column" in named and "rows_per_step" in named:
        yield "data: `rows_per_step` means nothing where `step_column` says the step; remove one"


def _batches(config: Config, model: Model) -> Iterator[str]:
    """Yield a problem for every checkpoint of a model that has no batch."""
    settings = config["gradients"]
    if not of_training(config, model):
        yield from _held_out(config)
        return
    if not _known(config, model):
        yield (
            "the order of its training data is not known; name a dataset whose rows are in that "
            "order in `gradients.data`, or set `gradients.batches` to held_out"
        )
        return
    if model["source"] == "local" and "training_steps" not in model:
        yield "where its training data end is not known; give it `training_steps`"
        return
    if _unresolved(config, model):
        return
    own = steps(config, model)
    last = end(config, model, own)
    for step in own:
        if not window(step, settings["window"], last):
            yield (
                f"no training batch is within {settings['window']} of step {step}, the last is "
                f"that of step {last - 1}; raise `gradients.window` or leave the step out"
            )


def _held_out(config: Config) -> Iterator[str]:
    """Yield a problem if the study has too few tokens for the held-out batches."""
    count = config["gradients"]["held_out_batches"]
    rows = max(config["corpus"]["sequences"], config["held_out_loss"]["sequences"])
    if rows < count:
        yield (
            f"the study's {rows} sequences cannot be divided into {count} batches; lower "
            f"`gradients.held_out_batches` or raise `corpus.sequences`"
        )
    if config["corpus"].get("length") == 1:
        yield "`corpus.length` 1 leaves no next token to take a loss of; raise it"


def _unresolved(config: Config, model: Model) -> bool:
    """Return whether the hub must be queried for a model's steps first."""
    return model["source"] == "hub" and hub.unresolved(model, config["study"], asked(config, model))


def window(step: int, within: int, end: int) -> list[int]:
    """Return the steps of training batches at most `within` steps from a checkpoint, ascending.

    end: number of updates in the training run. Update t uses the batch of step t, counted from 0,
    and leads from checkpoint t to checkpoint t + 1, so the last batch is that of step end - 1.
    Steps outside this range are left out.
    """
    return list(range(max(0, step - within), min(step + within, end - 1) + 1))
