"""What a study that asks for trajectories must satisfy."""

from collections.abc import Iterator

from tending.checkpoints import hub
from tending.core.positions import count
from tending.study.selection import Config, asked, steps


def problems(config: Config) -> Iterator[str]:
    """Whether there are checkpoints to compare, and subspaces that could differ.

    config: one whose steps and corpus are in order.
    """
    if not config["trajectory"]:
        return
    for model in config["models"]:
        if model["source"] == "hub" and hub.unresolved(
            model, config["study"], asked(config, model)
        ):
            continue  # checked again when the hub was asked
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
