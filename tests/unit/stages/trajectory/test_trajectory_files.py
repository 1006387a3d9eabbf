"""Trajectories as files and tables, and what a study that asks for them must say."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trajectories
from configs import config, problems

from tending.core import paths, plugins, store, tables
from tending.core.store import StoreError
from tending.figures import Options
from tending.run import config as study
from tending.run.config import FIGURES as FIGURES_PACKAGE
from tending.run.config import TRAJECTORY
from tending.run.plan import Plan
from tending.stages.trajectory import trajectory, trajectory_files, trajectory_tables

ALL = plugins.names(TRAJECTORY)
FIGURES = ["drift", "checkpoint_map", "layer_map", "subspace_overlap"]


def activations(path: Path, step: int, *, embedded: bool = False, **changes: Any) -> Path:
    random = np.random.default_rng(step)
    arrays = {
        name: random.normal(size=shape).astype(np.float32)
        for name, shape in {
            "attention_ov": (2, 12, 6),
            "attention_ov_heads": (2, 3, 12, 2),
            "attention_ov__published": (2, 12, 6),
            "mlp_out": (2, 12, 6),
            **({"embedding": (12, 6)} if embedded else {}),
        }.items()
    }
    described = {"study": "s", "model": "m", "family": "gpt_neox", "parameters": 7, "step": step}
    described |= {"corpus_sha256": "c", "tokens_shape": (12, 8), "weights_sha256": f"{step}"}
    described |= {"position": "last", "sequences": 12, "dtype": "float32", **changes}
    store.write_arrays(path, {**arrays, "held_out_loss": np.ones(3)}, described)
    return path


def test_files_are_of_whole_layers_by_the_correct_definition(tmp_path: Path) -> None:
    with store.Reader(activations(tmp_path / "0.h5", 0)) as reader:
        assert trajectory_files.whole_layers(reader.shapes) == ["attention_ov", "mlp_out"]


def test_what_is_written_is_read_with_its_axes(tmp_path: Path) -> None:
    readers = {s: store.Reader(activations(tmp_path / f"{s}.h5", s)) for s in (0, 4, 16)}
    described = trajectory_files.described(readers, {"drift": "abc"})
    map_ = np.random.default_rng(0).normal(size=(2, 3, 3))
    measured = {"checkpoint_map/cka/mlp_out": map_, "layer_map/cka": np.ones((3, 4, 4))}
    trajectory_files.write(tmp_path / "m.h5", measured, described)
    read = trajectory_files.read(tmp_path / "m.h5")
    assert read.steps == (0, 4, 16) and read.rows == 12
    assert read.pairs == (
        *(("attention_ov", 0), ("attention_ov", 1)),
        *(("mlp_out", 0), ("mlp_out", 1)),
    )
    assert read.components() == ["attention_ov", "mlp_out"]
    np.testing.assert_array_equal(read.of("checkpoint_map", "mlp_out")["cka"], map_)
    assert set(read.of("layer_map")) == {"cka"}
    assert read.of("drift", "mlp_out") == {}
    assert read.attributes["metrics"] == "drift=abc"


def test_what_a_model_has_one_of_has_no_layer(tmp_path: Path) -> None:
    readers = {
        s: store.Reader(activations(tmp_path / f"{s}.h5", s, embedded=True)) for s in (0, 4, 16)
    }
    loaded = {
        name: (
            str(plugins.constant(f"{TRAJECTORY}.{name}", "OVER")),
            plugins.load(TRAJECTORY, name, "trajectory metric").METRIC,
        )
        for name in ALL
    }
    components = trajectory_files.whole_layers(readers[0].shapes)
    measured = trajectory.measure(readers, components, loaded, 2, pytest.fail)
    described = trajectory_files.described(readers, {})
    trajectory_files.write(tmp_path / "m.h5", measured, described)
    read = trajectory_files.read(tmp_path / "m.h5")
    assert read.layers("embedding") == [None] and read.layers("mlp_out") == [0, 1]
    metrics = {name: metric for name, (_, metric) in loaded.items()}
    table = tables.table(trajectory_tables.blocks(read, metrics, {"m": 16}, 16))
    rows = table[table["component"] == "embedding"]
    assert len(rows) == 3 * 19 and rows["layer"].isna().all()
    assert table[table["component"] == "mlp_out"]["layer"].notna().all()
    maps = {n: trajectory_tables.maps(n, [read])[n] for n in ("checkpoint_map", "layer_map")}
    assert len(maps["layer_map"]) == 3 * 6 * 5 * 5
    options = Options("s", ("cka",), ("stable_rank",), (0.9,), 0.2, 12, "last", ("m",))
    for name, map_ in maps.items():
        assert plugins.load(FIGURES_PACKAGE, name, "figure").draw({name: map_}, options).axes


def test_steps_extracted_otherwise_are_refused(tmp_path: Path) -> None:
    readers = {
        0: store.Reader(activations(tmp_path / "0.h5", 0, position="all")),
        4: store.Reader(activations(tmp_path / "4.h5", 4)),
    }
    with pytest.raises(StoreError, match="step 0 has position all, the reference step 4 has last"):
        trajectory_files.described(readers, {})


def test_rows_have_the_later_step_and_the_first_has_no_value() -> None:
    made = trajectories.fabricate({"m": (5, 2)}, (0, 10, 40), ("mlp_out",))["trajectory"]
    rows = made[(made["quantity"] == "cka_step_to_step") & (made["layer"] == 1)]
    assert list(rows["step"]) == [0, 10, 40] and list(rows["value"].isna()) == [True, False, False]
    assert list(rows["progress"]) == [0, 0.25, 1]
    assert set(rows["n"]) == {512} and rows["head"].isna().all()
    speeds = made[(made["quantity"] == "cka_drift_speed") & (made["layer"] == 1)]
    expected = np.arccos(rows["value"].to_numpy(dtype=float, na_value=np.nan)[1:]) / [0.25, 0.75]
    np.testing.assert_allclose(speeds["value"].to_numpy(dtype=float, na_value=np.nan)[1:], expected)
    overlap = made[made["quantity"] == "subspace_overlap_with_reference"]
    assert set(overlap.loc[overlap["step"] == 40, "value"]) == {1.0}
    assert list(made.columns) == list(tables.COLUMNS)


def test_maps_are_medians_over_layers_and_every_pair_of_layers() -> None:
    made = trajectories.fabricated("m", 5, 3, (0, 10, 20, 40), ("attention_ov", "mlp_out"))
    made.measured["checkpoint_map/cka/mlp_out"][0] = np.nan
    map_ = trajectory_tables.maps("checkpoint_map", [made])["checkpoint_map"]
    cells = map_[(map_["component"] == "mlp_out") & (map_["quantity"] == "cka")]
    assert len(cells) == 16
    (cell,) = cells[(cells["step"] == 10) & (cells["with_step"] == 40)]["value"]
    expected = np.median(made.measured["checkpoint_map/cka/mlp_out"][1:, 1, 3])
    assert cell == pytest.approx(expected)
    layers = trajectory_tables.maps("layer_map", [made])["layer_map"]
    assert sorted(set(layers["step"])) == [0, 10, 40]
    assert len(layers) == 3 * 6 * 6 * 6
    one = layers[(layers["step"] == 40) & (layers["quantity"] == "cka")]
    (cell,) = one[
        (one["component"] == "attention_ov")
        & (one["layer"] == 2)
        & (one["with_component"] == "mlp_out")
        & (one["with_layer"] == 1)
    ]["value"]
    assert cell == pytest.approx(made.measured["layer_map/cka"][3, 2, 4])


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (6, [0, 2, 5])]
)
def test_layers_are_shown_at_the_first_the_middle_and_the_last_step(
    count: int, expected: list[int]
) -> None:
    assert trajectory_tables.shown(range(count)) == expected


def planned(*asked: str) -> Plan:
    return Plan(config(lambda c: c.update(trajectory=list(asked))))


def test_a_study_that_does_not_ask_has_nothing_of_it() -> None:
    plan = planned()
    assert plan.trajectory_files() == []
    assert "trajectory" not in plan.tables()
    assert not set(FIGURES) & set(plan.figures())


def test_a_study_that_asks_has_a_file_per_model_and_figures_of_what_it_asked_for() -> None:
    plan = planned(*ALL)
    assert plan.trajectory_files() == [f"results/small/trajectory/{m}.h5" for m in ("one", "two")]
    assert set(FIGURES) <= set(plan.figures()) and "trajectory" in plan.tables()
    maps = planned("layer_map")
    assert set(maps.figures()) & set(FIGURES) == {"layer_map"}
    assert "trajectory" not in maps.tables()
    assert maps.figure_inputs("layer_map") == maps.trajectory_files()
    assert "tending.stages.trajectory.trajectory_tables" in maps.figure_modules("layer_map")
    assert set(planned("drift").figures()) & set(FIGURES) == {"drift"}
    drift = planned("drift")
    assert drift.figure_inputs("drift") == drift.table_files(["trajectory"])


def test_a_model_reads_its_own_steps() -> None:
    plan = planned("drift")
    read = plan.trajectory_activations(SimpleNamespace(model="two"))
    expected = [paths.ACTIVATIONS.format(study="small", model="two", step=s) for s in (0, 16, 1024)]
    assert read == expected
    assert plan.reference_steps() == {"one": 1024, "two": 1024}


def test_unknown_quantities_are_refused() -> None:
    (problem,) = problems(config(lambda c: c.update(trajectory=["drift", "drifft"])))
    assert problem.startswith(
        f"trajectory: unknown trajectory metric 'drifft'; available: {', '.join(ALL)}"
    )


def test_one_step_has_no_trajectory() -> None:
    def edit(made: dict[str, Any]) -> None:
        made["trajectory"] = ["drift"]
        made["models"][1]["steps"] = [16]

    (problem,) = problems(config(edit))
    assert problem.startswith("trajectory: two has one step, and trajectories compare several")


def test_a_subspace_of_all_sequences_is_refused_and_all_positions_are_more_rows() -> None:
    def edit(made: dict[str, Any]) -> None:
        made |= {"trajectory": ["subspace_overlap"], "subspace": {"directions": 15}}
        made["corpus"] |= {"sequences": 16}

    for position in ("last", -1, [5]):
        made = config(edit)
        made["extraction"]["position"] = position
        (problem,) = problems(made)
        assert problem.startswith("subspace: 15 directions fill the 15 dimensions that 16 seq")
    made["extraction"]["position"] = [5, 6]
    study.check(made)
    made["subspace"]["directions"] = 31
    (problem,) = problems(made)
    assert "fill the 31 dimensions that 16 sequences x 2 positions have" in problem
    made = config(edit)
    made["extraction"]["position"] = "all"
    study.check(made)
    made = config(edit)
    made["subspace"]["directions"] = 14
    study.check(made)
