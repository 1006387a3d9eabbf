"""Metrics of the singular values of all weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tending.core import plugins, store, tables
from tending.core.progress import progress
from tending.stages.spectra.spectrum_table import spectrum_blocks

TITLE = "effective ranks"
FILES = ("spectra",)
SETTINGS = ("spectrum", "spectrum_components", "training_steps")
METRICS = ("spectrum",)


def table(
    spectra: Sequence[Path],
    spectrum: Sequence[str],
    training_steps: Mapping[str, int],
    spectrum_components: Mapping[str, list[str]] | None = None,
) -> pd.DataFrame:
    """Rows of every metric, checkpoint, component, layer and head.

    spectrum_components: the components of a metric that is not taken of all.
    """
    metrics = {n: plugins.load(plugins.SPECTRUM, n, "spectrum metric").METRIC for n in spectrum}
    blocks: list[tables.Columns] = []
    with progress(len(spectra), "files") as advance:
        for path in spectra:
            read = store.read_arrays(path)
            place = tables.where(read.attributes, training_steps)
            blocks += spectrum_blocks(path, place, read, metrics, spectrum_components or {})
            advance()
    return tables.table(blocks)
