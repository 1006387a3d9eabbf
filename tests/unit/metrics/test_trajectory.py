"""Quantities of many representations against the definitions pair by pair, and their laws."""

import numpy as np
import numpy.typing as npt
import pytest
from drifting_runs import PACKAGE, InMemory, drifting, loaded, metrics, sources, stack
from scipy.linalg import subspace_angles

from tending.core import plugins
from tending.metrics import trajectory as quantities
from tending.metrics.similarity import UndefinedSimilarityError
from tending.metrics.similarity.cka import linear_cka
from tending.metrics.similarity.cka_debiased import debiased_linear_cka
from tending.metrics.trajectory import LAYERS, STEPS, Stack, _inner
from tending.metrics.trajectory._intervals import PARTS
from tending.metrics.trajectory.drift import speed
from tending.stages.trajectory import trajectory

PAIRWISE = {"cka": linear_cka, "cka_debiased": debiased_linear_cka}
SHAPES = [(12, 30), (40, 7), (33, 33), (300, 3), (90, 64)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("measure", PAIRWISE)
def test_the_map_is_the_similarity_of_every_pair(measure: str, shape: tuple[int, int]) -> None:
    arrays = drifting(5, *shape)
    map_ = stack(arrays).cka[measure]
    expected = [[PAIRWISE[measure](x, y) for y in arrays] for x in arrays]
    np.testing.assert_allclose(map_, expected, atol=1e-10)
    np.testing.assert_array_equal(map_, map_.T)
    np.testing.assert_allclose(np.diagonal(map_), 1, atol=1e-12)


def test_representations_may_have_widths_of_their_own() -> None:
    random = np.random.default_rng(0)
    arrays = [random.normal(size=(20, width)) for width in (3, 50, 8)]
    np.testing.assert_allclose(
        stack(arrays).cka["cka_debiased"],
        [[debiased_linear_cka(x, y) for y in arrays] for x in arrays],
        atol=1e-10,
    )


@pytest.mark.parametrize("budget", [8 * 4 * 5, 8 * 4 * 17**2, 2**30])
@pytest.mark.parametrize("shape", [(50, 40), (70, 2)], ids=str)
def test_the_map_does_not_depend_on_the_memory_it_may_use(
    shape: tuple[int, int], budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = drifting(4, *shape)
    expected = stack(arrays).cka["cka_debiased"]
    monkeypatch.setattr(_inner, "BUDGET", budget)
    monkeypatch.setattr(quantities, "BUDGET", budget)
    np.testing.assert_allclose(stack(arrays).cka["cka_debiased"], expected, atol=1e-13)


def test_no_more_than_the_budget_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is read again for every tile; what fits is read once.

    Nothing is read again while the Gram matrices of all fit.
    """
    arrays = drifting(4, 50, 40)
    reads: list[int] = []

    def read(i: int) -> npt.NDArray[np.float64]:
        reads.append(i)
        return arrays[i]

    _ = Stack(read, 4, 2).cka
    assert sorted(reads) == [0, 1, 2, 3]
    reads.clear()
    monkeypatch.setattr(quantities, "BUDGET", 2 * arrays[0].nbytes)
    whole = Stack(read, 4, 2).cka
    assert sorted(reads) == [0, 1, 2, 3]
    reads.clear()
    monkeypatch.setattr(_inner, "BUDGET", 2 * arrays[0].nbytes)
    parts = Stack(read, 4, 2).cka
    assert reads.count(0) == reads.count(1) == 1 and reads.count(3) > 1
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(("n", "side"), [(7, 3), (6, 3), (5, 100), (4, 1)])
def test_tiles_cover_a_symmetric_matrix_once(n: int, side: int) -> None:
    covered = np.zeros((n, n), dtype=int)
    for a, b in _inner.tiles(n, side):
        covered[a, b] += 1
        if a != b:
            covered[b, a] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize("budget", [8 * 3 * 7**2, 2**30], ids=["small", "large"])
@pytest.mark.parametrize("held", [True, False])
def test_tiles_hold_every_pair_of_rows_of_every_gram_matrix(
    held: bool, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_inner, "BUDGET", budget)
    monkeypatch.setattr(_inner, "SIDE", 4)
    arrays, made = drifting(3, 25, 6), np.full((3, 25, 25), np.nan)
    for a, b, tile in _inner.gram_tiles(arrays.__getitem__, 3, 25, held=held):
        assert np.isnan(made[:, a, b]).all()
        made[:, a, b], made[:, b, a] = tile, tile.transpose(0, 2, 1)
    expected = [x @ x.T for x in arrays]
    np.testing.assert_allclose(made, expected, rtol=1e-12)
    products = [[np.vdot(k, other) for other in expected] for k in expected]
    np.testing.assert_allclose(_inner.feature_space(arrays.__getitem__, 3), products, rtol=1e-12)


def test_a_constant_representation_is_like_nothing() -> None:
    arrays = drifting(4, 20, 6)
    arrays[2] = np.full_like(arrays[2], 0.25)
    made = stack(arrays)
    for map_ in made.cka.values():
        assert np.isnan(map_[2]).all() and np.isnan(map_[:, 2]).all()
        assert np.isfinite(np.delete(np.delete(map_, 2, 0), 2, 1)).all()
    assert list(made.undefined) == [2]
    overlap = loaded("subspace_overlap").compute(stack(arrays))["overlap"]
    assert np.isnan(overlap[2]).all() and np.isfinite(np.delete(overlap[0], 2)).all()


def test_what_u_centring_leaves_nothing_of_has_no_debiased_map() -> None:
    """All sequences equally far apart: biased CKA is defined, debiased CKA is not."""
    arrays = [np.eye(8), *drifting(2, 8, 8)]
    with pytest.raises(UndefinedSimilarityError):
        debiased_linear_cka(arrays[0], arrays[1])
    made = stack(arrays).cka
    assert np.isnan(made["cka_debiased"][0]).all()
    assert np.isfinite(made["cka"]).all() and np.isfinite(made["cka_debiased"][1:, 1:]).all()


def test_bad_representations_are_refused() -> None:
    arrays = drifting(3, 20, 6)
    arrays[1][3, 2] = np.nan
    with pytest.raises(ValueError, match="finite"):
        _ = stack(arrays).cka
    with pytest.raises(ValueError, match="19 sequences in one representation, 20 in another"):
        _ = stack([drifting(1, 20, 6)[0], drifting(1, 19, 6)[0]]).cka
    with pytest.raises(ValueError, match="3 sequences; debiased CKA needs at least 4"):
        _ = stack(drifting(2, 3, 6)).cka


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
def test_a_quantity_declares_itself(name: str) -> None:
    metric = loaded(name)
    module = f"{PACKAGE}.{name}"
    assert plugins.constant(module, "OVER") in (STEPS, LAYERS)
    assert plugins.constant(module, "TABLED") is (metric.rows is not None)
    assert metric.label and metric.source
    measured = metric.compute(stack(drifting(5, 40, 6)))
    for values in measured.values():
        assert set(values.shape) <= {5} and values.dtype == np.float64
        inside = values[np.isfinite(values)]
        low, high = metric.bounds
        assert high is None or inside.max() <= high + 1e-12
        assert low is None or inside.min() >= low - 1e-12


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
def test_rotation_scale_and_translation_do_not_matter(name: str) -> None:
    arrays = drifting(4, 40, 6)
    random = np.random.default_rng(1)
    turned = [
        x @ np.linalg.qr(random.normal(size=(6, 6)))[0] * random.uniform(0.1, 9) + random.normal()
        for x in arrays
    ]
    assert loaded(name).invariant_to == {"rotation", "scaling", "translation"}
    one, two = loaded(name).compute(stack(arrays)), loaded(name).compute(stack(turned))
    for measure, values in one.items():
        np.testing.assert_allclose(two[measure], values, atol=1e-9)


def test_drift_is_the_similarity_with_the_one_before() -> None:
    arrays = drifting(4, 30, 6)
    made = loaded("drift").compute(stack(arrays))
    for measure, compare in PAIRWISE.items():
        assert np.isnan(made[measure][0])
        expected = [compare(x, y) for x, y in zip(arrays[1:], arrays, strict=False)]
        np.testing.assert_allclose(made[measure][1:], expected, atol=1e-10)


def test_speed_of_closed_forms() -> None:
    similarity = np.array([np.nan, 1.0, 1 - 1e-15, 0.0, -0.5, 0.5])
    gaps = np.array([np.nan, 0.1, 0.1, 0.5, 1.0, 1 / 3])
    expected = [np.nan, 0, 0, np.pi, 2 * np.pi / 3, np.pi]
    np.testing.assert_allclose(speed(similarity, gaps), expected, atol=1e-12)


def test_the_angle_over_a_gap_is_at_most_the_path_within() -> None:
    """The law that makes the speed a lower bound, for both kinds of CKA."""
    arrays = drifting(6, 30, 9)
    for map_ in stack(arrays).cka.values():
        angles = np.arccos(np.clip(map_, -1, 1))
        path = np.diagonal(angles, offset=1).sum()
        assert angles[0, -1] <= path
        for middle in range(6):
            assert (angles <= angles[:, [middle]] + angles[[middle], :] + 1e-7).all()


def test_the_overlap_is_the_mean_squared_cosine_of_the_principal_angles() -> None:
    arrays = drifting(4, 30, 8)
    made = loaded("subspace_overlap").compute(stack(arrays, directions=3))
    leading = [np.linalg.svd(x - x.mean(axis=0))[0][:, :3] for x in arrays]
    expected = [[np.mean(np.cos(subspace_angles(u, v)) ** 2) for v in leading] for u in leading]
    np.testing.assert_allclose(made["overlap"], expected, atol=1e-10)
    assert made["chance"] == pytest.approx(3 / 29)


def test_subspaces_by_construction_overlap_in_what_they_share() -> None:
    """Two of three leading directions in common: two thirds, whatever their order and size."""
    basis = np.linalg.qr(
        np.hstack([np.ones((20, 1)), np.random.default_rng(0).normal(size=(20, 9))])
    )
    u = basis[0][:, 1:]  # columns that are centred already
    one = u[:, :5] * np.array([9, 8, 7, 1, 1])
    two = u[:, [1, 0, 6, 7, 8]] * np.array([9, 8, 7, 1, 0.5])
    made = loaded("subspace_overlap").compute(stack([one, two], directions=3))
    np.testing.assert_allclose(made["overlap"], [[1, 2 / 3], [2 / 3, 1]], atol=1e-12)


def test_random_subspaces_overlap_by_chance() -> None:
    made = loaded("subspace_overlap").compute(
        stack(list(np.random.default_rng(0).normal(size=(20, 60, 30))), directions=6)
    )
    pairs = made["overlap"][np.triu_indices(20, k=1)]
    # 190 pairs, of which one has a standard deviation of about 0.02
    assert pairs.mean() == pytest.approx(float(made["chance"]), abs=0.01)


def test_no_more_directions_than_there_are() -> None:
    narrow = loaded("subspace_overlap").compute(stack(drifting(2, 20, 3), directions=10))
    assert narrow["chance"] == pytest.approx(3 / 19)
    flat = drifting(3, 20, 6)
    flat[1] = flat[1][:, :1] @ np.ones((1, 6))  # of rank 1
    overlap = loaded("subspace_overlap").compute(stack(flat, directions=2))["overlap"]
    assert np.isnan(overlap[1]).all() and overlap[0, 2] >= 0


def fail(text: str) -> None:
    pytest.fail(text)


def test_every_layer_has_its_own_map_and_every_step_one_of_layers() -> None:
    read, told = sources(), []
    chosen = metrics(*plugins.names(PACKAGE))
    parts = ["attention_ov", "mlp_out"]
    made = trajectory.measure(read, parts, chosen, 2, fail, lambda: told.append(1))
    assert len(told) == trajectory.work(read[0].shapes, parts, 3, chosen) == 2 + 2 + 3
    for component in parts:
        map_ = made[f"checkpoint_map/cka_debiased/{component}"]
        assert map_.shape == (2, 3, 3)
        for layer in range(2):
            one, two = (read[step].arrays[component][layer] for step in (0, 20))
            assert map_[layer, 0, 2] == pytest.approx(debiased_linear_cka(one, two), abs=1e-10)
        np.testing.assert_array_equal(
            made[f"drift/cka/{component}"][:, 2], made[f"checkpoint_map/cka/{component}"][:, 1, 2]
        )
    axis = trajectory.pairs(read[0].shapes)
    assert axis == [("attention_ov", 0), ("attention_ov", 1), ("mlp_out", 0), ("mlp_out", 1)]
    assert made["layer_map/cka"].shape == (3, 4, 4)
    one, two = read[5].arrays["attention_ov"][1], read[5].arrays["mlp_out"][0]
    assert made["layer_map/cka"][1, 1, 2] == pytest.approx(linear_cka(one, two), abs=1e-10)


def test_only_what_is_asked_for_is_measured() -> None:
    made = trajectory.measure(sources(), ["mlp_out"], metrics("layer_map"), 2, fail)
    names = {f"{measure}{part}" for measure in PAIRWISE for part in PARTS}
    assert set(made) == {f"layer_map/{name}" for name in names}
    assert trajectory.work({"mlp_out": (2, 1, 1)}, ["mlp_out"], 3, metrics("drift")) == 2


def test_what_a_model_has_one_of_counts_as_a_layer() -> None:
    read, warnings = sources(), list[str]()
    for i, source in enumerate(read.values()):
        source.arrays["embedding"] = np.random.default_rng(9 + i).normal(size=(15, 6))
        source.shapes["embedding"] = (15, 6)
    read[0].arrays["embedding"][:] = 1
    made = trajectory.measure(
        read, ["embedding", "mlp_out"], metrics("drift", "layer_map"), 2, warnings.append
    )
    assert made["drift/cka/embedding"].shape == (1, 3)
    axis = trajectory.pairs({name: read[0].shapes[name] for name in ("embedding", "mlp_out")})
    assert axis == [("embedding", None), ("mlp_out", 0), ("mlp_out", 1)]
    one, two = read[5].arrays["embedding"], read[5].arrays["mlp_out"][1]
    assert made["layer_map/cka"][1, 0, 2] == pytest.approx(linear_cka(one, two), abs=1e-10)
    assert {w.split(" has")[0] for w in warnings} == {"embedding at step 0"}


def test_a_layer_without_variation_is_missing_and_named_once() -> None:
    read, warnings = sources(), list[str]()
    read[5].arrays["mlp_out"][1] = 0
    chosen = metrics("checkpoint_map", "drift")
    made = trajectory.measure(read, ["attention_ov", "mlp_out"], chosen, 2, warnings.append)
    assert np.isnan(made["drift/cka/mlp_out"][1]).all()
    assert np.isfinite(made["drift/cka/mlp_out"][0, 1:]).all()
    (warning,) = warnings
    assert warning.startswith("mlp_out of layer 1 at step 5 has no similarity")


def test_other_shapes_are_refused() -> None:
    read = sources()
    read[5] = InMemory(attention_ov=np.ones((2, 15, 4)), mlp_out=np.ones((2, 14, 6)))
    message = r"mlp_out: shape \(2, 14, 6\) at step 5, \(2, 15, 6\) at step 20; extract all"
    with pytest.raises(ValueError, match=message):
        trajectory.measure(read, ["mlp_out"], metrics("drift"), 2, fail)
