"""Similarity of the activations of every pair of seeds at one step."""

import logging
from contextlib import ExitStack
from pathlib import Path

from tending.core import plugins, store
from tending.core.plugins import SIMILARITY
from tending.run.job import running
from tending.stages.seeds import between_seeds


def main(group: str, paths: list[Path], metrics: dict[str, str], code: str, scores: Path) -> None:
    """metrics: name -> hash of its code; those already in `scores` with that hash are kept."""
    with ExitStack() as stack:
        seeds = [stack.enter_context(store.Reader(path)) for path in paths]
        attributes = between_seeds.attributes(seeds, group, code)
        kept = between_seeds.kept(scores, attributes, metrics)
        missing = [name for name in metrics if name not in kept]
        logging.info("kept: %s; computing: %s", ", ".join(kept) or "-", ", ".join(missing) or "-")
        loaded = {n: plugins.load(SIMILARITY, n, "similarity metric").METRIC for n in missing}
        each = attributes["rows"] // int(attributes["sequences"])
        fresh = between_seeds.between(seeds, loaded, logging.warning, rows_per_sequence=each)
    values = {name: kept[name] if name in kept else fresh[name] for name in metrics}
    between_seeds.write(scores, values, metrics, attributes)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            snakemake.wildcards.group,
            [Path(p) for p in snakemake.input.activations],
            dict(line.split() for line in snakemake.params.metrics),
            snakemake.params.code,
            Path(snakemake.output.scores),
        )
