"""Laws that every metric of singular values declares, and closed forms of the effective rank."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tending import found
from tending.metrics.spectrum import SpectrumMetric
from tending.metrics.spectrum.effective_rank import effective_rank
from tending.metrics.spectrum.proportional_effective_rank import proportional_effective_rank

Vector = npt.NDArray[np.float64]
PACKAGE = "tending.metrics.spectrum"
METRICS: dict[str, SpectrumMetric] = {
    name: found.load(PACKAGE, name, "spectrum metric").METRIC for name in found.names(PACKAGE)
}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())

values = st.just(0.0) | st.floats(1e-9, 1e9)
spectra = hnp.arrays(np.float64, st.integers(1, 40), elements=values).filter(lambda s: s.any())


def test_the_metrics_of_the_paper_are_found() -> None:
    assert {"effective_rank", "proportional_effective_rank"} <= set(METRICS)


@every_metric
@given(s=spectra, scale=st.floats(1e-100, 1e100))
def test_scale(metric: SpectrumMetric, s: Vector, scale: float) -> None:
    if metric.scale_free:
        assert metric.compute(scale * s) == pytest.approx(metric.compute(s), rel=1e-9)


@every_metric
@given(s=spectra, seed=st.integers(0, 2**32 - 1))
def test_order_of_values_does_not_matter(metric: SpectrumMetric, s: Vector, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(s)
    assert metric.compute(shuffled) == pytest.approx(metric.compute(s), rel=1e-9)


@every_metric
@given(s=spectra)
def test_within_its_bounds(metric: SpectrumMetric, s: Vector) -> None:
    low, high = metric.bounds
    value = float(metric.compute(s))
    assert low is None or value >= low - 1e-9
    assert high is None or value <= high + 1e-9


@every_metric
@given(
    s=hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=4, max_side=4),
        elements=st.floats(1e-3, 1e3),
    )
)
def test_a_batch_is_its_rows(metric: SpectrumMetric, s: Vector) -> None:
    batch = metric.compute(s)
    assert batch.shape == s.shape[:-1]
    for index in np.ndindex(*batch.shape):
        assert batch[index] == pytest.approx(float(metric.compute(s[index])), rel=1e-12)


@every_metric
def test_zeros_have_no_value_and_spoil_no_neighbour(metric: SpectrumMetric) -> None:
    s = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    assert np.isnan(metric.compute(np.zeros(5)))
    assert np.isnan(metric.compute(s)).tolist() == [True, False]


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
        metric.compute(np.array(s))


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
