"""Record a study's settings, defaults filled in."""

from pathlib import Path

from tending.core import atomic
from tending.run.job import running


def main(settings: str, path: Path) -> None:
    atomic.write_text(path, settings + "\n")


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(snakemake.params.settings, Path(snakemake.output.config))
