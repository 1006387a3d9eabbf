"""Fits to a spectrum: power laws and the Marchenko-Pastur bulk, on samples of known laws."""

import math

import numpy as np
import numpy.typing as npt
import powerlaw
import pytest

from tending.metrics.spectrum import VALUE
from tending.metrics.spectrum.marchenko_pastur import law_median, marchenko_pastur
from tending.metrics.spectrum.power_law_alpha import LEAST, power_law, power_law_alpha

Vector = npt.NDArray[np.float64]


def pareto(alpha: float, n: int, seed: int) -> Vector:
    """Singular values whose squares have the density (alpha - 1) x^-alpha from 1 on."""
    uniform = np.random.default_rng(seed).random(n)
    return np.asarray(np.sqrt((1 - uniform) ** (-1 / (alpha - 1))))


def likeliest(x: Vector, x_min: float) -> float:
    """The exponent of largest likelihood for a given x_min (Clauset et al., 2009, eq. 3.1)."""
    tail = x[x >= x_min]
    return 1 + len(tail) / float(np.log(tail / x_min).sum())


def distance(x: Vector, x_min: float) -> float:
    """Kolmogorov-Smirnov distance of the tail from its own fit (same paper, eq. 3.9)."""
    tail = np.sort(x[x >= x_min])
    fit = 1 - (tail / x_min) ** (1 - likeliest(x, x_min))
    return float(np.abs(fit - np.arange(len(tail)) / len(tail)).max())


def gaussian(shape: tuple[int, int], seed: int, spike: float = 0.0) -> Vector:
    """Singular values of independent Gaussian entries plus a direction of that strength."""
    m, n = shape
    noise = np.random.default_rng(seed).standard_normal(shape)
    direction = np.outer(np.full(m, m**-0.5), np.full(n, n**-0.5))
    return np.asarray(np.linalg.svd(noise + spike * direction, compute_uv=False))


# Power laws


@pytest.mark.parametrize("alpha", [1.6, 2.0, 3.0, 4.5, 7.0])
def test_a_sample_of_a_power_law_gives_its_exponent_back(alpha: float) -> None:
    """Within 3 standard errors (alpha - 1) / sqrt(tail), and most of the sample is its tail."""
    for seed in range(3):
        found = power_law(pareto(alpha, 400, seed))
        error = (alpha - 1) / math.sqrt(found["tail"])
        assert float(found[VALUE]) == pytest.approx(alpha, abs=3 * error)
        assert found["tail"] > 40 and found["ks_distance"] < 0.1


@pytest.mark.parametrize("alpha", [1.7, 2.5, 6.0])
def test_the_fit_is_the_likeliest_and_its_range_the_nearest(alpha: float) -> None:
    """Against an independent search over every x_min that leaves LEAST eigenvalues."""
    s = pareto(alpha, 120, seed=5)
    x = np.sort(s**2)
    best = min(x[: -LEAST + 1], key=lambda x_min: distance(x, x_min))
    found = power_law(s)
    assert float(found["x_min"]) == pytest.approx(best, rel=1e-12)
    assert float(found["x_max"]) == pytest.approx(x[-1], rel=1e-12)
    assert float(found[VALUE]) == pytest.approx(likeliest(x, best * (1 - 1e-15)), rel=1e-9)
    assert float(found["ks_distance"]) == pytest.approx(distance(x, best), abs=1e-9)
    assert found["tail"] == np.count_nonzero(x >= best * (1 - 1e-12))


@pytest.mark.parametrize("alpha", [1.8, 2.5])
def test_the_library_powerlaw_fits_the_same_range_alike(alpha: float) -> None:
    s = pareto(alpha, 150, seed=2)
    found = power_law(s)
    x_min = float(found["x_min"]) * (1 - 1e-12)
    theirs = powerlaw.Fit(s**2, xmin=x_min, verbose=0).power_law
    assert float(found[VALUE]) == pytest.approx(theirs.alpha, rel=1e-6)
    assert float(found["ks_distance"]) == pytest.approx(theirs.D, abs=1e-6)
    assert found["tail"] == np.count_nonzero(s**2 >= x_min)


def test_the_nearest_of_many_tails_is_found_without_all_distances() -> None:
    """Of a spectrum so long that most tails are left out at a first look."""
    s = gaussian((400, 500), 3)
    x = np.sort(s**2)
    best = min(x[: -LEAST + 1], key=lambda x_min: distance(x, x_min))
    found = power_law(s)
    assert float(found["x_min"]) == pytest.approx(best, rel=1e-12)
    assert float(found["ks_distance"]) == pytest.approx(distance(x, best), abs=1e-9)


def test_equal_values_at_the_top_are_no_tail() -> None:
    s = np.concatenate([pareto(2.0, 60, 1), np.full(2 * LEAST, 1e3)])
    found = power_law(s)
    assert found["tail"] > 2 * LEAST and np.isfinite(found[VALUE])


def test_what_lies_below_the_law_does_not_move_the_fit_far() -> None:
    """A flat part below 1: x_min is found near 1, alpha near the truth."""
    low = np.sqrt(np.random.default_rng(0).random(200))
    found = power_law(np.concatenate([low, pareto(3.0, 300, 1)]))
    assert 0.8 < found["x_min"] < 2
    assert float(found[VALUE]) == pytest.approx(3.0, abs=0.4)


def test_the_range_has_the_unit_of_squared_values() -> None:
    s = pareto(2.5, 60, 3)
    one, two = power_law(s), power_law(4.0 * s)
    for name in (VALUE, "ks_distance", "tail"):
        assert one[name] == two[name]
    for name in ("x_min", "x_max"):
        assert float(two[name]) == pytest.approx(16 * float(one[name]), rel=1e-12)


def test_a_tail_is_never_shorter_than_declared() -> None:
    for seed in range(20):
        tail = power_law(gaussian((20, 30), seed))["tail"]
        assert LEAST <= tail <= 20


def test_zeros_and_rounding_are_no_eigenvalues() -> None:
    s = pareto(2.5, 60, 3)
    beside = np.concatenate([s, np.zeros(30), np.full(10, 1e-9 * s.max())])
    assert power_law_alpha(beside) == power_law_alpha(s)


@pytest.mark.parametrize(
    "s",
    [
        np.ones(50),
        np.zeros(50),
        1 + 1e-9 * np.arange(50),  # constant up to the rounding of float32
        np.arange(1.0, LEAST + 2),
        np.repeat(np.arange(1.0, LEAST + 2), 10),
        np.array([3.0]),
    ],
    ids=["constant", "zeros", "rounding", "few", "few and repeated", "one"],
)
def test_no_power_law_without_different_eigenvalues(s: Vector) -> None:
    assert all(np.isnan(number) for number in power_law(s).values())


def test_the_same_spectrum_gives_the_same_bits() -> None:
    s = gaussian((64, 100), 0)
    assert all(a == b for a, b in zip(power_law(s).values(), power_law(s).values(), strict=True))


def test_a_batch_of_fits() -> None:
    batch = np.array([[pareto(2.0, 30, 1), pareto(3.0, 30, 2)], [np.ones(30), np.zeros(30)]])
    found = power_law(batch)
    assert all(number.shape == (2, 2) for number in found.values())
    assert found[VALUE][0, 1] == power_law_alpha(batch[0, 1])
    assert np.isnan(found["tail"][1]).all()


# The Marchenko-Pastur bulk


@pytest.mark.parametrize(
    ("ratio", "published"), [(0.05, 1.5194), (0.25, 1.8371), (0.5, 2.1711), (1.0, 2.8582)]
)
def test_the_median_of_the_law(ratio: float, published: float) -> None:
    """omega of Gavish & Donoho (2014), Table IV: lambda(ratio) / sqrt(median)."""
    root = math.sqrt(ratio**2 + 14 * ratio + 1)
    threshold = math.sqrt(2 * (ratio + 1) + 8 * ratio / (ratio + 1 + root))
    assert threshold / math.sqrt(law_median(ratio)) == pytest.approx(published, abs=3e-4)


@pytest.mark.parametrize("shape", [(40, 160), (160, 40), (64, 64), (200, 300)])
def test_independent_entries_hold_nothing_above_the_bulk(shape: tuple[int, int]) -> None:
    """Of 10 matrices at most one has a value above the 99 % quantile, which holds little."""
    found = [float(marchenko_pastur(gaussian(shape, seed), shape)) for seed in range(10)]
    assert np.count_nonzero(found) <= 1
    assert max(found) < 0.08


@pytest.mark.parametrize("shape", [(60, 240), (150, 150)])
@pytest.mark.parametrize("strength", [9.0, 25.0])
def test_a_spike_holds_its_share(shape: tuple[int, int], strength: float) -> None:
    """Of sqrt(strength n) uv': s^2 tends to n (1 + strength)(ratio + strength) / strength."""
    (m, n), ratio = shape, shape[0] / shape[1]
    s = gaussian(shape, 0, spike=math.sqrt(strength * n))
    found = float(marchenko_pastur(s, shape))
    assert found == pytest.approx(s[0] ** 2 / (s**2).sum(), rel=1e-12)
    limit = (1 + strength) * (ratio + strength) / strength / (m + strength)
    assert found == pytest.approx(limit, rel=0.15)


def test_a_spike_does_not_widen_the_bulk() -> None:
    """Beside one of any size, a second of moderate size is still seen."""
    shape = (80, 200)
    noise = np.random.default_rng(1).standard_normal(shape)
    noise[0] += 3 * np.random.default_rng(2).standard_normal(200)  # one row of variance 10
    small = np.linalg.svd(noise, compute_uv=False)
    noise[1] *= 1000
    both = np.linalg.svd(noise, compute_uv=False)
    assert marchenko_pastur(small, shape) == pytest.approx(small[0] ** 2 / (small**2).sum())
    assert marchenko_pastur(both, shape) == pytest.approx((both[:2] ** 2).sum() / (both**2).sum())


def test_the_bulk_is_that_of_the_matrix_shape() -> None:
    """A long matrix has a narrow bulk: the values of a square one lie outside."""
    s = gaussian((64, 64), 0)
    assert marchenko_pastur(s, (64, 64)) < 0.08
    assert marchenko_pastur(s, (64, 640)) > 0.3
    assert marchenko_pastur(s, (640, 64)) == marchenko_pastur(s, (64, 640))


def test_a_matrix_of_low_rank_stands_out_whole() -> None:
    s = np.append(np.arange(1.0, 5.0), np.zeros(16))
    assert marchenko_pastur(s, (20, 50)) == 1.0


def test_a_handful_of_values_has_no_bulk() -> None:
    assert np.isnan(marchenko_pastur(np.arange(1.0, 8.0), (7, 70)))


def test_another_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10 singular values, but a matrix of shape \(12, 30\)"):
        marchenko_pastur(np.ones(10), (12, 30))
