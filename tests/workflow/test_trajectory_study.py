"""A study that asks for trajectories: what it computes, and that nothing else is computed again."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from studies import FIGURES, Workplace, study

from tending.core import store, tables
from tending.metrics.trajectory._intervals import PARTS
from tending.stages.trajectory import trajectory_files


def test_trajectories_are_computed_by_themselves(copied: Callable[..., Workplace]) -> None:
    asked = ["drift", "checkpoint_map"]
    workplace = copied().configure(trajectory=asked, figures=[*FIGURES, *asked])
    own = ("trajectory_table", "figure_drift", "figure_checkpoint_map", "study_config", "report")
    assert workplace.finish().jobs == Counter({**dict.fromkeys(own, 1), "trajectory": 2})

    read = trajectory_files.read(workplace.results / "trajectory/a.h5")
    assert read.steps == (0, 2, 6) and read.rows == 24
    for step, row in zip(read.steps, range(3), strict=True):
        scores = store.read_scores(workplace.results / f"convergence/a/step{step}.h5")
        for measure in ("cka", "cka_debiased"):
            for component in read.components():
                maps = read.of("checkpoint_map", component)
                expected = scores.metrics[measure][component]
                for part in PARTS:
                    numbers = getattr(expected, part.removeprefix("_") or "value")
                    values = maps[f"{measure}{part}"][:, row, -1]
                    np.testing.assert_allclose(values, numbers, atol=1e-10)
    table = tables.read(workplace.results / "tables/trajectory.parquet")
    assert set(table["quantity"]) == {
        f"{m}_{kind}{part}"
        for m in ("cka", "cka_debiased")
        for kind in ("step_to_step", "drift_speed")
        for part in ("", "_standard_error", "_null")
    }

    models = study()["models"]
    models[0]["steps"] = [0, 1, 2, 6]
    workplace.configure(trajectory=asked, figures=[*FIGURES, *asked], models=models)
    planned = workplace.planned()
    assert planned["trajectory"] == planned["trajectory_table"] == planned["activations"] == 1
