"""What a study that asks for trajectories must satisfy."""

from collections.abc import Iterator

from tending.checkpoints import hub
from tending.selection import Config, asked, steps

TABLE = "trajectory"  # the tidy table of what is not a map


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
    directions, sequences = config["subspace"]["directions"], config["corpus"]["sequences"]
    one_each = config["extraction"]["position"] == "last"
    if "subspace_overlap" in config["trajectory"] and one_each and directions >= sequences - 1:
        yield (
            f"subspace: {directions} directions fill the {sequences - 1} dimensions that "
            f"{sequences} sequences have, so that every overlap is 1; lower `subspace.directions` "
            f"or raise `corpus.sequences`"
        )
