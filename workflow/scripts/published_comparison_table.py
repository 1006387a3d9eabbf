"""Published medians beside the study's own, as a table."""

from pathlib import Path

from tending.core import tables
from tending.run.job import running
from tending.stages.synthesis.published_comparison import comparison


def main(
    convergence: Path,
    ranks: Path,
    published_as: dict[str, str],
    definitions: list[str],
    csv: Path,
    parquet: Path,
) -> None:
    scores = tables.read(convergence), tables.read(ranks)
    tables.write(comparison(*scores, published_as, definitions), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.convergence),
            Path(snakemake.input.ranks),
            snakemake.params.published_as,
            list(snakemake.params.definitions),
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
