"""Scores of one checkpoint's activations against the reference's."""

import logging
from pathlib import Path

from tending.core import plugins, store
from tending.core.plugins import SIMILARITY
from tending.run.job import running
from tending.stages.convergence.comparison import compare


def main(source: Path, reference: Path, metrics: dict[str, str], code: str, scores: Path) -> None:
    """metrics: name -> hash of its code; those already in `scores` with that hash are kept."""
    with store.Reader(source) as here, store.Reader(reference) as there:
        attributes = store.score_attributes(here.attributes, there.attributes, code)
        kept = store.kept_scores(scores, attributes, metrics)
        missing = [name for name in metrics if name not in kept]
        logging.info("kept: %s; computing: %s", ", ".join(kept) or "-", ", ".join(missing) or "-")
        loaded = {n: plugins.load(SIMILARITY, n, "similarity metric").METRIC for n in missing}
        components = [name for name in here.shapes if name != store.LOSS]
        rows = here.shapes[components[0]][-2]
        each = rows // int(here.attributes["sequences"])
        fresh = compare(here, there, components, loaded, logging.warning, rows_per_sequence=each)
    attributes["rows"] = rows
    values = {name: kept[name] if name in kept else fresh[name] for name in metrics}
    store.write_scores(scores, store.Scores(values, metrics, attributes))


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            Path(snakemake.input.source),
            Path(snakemake.input.reference),
            dict(line.split() for line in snakemake.params.metrics),
            snakemake.params.code,
            Path(snakemake.output.scores),
        )
