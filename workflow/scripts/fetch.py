"""Fetch one checkpoint from the hub, inspect it, and record what it is."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tending.checkpoints import hub
from tending.core.progress import progress
from tending.hub import fetching
from tending.hub.weight_shelf import Entry
from tending.models import checkpoint_record
from tending.run.job import running


def main(
    model: Mapping[str, Any], step: int, study: str, keep: bool, first: bool, record: Path
) -> None:
    """first: whether others wait for this checkpoint, with weights of their own."""
    revision = hub.resolved(model, study).revisions[step]
    repository, entry = model["repository"], Entry(study, model["name"], step)
    with progress(0, "B") as advance:
        checkpoint = fetching.arrived(repository, revision, entry, advance, keep, first)
    logging.info(
        "%s at %s: %s, %d parameters, weights sha256 %s",
        repository,
        revision.commit,
        checkpoint.family,
        checkpoint.parameters,
        checkpoint.weights_sha256,
    )
    checkpoint_record.write(checkpoint, record)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        models = {model["name"]: model for model in snakemake.config["models"]}
        main(
            models[snakemake.wildcards.model],
            int(snakemake.wildcards.step),
            snakemake.config["study"],
            snakemake.config["keep_checkpoints"],
            snakemake.rule == "fetch_reference",
            Path(snakemake.output.record),
        )
