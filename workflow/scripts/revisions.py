"""Resolve the revisions of a study's models on the hub, and pin them."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tending.checkpoints import hub
from tending.core.progress import progress
from tending.hub import pins
from tending.hub.pins import Pins
from tending.run import resolution
from tending.run.job import running
from tending.study import selection


def main(config: Mapping[str, Any], output: Path) -> None:
    study = config["study"]
    lacking = {*selection.unresolved(config), *selection.unpinned(config)}
    models = [model for model in config["models"] if model["name"] in lacking]
    known = {model["name"]: hub.known(model, study) for model in models}
    before = {name: found for name, found in known.items() if found is not None}
    asked = {model["name"]: selection.asked(config, model) for model in models}

    def save(name: str, found: Pins) -> None:
        logging.info("%s: %d of %d pinned", name, len(found.revisions), len(found.existing))
        pins.write({**pins.read(output), name: found}, output)

    with progress(0, "revisions") as advance:
        resolution.resolve(models, asked, before, advance, save)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(snakemake.config, Path(snakemake.output.pins))
