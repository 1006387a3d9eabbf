"""Draw one figure."""

from pathlib import Path

from tending import found, tables
from tending.config import FIGURES
from tending.figures import Options
from tending.figures._style import save
from tending.job import running


def main(name: str, parquets: list[Path], options: Options, pdf: Path, png: Path) -> None:
    read = {path.stem: tables.read(path) for path in parquets}
    save(found.load(FIGURES, name, "figure").draw(read, options), pdf, png)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            snakemake.params.figure,
            [Path(p) for p in snakemake.input.tables],
            Options.from_json(snakemake.params.options),
            Path(snakemake.output.pdf),
            Path(snakemake.output.png),
        )
