"""Laws that every similarity metric declares, and what it equals."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from similarity_cases import METRICS, NAIVE, Matrix, correlated, every_metric, rotation, u_centred

from tending.metrics.similarity import Similarity, UndefinedSimilarityError
from tending.metrics.similarity._moments import inner_products
from tending.metrics.similarity._streams import Aligned

LAWS = {"rotation", "scaling", "translation"}

seeds = st.integers(0, 2**32 - 1)
rows = st.integers(5, 24)
widths = st.integers(1, 24)
scales = st.floats(1e-6, 1e6) | st.floats(-1e6, -1e-6)


def score(metric: Similarity, x: Any, y: Any) -> float | None:
    """The similarity, or None where it has no value: an invariance holds for that, too."""
    try:
        return metric.compare(x, y)
    except UndefinedSimilarityError:
        return None


# Independent references, written from the papers' formulas with n x n matrices


# Without a value where n <= d: it would be 1 for any pair
NEED_SEQUENCES = {"svcca", "pwcca", "linear_regression"}


def test_the_metrics_of_the_paper_are_found() -> None:
    assert set(NAIVE) <= set(METRICS)


@every_metric
def test_declares_known_laws_only(metric: Similarity) -> None:
    assert metric.invariant_to <= LAWS
    assert metric.least >= 2
    assert metric.label


@every_metric
@given(seed=seeds, n=rows, d_x=widths, d_y=widths, scale=scales, offset=st.floats(-100, 100))
def test_is_invariant_to_what_it_declares(
    metric: Similarity, seed: int, n: int, d_x: int, d_y: int, scale: float, offset: float
) -> None:
    x, y = correlated(seed, max(n, metric.least), d_x, d_y)
    shift = offset * np.random.default_rng(seed + 1).normal(size=d_x)
    changed = {
        "rotation": x @ rotation(seed, d_x),
        "scaling": scale * x,
        "translation": x + shift,
    }
    for law in sorted(metric.invariant_to):
        for value, again in (
            (score(metric, x, y), score(metric, changed[law], y)),
            (score(metric, y, x), score(metric, y, changed[law])),
        ):
            assert again == (None if value is None else pytest.approx(value, abs=1e-8)), law


@every_metric
def test_a_law_that_is_not_declared_does_not_hold(metric: Similarity) -> None:
    """Else a metric that heads could be compared by would be taken for one that they cannot."""
    x, y = correlated(11, 40, 6, 6)
    value = metric.compare(x, y)
    changed = {"rotation": x @ rotation(0, 6), "scaling": 3 * x, "translation": x + np.arange(6)}
    for law in sorted(LAWS - metric.invariant_to):
        assert abs(metric.compare(changed[law], y) - value) > 1e-4, law
    assert (abs(metric.compare(y, x) - value) < 1e-12) == metric.symmetric


@every_metric
@given(seed=seeds, n=rows, d_x=widths, d_y=widths)
def test_symmetric_bounded_one_with_itself(
    metric: Similarity, seed: int, n: int, d_x: int, d_y: int
) -> None:
    x, y = correlated(seed, max(n, metric.least), d_x, d_y)
    value = score(metric, x, y)
    low, high = metric.bounds
    assert value is None or low is None or value >= low - 1e-12
    assert value is None or high is None or value <= high + 1e-12
    assert score(metric, x, x) in (None, pytest.approx(1.0, abs=1e-12))
    if metric.symmetric:
        again = score(metric, y, x)
        assert again == (None if value is None else pytest.approx(value, abs=1e-12))


@every_metric
@given(seed=seeds, n=rows, d=widths)
def test_order_of_sequences_does_not_matter(metric: Similarity, seed: int, n: int, d: int) -> None:
    x, y = correlated(seed, max(n, metric.least), d, d)
    order = np.random.default_rng(seed).permutation(len(x))
    value = score(metric, x, y)
    # 1e-9, not 1e-11: the canonical variates of near ties turn with rounding
    assert score(metric, x[order], y[order]) == (
        None if value is None else pytest.approx(value, abs=1e-9)
    )


@every_metric
def test_the_pairing_of_sequences_matters(metric: Similarity) -> None:
    x, _ = correlated(0, 20, 5, 5)
    assert metric.compare(x, np.roll(x, 1, axis=0)) < 0.9


@pytest.mark.parametrize("name", NAIVE)
@given(seed=seeds, n=rows, d_x=widths, d_y=widths)
def test_equals_a_naive_reference(name: str, seed: int, n: int, d_x: int, d_y: int) -> None:
    x, y = correlated(seed, n, d_x, d_y)
    x, y = x + 3.0, y - 2.0  # the references centre for themselves
    assert METRICS[name].compare(x, y) == pytest.approx(NAIVE[name](x, y), abs=1e-9)


@given(seed=seeds, n=rows, d_x=widths, d_y=widths)
def test_inner_products_are_those_of_kernels(seed: int, n: int, d_x: int, d_y: int) -> None:
    """In example space for n < d, in feature space otherwise."""
    rows = Aligned(*correlated(seed, n, d_x, d_y), least=2)
    x, y = rows.whole()
    k, other = x @ x.T, y @ y.T
    inner = inner_products(rows)
    assert inner.xy == pytest.approx((k * other).sum(), rel=1e-10)
    assert inner.xx == pytest.approx((k * k).sum(), rel=1e-10)
    assert inner.yy == pytest.approx((other * other).sum(), rel=1e-10)
    assert inner.x == pytest.approx(np.diag(k)) and inner.y == pytest.approx(np.diag(other))


@pytest.mark.parametrize("name", [n for n, m in METRICS.items() if m.any_coordinates])
@pytest.mark.parametrize(("n", "d"), [(12, 200), (200, 12)])
def test_wide_and_tall_agree_with_zero_padding(name: str, n: int, d: int) -> None:
    """Columns of zeros change the space that is computed in, not the value."""
    x, y = correlated(4, n, d, d)
    padded = np.hstack([x, np.zeros((n, 2 * n))])
    value = score(METRICS[name], x, y)
    assert (value is None) == (n < d and name in NEED_SEQUENCES)
    assert score(METRICS[name], padded, y) == (
        None if value is None else pytest.approx(value, abs=1e-10)
    )


@pytest.mark.parametrize("name", [n for n, m in METRICS.items() if m.any_coordinates])
def test_a_head_scores_as_its_outputs_in_all_dimensions(name: str) -> None:
    """Values times R' of W_O = Q R, as stored, against values times W_O'."""
    rng = np.random.default_rng(12)
    stored, full = [], []
    for values in correlated(12, 40, 6, 6):
        w_o = rng.normal(size=(24, 6))
        stored.append(values @ np.linalg.qr(w_o)[1].T)
        full.append(values @ w_o.T)
    value = METRICS[name].compare(full[0], full[1])
    assert METRICS[name].compare(stored[0], stored[1]) == pytest.approx(value, abs=1e-10)


@every_metric
def test_float32_input_gives_the_float64_value(metric: Similarity) -> None:
    x, y = (a.astype(np.float32) for a in correlated(5, 80, 24, 40))
    x += np.float32(1000)  # a mean taken in float32 would lose digits here
    exact = metric.compare(x.astype(np.float64), y.astype(np.float64))
    assert metric.compare(x, y) == exact


@every_metric
@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e30, 1e37])
@pytest.mark.parametrize(("n", "d"), [(16, 64), (64, 16)])
def test_any_finite_float32_scale_is_computed(
    metric: Similarity, scale: float, n: int, d: int
) -> None:
    x, y = correlated(6, n, d, d)
    small = (x * scale).astype(np.float32)
    value = score(metric, x, y)
    assert value is not None or n < d
    expected = None if value is None else pytest.approx(value, abs=1e-6)
    assert score(metric, small, small) == (None if value is None else pytest.approx(1.0, abs=1e-6))
    assert score(metric, small, y) == expected


@every_metric
def test_input_is_left_as_it_was(metric: Similarity) -> None:
    x, y = correlated(7, 14, 4, 4)
    before = x.copy(), y.copy()
    metric.compare(x, y)
    assert np.array_equal(x, before[0]) and np.array_equal(y, before[1])


BAD: dict[str, tuple[Callable[[Matrix], Any], str]] = {
    "fewer rows": (lambda x: x[:-1], "11 sequences .* 12|12 sequences .* 11"),
    "one-dimensional": (lambda x: x[:, 0], r"shape \(12,\)"),
    "three-dimensional": (lambda x: x[:, :, None], r"shape \(12, 4, 1\)"),
    "NaN": (lambda x: np.where(x == x[2, 1], np.nan, x), "finite"),
    "infinite": (lambda x: np.where(x == x[2, 1], np.inf, x), "finite"),
}


@every_metric
@pytest.mark.parametrize(("damage", "message"), BAD.values(), ids=BAD.keys())
def test_refuses_what_is_no_representation(
    metric: Similarity, damage: Callable[[Matrix], Any], message: str
) -> None:
    x, y = correlated(8, 12, 4, 4)
    with pytest.raises(ValueError, match=message):
        metric.compare(damage(x), y)
    with pytest.raises(ValueError, match=message):
        metric.compare(y, damage(x))


@every_metric
def test_refuses_fewer_sequences_than_it_declares(metric: Similarity) -> None:
    x, y = correlated(9, metric.least, 3, 2)
    value = score(metric, x, y)
    assert value is None or math.isfinite(value)
    fewer = metric.least - 1
    message = f"{fewer} sequences; this similarity needs at least {metric.least}"
    with pytest.raises(ValueError, match=message) as error:
        metric.compare(x[:-1], y[:-1])
    assert not isinstance(error.value, UndefinedSimilarityError)


def test_debiased_needs_four_sequences() -> None:
    assert METRICS["cka_debiased"].least == 4
    assert math.isfinite(METRICS["cka_debiased"].compare(*correlated(9, 4, 2, 2)))


CONSTANTS = {
    "zeros": np.zeros((12, 5)),
    "0.1 in float32": np.full((12, 5), 0.1, np.float32),
    "large offset in float32": np.full((12, 5), 1e4 + 0.1, np.float32),
    "another number per column": np.tile(np.linspace(-1e6, 1e6, 5, dtype=np.float32) / 3, (12, 1)),
    "0.1 in 2048 columns": np.full((12, 2048), 0.1),
    "1/3 in 513 rows": np.full((513, 4), 1 / 3),
}


@every_metric
@pytest.mark.parametrize("constant", CONSTANTS.values(), ids=CONSTANTS.keys())
def test_a_constant_representation_has_no_similarity(
    metric: Similarity, constant: npt.NDArray[Any]
) -> None:
    other = np.random.default_rng(0).normal(size=(len(constant), 3))
    for x, y in ((constant, other), (other, constant), (constant, constant)):
        with pytest.raises(UndefinedSimilarityError, match="constant"):
            metric.compare(x, y)


@every_metric
def test_small_variation_around_a_large_offset_is_no_constant(metric: Similarity) -> None:
    x, y = correlated(10, 16, 6, 6)
    value = metric.compare(1e4 + 1e-3 * x, y)
    if "translation" in metric.invariant_to:
        assert value == pytest.approx(metric.compare(x, y), abs=1e-5)
    assert math.isfinite(value)


@pytest.mark.parametrize(
    "x",
    [np.eye(8), 0.3 * np.eye(8)[:, :1] + 0.7],
    ids=["all sequences equally far apart", "one sequence unlike the rest"],
)
def test_debiased_is_undefined_without_variation_after_u_centring(x: Matrix) -> None:
    """Both U-centred Gram matrices are 0 by the formula, so the ratio is rounding noise."""
    assert np.abs(u_centred(x @ x.T)).max() < 1e-14
    other = np.random.default_rng(0).normal(size=(8, 3))
    for pair in ((x, other), (other, x), (x, x)):
        with pytest.raises(UndefinedSimilarityError):
            METRICS["cka_debiased"].compare(*pair)


def test_independent_gaussians_biased_and_debiased() -> None:
    """n = 128 sequences, d = 512: the paper's CKA is 0.80 for unrelated activations."""
    rng = np.random.default_rng(2410)
    biased, debiased = [], []
    for _ in range(30):
        x, y = rng.normal(size=(2, 128, 512))
        biased.append(METRICS["cka"].compare(x, y))
        debiased.append(METRICS["cka_debiased"].compare(x, y))
    standard_error = np.std(debiased, ddof=1) / math.sqrt(len(debiased))
    assert abs(np.mean(debiased)) < 3 * standard_error
    assert standard_error < 0.005  # so that the line above says something
    assert min(debiased) < 0  # never clamped
    assert np.mean(biased) == pytest.approx(0.80, abs=0.01)
