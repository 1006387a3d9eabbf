"""Resolve the revisions of a study's models on the hub, and pin them."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tending import pins, resolution, selection
from tending.checkpoints import hub
from tending.job import progress, running


def main(config: Mapping[str, Any], output: Path) -> None:
    models = [model for model in config["models"] if model["source"] == "hub"]
    known = {model["name"]: hub.known(model, config["study"]) for model in models}
    before = {name: found for name, found in known.items() if found is not None}
    asked = {model["name"]: selection.asked(config, model) for model in models}
    with progress(0, "revisions") as advance:
        resolved = resolution.resolve(models, asked, before, advance)
    for name, found in resolved.items():
        logging.info(
            "%s: %d of %d revisions pinned", name, len(found.revisions), len(found.existing)
        )
    pins.write({**pins.read(output), **resolved}, output)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(snakemake.config, Path(snakemake.output.pins))
