"""Dependence of layers' scores on sample size: scores on the first n sequences for several n."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tending.core.aliases import Warn
from tending.core.arrays import Array
from tending.core.store import LOSS, Reader, part_of
from tending.core.tables import Columns, Where
from tending.metrics.similarity import Prepared, Rows, Similarity, UndefinedSimilarityError
from tending.metrics.statistics.uncertainty import Estimate, estimate
from tending.stages.convergence import component_filter
from tending.stages.convergence.score_rows import error_quantity, null_quantity
from tending.study.row_limits import ROWS_AT_ONCE


def score_blocks(
    here: Reader,
    there: Reader,
    metrics: Mapping[str, Similarity],
    sizes: Sequence[int],
    place: Where,
    warn: Warn,
    only: Mapping[str, list[str]],
) -> Iterator[Columns]:
    """Yield rows for every whole layer, metric and n: score, 95 % interval, error and null.

    here, there: activations of a checkpoint and of the reference. Samples are the first n sequences
    of the corpus, so each contains the smaller ones. Undefined scores are left out, and warn(text)
    names them. only: components of each metric that is restricted to some.
    """
    positions = here.shapes[next(n for n in here.shapes if n != LOSS)][-2]
    positions //= int(here.attributes["sequences"])
    for name in here.shapes:
        component, per_head, definition = part_of(name)
        if name == LOSS or per_head or definition != "correct":
            continue
        own = {m: s for m, s in metrics.items() if component_filter.taken(only, m, name)}
        for index in np.ndindex(*here.shapes[name][:-2]):
            common = {**vars(place), "component": component, "definition": definition}
            common |= {"layer": index[0]} if index else {}
            for n in sizes:
                x, y = (_first(file, name, index, n * positions) for file in (here, there))
                prepared = Prepared(x, y)
                for metric, similarity in own.items():
                    try:
                        found = estimate(similarity, x, y, positions, prepared)
                    except UndefinedSimilarityError as error:
                        warn(f"{metric} of {name} {index} with n = {n} is not defined: {error}")
                        continue
                    yield from ({**common, "n": [n], **q} for q in _quantities(metric, found))


def _first(file: Reader, name: str, index: tuple[int, ...], rows: int) -> Array | Rows:
    """Return the first rows, in memory where they are few, otherwise to be read in blocks."""
    found = file.rows(name, index, first=rows)
    return found if rows > ROWS_AT_ONCE else np.concatenate(list(found.blocks()))


def _quantities(metric: str, found: Estimate) -> list[Columns]:
    return [
        {"quantity": metric, "value": found.value, "low": found.low, "high": found.high},
        {"quantity": error_quantity(metric), "value": found.error},
        {"quantity": null_quantity(metric), "value": found.null_mean, "high": found.null_high},
    ]
