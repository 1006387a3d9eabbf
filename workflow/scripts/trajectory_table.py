"""What is measured of all checkpoints of a model together, as a table."""

from pathlib import Path

from tending.core import plugins, tables
from tending.core.plugins import TRAJECTORY
from tending.run.job import running
from tending.stages.trajectory import trajectory_files, trajectory_tables


def main(
    trajectories: list[Path],
    metrics: list[str],
    references: dict[str, int],
    training_steps: dict[str, int],
    csv: Path,
    parquet: Path,
) -> None:
    loaded = {n: plugins.load(TRAJECTORY, n, "trajectory metric").METRIC for n in metrics}
    blocks = []
    for path in trajectories:
        read = trajectory_files.read(path)
        reference = references[str(read.attributes["model"])]
        blocks += trajectory_tables.blocks(read, loaded, training_steps, reference)
    tables.write(tables.table(blocks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.trajectories],
            [line.split()[0] for line in snakemake.params.metrics],
            snakemake.params.references,
            snakemake.params.training_steps,
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
