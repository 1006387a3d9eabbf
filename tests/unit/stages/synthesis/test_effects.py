"""Effects of size and learning rate: exact data, scipy, coverage, and what cannot be told apart."""

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tending.core import tables
from tending.stages.convergence import stabilisation_rows
from tending.stages.synthesis import effects

METRIC, THRESHOLD = "cka", 0.9
FRACTION = stabilisation_rows.fraction_quantity(METRIC, THRESHOLD)
SIZES = {"small": 2**16, "middle": 2**18, "large": 2**20}
# Two arms, one of which falls with size, that share the model in the middle.
ARMS = {"small-fast": 4, "small": 2, "middle": 2, "large": 2, "large-slow": 1}


def rates(seeds: int = 1) -> dict[str, float]:
    return {f"{name}-s{s}": rate * 1e-3 for name, rate in ARMS.items() for s in range(seeds)}


def medians(values: Mapping[str, float], width: float = 0.0) -> pd.DataFrame:
    """The table of stabilisation of models whose names begin with their size."""
    rows = [
        {
            "study": "s",
            "model": name,
            "parameters": SIZES[name.split("-")[0]],
            "component": "mlp_out",
            "quantity": FRACTION,
            "definition": "correct",
            "value": value,
            "low": value - width,
            "high": value,
        }
        for name, value in values.items()
    ]
    return tables.table([pd.DataFrame(rows).to_dict("list")])


def plane(name: str, rate: float) -> float:
    """0.03 more per doubling of size, 0.1 less per doubling of the learning rate."""
    return 0.4 + 0.03 * (np.log2(SIZES[name.split("-")[0]]) - 18) - 0.1 * np.log2(rate / 2e-3)


def found(table: pd.DataFrame, known: Mapping[str, float]) -> pd.DataFrame:
    made = tables.table(effects.effects(table, [METRIC], [THRESHOLD], known))
    return made[made["model"].isna()].set_index("quantity")[["value", "low", "high", "n"]]


def row(made: pd.DataFrame, name: str) -> list[float]:
    return made.loc[f"{FRACTION}_{name}", ["value", "low", "high"]].to_list()


def test_a_plane_is_found_exactly() -> None:
    known = rates()
    made = found(medians({m: plane(m, r) for m, r in known.items()}), known)
    assert row(made, effects.SIZE)[0] == pytest.approx(0.03, abs=1e-12)
    assert row(made, effects.RATE)[0] == pytest.approx(-0.1, abs=1e-12)
    assert all(pd.isna(end) for end in row(made, effects.SIZE)[1:])  # no residuals, no error
    assert (made["n"] == 5).all()


def test_without_the_learning_rate_its_effect_is_taken_for_one_of_size() -> None:
    """Rates that fall by half where sizes grow fourfold: minus its effect, per two doublings."""
    falling = {"small": 4e-3, "middle": 2e-3, "large": 1e-3}
    made = found(medians({m: plane(m, r) for m, r in falling.items()}), falling)
    assert row(made, effects.UNADJUSTED)[0] == pytest.approx(0.03 + 0.1 / 2, abs=1e-12)


@pytest.mark.parametrize(
    "known",
    [
        {"small": 4e-3, "middle": 2e-3, "large": 1e-3},
        {"small": 4e-3, "middle": 1.9e-3, "large": 1e-3},
        {"small": 1e-3, "middle": 1e-3, "large": 1e-3},
        {"small": 4e-3, "large": 1e-3},
        {},
    ],
    ids=["collinear", "nearly collinear", "one rate", "one unknown", "all unknown"],
)
def test_what_cannot_be_told_apart_is_empty(known: dict[str, float]) -> None:
    table = medians({f"{size}-{s}": 0.1 * i for i, size in enumerate(SIZES) for s in range(3)})
    every = {m: known[m.split("-")[0]] for m in table["model"] if m.split("-")[0] in known}
    made = found(table, every)
    for name in (effects.SIZE, effects.RATE):
        assert (
            made.loc[[f"{FRACTION}_{name}", f"{FRACTION}_{name}_bracket"]].isna().any(axis=1).all()
        )
        assert all(pd.isna(value) for value in row(made, name))
    assert not pd.isna(row(made, effects.UNADJUSTED)[0])
    assert every == peaks(table, every)


def peaks(table: pd.DataFrame, known: Mapping[str, float]) -> dict[str, float]:
    made = tables.table(effects.effects(table, [METRIC], [THRESHOLD], known))
    return dict(made[made["quantity"] == effects.PEAK].set_index("model")["value"])


def test_the_correlation_says_why() -> None:
    collinear = {"small": 4e-3, "middle": 2e-3, "large": 1e-3}
    made = found(medians(dict.fromkeys(collinear, 0.5)), collinear)
    assert made.loc[effects.CORRELATION, "value"] == pytest.approx(-1, abs=1e-12)
    known = rates()
    made = found(medians(dict.fromkeys(known, 0.5)), known)
    sizes = [np.log2(SIZES[m.split("-")[0]]) for m in known]
    expected = stats.pearsonr(sizes, np.log2(list(known.values()))).statistic
    assert made.loc[effects.CORRELATION, "value"] == pytest.approx(expected, abs=1e-12)


def test_a_model_that_never_settles_leaves_effects_empty() -> None:
    """It settles later than all others, but nobody knows when: leaving it out would bias."""
    known = rates()
    values = {m: plane(m, r) for m, r in known.items()}
    made = found(medians({**values, "large-s0": float("nan")}), known)
    assert made.drop(effects.CORRELATION)["value"].isna().all()


def test_two_models_of_one_size_have_no_effect_of_size() -> None:
    made = found(medians({"small-s0": 0.1, "small-s1": 0.2, "small-s2": 0.3}), {})
    assert made["value"].isna().all()


def test_a_line_is_scipys_and_its_interval_that_of_a_difference_of_means() -> None:
    random = np.random.default_rng(4)
    x, y = np.repeat([16.0, 18.0], 4), random.normal(size=8)
    fit = effects.least_squares(y, x[:, None])
    line = stats.linregress(x, y)
    assert fit.value.tolist() == pytest.approx([line.intercept, line.slope], abs=1e-10)
    # HC3 of two groups of m: sum of (m - 1) / m * s^2 * (m / (m - 1))^2 / m over both
    one, other = y[:4], y[4:]
    variance = (one.var(ddof=1) + other.var(ddof=1)) / 4 * 4 / 3
    half = stats.t.ppf(0.975, 6) * np.sqrt(variance) / 2
    assert fit.high[1] - fit.value[1] == pytest.approx(half, rel=1e-10)


def test_coefficients_are_those_of_numpy() -> None:
    random = np.random.default_rng(5)
    x, y = random.normal(size=(12, 2)), random.normal(size=12)
    expected = np.linalg.lstsq(np.column_stack([np.ones(12), x]), y)[0]
    fit = effects.least_squares(y, x)
    np.testing.assert_allclose(fit.value, expected, atol=1e-12)
    np.testing.assert_allclose(fit.weights @ y, expected, atol=1e-12)


def test_regressors_that_depend_on_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="not independent"):
        effects.least_squares(np.arange(4.0), np.array([[1.0, 2], [2, 4], [3, 6], [4, 8]]))


def test_there_is_no_interval_where_one_observation_decides() -> None:
    fit = effects.least_squares([1.0, 2.0, 4.0], np.array([[0.0], [0.0], [1.0]]))
    assert fit.value[1] == pytest.approx(2.5) and np.isnan(fit.low).all()
    exact = effects.least_squares([1.0, 2.0], np.array([[0.0], [1.0]]))
    assert exact.value[1] == pytest.approx(1) and np.isnan(exact.high).all()


def test_the_bracket_is_what_any_moments_inside_could_give() -> None:
    known = rates()
    values = {m: plane(m, r) for m, r in known.items()}
    made = found(medians(values, width=0.05), known)
    value, low, high = row(made, effects.SIZE + "_bracket")
    assert low < value < high
    x = np.log2([[SIZES[m.split("-")[0]], rate] for m, rate in known.items()])
    corners = itertools.product([0, 0.05], repeat=len(values))
    moments = [np.array(list(values.values())) - corner for corner in corners]
    tried = [effects.least_squares(y, x).value[1] for y in moments]
    assert min(tried) == pytest.approx(low, abs=1e-12)
    assert max(tried) == pytest.approx(high, abs=1e-12)


@pytest.mark.parametrize("spread", [[1, 1, 1, 1, 1], [0.3, 1, 3, 1, 0.3]], ids=["even", "uneven"])
def test_intervals_cover_as_often_as_they_say(spread: list[float]) -> None:
    """Five seeds of five configurations, each with a spread of its own."""
    random, studies, hits = np.random.default_rng(7), 800, np.zeros(2)
    size = np.repeat([np.log2(SIZES[m.split("-")[0]]) for m in ARMS], 5)
    rate = np.repeat(np.log2(list(ARMS.values())), 5)
    for _ in range(studies):
        y = random.normal(size=25) * np.repeat(spread, 5)
        fit = effects.least_squares(y, np.column_stack([size, rate]))
        hits += ((fit.low <= 0) & (fit.high >= 0))[1:]
    assert (hits / studies >= 0.92).all()
