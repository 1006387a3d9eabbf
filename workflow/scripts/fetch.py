"""Fetch one checkpoint from the hub, inspect it, and record what it is."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tending import fetching, inspection
from tending.checkpoints import hub
from tending.job import progress, running


def main(model: Mapping[str, Any], step: int, study: str, record: Path) -> None:
    revision = hub.resolved(model, study).revisions[step]
    repository, name = model["repository"], model["name"]
    with progress(0, "B") as advance:
        checkpoint = fetching.arrived(repository, revision, name, step, study, advance)
    logging.info(
        "%s at %s: %s, %d parameters, weights sha256 %s",
        repository,
        revision.commit,
        checkpoint.family,
        checkpoint.parameters,
        checkpoint.weights_sha256,
    )
    inspection.write(checkpoint, record)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        models = {model["name"]: model for model in snakemake.config["models"]}
        main(
            models[snakemake.wildcards.model],
            int(snakemake.wildcards.step),
            snakemake.wildcards.study,
            Path(snakemake.output.record),
        )
