"""Scores of every layer and head against the reference's."""

from typing import Any

import numpy as np
import pytest

from tending import found
from tending.comparison import compare
from tending.metrics.similarity import Similarity
from tending.metrics.similarity.cka import linear_cka


class InMemory:
    """Activations by component, as a file's reader gives them."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = arrays
        self.shapes = {name: array.shape for name, array in arrays.items()}

    def matrix(self, name: str, index: tuple[int, ...]) -> Any:
        return self.arrays[name][index]


def metrics(*names: str) -> dict[str, Similarity]:
    package = "tending.metrics.similarity"
    return {n: found.load(package, n, "similarity metric").METRIC for n in names}


def activations(seed: int, rows: int = 12) -> InMemory:
    rng = np.random.default_rng(seed)
    return InMemory(mlp_out=rng.normal(size=(3, rows, 5)), heads=rng.normal(size=(3, 2, rows, 4)))


def fail(text: str) -> None:
    pytest.fail(text)


def test_every_layer_and_head_has_its_own_score() -> None:
    here, there = activations(0), activations(1)
    scores = compare(here, there, ["mlp_out", "heads"], metrics("cka", "cka_debiased"), fail)
    assert set(scores) == {"cka", "cka_debiased"}
    assert scores["cka"]["mlp_out"].shape == (3,) and scores["cka"]["heads"].shape == (3, 2)
    for index in np.ndindex(3, 2):
        expected = linear_cka(here.arrays["heads"][index], there.arrays["heads"][index])
        assert scores["cka"]["heads"][index] == expected


def test_the_reference_with_itself_scores_1() -> None:
    here = activations(0)
    scores = compare(here, here, ["mlp_out", "heads"], metrics("cka", "cka_debiased"), fail)
    for components in scores.values():
        for values in components.values():
            np.testing.assert_allclose(values, 1.0, atol=1e-12)


def test_a_score_that_is_not_defined_is_missing_and_named() -> None:
    here, there = activations(0), activations(1)
    here.arrays["heads"][2, 1] = 0.25
    warnings: list[str] = []
    scores = compare(here, there, ["heads"], metrics("cka", "cka_debiased"), warnings.append)
    for name in ("cka", "cka_debiased"):
        assert np.argwhere(np.isnan(scores[name]["heads"])).tolist() == [[2, 1]]
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
        assert np.isfinite(scores[name]["mlp_out"]).all()
    for name in ("rsa_pearson", "pwcca"):
        assert np.isnan(scores[name]["heads"]).all() and scores[name]["heads"].shape == (3, 2)
    assert [w.split(":")[0] for w in warnings] == [
        "rsa_pearson of heads is not defined",
        "pwcca of heads is not defined",
    ]
    turned = activations(0, rows=40)
    turned.arrays["heads"] = turned.arrays["heads"] @ np.linalg.qr(np.vander(np.arange(4.0)))[0]
    again = compare(turned, there, ["heads"], taken, warnings.append)
    for name in taken:
        np.testing.assert_allclose(again[name]["heads"], scores[name]["heads"], atol=1e-10)


def test_other_errors_are_not_taken_for_missing_scores() -> None:
    here, there = activations(0), activations(1)
    there.arrays["mlp_out"][1, 3, 2] = np.nan
    with pytest.raises(ValueError, match="finite"):
        compare(here, there, ["mlp_out"], metrics("cka"), fail)


def test_other_shapes_are_refused() -> None:
    message = r"mlp_out: shape \(3, 12, 5\) here, \(3, 11, 5\) at the reference; extract both"
    with pytest.raises(ValueError, match=message):
        compare(activations(0), activations(1, rows=11), ["mlp_out"], metrics("cka"), fail)
