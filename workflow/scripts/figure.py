"""Draw one figure."""

from pathlib import Path

from tending.core import plugins, tables
from tending.core.plugins import FIGURES
from tending.figures import Options
from tending.figures._style import save
from tending.run.job import running
from tending.stages.trajectory import trajectory_files, trajectory_tables


def main(name: str, inputs: list[Path], options: Options, pdf: Path, png: Path) -> None:
    """inputs: tables, and the files of trajectories where the figure shows a map of these."""
    read = {path.stem: tables.read(path) for path in inputs if path.suffix == ".parquet"}
    trajectories = [trajectory_files.read(path) for path in inputs if path.suffix == ".h5"]
    read |= trajectory_tables.maps(name, trajectories) if trajectories else {}
    save(plugins.load(FIGURES, name, "figure").draw(read, options), pdf, png)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            snakemake.params.figure,
            [Path(p) for p in snakemake.input.tables],
            Options.from_json(snakemake.params.options),
            Path(snakemake.output.pdf),
            Path(snakemake.output.png),
        )
