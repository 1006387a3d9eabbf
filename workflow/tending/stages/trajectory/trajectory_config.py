"""Requirements on a study with `trajectory` metrics."""

from collections.abc import Iterator

from tending.checkpoints import hub
from tending.core.aliases import Config
from tending.core.positions import count
from tending.study.selection import asked, steps


def problems(config: Config) -> Iterator[str]:
    """Yield problems: too few checkpoints to compare, or subspaces that cannot differ.

    config: one whose steps and corpus are valid.
    """
    if not config["trajectory"]:
        return
    for model in config["models"]:
        if model["source"] == "hub" and hub.unresolved(
            model, config["study"], asked(config, model)
        ):
            continue  # checked once the hub has been queried
        if len(steps(config, model)) < 2:
            yield (
                f"trajectory: {model['name']} has one step, and trajectories compare several; "
                f"add steps or remove `trajectory`"
            )
    if "subspace_overlap" in config["trajectory"]:
        yield from _subspaces(config)


def _subspaces(config: Config) -> Iterator[str]:
    directions, sequences = config["subspace"]["directions"], config["corpus"]["sequences"]
    positions = count(config["extraction"]["position"], config["corpus"].get("length"))
    if positions is None:
        return
    dimensions = sequences * positions - 1
    if directions >= dimensions:
        yield (
            f"subspace: {directions} directions fill the {dimensions} dimensions that {sequences} "
            f"sequences x {positions} positions have, so that every overlap is 1; lower "
            f"`subspace.directions` or raise `corpus.sequences`"
        )
