"""What is measured of all checkpoints of one model together."""

import logging
from contextlib import ExitStack
from pathlib import Path

from tending.core import plugins, store
from tending.core.plugins import TRAJECTORY
from tending.core.progress import progress
from tending.run.job import running
from tending.stages.trajectory import trajectory, trajectory_files


def main(activations: list[Path], metrics: dict[str, str], directions: int, output: Path) -> None:
    """metrics: name -> hash of its code."""
    loaded = {
        name: (
            str(plugins.constant(f"{TRAJECTORY}.{name}", "OVER")),
            plugins.load(TRAJECTORY, name, "trajectory metric").METRIC,
        )
        for name in metrics
    }
    with ExitStack() as opened:
        readers = [opened.enter_context(store.Reader(path)) for path in activations]
        sources = {int(reader.attributes["step"]): reader for reader in readers}
        described = trajectory_files.described(sources, metrics)
        shapes = readers[-1].shapes
        components = trajectory_files.whole_layers(shapes)
        each = int(described["rows"]) // int(described["sequences"])
        with progress(trajectory.work(shapes, components, len(sources), loaded), "maps") as advance:
            measured = trajectory.measure(
                sources, components, loaded, directions, logging.warning, advance, each
            )
    trajectory_files.write(output, measured, described)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.activations],
            dict(line.split() for line in snakemake.params.metrics),
            snakemake.params.directions,
            Path(snakemake.output.trajectory),
        )
