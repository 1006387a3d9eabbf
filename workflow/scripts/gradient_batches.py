"""Collect the training batches around one checkpoint."""

import json
import logging
from pathlib import Path
from typing import Any

from tending.core import store
from tending.run.job import running
from tending.stages.gradients import gradient_batches


def main(
    source: Path, asked: dict[str, Any], context: int, order: str, study: str, output: Path
) -> None:
    """source: the corpus of a trained model, or the pin of a dataset on the hub."""
    if asked["source"] == "trained":
        stream = store.read_arrays(source, ["train"]).arrays["train"]
        batches = gradient_batches.of_training(stream, asked)
    else:
        batches = gradient_batches.of_dataset(source, asked, context)
    logging.info("%s: %s", order, ", ".join(name for name, _ in batches))
    described = {"study": study, "order": order, "asked": json.dumps(asked, sort_keys=True)}
    gradient_batches.write(output, batches, described)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.source),
            json.loads(snakemake.params.asked),
            snakemake.params.context,
            snakemake.wildcards.order,
            snakemake.config["study"],
            Path(snakemake.output.batches),
        )
