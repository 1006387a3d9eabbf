"""Errors, intervals and nulls of all pairs at once against those of each pair, and their laws."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import trajectories
from drifting_runs import drifting, loaded, metrics, sources, stack

from tending.core import plugins, tables
from tending.figures import Options
from tending.metrics.similarity import Similarity
from tending.metrics.similarity.cka import METRIC as CKA
from tending.metrics.similarity.cka_debiased import METRIC as CKA_DEBIASED
from tending.metrics.statistics import uncertainty
from tending.metrics.trajectory import Stack, Tabled, _inner, _intervals
from tending.metrics.trajectory._intervals import PARTS
from tending.metrics.trajectory.drift import speed, speed_error
from tending.run.config import FIGURES
from tending.stages.trajectory import trajectory, trajectory_tables

METRICS = {"cka": CKA, "cka_debiased": CKA_DEBIASED}
Values = npt.NDArray[np.float64]
SHAPES = {
    "more dimensions than sequences": (12, 30),
    "all pairs of rows": (33, 33),
    "some pairs of rows stand for all": (300, 20),
    "products of features": (200, 3),
}


def parts(estimate: uncertainty.Estimate) -> list[float]:
    """In the order of PARTS."""
    e = estimate
    return [e.value, e.error, e.low, e.high, e.null_mean, e.null_high]


def map_parts(made: dict[str, Values], name: str) -> Values:
    """(m, m, parts)."""
    return np.stack([made[f"{name}{part}"] for part in PARTS], axis=-1)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_of_every_pair_all_is_as_of_that_pair_alone(shape: tuple[int, int], name: str) -> None:
    arrays = drifting(4, *shape)
    made = map_parts(stack(arrays).cka, name)
    for i, j in [(0, 1), (0, 3), (2, 1), (2, 2)]:
        expected = parts(uncertainty.estimate(METRICS[name], arrays[i], arrays[j]))
        np.testing.assert_allclose(made[i, j], expected, atol=1e-10)
    np.testing.assert_array_equal(made, made.transpose(1, 0, 2))
    assert (np.diagonal(made)[:4].T == [1, 0, 1, 1]).all()


@pytest.mark.parametrize("name", METRICS)
def test_rows_of_one_sequence_count_together_and_have_no_null(name: str) -> None:
    arrays = drifting(3, 60, 7)
    made = map_parts(Stack(arrays.__getitem__, 3, 2, rows_per_sequence=4).cka, name)
    expected = parts(uncertainty.estimate(METRICS[name], arrays[0], arrays[2], 4))
    np.testing.assert_allclose(made[0, 2, :4], expected[:4], atol=1e-10)
    assert np.isnan(made[..., 4:]).all()
    one = map_parts(Stack(arrays.__getitem__, 3, 2, rows_per_sequence=60).cka, name)
    assert np.isfinite(one[0, 2, 0]) and np.isnan(one[0, 2, 1:4]).all()


def test_representations_of_several_widths_have_intervals_of_their_pairs() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(20, 50))
    arrays = [x[:, :30], x, x[:, :12] + random.normal(size=(20, 12))]
    made = map_parts(stack(arrays).cka, "cka_debiased")
    expected = parts(uncertainty.estimate(CKA_DEBIASED, arrays[0], arrays[2]))
    np.testing.assert_allclose(made[0, 2], expected, atol=1e-10)


@pytest.mark.parametrize("shape", [(50, 40), (70, 2)], ids=str)
def test_nothing_depends_on_the_memory_it_may_use(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = drifting(5, *shape)
    expected = stack(arrays).cka
    monkeypatch.setattr(_inner, "BUDGET", 16 * shape[0] * 6)  # six pairs of steps at a time
    for name, values in stack(arrays).cka.items():
        np.testing.assert_allclose(values, expected[name], atol=1e-11, err_msg=name)


@pytest.mark.parametrize("name", METRICS)
def test_the_null_is_that_of_explicit_permutations(name: str) -> None:
    arrays = drifting(2, 16, 5)
    made = stack(arrays).cka
    random, (x, y) = np.random.default_rng(0), arrays
    scores = [METRICS[name].compare(x, y[random.permutation(16)]) for _ in range(2000)]
    error = np.std(scores) / math.sqrt(2000)
    assert made[f"{name}_null_mean"][0, 1] == pytest.approx(np.mean(scores), abs=4 * error)
    share = np.mean(np.array(scores) > made[f"{name}_null_high"][0, 1])
    assert share == pytest.approx(0.05, abs=0.02)  # of 2,000, and of a fitted distribution


def test_near_one_errors_are_not_too_small() -> None:
    """What cancels is left out; with this the error is that of the plain jackknife, or nearly."""
    random = np.random.default_rng(0)
    x, noise = random.normal(size=(2, 40, 90)) * np.arange(1, 91) ** -0.5
    for size in (1e-1, 1e-3, 1e-4, 1e-5):
        arrays = [x, x + size * noise]
        made = stack(arrays).cka["cka_debiased_standard_error"][0, 1]
        assert 0.999 < made / uncertainty.estimate(CKA_DEBIASED, *arrays).error < 1.42


def test_what_is_constant_has_neither_error_nor_null() -> None:
    arrays = drifting(3, 20, 6)
    arrays[1] = np.ones_like(arrays[1])
    made = stack(arrays).cka
    for name in METRICS:
        values = map_parts(made, name)
        assert np.isnan(values[1]).all() and np.isnan(values[:, 1]).all()
        assert np.isfinite(values[0, 2]).all()


def test_the_names_and_numbers_are_those_of_single_scores() -> None:
    assert _intervals.GROUPS == uncertainty.GROUPS
    assert _intervals.PERFECT == uncertainty.PERFECT


# Drift


def test_the_interval_and_the_null_of_a_speed_are_those_of_the_similarity() -> None:
    made = loaded("drift").compute(stack(drifting(4, 30, 6)))
    layers = {name: values[None] for name, values in made.items()}
    progress, rows = np.array([0, 0.1, 0.3, 1.0]), loaded("drift").rows
    assert rows is not None
    tabled = rows(layers, progress, 3)
    gaps = np.diff(progress, prepend=np.nan)
    for name in METRICS:
        similar, moved = tabled[f"{name}_step_to_step"], tabled[f"{name}_drift_speed"]
        assert moved.low is not None and moved.high is not None
        np.testing.assert_array_equal(moved.low[0], speed(made[f"{name}_high"], gaps))
        assert (moved.low <= moved.value)[0, 1:].all() and (moved.value <= moved.high)[0, 1:].all()
        assert similar.low is not None and (similar.low < similar.value)[0, 1:].all()
        null = tabled[f"{name}_drift_speed_null"]
        assert null.low is not None and null.high is None and (null.low < null.value)[0, 1:].all()
    by_chance = tabled["cka_debiased_drift_speed_null"].value
    np.testing.assert_allclose(by_chance[0, 1:], np.pi / 2 / gaps[1:])


def test_the_error_of_a_speed_is_by_the_derivative_of_the_angle() -> None:
    similarity, error, gaps = np.array([-0.3, 0.0, 0.6, 0.999]), np.full(4, 1e-9), np.full(4, 0.25)
    moved = speed(similarity - error, gaps) - speed(similarity + error, gaps)
    np.testing.assert_allclose(speed_error(similarity, error, gaps), moved / 2, rtol=1e-4)
    still = speed_error(np.array([1.0, np.nan]), np.array([0.0, np.nan]), np.ones(2))
    assert still[0] == 0 and np.isnan(still[1])


# Subspaces


def overlap_of(k: int) -> Similarity:
    """The overlap as a similarity of which nothing but its values is known."""

    def compare(x: Values, y: Values) -> float:
        u, v = (np.linalg.svd(z - z.mean(axis=0))[0][:, :k] for z in (x, y))
        return float(np.linalg.norm(u.T @ v) ** 2 / k)

    laws = frozenset({"rotation"})
    return Similarity(compare=compare, label="overlap", bounds=(0, 1), invariant_to=laws)


@pytest.mark.parametrize("each", [1, 2])
def test_errors_of_overlaps_leave_out_groups_of_sequences(each: int) -> None:
    arrays = drifting(3, 44, 8)
    made = loaded("subspace_overlap").compute(Stack(arrays.__getitem__, 3, 3, each))
    one = uncertainty.estimate(overlap_of(3), arrays[0], arrays[2], each)
    values = map_parts(made, "overlap")
    np.testing.assert_allclose(values[0, 2, :4], parts(one)[:4], atol=1e-10)
    assert np.isnan(values[..., 4:]).all() == (each == 2)


def test_the_null_of_overlaps_is_that_of_explicit_permutations() -> None:
    arrays = drifting(2, 30, 8)
    made = loaded("subspace_overlap").compute(stack(arrays, directions=3))
    assert made["overlap_null_mean"][0, 1] == pytest.approx(float(made["chance"]))
    u, v = (np.linalg.svd(x - x.mean(axis=0))[0][:, :3] for x in arrays)
    random = np.random.default_rng(0)
    scores = [np.linalg.norm(u.T @ v[random.permutation(30)]) ** 2 / 3 for _ in range(4000)]
    assert np.mean(scores) == pytest.approx(3 / 29, abs=0.005)
    share = np.mean(np.array(scores) > made["overlap_null_high"][0, 1])
    assert share == pytest.approx(0.05, abs=0.015)


def test_overlaps_that_are_not_defined_have_nothing_else() -> None:
    arrays = drifting(3, 20, 6)
    arrays[1] = arrays[1][:, :1] @ np.ones((1, 6))
    values = map_parts(loaded("subspace_overlap").compute(stack(arrays)), "overlap")
    assert np.isnan(values[1]).all() and np.isfinite(values[0, 2]).all()


# Tables and figures


def test_sequences_of_several_rows_are_told_to_every_metric() -> None:
    chosen = metrics("checkpoint_map", "layer_map", "drift", "subspace_overlap")
    made = trajectory.measure(sources(), ["mlp_out"], chosen, 2, pytest.fail, rows_per_sequence=3)
    nulls = [values for name, values in made.items() if "_null_" in name]
    assert len(nulls) == 3 * 4 + 2 and all(np.isnan(values).all() for values in nulls)
    errors = made["checkpoint_map/cka_standard_error/mlp_out"]
    assert (errors[:, 0, 2] > 0).all()


def test_rows_of_a_table_have_ends_where_there_are_some() -> None:
    table = trajectories.fabricate({"m": (5, 2)}, (0, 10, 40), ("mlp_out",))["trajectory"]
    later = table[(table["step"] == 40) & (table["layer"] == 0)].set_index("quantity")
    for name in ("cka_step_to_step", "cka_drift_speed", "subspace_overlap_step_to_step"):
        assert later.loc[name, "low"] < later.loc[name, "value"] < later.loc[name, "high"]
        assert later.loc[f"{name}_standard_error", "value"] > 0
    null = later.loc["cka_step_to_step_null"]
    assert null["value"] == pytest.approx(0.1) and null["high"] == pytest.approx(0.18)
    assert later.loc["cka_step_to_step_null", ["low"]].isna().all()
    assert later.loc["cka_drift_speed_null", "low"] < later.loc["cka_drift_speed_null", "value"]
    assert Tabled(np.ones(1)).low is None


def test_maps_say_which_share_of_layers_is_within_its_null() -> None:
    made = trajectories.fabricated("m", 5, 4, (0, 10, 40), ("mlp_out",))
    value = made.measured["checkpoint_map/cka_debiased/mlp_out"]
    limit = made.measured["checkpoint_map/cka_debiased_null_high/mlp_out"]
    limit[:3, 0, 2], limit[3, 0, 2], value[0, 0, 2] = 1.0, -1.0, np.nan
    map_ = trajectory_tables.maps("checkpoint_map", [made])["checkpoint_map"]
    cell = map_[(map_["step"] == 0) & (map_["with_step"] == 40)].set_index("quantity")["value"]
    assert cell["cka_debiased_within_null"] == pytest.approx(2 / 3)
    low, high = (made.measured[f"checkpoint_map/cka_{e}/mlp_out"][:, 0, 2] for e in ("low", "high"))
    assert cell["cka_half_width"] == pytest.approx(np.median(high - low) / 2)


def drawn(name: str, maps: dict[str, object]) -> list[tuple[float, float, float]]:
    """Where and how wide the hatching of the first panel is."""
    options = Options("s", ("cka",), ("stable_rank",), (0.9,), 0.2, 12, "last", ("m",))
    figure = plugins.load(FIGURES, name, "figure").draw(maps, options)
    return [(p.get_x(), p.get_y(), p.get_width()) for p in figure.axes[0].patches]


def test_cells_within_their_null_are_hatched() -> None:
    """Light cells apart from dark ones, whose hatching is white; none without a value."""
    made = trajectories.fabricated("m", 5, 3, (0, 10, 40), ("mlp_out",))
    for name in (
        "checkpoint_map/cka_debiased_null_high/mlp_out",
        "layer_map/cka_debiased_null_high",
    ):
        limit = made.measured[name]
        limit[:] = -1
        limit[:, :, 0] = limit[:, 0, :] = 2
    maps = {n: trajectory_tables.maps(n, [made])[n] for n in ("checkpoint_map", "layer_map")}
    first, column = [(-0.5, -0.5, 1), (0.5, -0.5, 2)], [(-0.5, 0.5, 1), (-0.5, 1.5, 1)]
    assert drawn("checkpoint_map", maps) == [*first, *column]
    assert drawn("layer_map", maps) == [(-0.5, -0.5, 2), (-0.5, 0.5, 1)]


def test_maps_without_nulls_are_drawn_without_hatching() -> None:
    made = trajectories.fabricated("m", 5, 2, (0, 10, 40), ("mlp_out",))
    unknown = {n: v * np.nan if "_null_" in n else v for n, v in made.measured.items()}
    made = replace(made, measured=unknown)
    for name in ("checkpoint_map", "layer_map"):
        assert drawn(name, trajectory_tables.maps(name, [made])) == []
    rows = {n: plugins.load(trajectory_tables.TRAJECTORY, n, "").METRIC for n in ("drift",)}
    table = tables.table(trajectory_tables.blocks(made, rows, {"m": 40}, 40))
    assert drawn("drift", {"trajectory": table}) == []
