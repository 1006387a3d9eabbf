"""A component that a model has once: its scores and what becomes of them have no layer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tending.core import plugins, store, tables
from tending.stages.convergence import stabilisation_rows
from tending.stages.convergence.comparison import compare
from tending.stages.convergence.score_rows import score_blocks
from tending.stages.convergence.stabilisation_intervals import Resamples
from tending.study.row_limits import SIMILARITY

STEPS = (0, 8, 16)


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> list[store.Scores]:
    """Of an embedding and a residual stream of two layers, read back from files."""
    folder: Path = tmp_path_factory.mktemp("scores")
    rng = np.random.default_rng(0)
    final = {"embedding": rng.normal(size=(20, 5)), "residual": rng.normal(size=(2, 20, 5))}
    metric = plugins.load(SIMILARITY, "cka", "similarity metric").METRIC
    read = []
    for step in STEPS:
        noise = 1 - step / STEPS[-1]
        made: dict[str, Any] = {
            name: (x + noise * rng.normal(size=x.shape)).astype(np.float32)
            for name, x in final.items()
        }
        store.write_arrays(folder / f"{step}.h5", made, {})
        store.write_arrays(folder / "last.h5", final, {})
        with store.Reader(folder / f"{step}.h5") as here, store.Reader(folder / "last.h5") as there:
            values = compare(here, there, list(final), {"cka": metric}, pytest.fail)
        attributes = {"study": "s", "model": "m", "step": step, "parameters": 9}
        path = folder / f"scores{step}.h5"
        store.write_scores(path, store.Scores(values, {"cka": "hash"}, attributes))
        read.append(store.read_scores(path))
    return read


def test_its_score_is_one_number_and_its_row_has_no_layer(scores: list[store.Scores]) -> None:
    place = tables.where(scores[0].attributes, {"m": 16})
    estimates = scores[0].metrics["cka"]["embedding"]
    assert np.shape(estimates.value) == () and 0 < float(estimates.value) < 1
    table = tables.table(score_blocks(place, "embedding", "cka", estimates, 20))
    assert len(table) == 3
    assert table["layer"].isna().all() and table["head"].isna().all()
    assert table["low"][0] < table["value"][0] < table["high"][0]


def test_it_settles_and_has_no_summary_over_layers(scores: list[store.Scores]) -> None:
    blocks = []
    resamples = Resamples(["cka"], [0.9])
    for one in scores:
        place = tables.where(one.attributes, {"m": 16})
        for name, estimates in one.metrics["cka"].items():
            blocks += score_blocks(place, name, "cka", estimates, 20)
        resamples.add(one)
    settled = stabilisation_rows.stabilisation(tables.table(blocks), ["cka"], [0.9], 0.2, {"m": 16})
    intervals = tables.table(resamples.blocks(0.2, {"m": 16}))
    for table in (settled, intervals):
        own = table[table["component"] == "embedding"]
        assert len(own) == 2 and own["layer"].isna().all()  # the fraction and the step
        assert not own["quantity"].str.contains("share").any()
        assert len(table[table["component"] == "residual"]) == 2 * 2 + 2 + 1
    assert (settled[settled["component"] == "embedding"]["high"] > 0).all()
