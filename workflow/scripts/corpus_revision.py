"""Pin the revision of a dataset on the hub to a commit."""

import logging
from pathlib import Path

from tending.corpus import hub
from tending.run.job import running


def main(dataset: str, revision: str, pin: Path) -> None:
    commit = hub.resolve(dataset, revision, pin).commit
    logging.info("%s at %s is pinned to %s", dataset, revision, commit)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(*snakemake.params.wanted, Path(snakemake.output.pin))
