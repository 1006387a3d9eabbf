"""Every weight file of a study's revisions, with the revisions that hold the same bytes."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tending.checkpoints import hub
from tending.core import tables
from tending.hub import duplicate_audit
from tending.run.job import running


def main(
    models: Sequence[Mapping[str, Any]],
    asked: Mapping[str, list[int]],
    policy: str,
    study: str,
    csv: Path,
    parquet: Path,
) -> None:
    rows = []
    for model in models:
        pinned = hub.resolved(model, study)
        last = hub.last_step(model, study)
        listed = duplicate_audit.listing(model["name"], pinned, asked[model["name"]], last)
        mistaken = duplicate_audit.mistaken_steps(listed)
        if mistaken:
            verb = "left out" if policy == "drop" else "kept"
            logging.warning("%s, %s: %s", model["name"], verb, duplicate_audit.described(mistaken))
        rows += [duplicate_audit.row(study, entry, policy) for entry in listed]
    tables.write(duplicate_audit.table(rows), csv, parquet)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            [m for m in snakemake.config["models"] if m["source"] == "hub"],
            json.loads(snakemake.params.asked),
            snakemake.params.policy,
            snakemake.config["study"],
            Path(snakemake.output.csv),
            Path(snakemake.output.parquet),
        )
