"""Similarity between seeds: every pair, whole layers, and what cannot be compared."""

import runpy
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tending.core import plugins, store, tables
from tending.metrics.similarity import Similarity
from tending.metrics.statistics import uncertainty
from tending.run.config import SIMILARITY
from tending.stages.seeds import between_seeds
from tending.stages.seeds.between_seeds_rows import between_blocks
from tending.tables import groups

SCRIPTS = Path(__file__).parents[4] / "workflow" / "scripts"
ROWS, WIDTH, LAYERS = 24, 6, 2
CKA = plugins.load(SIMILARITY, "cka", "similarity metric").METRIC
METRICS = {
    "cka": CKA,
    "half": Similarity(lambda x, y: 0.5 * CKA.compare(x, y), "Half", (0, 1), CKA.invariant_to),
}


class Seed:
    """Activations of one seed in memory."""

    def __init__(self, name: str, arrays: dict[str, npt.NDArray[Any]], **changes: Any) -> None:
        self.arrays = arrays
        self.shapes = {n: a.shape for n, a in arrays.items()}
        self.attributes: dict[str, Any] = {
            "study": "s",
            "model": name,
            "step": 8,
            "parameters": 100,
            "weights_sha256": name,
            "corpus_sha256": "c",
            "position": "last",
            "sequences": ROWS,
            "dtype": "float32",
            "created": "then",
            **changes,
        }

    def matrix(self, name: str, index: tuple[int, ...]) -> npt.NDArray[Any]:
        return np.asarray(self.arrays[name][index])


def activations(seed: int) -> dict[str, npt.NDArray[Any]]:
    random = np.random.default_rng(seed)
    return {
        "mlp_out": random.normal(size=(LAYERS, ROWS, WIDTH)).astype(np.float32),
        "attention_ov": random.normal(size=(LAYERS, ROWS, WIDTH)).astype(np.float32),
        "attention_ov_heads": random.normal(size=(LAYERS, 2, ROWS, 3)).astype(np.float32),
        "attention_ov__published": random.normal(size=(LAYERS, ROWS, WIDTH)).astype(np.float32),
        store.LOSS: np.zeros(ROWS),
    }


def refuse(text: str) -> None:
    raise AssertionError(text)


def test_identical_activations_score_1_in_whole_layers() -> None:
    seeds = [Seed(name, activations(0)) for name in "abc"]
    scores = between_seeds.between(seeds, {"cka": CKA}, refuse)
    assert set(scores["cka"]) == {"mlp_out", "attention_ov", "attention_ov__published"}
    for values in scores["cka"].values():
        assert values.value.shape == (3, LAYERS)
        np.testing.assert_allclose(values.value, 1, rtol=1e-12)


def test_rotated_activations_score_1() -> None:
    turned = activations(0)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(WIDTH, WIDTH)))[0]
    turned["mlp_out"] = turned["mlp_out"] @ rotation
    scores = between_seeds.between(
        [Seed("a", activations(0)), Seed("b", turned)], {"cka": CKA}, refuse
    )
    np.testing.assert_allclose(scores["cka"]["mlp_out"].value, 1, rtol=1e-6)  # float32 products
    assert (scores["cka"]["attention_ov"].value > 1 - 1e-12).all()


def test_every_pair_is_scored_in_order() -> None:
    made = [activations(seed) for seed in range(4)]
    seeds = [Seed(str(i), own) for i, own in enumerate(made)]
    scores = between_seeds.between(seeds, {"cka": CKA}, refuse)["cka"]["mlp_out"]
    for pair, (i, j) in enumerate(combinations(range(4), 2)):
        for layer in range(LAYERS):
            expected = CKA.compare(made[i]["mlp_out"][layer], made[j]["mlp_out"][layer])
            assert scores.value[pair, layer] == pytest.approx(expected, rel=1e-12)


def test_a_metric_whose_sides_differ_is_the_mean_of_both_orders() -> None:
    first = Similarity(
        lambda x, y: float(x[0, 0]), "First", (None, None), frozenset(), symmetric=False
    )
    one, other = activations(1), activations(2)
    scores = between_seeds.between([Seed("a", one), Seed("b", other)], {"first": first}, refuse)
    both = (one["mlp_out"][:, 0, 0] + other["mlp_out"][:, 0, 0].astype(np.float64)) / 2
    np.testing.assert_allclose(scores["first"]["mlp_out"].value[0], both, rtol=1e-6)


def test_an_undefined_score_is_empty_and_said() -> None:
    constant = activations(1)
    constant["mlp_out"][1] = 3.0
    said: list[str] = []
    seeds = [Seed("a", activations(0)), Seed("b", constant)]
    scores = between_seeds.between(seeds, {"cka": CKA}, said.append)
    for number in vars(scores["cka"]["mlp_out"]).values():
        assert np.isnan(number[0, 1]).all() and not np.isnan(number[0, 0]).any()
    assert len(said) == 1 and "mlp_out (1,) of seeds 0 and 1" in said[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("corpus_sha256", "d"), ("position", "all"), ("dtype", "bfloat16"), ("parameters", 101)],
)
def test_seeds_extracted_otherwise_are_refused(name: str, value: object) -> None:
    seeds = [Seed("a", activations(0)), Seed("b", activations(1), **{name: value})]
    with pytest.raises(ValueError, match=f"a has {name} .*, b of the same group has {value}"):
        between_seeds.between(seeds, METRICS, refuse)


def test_another_shape_is_refused_with_both() -> None:
    wider = activations(1)
    wider["mlp_out"] = np.zeros((LAYERS, ROWS, WIDTH + 1))
    with pytest.raises(ValueError, match=r"\(2, 24, 6\) in a and \(2, 24, 7\) in b"):
        between_seeds.between([Seed("a", activations(0)), Seed("b", wider)], METRICS, refuse)
    del wider["mlp_out"]
    with pytest.raises(ValueError, match="and None in b"):
        between_seeds.between([Seed("a", activations(0)), Seed("b", wider)], METRICS, refuse)


def test_a_file_holds_what_was_written_and_keeps_what_has_not_changed(tmp_path: Path) -> None:
    seeds = [Seed(name, activations(i)) for i, name in enumerate("abc")]
    scores = between_seeds.between(seeds, METRICS, refuse)
    attributes = between_seeds.attributes(seeds, "g", "code")
    path, codes = tmp_path / "step8.h5", {"cka": "1", "half": "2"}
    between_seeds.write(path, scores, codes, attributes)
    read, told = between_seeds.read(path)
    for metric, component in [(m, c) for m in scores for c in scores[m]]:
        for name, number in vars(scores[metric][component]).items():
            expected = number.astype(np.float32) if name == "draws" else number
            np.testing.assert_array_equal(getattr(read[metric][component], name), expected)
    assert told["group"] == "g" and told["members"] == '["a", "b", "c"]' and told["rows"] == ROWS
    assert set(between_seeds.kept(path, attributes, {"cka": "1", "half": "3", "new": "4"})) == {
        "cka"
    }
    assert between_seeds.kept(path, between_seeds.attributes(seeds, "g", "other"), codes) == {}
    fewer = between_seeds.attributes(seeds[:2], "g", "code")
    assert between_seeds.kept(path, fewer, codes) == {}
    again = [*seeds[:2], Seed("c", activations(2), created="now")]
    assert between_seeds.kept(path, between_seeds.attributes(again, "g", "code"), codes) == {}
    assert between_seeds.kept(tmp_path / "none.h5", attributes, codes) == {}
    older = tmp_path / "older.h5"  # scores alone, as files had before
    store.write_arrays(older, {"cka/mlp_out": np.zeros((3, LAYERS))}, attributes)
    assert between_seeds.kept(older, attributes, codes) == {}


def test_an_activation_of_the_whole_model_is_scored_once_and_has_one_row(tmp_path: Path) -> None:
    """Through the scripts, from files to the tables' rows."""
    made = [activations(i) for i in range(3)]
    for i, own in enumerate(made):
        own["embedding"] = np.random.default_rng(10 + i).normal(size=(ROWS, WIDTH))
        store.write_arrays(tmp_path / f"{i}.h5", own, Seed(str(i), own).attributes)
    main = runpy.run_path(str(SCRIPTS / "between.py"))["main"]
    path = tmp_path / "step8.h5"
    for _ in range(2):  # the second time what is in the file is kept
        main("g", [tmp_path / f"{i}.h5" for i in range(3)], {"cka": "1"}, "code", path)
    scores, attributes = between_seeds.read(path)
    assert scores["cka"]["mlp_out"].value.shape == (3, LAYERS)
    pairs = combinations([own["embedding"] for own in made], 2)
    embedded = scores["cka"]["embedding"]
    np.testing.assert_allclose(embedded.value, [CKA.compare(*p) for p in pairs], rtol=1e-12)
    assert attributes["rows"] == ROWS

    table = tables.table(between_blocks(scores, attributes, ["0", "1", "2"], ["cka"], 16))
    means = table[table["quantity"] == "cka_between_seeds"]
    embedding = means[means["component"] == "embedding"]
    assert len(embedding) == 1 and embedding["layer"].isna().all()
    assert embedding["value"].item() == pytest.approx(embedded.value.mean())
    assert len(means[means["component"] == "mlp_out"]) == LAYERS + 1


def test_a_restricted_metric_has_no_rows_of_other_components(tmp_path: Path) -> None:
    """In the table of groups, whose other tables are empty here."""
    for i in range(2):
        made = activations(i)
        store.write_arrays(tmp_path / f"{i}.h5", made, Seed(str(i), made).attributes)
    pairs, empty = tmp_path / "step8.h5", dict.fromkeys(groups.TABLES, tables.table([]))
    between_main = runpy.run_path(str(SCRIPTS / "between.py"))["main"]
    between_main("g", [tmp_path / f"{i}.h5" for i in range(2)], {"cka": "1"}, "code", pairs)
    for only in ({}, {"cka": ["mlp_out"]}):
        table = groups.table([pairs], empty, {}, ["cka"], [], [], {"0": 16}, only)
        found = set(table["component"])
        assert found == ({"mlp_out"} if only else {"attention_ov", "mlp_out"})


@pytest.mark.parametrize("name", ["cka", "cka_debiased", "procrustes", "rsa_pearson"])
@pytest.mark.parametrize("each", [1, 2])
def test_a_pair_has_what_the_estimate_of_its_activations_has(name: str, each: int) -> None:
    """All numbers of statistics.uncertainty, also with several rows per sequence."""
    metric = plugins.load(SIMILARITY, name, "similarity metric").METRIC
    made = [activations(seed) for seed in range(3)]
    seeds = [Seed(str(i), own) for i, own in enumerate(made)]
    scores = between_seeds.between(seeds, {name: metric}, refuse, each)[name]["mlp_out"]
    sides = made[0]["mlp_out"][1], made[2]["mlp_out"][1]
    expected = vars(uncertainty.estimate(metric, *sides, each))
    expected["standard_error"] = expected.pop("error")
    for number, value in vars(scores).items():
        np.testing.assert_allclose(value[1, 1], expected[number], rtol=1e-6)


@pytest.mark.parametrize("name", ["cka", "cka_debiased"])
def test_the_null_is_that_of_explicit_permutations(name: str) -> None:
    metric = plugins.load(SIMILARITY, name, "similarity metric").METRIC
    one, other = activations(1)["mlp_out"][0], activations(2)["mlp_out"][0]
    sides = [Seed(n, {"mlp_out": x[None]}) for n, x in (("a", one), ("b", other))]
    scores = between_seeds.between(sides, {name: metric}, refuse)[name]["mlp_out"]
    random = np.random.default_rng(0)
    permuted = [metric.compare(one, other[random.permutation(ROWS)]) for _ in range(4000)]
    error = np.std(permuted) / 4000**0.5
    assert scores.null_mean.item() == pytest.approx(np.mean(permuted), abs=4 * error)
    assert 0.03 < np.mean(np.array(permuted) > scores.null_high.item()) < 0.07


def test_both_orders_of_a_metric_whose_sides_differ_have_the_error_of_their_mean() -> None:
    """Deviations by leaving out each sequence, and permutations of the mean of both orders."""
    metric = plugins.load(SIMILARITY, "linear_regression", "similarity metric").METRIC
    one, other = activations(1)["mlp_out"][0], activations(2)["mlp_out"][0]
    sides = [Seed(n, {"mlp_out": x[None]}) for n, x in (("a", one), ("b", other))]
    scores = between_seeds.between(sides, {"r": metric}, refuse)["r"]["mlp_out"]

    def score(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        return (metric.compare(x, y) + metric.compare(y, x)) / 2

    assert scores.value.item() == pytest.approx(score(one, other), rel=1e-6)
    rows = np.arange(ROWS)
    without = np.array([score(one[rows != i], other[rows != i]) for i in rows])
    variance = (ROWS - 1) / ROWS * ((without - without.mean()) ** 2).sum()
    assert scores.standard_error.item() == pytest.approx(variance**0.5, rel=1e-5)
    random = np.random.default_rng(0)
    permuted = [score(one, other[random.permutation(ROWS)]) for _ in range(400)]
    assert abs(scores.null_mean.item() - np.mean(permuted)) < 4 * np.std(permuted) / 39**0.5
    assert np.mean(permuted) < scores.null_high.item() < max(permuted) + 0.05
