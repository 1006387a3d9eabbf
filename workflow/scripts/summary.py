"""The study on one page."""

from pathlib import Path

from tending.core import atomic, tables
from tending.figures import Options
from tending.report.summary import summary_html
from tending.run.job import running


def main(parquets: list[Path], options: Options, html: Path) -> None:
    read = {path.stem: tables.read(path) for path in parquets}
    atomic.write_text(html, summary_html(read, options))


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [Path(p) for p in snakemake.input.tables],
            Options.from_json(snakemake.params.options),
            Path(snakemake.output.html),
        )
