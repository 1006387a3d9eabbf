"""Limits on the rows that a study compares, by positions, sample sizes and metrics.

A row is one probed position of one sequence. No torch here: planning a study uses this, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tending.core import plugins
from tending.core.positions import count, indices

SIMILARITY = "tending.metrics.similarity"
FEW = 50  # rows; enough for every metric, so a metric's own minimum is checked below it only
ROWS_AT_ONCE = 20_000  # an n x n matrix of them is 3.2 GB in float64


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield problems with `extraction.position`, `corpus.sequences` and `sample_sizes`."""
    position, length = config["extraction"]["position"], config["corpus"].get("length")
    try:
        _ = indices(position, length) if length else None
    except ValueError as error:
        yield f"extraction: {error}"
        return
    sequences, positions = config["corpus"]["sequences"], count(position, length)
    if positions is not None:
        yield from excess(sequences, positions, config["similarity"])
        yield from _lack(sequences * positions, config["similarity"])
    yield from _samples(config["sample_sizes"], sequences, config["similarity"])


def excess(sequences: int, positions: int, metrics: Sequence[str]) -> Iterator[str]:
    """Yield a problem if there are more rows than a metric that needs all at once can handle."""
    rows = sequences * positions
    if rows <= ROWS_AT_ONCE:
        return
    whole = [name for name in metrics if not streams(name)]
    if whole:
        known = ", ".join(name for name in plugins.names(SIMILARITY) if streams(name))
        yield (
            f"similarity: {whole[0]} needs all rows at once and takes at most "
            f"{ROWS_AT_ONCE}, but {sequences} sequences x {positions} positions are {rows}; "
            f"take fewer positions (`extraction.position`) or sequences (`corpus.sequences`), or "
            f"only the metrics {known}, which read rows block by block"
        )


def _lack(rows: int, metrics: Sequence[str]) -> Iterator[str]:
    """Yield a problem for each metric that needs more rows than there are."""
    for name in metrics if rows < FEW else ():
        least = plugins.load(SIMILARITY, name, "similarity metric").METRIC.least
        if rows < least:
            yield (
                f"similarity: {name} needs at least {least} rows to compare, but the study has "
                f"{rows}; raise `corpus.sequences` or leave the metric out"
            )


def check(sequences: int, positions: int, metrics: Sequence[str]) -> None:
    """Raise ValueError if `excess` finds a problem."""
    for problem in excess(sequences, positions, metrics):
        raise ValueError(problem)


def streams(metric: str) -> bool:
    """Whether a similarity reads rows block by block, so that there may be any number."""
    return bool(plugins.load(SIMILARITY, metric, "similarity metric").METRIC.streams)


def sampled(config: Mapping[str, Any]) -> list[str]:
    """Return the similarities whose dependence on the number of sequences is requested."""
    return [n for n in config["similarity"] if streams(n)] if config["sample_sizes"] else []


def _samples(sizes: Sequence[int], sequences: int, metrics: Sequence[str]) -> Iterator[str]:
    if not sizes:
        return
    if list(sizes) != sorted(sizes):
        yield f"sample_sizes must ascend, found {list(sizes)}"
    if max(sizes) > sequences:
        yield (
            f"sample_sizes: {max(sizes)} is more than `corpus.sequences` {sequences}; raise that "
            f"or leave the size out"
        )
    if not any(map(streams, metrics)):
        yield (
            "sample_sizes: none of the metrics of `similarity` reads rows block by block; add cka "
            "or cka_debiased, or leave `sample_sizes` out"
        )
