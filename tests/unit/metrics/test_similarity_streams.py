"""Representations too tall for memory: the same numbers from blocks of rows."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from similarity_cases import METRICS, Matrix, correlated

from tending.core.arrays import Array
from tending.metrics.similarity import UndefinedSimilarityError
from tending.metrics.similarity._streams import Aligned
from tending.metrics.statistics.uncertainty import estimate

STREAMS = sorted(name for name, metric in METRICS.items() if metric.streams)
every_stream = pytest.mark.parametrize("name", STREAMS)


class Blocks:
    """Rows in blocks of the given sizes, over and over."""

    def __init__(self, array: Array, *sizes: int) -> None:
        self.array, self.sizes, self.shape = array, sizes, array.shape

    def blocks(self) -> Iterator[Array]:
        start, i = 0, 0
        while start < len(self.array):
            yield self.array[start : start + self.sizes[i % len(self.sizes)]]
            start, i = start + self.sizes[i % len(self.sizes)], i + 1


def test_the_metrics_of_the_paper_stream() -> None:
    assert STREAMS == ["cka", "cka_debiased"]


@every_stream
@pytest.mark.parametrize(("n", "d_x", "d_y"), [(400, 6, 9), (40, 60, 50), (40, 60, 5)])
def test_blocks_give_what_the_whole_gives(name: str, n: int, d_x: int, d_y: int) -> None:
    x, y = (a.astype(np.float32) + 100 for a in correlated(41, n, d_x, d_y))
    metric = METRICS[name]
    assert metric.influence is not None
    for here, there in (
        (Blocks(x, 7, 30), Blocks(y, 19)),
        (Blocks(x, n), Blocks(y, 1, 2, 3)),
        (x, Blocks(y, 11)),
    ):
        assert metric.compare(here, there) == pytest.approx(metric.compare(x, y), rel=1e-10)
        found, whole = metric.influence(here, there), metric.influence(x, y)
        assert found.score == pytest.approx(whole.score, rel=1e-10)
        assert found.values == pytest.approx(whole.values, abs=1e-10)
        assert found.excess == pytest.approx(whole.excess, rel=1e-8)
        assert found.null is not None and whole.null is not None
        assert found.null.high == pytest.approx(whole.null.high, abs=1e-10)


@every_stream
def test_estimates_of_blocks(name: str) -> None:
    x, y = correlated(42, 300, 6, 9)
    whole, found = (
        estimate(METRICS[name], here, there, rows_per_sequence=3)
        for here, there in ((x, y), (Blocks(x, 50), Blocks(y, 70)))
    )
    assert (found.low, found.high) == pytest.approx((whole.low, whole.high), rel=1e-9)
    # sequences cannot be permuted in a stream, and their rows are no free pairs
    assert np.isnan(found.null_mean) and np.isfinite(whole.null_mean)


@every_stream
def test_memory_does_not_grow_with_the_width_of_all_rows(name: str) -> None:
    x, y = np.random.default_rng(43).normal(size=(2, 20_000, 64)).astype(np.float32)
    in_float64 = x.size * 8
    tracemalloc.start()
    of_rows = METRICS[name].influence
    assert of_rows is not None
    of_rows(Blocks(x, 500), Blocks(y, 500))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # vectors of 20 000 are 64 times smaller than a side; of them there are some dozens
    assert peak < 0.75 * in_float64


BAD = {
    "NaN": (np.nan, ValueError, "finite"),
    "infinite": (np.inf, ValueError, "finite"),
}


@every_stream
@pytest.mark.parametrize(("value", "error", "message"), BAD.values(), ids=BAD.keys())
def test_refuses_what_arrays_are_refused_for(
    name: str, value: float, error: type[Exception], message: str
) -> None:
    x, y = correlated(44, 60, 3, 4)
    x[50, 1] = value
    with pytest.raises(error, match=message):
        METRICS[name].compare(Blocks(x, 20), Blocks(y, 20))


@every_stream
def test_refuses_rows_that_do_not_match_and_constants(name: str) -> None:
    x, y = correlated(45, 60, 3, 4)
    with pytest.raises(ValueError, match="59 sequences on one side, 60 on the other"):
        METRICS[name].compare(Blocks(x[:-1], 20), Blocks(y, 20))
    for constant in (np.full((60, 3), 0.1, np.float32), np.tile([1e6 / 3, 7.0], (60, 1))):
        with pytest.raises(UndefinedSimilarityError, match="constant"):
            METRICS[name].compare(Blocks(constant, 20), Blocks(y, 20))


def test_blocks_are_centred_and_aligned() -> None:
    x, y = correlated(46, 50, 3, 4)
    rows = Aligned(Blocks(x, 8), Blocks(y, 12), least=2)
    taken = [(where.start, where.stop) for where, _, _ in rows.blocks()]
    assert taken[0] == (0, 8) and taken[1] == (8, 12) and taken[-1][1] == 50
    here, there = rows.whole()
    sides: list[tuple[Matrix, Matrix]] = [(here, x), (there, y)]
    for found, side in sides:
        centred = side - side.mean(axis=0)
        assert found / np.linalg.norm(found) == pytest.approx(centred / np.linalg.norm(centred))
