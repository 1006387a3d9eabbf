"""Metrics of one checkpoint's activations alone."""

import logging
from pathlib import Path

from tending.core import plugins, store
from tending.run.job import running
from tending.stages.representation import representation_files
from tending.stages.representation.representation_config import package
from tending.stages.representation.representation_files import Representations
from tending.stages.representation.representations import measure


def main(activations: Path, metrics: dict[str, str], code: str, output: Path) -> None:
    """metrics: name -> hash of its code; those already in `output` with that hash are kept."""
    with store.Reader(activations) as source:
        components = [name for name in source.shapes if name != store.LOSS]
        rows = source.shapes[components[0]][-2]
        attributes = representation_files.attributes(source.attributes, rows, code)
        kept = representation_files.kept(output, attributes, metrics)
        missing = [name for name in metrics if name not in kept]
        logging.info("kept: %s; computing: %s", ", ".join(kept) or "-", ", ".join(missing) or "-")
        loaded = {n: plugins.load(package(n), n, "metric").METRIC for n in missing}
        each = rows // int(source.attributes["sequences"])
        fresh = measure(source, components, loaded, each, logging.warning)
    measured = {name: kept[name] if name in kept else fresh[name] for name in metrics}
    representation_files.write(output, Representations(measured, metrics, attributes))


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.activations),
            dict(line.split() for line in snakemake.params.metrics),
            snakemake.params.code,
            Path(snakemake.output.measured),
        )
