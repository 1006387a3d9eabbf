"""Fetch the tokenizer of a model on the hub."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tending.checkpoints import hub
from tending.core import atomic
from tending.hub import fetching
from tending.run.job import running


def main(model: Mapping[str, Any], study: str, digest: str, tokenizer: Path) -> None:
    pinned = hub.resolved(model, study)
    with TemporaryDirectory() as folder:
        fetched = fetching.tokenizer(pinned, digest, Path(folder))
        with atomic.replacing(tokenizer) as partial:
            shutil.copyfile(fetched, partial)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        models = {model["name"]: model for model in snakemake.config["models"]}
        main(
            models[snakemake.wildcards.model],
            snakemake.config["study"],
            snakemake.params.digest,
            Path(snakemake.output.tokenizer),
        )
