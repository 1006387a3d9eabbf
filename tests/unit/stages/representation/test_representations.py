"""Metrics of activations alone: for every layer and head, in files, in tables, in a config."""

import math
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from configs import config, problems

from tending.core import paths, plugins, store
from tending.metrics.representation.anisotropy import anisotropy
from tending.metrics.spectrum.effective_rank import effective_rank
from tending.run import config as study
from tending.run.plan import Plan
from tending.stages.representation import representation_config, representation_files
from tending.stages.representation.representations import activation_spectra, measure, of_matrix
from tending.tables import representation

SCRIPTS = Path(__file__).parents[4] / "workflow" / "scripts"
FEW = ("anisotropy", "effective_rank", "stable_rank")
SPECTRA = [
    n for n in representation_config.known() if n in plugins.names("tending.metrics.spectrum")
]
ATTRIBUTES = {
    **{"study": "s", "model": "m", "family": "llama", "parameters": 5, "step": 2, "revision": ""},
    **{"commit": "", "weights_sha256": "w", "corpus_sha256": "c", "position": "last"},
    **{"sequences": 80, "dtype": "float32"},
}


class InMemory:
    """Activations by component, as a file's reader gives them."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = arrays
        self.shapes = {name: array.shape for name, array in arrays.items()}

    def matrix(self, name: str, index: tuple[int, ...]) -> Any:
        return self.arrays[name][index]


def metrics(*names: str) -> dict[str, Any]:
    return {n: plugins.load(representation_config.package(n), n, "metric").METRIC for n in names}


def activations(seed: int = 0, rows: int = 80) -> InMemory:
    rng = np.random.default_rng(seed)
    heads = rng.normal(size=(3, 2, rows, 4))
    return InMemory(mlp_out=1 + rng.normal(size=(3, rows, 5)), attention_ov_heads=heads)


def fail(text: str) -> None:
    pytest.fail(text)


def centred_svd(x: npt.NDArray[np.float64]) -> Any:
    return np.linalg.svd(x - x.mean(axis=0), compute_uv=False)


# Of matrices


def test_every_layer_and_head_has_its_own_numbers() -> None:
    here = activations()
    measured = measure(here, list(here.shapes), metrics(*FEW), 1, fail)
    assert list(measured) == list(FEW)
    assert measured["anisotropy"]["anisotropy"]["mlp_out"].shape == (3, 3)
    heads = measured["anisotropy"]["anisotropy"]["attention_ov_heads"]
    assert heads.shape == (3, 2, 3)
    for index in np.ndindex(3, 2):
        expected = anisotropy(here.arrays["attention_ov_heads"][index])
        np.testing.assert_array_equal(heads[index], expected)
        rank = measured["effective_rank"]["effective_rank"]["attention_ov_heads"][index]
        exact = effective_rank(centred_svd(here.arrays["attention_ov_heads"][index]))
        assert rank[0] == pytest.approx(float(exact), rel=1e-9)
        assert rank[1] < rank[0] < rank[2]


@pytest.mark.parametrize("shape", [(100, 30), (70, 200)])
def test_the_spectrum_is_that_of_centred_activations(shape: tuple[int, int]) -> None:
    """n rows span n - 1 dimensions; the rest leaves out a group of sequences at a time."""
    x = np.random.default_rng(0).normal(size=shape) + 3
    whole, *without = activation_spectra(x)
    count = min(shape[0] - 1, shape[1])
    np.testing.assert_allclose(whole, centred_svd(x)[:count], rtol=1e-7)
    assert len(without) == 8 and all(len(s) <= count for s in without)
    total = sum((s**2).sum() for s in without)
    assert total == pytest.approx(7 * (whole**2).sum(), rel=0.02)


@pytest.mark.parametrize("name", SPECTRA)
def test_rotation_and_translation_change_no_spectrum(name: str) -> None:
    """And scaling as the metric declares."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 20)) / np.arange(1, 21)
    turned = x @ np.linalg.qr(rng.normal(size=(20, 20)))[0] + rng.normal(size=20)
    metric = metrics(name)
    one = of_matrix(x, metric, 1, "", fail)[name][name]
    assert of_matrix(turned, metric, 1, "", fail)[name][name] == pytest.approx(one, rel=1e-6)
    scaled = of_matrix(4 * x, metric, 1, "", fail)[name][name]
    factor = 1 if metric[name].scale_free else 4
    assert scaled == pytest.approx([factor * number for number in one], rel=1e-6)


@pytest.mark.parametrize("name", ["effective_rank", "participation_ratio", "stable_rank"])
def test_intervals_hold_the_mean_of_other_samples(name: str) -> None:
    """What other sequences would give at the same n, in about 95 of 100."""
    scale = np.arange(1, 21) ** -0.7
    samples = [np.random.default_rng(seed).normal(size=(100, 20)) * scale for seed in range(60)]
    measured = [of_matrix(x, metrics(name), 1, "", fail)[name][name] for x in samples]
    mean = np.mean([found.value for found in measured])
    assert sum(found.low < mean < found.high for found in measured) >= 52


def test_a_metric_with_details_has_them_without_intervals() -> None:
    x = np.random.default_rng(0).normal(size=(120, 40)) * np.arange(1, 41) ** -0.5
    told = of_matrix(x, metrics("power_law_alpha"), 1, "", fail)["power_law_alpha"]
    value = told.pop("power_law_alpha")
    assert value.low < value.value < value.high
    assert {name.removeprefix("power_law_alpha_") for name in told} == {
        "x_min",
        "x_max",
        "ks_distance",
        "tail",
    }
    assert all(math.isfinite(d.value) and math.isnan(d.low) for d in told.values())


def test_what_is_not_defined_is_missing_and_named() -> None:
    here = activations()
    here.arrays["attention_ov_heads"][2, 1] = 0.0
    warnings: list[str] = []
    taken = metrics("anisotropy", "intrinsic_dimension", "effective_rank", "frobenius")
    measured = measure(here, ["attention_ov_heads"], taken, 1, warnings.append)
    for name in ("anisotropy", "intrinsic_dimension", "effective_rank"):
        values = measured[name][name]["attention_ov_heads"][..., 0]
        assert np.argwhere(np.isnan(values)).tolist() == [[2, 1]]
    assert measured["frobenius"]["frobenius"]["attention_ov_heads"][2, 1, 0] == 0
    assert [w.split(" is not defined")[0] for w in warnings] == [
        "anisotropy of attention_ov_heads (2, 1)",
        "intrinsic_dimension of attention_ov_heads (2, 1)",
    ]


def test_a_constant_offset_is_no_spectrum() -> None:
    """Its rounding would have one."""
    x = np.full((80, 6), 0.1) * np.arange(1, 7)
    assert all((s == 0).all() for s in activation_spectra(x))


def test_rows_of_a_sequence_are_left_out_together() -> None:
    """Repeated rows tell nothing new: the intervals are those of the sequences."""
    x = np.random.default_rng(0).normal(size=(80, 6))
    once = of_matrix(x, metrics(*FEW), 1, "", fail)
    twice = of_matrix(np.repeat(x, 2, axis=0), metrics(*FEW), 2, "", fail)
    for name in FEW:
        assert twice[name][name] == pytest.approx(once[name][name], rel=1e-6)


def test_few_sequences_have_no_interval() -> None:
    x = np.random.default_rng(0).normal(size=(20, 6))
    found = of_matrix(x, metrics("stable_rank"), 1, "", fail)["stable_rank"]["stable_rank"]
    assert math.isfinite(found.value) and math.isnan(found.low) and math.isnan(found.high)


def test_other_errors_are_not_taken_for_missing_numbers() -> None:
    here = activations()
    here.arrays["mlp_out"][1, 3, 2] = np.nan
    for name in FEW:
        with pytest.raises(ValueError, match="finite"):
            measure(here, ["mlp_out"], metrics(name), 1, fail)


# Files


@pytest.fixture
def extracted(tmp_path: Path) -> Path:
    path = tmp_path / "activations.h5"
    arrays = {n: a.astype(np.float32) for n, a in activations().arrays.items()}
    store.write_arrays(path, {**arrays, store.LOSS: np.ones(4)}, ATTRIBUTES)
    return path


def run(activations: Path, codes: dict[str, str], output: Path, code: str = "stage") -> Any:
    runpy.run_path(str(SCRIPTS / "representation.py"))["main"](activations, codes, code, output)
    return representation_files.read(output)


def test_a_file_holds_every_number_and_where_it_comes_from(extracted: Path) -> None:
    codes = {"power_law_alpha": "p", "anisotropy": "a"}
    held = run(extracted, codes, extracted.with_name("r.h5"))
    assert held.codes == codes
    assert set(held.measured) == set(codes)
    assert "power_law_alpha_x_min" in held.measured["power_law_alpha"]
    assert held.measured["anisotropy"]["anisotropy"]["attention_ov_heads"].shape == (3, 2, 3)
    assert held.attributes["rows"] == 80 and held.attributes["model"] == "m"
    assert "scikit-dimension=" in held.attributes["fitted_with"]
    assert not any(store.LOSS in name for q in held.measured.values() for name in q)


def test_a_new_metric_computes_only_itself(
    extracted: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = extracted.with_name("r.h5")
    first = run(extracted, {"anisotropy": "a", "stable_rank": "s"}, output)
    caplog.set_level("INFO")
    second = run(extracted, {"anisotropy": "a", "effective_rank": "e", "stable_rank": "s2"}, output)
    assert "kept: anisotropy; computing: effective_rank, stable_rank" in caplog.text
    for name in ("anisotropy", "stable_rank"):
        for component, values in first.measured[name][name].items():
            np.testing.assert_array_equal(second.measured[name][name][component], values)
    assert list(run(extracted, {"stable_rank": "s2"}, output).measured) == ["stable_rank"]


@pytest.mark.parametrize("change", ["weights_sha256", "corpus_sha256", "position", "created"])
def test_nothing_is_kept_of_other_activations(
    extracted: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    output = extracted.with_name("r.h5")
    run(extracted, {"anisotropy": "a"}, output)
    arrays = store.read_arrays(extracted).arrays
    store.write_arrays(extracted, arrays, {**ATTRIBUTES, change: "other"})
    caplog.set_level("INFO")
    run(extracted, {"anisotropy": "a"}, output)
    assert "kept: -; computing: anisotropy" in caplog.text


def test_nothing_is_kept_of_other_code(extracted: Path, caplog: pytest.LogCaptureFixture) -> None:
    output = extracted.with_name("r.h5")
    run(extracted, {"anisotropy": "a"}, output)
    caplog.set_level("INFO")
    run(extracted, {"anisotropy": "a"}, output, code="another")
    assert "kept: -" in caplog.text


def test_the_table_has_a_row_for_every_number(extracted: Path) -> None:
    measured = extracted.with_name("r.h5")
    held = run(extracted, {"anisotropy": "a", "power_law_alpha": "p"}, measured)
    table = representation.table([measured], ["anisotropy", "power_law_alpha"], {"m": 4})
    assert len(table) == (3 + 6) * 6
    assert set(table["component"]) == {"mlp_out", "attention_ov"}
    assert set(table["n"]) == {80} and set(table["progress"]) == {0.5}
    row = table[(table["quantity"] == "anisotropy") & (table["layer"] == 1) & (table["head"] == 1)]
    expected = held.measured["anisotropy"]["anisotropy"]["attention_ov_heads"][1, 1]
    np.testing.assert_array_equal(row[["value", "low", "high"]].to_numpy(float)[0], expected)


# Config and plan


def test_no_metric_has_the_name_of_another_kind() -> None:
    own, spectra = (set(plugins.names(p)) for p in (representation_config.OWN, study.SPECTRUM))
    assert not own & spectra
    assert {"anisotropy", "effective_rank"} <= set(representation_config.known())
    assert "marchenko_pastur" not in representation_config.known()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "isotropy",
            "representation: unknown metric 'isotropy'; available: anisotropy, .*effective_rank, "
            r".* \(a new one would be workflow/tending/metrics/representation/isotropy\.py\)",
        ),
        (
            "marchenko_pastur",
            "representation: marchenko_pastur needs a matrix of weights as it is stored, .*"
            "name it in `spectrum`",
        ),
        ("cka", "representation: unknown metric 'cka'"),
    ],
)
def test_a_name_that_means_nothing_is_refused_before_anything_runs(name: str, message: str) -> None:
    (problem,) = problems(config(lambda c: c.update(representation=[name])))
    assert re.match(message, problem)


@pytest.mark.parametrize("position", ["last", [1, 2, 3]])
def test_too_few_sequences_are_refused_before_anything_runs(position: Any) -> None:
    """As the metric itself does, which counts sequences and not rows."""
    few = {"representation": ["anisotropy", "intrinsic_dimension", "stable_rank"]}

    def edit(made: dict[str, Any]) -> None:
        made.update(few, extraction={"position": position})
        made["corpus"]["sequences"] = 7

    (problem,) = problems(config(edit))
    assert problem.startswith("representation: intrinsic_dimension needs at least 8 sequences, but")
    made = config(edit)
    made["corpus"]["sequences"] = 8
    study.check(made)


def test_there_is_no_such_stage_unless_it_is_asked_for() -> None:
    assert config()["representation"] == []
    plan = Plan(config())
    assert plan.representation_files() == [] and "representation" not in plan.tables()
    assert "representation_by_step" not in plan.figures()


def test_a_study_that_asks_has_a_file_per_checkpoint_a_table_and_a_figure() -> None:
    made = config(lambda c: c.update(representation=["anisotropy", "effective_rank"]))
    study.check(made)
    plan = Plan(made)
    assert plan.representation_files() == plan.per_checkpoint(paths.REPRESENTATION)
    assert len(plan.representation_files()) == 6
    assert "representation" in plan.tables() and "representation_by_step" in plan.figures()
    names, hashes = zip(*(c.split() for c in representation_config.codes(made)), strict=True)
    assert names == ("anisotropy", "effective_rank") and len(set(hashes)) == 2
