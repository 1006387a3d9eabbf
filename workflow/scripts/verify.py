"""Print the comparison with the published values; end with an error if one is not reproduced."""

from pathlib import Path

from tending.run.job import running, tell
from tending.stages.synthesis import verification


def main(table: Path) -> None:
    checks = verification.read(table)
    tell(verification.as_text(checks, table.with_suffix(".csv")))
    verification.require_passes(checks, table.with_suffix(".csv"))


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(Path(snakemake.input.table))
