"""Groups of models that are seeds of one configuration, and the steps that they share."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from tending.checkpoints import source
from tending.core import paths
from tending.core.aliases import Config, Model
from tending.study import selection

LEAST_MODELS = 3  # for effects: two parameters of a line, and a degree of freedom

_PLACE = ("source", "repository", "revision", "path", "recipe")  # keys that fix its checkpoints


def members(config: Config) -> dict[str, list[str]]:
    """Return the names of the models of every group, both in the order of the config."""
    groups: dict[str, list[str]] = {}
    for model in config["models"]:
        if "group" in model:
            groups.setdefault(model["group"], []).append(model["name"])
    return groups


def learning_rates(config: Config) -> dict[str, float]:
    """Return the peak learning rate of every model that has one, in its recipe or as a key."""
    known = {}
    for model in config["models"]:
        rate = model.get("recipe", model).get("learning_rate")
        if rate is not None:
            known[model["name"]] = float(rate)
    return known


class SeedGroups:
    """The groups of a study and the files that compare their seeds."""

    def __init__(self, config: Config, steps: Mapping[str, Sequence[int]]) -> None:
        self._study: str = config["study"]
        self._steps = steps
        self.members = members(config)
        self.of_model = {model: g for g, models in self.members.items() for model in models}

    def names(self) -> list[str]:
        """Names of the groups."""
        return list(self.members)

    def steps(self, group: str) -> list[int]:
        """Steps that all seeds of a group have, ascending."""
        return common(self._steps, self.members[group])

    def between(self) -> list[str]:
        """One file for every common step of every group that has a pair of seeds."""
        return [
            paths.BETWEEN.format(study=self._study, group=group, step=step)
            for group, models in self.members.items()
            if len(models) > 1
            for step in self.steps(group)
        ]

    def activations(self, wildcards: Any) -> list[str]:
        """Activations of all seeds of a group at a step."""
        return [
            paths.ACTIVATIONS.format(study=self._study, model=model, step=wildcards.step)
            for model in self.members[wildcards.group]
        ]


def common(steps: Mapping[str, Sequence[int]], models: Sequence[str]) -> list[int]:
    """Return the steps that all of `models` have, ascending."""
    shared = set(steps[models[0]]).intersection(*(steps[model] for model in models))
    return sorted(shared)


def problems(config: Config) -> Iterator[str]:
    """Yield reasons why models of one group are not seeds of one configuration."""
    models = {model["name"]: model for model in config["models"]}
    for group, names in members(config).items():
        own = [models[name] for name in names]
        for problem in [*_unlike(own), *_apart(config, own)]:
            yield f"models: group {group}: {problem}"


def _unlike(models: Sequence[Model]) -> Iterator[str]:
    """Yield models whose configs are the same, or differ in more than the seed."""
    for one, other in combinations(models, 2):
        if all(one.get(key) == other.get(key) for key in _PLACE):
            yield (
                f"{one['name']} and {other['name']} are the same training run; give each its own "
                f"seed"
            )
    first = models[0]
    for other in models[1:]:
        here, there = (m.get("recipe", {}) | {"seed": None} for m in (first, other))
        rates = (
            {"learning_rate": first.get("learning_rate")},
            {"learning_rate": other.get("learning_rate")},
        )
        for x, y in ((here, there), rates):
            for key in sorted({*x, *y}):
                if x.get(key) != y.get(key):
                    yield (
                        f"{first['name']} has {key} {x.get(key)}, {other['name']} has "
                        f"{y.get(key)}; seeds of one group differ in nothing but the seed, so "
                        f"put one in another group"
                    )


def _apart(config: Config, models: Sequence[Model]) -> Iterator[str]:
    """Yield reasons why the training runs of a group cannot be compared step by step."""
    if {m["name"] for m in models} & set(selection.unresolved(config)):
        return  # checked again once the hub was queried
    steps = {model["name"]: selection.steps(config, model) for model in models}
    if not common(steps, list(steps)):
        yield "its models have no step in common; give them the same `steps`"
    if config["reference"] == "last":
        ends = {name: own[-1] for name, own in steps.items()}
        yield from _different(ends, "is compared with its step", "set `reference`")
    lengths = {
        m["name"]: source(m["source"]).total_steps(m, steps[m["name"]], config["study"])
        for m in models
    }
    yield from _different(lengths, "has training steps", "set `training_steps`")


def _different(values: Mapping[str, int], what: str, remedy: str) -> Iterator[str]:
    first = next(iter(values))
    other = next((name for name in values if values[name] != values[first]), None)
    if other is not None:
        yield f"{first} {what} {values[first]}, {other} {what} {values[other]}; {remedy}"
