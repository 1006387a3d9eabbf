"""Scores of every layer and head against the reference's."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tending.core import plugins
from tending.core.estimates import Estimates
from tending.metrics.similarity import Similarity
from tending.metrics.similarity.cka import linear_cka
from tending.metrics.statistics import uncertainty
from tending.stages.convergence import comparison
from tending.stages.convergence.comparison import compare


class InMemory:
    """Activations by component, as a file's reader gives them."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = arrays
        self.shapes = {name: array.shape for name, array in arrays.items()}

    def matrix(self, name: str, index: tuple[int, ...]) -> Any:
        return self.arrays[name][index]


def metrics(*names: str) -> dict[str, Similarity]:
    package = "tending.metrics.similarity"
    return {n: plugins.load(package, n, "similarity metric").METRIC for n in names}


def activations(seed: int, rows: int = 12) -> InMemory:
    rng = np.random.default_rng(seed)
    return InMemory(mlp_out=rng.normal(size=(3, rows, 5)), heads=rng.normal(size=(3, 2, rows, 4)))


def fail(text: str) -> None:
    pytest.fail(text)


def test_every_layer_and_head_has_its_own_score() -> None:
    here, there = activations(0), activations(1)
    scores = compare(here, there, ["mlp_out", "heads"], metrics("cka", "cka_debiased"), fail)
    assert set(scores) == {"cka", "cka_debiased"}
    layers, heads = scores["cka"]["mlp_out"], scores["cka"]["heads"]
    assert layers.value.shape == (3,) and heads.value.shape == (3, 2)
    assert layers.draws.shape == (3, uncertainty.DRAWS) and layers.draws.dtype == np.float32
    for index in np.ndindex(3, 2):
        expected = linear_cka(here.arrays["heads"][index], there.arrays["heads"][index])
        assert heads.value[index] == pytest.approx(expected, abs=1e-12)


def test_every_number_of_an_estimate_is_kept() -> None:
    here, there = activations(0), activations(1)
    (cka,) = metrics("cka").values()
    scores = compare(here, there, ["heads"], {"cka": cka}, fail)["cka"]["heads"]
    for index in np.ndindex(3, 2):
        sides = here.arrays["heads"][index], there.arrays["heads"][index]
        one = uncertainty.estimate(cka, *sides)
        numbers = one.value, one.error, one.low, one.high, one.null_mean, one.null_high
        assert numbers == tuple(at(scores, index)[:6])
        np.testing.assert_allclose(scores.draws[index], one.draws, rtol=1e-6)


def at(scores: Estimates, index: tuple[int, ...]) -> list[Any]:
    return [array[index] for array in vars(scores).values()]


def test_rows_of_one_sequence_are_kept_together(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def estimate(metric: Similarity, x: Any, y: Any, rows: int = 1, *_: Any) -> Any:
        asked.append(rows)
        return uncertainty.estimate(metric, x, y, rows)

    monkeypatch.setattr(comparison, "uncertainty", SimpleNamespace(DRAWS=200, estimate=estimate))
    compare(activations(0), activations(1), ["mlp_out"], metrics("cka"), fail, rows_per_sequence=3)
    assert asked == [3, 3, 3]


def test_a_metric_that_streams_is_given_rows_where_there_are_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And no matrix is read for it; others, and other sources, have whole matrices."""

    class InParts(InMemory):
        def rows(self, name: str, index: tuple[int, ...]) -> str:
            return f"rows of {name} {index}"

    given: list[Any] = []

    def estimate(metric: Similarity, x: Any, y: Any, rows: int = 1, *_: Any) -> Any:
        given.append((x, y))
        return uncertainty.Estimate(0.5, 0.1, 0.3, 0.7, np.zeros(200), 0.0, 0.2)

    monkeypatch.setattr(comparison, "uncertainty", SimpleNamespace(DRAWS=200, estimate=estimate))
    monkeypatch.setattr(comparison, "ROWS_AT_ONCE", 2)
    streaming = cast(Similarity, SimpleNamespace(streams=True, any_coordinates=True))
    arrays = {"mlp_out": np.arange(6.0).reshape(1, 3, 2)}
    parts, whole = InParts(**arrays), InMemory(**arrays)
    compare(parts, parts, ["mlp_out"], {"s": streaming}, fail)
    assert given == [("rows of mlp_out (0,)",) * 2]
    for sides, metric in (((parts, whole), streaming), ((parts, parts), metrics("svcca")["svcca"])):
        compare(*sides, ["mlp_out"], {"s": metric}, fail)
        assert all(np.array_equal(side, arrays["mlp_out"][0]) for side in given[-1])


def test_the_reference_with_itself_scores_1() -> None:
    here = activations(0)
    scores = compare(here, here, ["mlp_out", "heads"], metrics("cka", "cka_debiased"), fail)
    for components in scores.values():
        for values in components.values():
            np.testing.assert_allclose(values.value, 1.0, atol=1e-12)


def test_a_score_that_is_not_defined_is_missing_and_named() -> None:
    here, there = activations(0), activations(1)
    here.arrays["heads"][2, 1] = 0.25
    warnings: list[str] = []
    scores = compare(here, there, ["heads"], metrics("cka", "cka_debiased"), warnings.append)
    for name in ("cka", "cka_debiased"):
        for values in vars(scores[name]["heads"]).values():
            empty = np.isnan(values).reshape(3, 2, -1)
            assert np.argwhere(empty.all(axis=-1)).tolist() == [[2, 1]]
            assert np.argwhere(empty.any(axis=-1)).tolist() == [[2, 1]]
    assert [w.split(" is not defined")[0] for w in warnings] == [
        "cka of heads (2, 1)",
        "cka_debiased of heads (2, 1)",
    ]


def test_heads_are_not_compared_by_what_depends_on_coordinates() -> None:
    """Of a head only the inner products are stored: rotated, it is the same head."""
    here, there = activations(0, rows=40), activations(1, rows=40)
    warnings: list[str] = []
    taken = metrics("rsa_pearson", "pwcca", "procrustes", "mutual_knn")
    scores = compare(here, there, ["mlp_out", "heads"], taken, warnings.append)
    for name in taken:
        assert np.isfinite(scores[name]["mlp_out"].value).all()
    for name in ("rsa_pearson", "pwcca"):
        assert np.isnan(scores[name]["heads"].value).all()
        assert scores[name]["heads"].value.shape == (3, 2)
    assert [w.split(":")[0] for w in warnings] == [
        "rsa_pearson of heads is not defined",
        "pwcca of heads is not defined",
    ]
    turned = activations(0, rows=40)
    turned.arrays["heads"] = turned.arrays["heads"] @ np.linalg.qr(np.vander(np.arange(4.0)))[0]
    again = compare(turned, there, ["heads"], taken, warnings.append)
    for name in taken:
        one, other = again[name]["heads"].value, scores[name]["heads"].value
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_other_errors_are_not_taken_for_missing_scores() -> None:
    here, there = activations(0), activations(1)
    there.arrays["mlp_out"][1, 3, 2] = np.nan
    with pytest.raises(ValueError, match="finite"):
        compare(here, there, ["mlp_out"], metrics("cka"), fail)


def test_other_shapes_are_refused() -> None:
    message = r"mlp_out: shape \(3, 12, 5\) here, \(3, 11, 5\) at the reference; extract both"
    with pytest.raises(ValueError, match=message):
        compare(activations(0), activations(1, rows=11), ["mlp_out"], metrics("cka"), fail)
