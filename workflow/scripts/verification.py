"""What the paper published beside what this project computes, with a verdict on each."""

from pathlib import Path

from tending.core import tables
from tending.core.progress import progress
from tending.run.job import running
from tending.stages.synthesis import verification
from tending.study import published


def main(
    parquets: list[Path],
    published_as: dict[str, str],
    probe: verification.Probe,
    csv: Path,
    parquet: Path,
) -> None:
    values = published.values()
    with progress(len(verification.SIZES), "model sizes") as advance:
        checks = verification.initial_checks(values, advance)
    if published_as:
        read = {path.stem: tables.read(path) for path in parquets}
        checks += verification.study_checks(values, read, published_as, probe)
    tables.write(verification.table(checks), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.get("tables", [])],
            snakemake.params.published_as,
            verification.Probe(
                snakemake.params.sequences,
                str(snakemake.params.position),
                snakemake.params.references,
                snakemake.params.tokens,
            ),
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
