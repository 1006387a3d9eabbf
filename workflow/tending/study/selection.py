"""The models of a study and their steps."""

from tending.checkpoints import hub, source
from tending.core import steps as schedules
from tending.core.aliases import Config, Model


def asked(config: Config, model: Model) -> schedules.Spec:
    """Return the steps as written in the config: the model's own, or the study's."""
    spec: schedules.Spec = model.get("steps", config.get("steps", []))
    return spec


def asked_steps(config: Config, model: Model) -> list[int]:
    """Return the requested steps as numbers. Raises ValueError if the hub must be queried first."""
    existing = source(model["source"]).steps(model, config["study"])
    return schedules.expand(asked(config, model), existing)


def steps(config: Config, model: Model) -> list[int]:
    """Return the steps of a model in the study: those requested, without those the audit drops."""
    expanded = asked_steps(config, model)
    if model["source"] != "hub" or config["duplicates"] != "drop":
        return expanded
    dropped = hub.mistaken(model, config["study"], expanded)
    return [step for step in expanded if step not in dropped]


def unresolved(config: Config) -> list[str]:
    """List the models for which the hub must be queried before the study can be planned."""
    return [
        model["name"]
        for model in config["models"]
        if model["source"] == "hub" and hub.unresolved(model, config["study"], asked(config, model))
    ]


def unpinned(config: Config) -> dict[str, int]:
    """Count the steps of each model to query from the hub before a run, but not before a plan."""
    study = config["study"]
    remote = [model for model in config["models"] if model["source"] == "hub"]
    found = {m["name"]: len(hub.unpinned(m, study, asked(config, m))) for m in remote}
    return {name: count for name, count in found.items() if count}
