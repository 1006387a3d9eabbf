"""Laws that every metric of singular values declares, closed forms, and other implementations."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tending.core import plugins
from tending.metrics.algebra.singular_values import singular_values
from tending.metrics.spectrum import VALUE, SpectrumMetric, quantity
from tending.metrics.spectrum.effective_rank import effective_rank
from tending.metrics.spectrum.proportional_effective_rank import proportional_effective_rank

Vector = npt.NDArray[np.float64]
PACKAGE = "tending.metrics.spectrum"
METRICS: dict[str, SpectrumMetric] = {
    name: plugins.load(PACKAGE, name, "spectrum metric").METRIC for name in plugins.names(PACKAGE)
}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())

values = st.just(0.0) | st.floats(1e-9, 1e9)
spectra = hnp.arrays(np.float64, st.integers(1, 40), elements=values).filter(lambda s: s.any())

# s = (a, ..., a), k of them
EQUAL: dict[str, Callable[[float, int], float]] = {
    "condition_number": lambda a, k: 1,
    "effective_rank": lambda a, k: k,
    "entropy": lambda a, k: math.log(k),
    "frobenius": lambda a, k: a * math.sqrt(k),
    "gini": lambda a, k: 0,
    "hoyer": lambda a, k: 0 if k > 1 else math.nan,
    "marchenko_pastur": lambda a, k: 0 if k >= 8 else math.nan,
    "nuclear": lambda a, k: a * k,
    "numerical_rank": lambda a, k: k,
    "participation_ratio": lambda a, k: k,
    "power_law_alpha": lambda a, k: math.nan,
    "proportional_effective_rank": lambda a, k: 1,
    "spectral": lambda a, k: a,
    "stable_rank": lambda a, k: k,
}
# s = (a, 0, ..., 0), k > 1 of them
ALONE: dict[str, Callable[[float, int], float]] = {
    "condition_number": lambda a, k: math.inf,
    "effective_rank": lambda a, k: 1,
    "entropy": lambda a, k: 0,
    "frobenius": lambda a, k: a,
    "gini": lambda a, k: 1 - 1 / k,
    "hoyer": lambda a, k: 1,
    "marchenko_pastur": lambda a, k: 1 if k >= 8 else math.nan,
    "nuclear": lambda a, k: a,
    "numerical_rank": lambda a, k: 1,
    "participation_ratio": lambda a, k: 1,
    "power_law_alpha": lambda a, k: math.nan,
    "proportional_effective_rank": lambda a, k: 1 / k,
    "spectral": lambda a, k: a,
    "stable_rank": lambda a, k: 1,
}
# s = (4, 2, 1, 0): sums 7 and, of squares, 21 = 16 + 4 + 1; of fourth powers 273 = 256 + 16 + 1;
# p = (4, 2, 1) / 7, so H = ln 7 - (8 ln 2 + 2 ln 2) / 7;
# Gini: differences 2 + 3 + 4 + 1 + 2 + 1 = 13 of unordered pairs, over 4 x 7
HALVING = {
    "condition_number": math.inf,
    "effective_rank": 7 / 2 ** (10 / 7),
    "entropy": math.log(7) - 10 / 7 * math.log(2),
    "frobenius": math.sqrt(21),
    "gini": 13 / 28,
    "hoyer": 2 - 7 / math.sqrt(21),
    "marchenko_pastur": math.nan,
    "nuclear": 7,
    "numerical_rank": 3,
    "participation_ratio": 441 / 273,
    "power_law_alpha": math.nan,
    "proportional_effective_rank": 7 / 2 ** (10 / 7) / 4,
    "spectral": 4,
    "stable_rank": 21 / 16,
}
# metrics that count zeros as values, the others see only what is beside them
COUNTS_ZEROS = {
    "condition_number",
    "gini",
    "hoyer",
    "marchenko_pastur",
    "proportional_effective_rank",
}
NEEDS_SOME = {"marchenko_pastur", "power_law_alpha"}  # not defined for a handful of values


def value(metric: SpectrumMetric, s: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The metric of s, of matrices twice as long as wide where it asks for a shape."""
    values = np.asarray(s)
    k = values.shape[-1] if values.ndim else 1
    return metric.compute(values, (k, 2 * k)) if metric.one_matrix else metric.compute(values)


def compute(name: str, s: npt.ArrayLike) -> float:
    return float(value(METRICS[name], s))


def test_the_metrics_of_the_paper_are_found() -> None:
    assert {"effective_rank", "proportional_effective_rank"} <= set(METRICS)


def test_labels_tell_metrics_apart() -> None:
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)


@every_metric
def test_a_metric_scales_in_one_way(metric: SpectrumMetric) -> None:
    assert not (metric.scale_free and metric.proportional)


@every_metric
@given(s=spectra, scale=st.floats(1e-100, 1e100))
def test_scale(metric: SpectrumMetric, s: Vector, scale: float) -> None:
    factor = scale if metric.proportional else 1.0
    if metric.scale_free or metric.proportional:
        wanted = factor * value(metric, s)
        assert value(metric, scale * s) == pytest.approx(wanted, rel=1e-9, nan_ok=True)


@every_metric
@given(s=spectra, seed=st.integers(0, 2**32 - 1))
def test_order_of_values_does_not_matter(metric: SpectrumMetric, s: Vector, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(s)
    assert value(metric, shuffled) == pytest.approx(value(metric, s), rel=1e-9, nan_ok=True)


@every_metric
@given(s=spectra)
def test_within_its_bounds(metric: SpectrumMetric, s: Vector) -> None:
    low, high = metric.range(s.size)
    found = float(value(metric, s))
    few = s.size == 1 or metric in [METRICS[name] for name in NEEDS_SOME]
    if few and math.isnan(found):
        return  # too few for this metric; see the closed forms
    assert low is None or found >= low - 1e-9
    assert high is None or found <= high + 1e-9


@every_metric
@given(
    s=hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=4, max_side=4),
        elements=st.floats(1e-3, 1e3),
    )
)
def test_a_batch_is_its_rows(metric: SpectrumMetric, s: Vector) -> None:
    batch = value(metric, s)
    assert batch.shape == s.shape[:-1]
    for index in np.ndindex(*batch.shape):
        row = float(value(metric, s[index]))
        assert batch[index] == pytest.approx(row, rel=1e-12, nan_ok=True)


@every_metric
def test_zeros_have_the_declared_value_and_spoil_no_neighbour(metric: SpectrumMetric) -> None:
    s = np.array([np.zeros(40), 1 / np.arange(1, 41)])
    np.testing.assert_equal(float(value(metric, np.zeros(5))), metric.of_zeros)
    zeros, harmonic = value(metric, s)
    np.testing.assert_equal(float(zeros), metric.of_zeros)
    assert np.isfinite(harmonic)


@every_metric
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_values_are_float64(metric: SpectrumMetric, dtype: type) -> None:
    s: npt.NDArray[Any] = np.arange(1, 13).reshape(2, 2, 3).astype(dtype)
    found = value(metric, s)
    assert isinstance(found, np.ndarray) and found.dtype == np.float64
    np.testing.assert_array_equal(found, value(metric, s.astype(np.float64)))


@pytest.mark.parametrize("name", EQUAL)
@pytest.mark.parametrize("k", [1, 2, 7, 2048])
def test_equal_values(name: str, k: int) -> None:
    found = compute(name, np.full(k, 0.37))
    assert found == pytest.approx(EQUAL[name](0.37, k), rel=1e-12, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("k", [2, 7, 2048])
def test_one_value_among_zeros(name: str, k: int) -> None:
    s = np.zeros(k)
    s[k // 2] = 0.37
    assert compute(name, s) == pytest.approx(ALONE[name](0.37, k), rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", HALVING)
def test_halving_values_and_a_zero(name: str) -> None:
    assert compute(name, [4, 2, 1, 0]) == pytest.approx(HALVING[name], rel=1e-14, nan_ok=True)


def test_a_geometric_sequence_without_end() -> None:
    """s_i = r^i, r = 0.9: sums 1 / (1 - r^n) of the n-th powers, to within 0.9^2000."""
    r = 0.9
    s = r ** np.arange(2000)
    assert compute("nuclear", s) == pytest.approx(1 / (1 - r), rel=1e-12)
    assert compute("frobenius", s) == pytest.approx(1 / math.sqrt(1 - r**2), rel=1e-12)
    assert compute("stable_rank", s) == pytest.approx(1 / (1 - r**2), rel=1e-12)
    assert compute("participation_ratio", s) == pytest.approx((1 + r**2) / (1 - r**2), rel=1e-12)
    # p_i = (1 - r) r^i, of mean r / (1 - r)
    entropy = -math.log(1 - r) - r / (1 - r) * math.log(r)
    assert compute("entropy", s) == pytest.approx(entropy, rel=1e-12)
    # r^i > 2000 x 2^-23
    assert compute("numerical_rank", s) == math.ceil(math.log(2000 * 2.0**-23) / math.log(r))


@pytest.mark.parametrize("name", sorted(set(EQUAL) - COUNTS_ZEROS))
@given(s=spectra, zeros=st.integers(1, 50))
def test_zeros_beside_others_change_nothing(name: str, s: Vector, zeros: int) -> None:
    if name in ("numerical_rank", "power_law_alpha"):
        s = s[s > 1e-4 * s.max()]  # its tolerance grows with the number of values
    longer = np.append(s, np.zeros(zeros))
    assert compute(name, longer) == pytest.approx(
        compute(name, s), rel=1e-12, abs=1e-12, nan_ok=True
    )


@given(s=spectra)
def test_ranks_are_in_order(s: Vector) -> None:
    """Renyi entropies fall with their order, and squares are further from equal."""
    names = ("stable_rank", "participation_ratio", "effective_rank")
    ranks = [1.0, *(compute(name, s) for name in names), float(np.count_nonzero(s))]
    assert all(a <= b * (1 + 1e-9) for a, b in pairwise(ranks))


@given(s=spectra)
def test_norms_are_in_order(s: Vector) -> None:
    norms = [compute(name, s) for name in ("spectral", "frobenius", "nuclear")]
    norms.append(math.sqrt(np.count_nonzero(s)) * norms[1])
    assert all(a <= b * (1 + 1e-9) for a, b in pairwise(norms))


@given(s=spectra)
def test_sparseness_and_entropy_end_where_the_number_of_values_says(s: Vector) -> None:
    assert compute("gini", s) <= 1 - 1 / s.size + 1e-9
    assert compute("entropy", s) <= math.log(s.size) + 1e-9
    assert math.exp(compute("entropy", s)) == pytest.approx(compute("effective_rank", s))


@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (50, 50), (1, 8)])
def test_norms_and_ranks_of_a_matrix(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(3).standard_normal(shape)
    s = np.linalg.svd(matrix, compute_uv=False)
    gram = matrix @ matrix.T
    norms = {
        "frobenius": np.linalg.norm(matrix, "fro"),
        "spectral": np.linalg.norm(matrix, 2),
        "nuclear": np.linalg.norm(matrix, "nuc"),
    }
    for name, norm in norms.items():
        assert compute(name, s) == pytest.approx(float(norm), rel=1e-12)
    assert compute("condition_number", s) == pytest.approx(float(np.linalg.cond(matrix)), rel=1e-9)
    stable = np.trace(gram) / np.linalg.norm(gram, 2)
    assert compute("stable_rank", s) == pytest.approx(float(stable), rel=1e-9)
    ratio = np.trace(gram) ** 2 / np.trace(gram @ gram)
    assert compute("participation_ratio", s) == pytest.approx(float(ratio), rel=1e-9)
    assert compute("entropy", s) == pytest.approx(float(scipy.stats.entropy(s)), rel=1e-12)


@given(s=spectra)
def test_gini_is_the_mean_difference_of_all_pairs(s: Vector) -> None:
    differences = np.abs(s[:, None] - s[None, :]).sum()
    expected = differences / (2 * s.size * s.sum())
    assert compute("gini", s) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("rank", [1, 5, 49, 50])
def test_numerical_rank_of_a_square_matrix_is_that_of_numpy_in_float32(rank: int) -> None:
    random = np.random.default_rng(rank)
    product = random.standard_normal((50, rank)) @ random.standard_normal((rank, 50))
    stored = product.astype(np.float32)
    s = np.linalg.svd(stored.astype(np.float64), compute_uv=False)
    assert compute("numerical_rank", s) == np.linalg.matrix_rank(stored) == rank


@pytest.mark.parametrize("shape", [(48, 192), (64, 64)])
def test_numerical_rank_of_a_spectrum_as_it_is_measured(shape: tuple[int, int]) -> None:
    """The Gram route leaves sqrt(eps) where a value is 0, which is no rank."""
    matrix = np.random.default_rng(0).standard_normal(shape)
    matrix[-1] = matrix[:-1].sum(axis=0)
    s = singular_values(matrix.astype(np.float32))
    assert compute("numerical_rank", s) == shape[0] - 1


def test_numerical_rank_counts_above_its_tolerance_only() -> None:
    tolerance = 4 * 2.0**-23
    below = [1.0, 2 * tolerance, tolerance, 0.0]
    assert compute("numerical_rank", below) == 2.0


@pytest.mark.parametrize("scale", [1e-300, 1e300])
@pytest.mark.parametrize("name", sorted(set(HALVING) - {"nuclear", "spectral"}))
def test_squares_stay_in_range(name: str, scale: float) -> None:
    factor = scale if METRICS[name].proportional else 1.0
    found = compute(name, scale * np.array([4.0, 2.0, 1.0, 0.0]))
    assert found == pytest.approx(factor * HALVING[name], rel=1e-12, nan_ok=True)


def test_a_ratio_beyond_float64_is_infinite() -> None:
    assert compute("condition_number", [1e300, 1e-300]) == math.inf


@every_metric
@given(s=spectra)
def test_one_computation_gives_the_value_and_its_details(metric: SpectrumMetric, s: Vector) -> None:
    numbers = metric.numbers(s, (s.size, 2 * s.size))
    np.testing.assert_array_equal(numbers[VALUE], value(metric, s))
    assert (metric.details is None) == (list(numbers) == [VALUE])
    for number in numbers.values():
        assert isinstance(number, np.ndarray) and number.dtype == np.float64 and number.shape == ()


def test_no_quantity_is_that_of_another_metric() -> None:
    s = np.arange(1.0, 30.0)
    numbers = {name: metric.numbers(s, (29, 58)) for name, metric in METRICS.items()}
    quantities = [quantity(name, detail) for name, told in numbers.items() for detail in told]
    assert len(set(quantities)) == len(quantities) > len(METRICS)


@every_metric
@pytest.mark.parametrize(
    ("s", "message"),
    [
        ([1.0, -1e-3], "-0.001"),
        ([1.0, math.nan], "nan"),
        ([math.inf, 1.0], "inf"),
        ([], r"at least one singular value, got shape \(0,\)"),
        (3.0, r"shape \(\)"),
    ],
)
def test_refuses_what_is_no_spectrum(
    metric: SpectrumMetric, s: list[float] | float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        value(metric, s)


@given(s=spectra)
def test_effective_rank_is_between_one_and_the_rank(s: Vector) -> None:
    rank = np.count_nonzero(s)
    assert 1 - 1e-9 <= float(effective_rank(s)) <= rank * (1 + 1e-9)
    assert 1 / s.size - 1e-9 <= float(proportional_effective_rank(s)) <= 1 + 1e-9


@pytest.mark.parametrize("k", [1, 2, 7, 64, 2048])
def test_k_equal_values_have_effective_rank_k(k: int) -> None:
    s = np.full(k, 0.37)
    assert float(effective_rank(s)) == pytest.approx(k, rel=1e-12)
    assert float(proportional_effective_rank(s)) == pytest.approx(1.0, rel=1e-12)


def test_one_value_among_zeros_has_effective_rank_one() -> None:
    s = np.array([5.0, 0.0, 0.0, 0.0])
    assert float(effective_rank(s)) == 1.0
    assert float(proportional_effective_rank(s)) == 0.25


def test_two_values_have_the_entropy_of_a_coin() -> None:
    """p = (1/4, 3/4): exp(H) = 4^(1/4) (4/3)^(3/4)."""
    expected = 4**0.25 * (4 / 3) ** 0.75
    assert float(effective_rank(np.array([3.0, 1.0]))) == pytest.approx(expected, rel=1e-14)


def test_halving_values_have_entropy_of_two_ln_two() -> None:
    """p_i = 2^-i: H = 2 ln 2, so the effective rank is 4."""
    assert float(effective_rank(0.5 ** np.arange(60))) == pytest.approx(4.0, rel=1e-12)


@given(s=spectra, zeros=st.integers(1, 50))
def test_zeros_appended_lower_only_the_proportional(s: Vector, zeros: int) -> None:
    longer = np.append(s, np.zeros(zeros))
    assert float(effective_rank(longer)) == pytest.approx(float(effective_rank(s)), rel=1e-12)
    assert float(proportional_effective_rank(longer)) == pytest.approx(
        float(proportional_effective_rank(s)) * s.size / longer.size, rel=1e-12
    )


def test_float32_is_computed_in_float64() -> None:
    s = np.random.default_rng(0).random(4096).astype(np.float32)
    assert float(effective_rank(s)) == float(effective_rank(s.astype(np.float64)))
