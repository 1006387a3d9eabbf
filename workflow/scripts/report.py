"""Build the report: one HTML file that needs nothing else."""

import subprocess
import sys
from pathlib import Path

from tending.core import atomic
from tending.run.job import running


def main(repository: Path, config: Path, results: list[str], html: Path) -> None:
    with atomic.replacing(html) as partial:
        command = [sys.executable, "-m", "snakemake", *results]
        command += ["--snakefile", str(repository / "Snakefile"), "--configfile", str(config)]
        style = repository / "workflow/report/stylesheet.css"
        command += ["--report", str(partial), "--report-stylesheet", str(style)]
        command += ["--workflow-profile", "none", "--nolock", "--quiet"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.scriptdir).parents[1],
            Path(snakemake.input.config),
            list(snakemake.input.results),
            Path(snakemake.output.html),
        )
