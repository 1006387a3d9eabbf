"""Metrics of one checkpoint's weights as rows of the table of effective ranks."""

import json
from collections.abc import Mapping
from pathlib import Path

from tending.core import store
from tending.core.aliases import Attributes
from tending.core.tables import Columns, Where, layer_block
from tending.metrics.spectrum import Shape, SpectrumMetric, quantity
from tending.stages.convergence import component_filter
from tending.stages.spectra.spectrum_file import SHAPES


def spectrum_blocks(
    path: Path,
    place: Where,
    spectra: store.Arrays,
    metrics: Mapping[str, SpectrumMetric],
    only: Mapping[str, list[str]],
) -> list[Columns]:
    """Return rows for every metric and component of one file.

    only: components of each metric that is restricted to some. A metric of one matrix has rows only
    where the file has the matrix's shape, and none for products. Raises StoreError if the file has
    no shapes at all, because it was written before they were stored.
    """
    shapes = _shapes(spectra.attributes)
    of_one = [name for name, metric in metrics.items() if metric.one_matrix]
    if of_one and not shapes:
        raise store.StoreError(
            f"{path} knows the shape of no matrix, which {of_one[0]} needs; delete it and run the "
            f"workflow again"
        )
    return [
        layer_block(place, name, numbers, quantity(metric_name, detail), values.shape[-1])
        for name, values in spectra.arrays.items()
        for metric_name, metric in metrics.items()
        if component_filter.taken(only, metric_name, name)
        if not metric.one_matrix or name in shapes
        for detail, numbers in metric.numbers(values, shapes.get(name)).items()
    ]


def _shapes(attributes: Attributes) -> dict[str, Shape]:
    told = json.loads(attributes.get(SHAPES, "{}"))
    return {name: (int(m), int(n)) for name, (m, n) in told.items()}
