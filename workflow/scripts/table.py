"""Make one table from files and other tables."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tending.core import plugins, tables
from tending.run.job import running
from tending.tables import PACKAGE


def main(
    name: str,
    files: Mapping[str, Sequence[Path]],
    parquets: Sequence[Path],
    settings: Mapping[str, Any],
    csv: Path,
    parquet: Path,
) -> None:
    """files: by the names that the table's file declares; parquets: the tables that it reads."""
    read = {"tables": {path.stem: tables.read(path) for path in parquets}} if parquets else {}
    made = plugins.load(PACKAGE, name, "table").table(**files, **read, **settings)
    tables.write(made, csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        inputs = {key: [*map(Path, paths)] for key, paths in snakemake.input.items()}
        main(
            snakemake.params.table,
            {key: paths for key, paths in inputs.items() if key != "tables"},
            inputs.get("tables", []),
            json.loads(snakemake.params.settings),
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
