"""Laws that every metric of one representation declares, closed forms, other implementations."""

import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest

from tending.core import plugins
from tending.metrics.representation import (
    LEAST_OF_GROUP,
    Measured,
    Representation,
    UndefinedRepresentationError,
    groups,
)
from tending.metrics.representation.anisotropy import anisotropy
from tending.metrics.representation.intrinsic_dimension import intrinsic_dimension

Matrix = npt.NDArray[np.float64]
PACKAGE = "tending.metrics.representation"
METRICS: dict[str, Representation] = {
    name: plugins.load(PACKAGE, name, "metric").METRIC for name in plugins.names(PACKAGE)
}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
LAWS = {
    "rotation": lambda x, rng: x @ rotation(x.shape[1], rng),
    "scaling": lambda x, rng: 7.5 * x,
    "translation": lambda x, rng: x + 3 * rng.standard_normal(x.shape[1]),
}


def rotation(d: int, rng: np.random.Generator) -> Matrix:
    return np.asarray(np.linalg.qr(rng.standard_normal((d, d)))[0])


def example(seed: int = 0, n: int = 160, d: int = 12) -> Matrix:
    """Rows around a common offset, of falling variance."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.standard_normal((n, d)) / np.arange(1, d + 1) + 0.5)


def plane(n: int, seed: int, dimension: int = 2, width: int = 50) -> Matrix:
    """Uniform points on a flat piece of `dimension` dimensions in `width`."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.random((n, dimension)) @ rotation(width, rng)[:dimension])


def same(one: Measured, two: Measured, rel: float = 1e-9) -> None:
    assert one == pytest.approx(two, rel=rel, abs=1e-12, nan_ok=True)


# Laws


@every_metric
def test_heads_can_be_measured(metric: Representation) -> None:
    """Of a head only inner products are stored, with no column for a direction it lacks."""
    assert "rotation" in metric.invariant_to <= set(LAWS)
    x = example()
    wider = np.hstack([x, np.zeros((len(x), 20))]) @ rotation(32, np.random.default_rng(1))
    same(metric.compute(wider, 1), metric.compute(x, 1), rel=1e-7)


@every_metric
@pytest.mark.parametrize("law", LAWS)
def test_declared_invariances_and_no_other(metric: Representation, law: str) -> None:
    x = example()
    changed = metric.compute(LAWS[law](x, np.random.default_rng(1)), 1)
    if law in metric.invariant_to:
        same(changed, metric.compute(x, 1), rel=1e-7)
    else:
        assert changed.value != pytest.approx(metric.compute(x, 1).value, rel=1e-3)


@every_metric
@pytest.mark.parametrize("x", [example(), example(1, 70, 3), -np.abs(example(2)), plane(64, 0)])
def test_within_bounds_and_interval(metric: Representation, x: Matrix) -> None:
    found = metric.compute(x, 1)
    low, high = metric.bounds
    assert low is None or found.value >= low
    assert high is None or found.value <= high
    assert found.low < found.value < found.high


@every_metric
def test_the_order_of_sequences_matters_to_no_value(metric: Representation) -> None:
    x = example()
    shuffled = x[np.random.default_rng(0).permutation(len(x))]
    value = metric.compute(x, 1).value
    assert metric.compute(shuffled, 1).value == pytest.approx(value, rel=1e-9)


@every_metric
def test_float32_is_computed_in_float64(metric: Representation) -> None:
    x = example().astype(np.float32)
    assert metric.compute(x, 1) == metric.compute(x.astype(np.float64), 1)


@every_metric
@pytest.mark.parametrize(
    ("x", "rows", "message"),
    [
        (np.ones(5), 1, r"expected a \(rows, d\) matrix"),
        (np.ones((5, 3)), 2, r"2 rows a sequence, got \(5, 3\)"),
        (np.ones((2, 3)), 1, "2 sequences; this metric needs at least"),
        (np.full((9, 3), np.nan), 1, "finite"),
        (np.full((9, 3), np.inf), 1, "finite"),
    ],
)
def test_refuses_what_is_no_representation(
    metric: Representation, x: Matrix, rows: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        metric.compute(x, rows)


@every_metric
def test_what_has_no_value_is_said_to_have_none(metric: Representation) -> None:
    with pytest.raises(UndefinedRepresentationError):
        metric.compute(np.zeros((40, 3)), 1)


# Groups


def test_groups_are_whole_sequences_of_about_equal_size() -> None:
    group = groups(3 * 100, 3)
    assert group is not None
    assert (group.reshape(100, 3) == group.reshape(100, 3)[:, :1]).all()
    assert set(np.bincount(group[::3])) == {12, 13}
    again = groups(300, 3)
    assert again is not None and (again == group).all()


def test_too_few_sequences_have_no_groups() -> None:
    assert groups(8 * LEAST_OF_GROUP, 1) is not None
    assert groups(8 * LEAST_OF_GROUP - 1, 1) is None


# Anisotropy


def test_the_mean_cosine_is_that_of_all_pairs() -> None:
    x = example(n=40)
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = (units @ units.T)[np.triu_indices(40, 1)]
    assert anisotropy(x).value == pytest.approx(pairs.mean(), rel=1e-12)


def test_several_rows_of_a_sequence_are_no_pair() -> None:
    x = example(n=30)
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    sequence = np.arange(30) // 3
    pairs = (units @ units.T)[sequence[:, None] < sequence[None, :]]
    assert anisotropy(x, 3).value == pytest.approx(pairs.mean(), rel=1e-12)


@pytest.mark.parametrize("rows", [1, 3])
def test_its_error_is_the_jackknife(rows: int) -> None:
    x = example(n=36)
    sequences = np.arange(36) // rows
    n = 36 // rows
    scores = np.array([anisotropy(x[sequences != s], rows).value for s in range(n)])
    error = math.sqrt((n - 1) / n * ((scores - scores.mean()) ** 2).sum())
    found = anisotropy(x, rows)
    assert found.high - found.value == pytest.approx(1.959963984540054 * error, rel=1e-9)
    assert found.value - found.low == pytest.approx(found.high - found.value, rel=1e-9)


def test_isotropic_directions_have_none() -> None:
    for seed in range(5):
        found = anisotropy(np.random.default_rng(seed).standard_normal((400, 30)))
        assert abs(found.value) < 0.002 and found.low < 0 < found.high


def test_an_offset_brings_it_to_the_share_of_the_offset() -> None:
    """Of N(m, 1/d) with |m| = c the cosine tends to c^2 / (1 + c^2), and to 1."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((300, 500)) / math.sqrt(500)
    for c, tolerance in ((1.0, 0.02), (3.0, 0.01), (30.0, 0.001)):
        expected = c**2 / (1 + c**2)
        offset = c * np.eye(500)[0]
        assert anisotropy(noise + offset).value == pytest.approx(expected, abs=tolerance)


def test_two_opposite_directions() -> None:
    """n / 2 each: n (n / 2 - 1) ordered pairs of cosine 1, n n / 2 of -1: -1 / (n - 1)."""
    x = np.repeat([[1.0, 2.0], [-3.0, -6.0]], 10, axis=0)
    assert anisotropy(x).value == pytest.approx(-1 / 19, rel=1e-12)


def test_the_same_direction_throughout() -> None:
    found = anisotropy(np.outer(np.arange(1.0, 20.0), [1.0, -2.0, 0.5]))
    assert found == pytest.approx((1.0, 1.0, 1.0), abs=1e-12)


def test_a_row_of_zeros_has_no_direction() -> None:
    x = example()
    x[7] = 0
    with pytest.raises(UndefinedRepresentationError, match="no direction"):
        anisotropy(x)


# Intrinsic dimension


def two_nn(x: Matrix) -> float:
    """Facco et al. (2017), step by step: a line through 0 of -ln(1 - F) against ln mu."""
    distances = np.linalg.norm(x[:, None] - x[None, :], axis=2)
    first, second = np.sort(distances, axis=1)[:, 1:3].T
    mu = np.sort(second / first)
    kept = int(0.9 * len(mu))
    a = np.log(mu[:kept])
    b = -np.log(1 - np.arange(1, kept + 1) / len(mu))
    return float(a @ b / (a @ a))


@pytest.mark.parametrize("shape", [(100, 3), (100, 40), (257, 8)])
def test_the_estimate_is_that_of_the_paper(shape: tuple[int, int]) -> None:
    x = example(3, *shape)
    assert intrinsic_dimension(x).value == pytest.approx(two_nn(x), rel=1e-9)


@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_a_flat_piece_has_its_dimension_however_it_is_embedded(dimension: int) -> None:
    """Within 4 standard errors of about 1.3 d / sqrt(n), and 8 % that the border takes."""
    for seed in range(3):
        found = intrinsic_dimension(plane(500, seed, dimension))
        error = 1.3 * dimension / math.sqrt(500)
        assert found.value == pytest.approx(dimension, abs=4 * error + 0.08 * dimension)


def test_a_curved_line_has_dimension_1() -> None:
    t = np.sort(np.random.default_rng(0).random(400)) * 6
    curve = np.stack([np.cos(t), np.sin(t), t, t**2 / 6], axis=1)
    assert intrinsic_dimension(curve).value == pytest.approx(1, abs=0.2)


def test_the_interval_holds_the_dimension_of_a_plane() -> None:
    found = [intrinsic_dimension(plane(256, seed)) for seed in range(20)]
    assert sum(f.low < 2 < f.high for f in found) >= 17


def test_repeated_rows_are_one() -> None:
    """Also if float32 rounding tells them apart."""
    x = plane(100, 0).astype(np.float32).astype(np.float64)
    value = intrinsic_dimension(x).value
    repeated = np.vstack([x, x[:30], x[:30] * (1 + 2e-7), x[5:6]])
    assert intrinsic_dimension(repeated).value == pytest.approx(value, rel=1e-9)


def test_no_warning_reaches_the_log_for_repeated_rows() -> None:
    x = plane(80, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        intrinsic_dimension(np.vstack([x, x]))


def test_few_different_rows_have_no_dimension() -> None:
    with pytest.raises(UndefinedRepresentationError, match="only 7 of 70 rows differ"):
        intrinsic_dimension(np.repeat(plane(7, 0), 10, axis=0))
    with pytest.raises(UndefinedRepresentationError, match="only 1 of 20 rows differ"):
        intrinsic_dimension(np.ones((20, 5)))


def test_points_equally_far_from_each_other_have_no_dimension() -> None:
    with pytest.raises(UndefinedRepresentationError, match="equally far"):
        intrinsic_dimension(np.eye(20))


def test_few_sequences_have_no_interval() -> None:
    found = intrinsic_dimension(plane(60, 0))
    assert math.isfinite(found.value) and math.isnan(found.low) and math.isnan(found.high)


def test_a_single_column() -> None:
    x = np.random.default_rng(0).random((300, 1))
    assert intrinsic_dimension(x).value == pytest.approx(1, abs=0.25)
