"""Build the report: one HTML file that needs nothing else."""

import subprocess
import sys
from pathlib import Path

from tending import atomic
from tending.job import running


def main(snakefile: Path, config: Path, results: list[str], html: Path) -> None:
    with atomic.replacing(html) as partial:
        command = [sys.executable, "-m", "snakemake", *results]
        command += ["--snakefile", str(snakefile), "--configfile", str(config)]
        command += ["--report", str(partial), "--workflow-profile", "none", "--nolock", "--quiet"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.scriptdir).parents[1] / "Snakefile",
            Path(snakemake.input.config),
            list(snakemake.input.results),
            Path(snakemake.output.html),
        )
