"""The published definitions: computed by hand, only where asked for, and set beside the paper."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import golden
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import tiny
import torch
from configs import config, problems
from position_weights import gpt_neox_arange

from tending import families
from tending.core import store, tables
from tending.core.tables import Where
from tending.families import published_family
from tending.metrics.spectrum.effective_rank import effective_rank
from tending.metrics.spectrum.proportional_effective_rank import proportional_effective_rank
from tending.stages.activations import activations
from tending.stages.activations.activations import Extraction, capture
from tending.stages.convergence import stabilisation_rows
from tending.stages.spectra.weight_spectra import largest, published_spectra, weight_spectra
from tending.stages.synthesis import published_comparison, verification
from tending.stages.synthesis.verification import Check, Probe
from tending.study import published

KIND = published_family("gpt_neox")
Array = npt.NDArray[Any]


# Weights of arange: 2 heads, d_head 2, d_model 4; every weight is its own position


def arange_layer() -> tuple[dict[str, Array], dict[str, int]]:
    weights, config = gpt_neox_arange()
    weights["layers.0.mlp.dense_4h_to_h.weight"] = np.diag([5.0, 3.0, 2.0, 1.0])
    return weights, config


def spectra() -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    weights, config = arange_layer()
    correct = weight_spectra(KIND, weights, config)
    return correct, published_spectra(KIND, weights, config, correct)


def test_published_values_are_the_last_third() -> None:
    """Rows 8 to 11: keys 1 of head 1 and its values, whereas the values are 4, 5, 10 and 11."""
    weights, config = arange_layer()
    cut, right = KIND.published_attention(weights, config, 0), KIND.attention(weights, config, 0)
    assert np.asarray(cut.value).tolist() == [
        [[32, 33, 34, 35], [36, 37, 38, 39]],  # rows 8 and 9
        [[40, 41, 42, 43], [44, 45, 46, 47]],  # rows 10 and 11
    ]
    assert np.asarray(cut.value_bias).tolist() == [[8, 9], [10, 11]]
    assert np.array_equal(cut.output, right.output)
    assert np.array_equal(cut.output_bias, right.output_bias)
    plain = {k: v for k, v in weights.items() if not k.endswith("bias")}
    assert KIND.published_attention(plain, config, 0).value_bias is None


@pytest.mark.parametrize(
    ("which", "squares"),
    [
        # s1^2 + s2^2 = tr(O'O V V') with O'O = [224 248; 248 276] and V V' of the two rows:
        ("correct", 224 * 1230 + 2 * 248 * 1510 + 276 * 1854),  # rows 4, 5: [1230 1510; . 1854]
        ("published", 224 * 4494 + 2 * 248 * 5030 + 276 * 5630),  # rows 8, 9: [4494 5030; . 5630]
    ],
)
def test_singular_values_of_the_first_head_by_hand(which: str, squares: int) -> None:
    """s1 s2 = sqrt(det O'O det V V') = sqrt(320 * 320) by either cut."""
    s = dict(zip(("correct", "published"), spectra(), strict=True))[which]["attention_ov_heads"]
    assert s.shape == (1, 2, 2)
    assert (s[0, 0] ** 2).sum() == pytest.approx(squares, rel=1e-9)
    assert s[0, 0].prod() == pytest.approx(320, rel=1e-6)


def test_the_published_whole_layer_is_cut_by_hand() -> None:
    """W_O W_V = sum_k (4i + k)(32 + 4k + j) = 248 + 608 i + 6 j + 16 i j, its 2 largest values."""
    i, j = np.indices((4, 4))
    dense = np.linalg.svd(248 + 608 * i + 6 * j + 16.0 * i * j, compute_uv=False)
    found = spectra()[1]["attention_ov"]
    assert found.shape == (1, 2)
    assert found[0] == pytest.approx(dense[:2], rel=1e-6)


def test_the_published_mlp_is_cut_to_d_head() -> None:
    correct, cut = spectra()
    assert correct["mlp_out"][0] == pytest.approx([5, 3, 2, 1])
    assert cut["mlp_out"][0] == pytest.approx([5, 3])
    # p = 5/8, 3/8: the divisor is the number of values kept
    entropy = -(5 / 8 * np.log(5 / 8) + 3 / 8 * np.log(3 / 8))
    assert proportional_effective_rank(cut["mlp_out"])[0] == pytest.approx(np.exp(entropy) / 2)


def test_torch_and_numpy_are_cut_alike() -> None:
    weights, config = arange_layer()
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    one = KIND.published_attention(weights, config, 0)
    other = KIND.published_attention(tensors, config, 0)
    assert np.array_equal(one.value, other.value.numpy())
    assert np.array_equal(one.value_bias, other.value_bias.numpy())


# Closed forms of cut spectra


@pytest.mark.parametrize("kept", [1, 2, 7, 20])
def test_equal_values_have_the_full_rank_of_the_cut(kept: int) -> None:
    cut = largest(np.full((3, 20), 1.5), kept)
    assert effective_rank(cut) == pytest.approx(np.full(3, kept))
    assert proportional_effective_rank(cut) == pytest.approx(np.ones(3))


def test_a_cut_longer_than_the_spectrum_keeps_it() -> None:
    assert largest(np.array([3.0, 2.0]), 64).tolist() == [3.0, 2.0]


def test_a_gaussian_scores_0_9993_when_cut_and_0_966_when_not() -> None:
    ranks = verification.initial_ranks(512, 8)
    assert ranks["mlp_out", "layer", "published"] == pytest.approx(0.9993, abs=0.0003)
    assert ranks["mlp_out", "layer", "correct"] == pytest.approx(0.966, abs=0.001)
    # random weights are the same in every third
    same = ranks["attention_ov", "head", "correct"], ranks["attention_ov", "head", "published"]
    assert same == pytest.approx((0.967, 0.967), abs=0.002)


# Activations


def captured(**settings: Any) -> activations.Captured:
    asked = Extraction(**{"sequences": 9, "loss_sequences": 5, **settings})
    quiet = (lambda _: None, lambda _: None)
    return capture(tiny.model("gpt_neox"), tiny.tokens(9, 7), asked, *quiet)


def test_published_activations_are_those_of_the_last_third() -> None:
    model, tokens = tiny.model("gpt_neox"), tiny.tokens(9, 7)
    inputs: list[torch.Tensor] = []
    for layer in range(3):
        module = model.base_model.get_submodule(KIND.value_module(layer))
        module.register_forward_pre_hook(lambda _, args: inputs.append(args[0][:, -1].double()))
    with torch.inference_mode():
        model(input_ids=torch.from_numpy(tokens.astype(np.int64)), use_cache=False)
    found = captured(published=True, batch_size=4).published
    assert set(found) == {"attention_ov"} and found["attention_ov"].dtype == np.float32
    weights = {name: p.detach().double() for name, p in model.base_model.named_parameters()}
    for layer, x in enumerate(inputs):
        block = f"layers.{layer}.attention"
        fused, bias = (weights[f"{block}.query_key_value.{n}"] for n in ("weight", "bias"))
        expected = (x @ fused[32:].T + bias[32:]) @ weights[f"{block}.dense.weight"].T
        ours = found["attention_ov"][layer]
        np.testing.assert_allclose(ours, expected.numpy(), rtol=2e-5, atol=2e-5)


def test_asking_for_the_published_ones_changes_no_other_bit() -> None:
    without, with_both = captured(), captured(published=True)
    assert without.published == {}
    assert without.arrays.keys() == with_both.arrays.keys()
    for name, array in without.arrays.items():
        assert np.array_equal(array, with_both.arrays[name]), name


def test_golden_published_activations(fixed_threads: None) -> None:
    flat = captured(published=True).published["attention_ov"].astype(np.float64).ravel()
    sample = flat[np.linspace(0, flat.size - 1, 16).astype(int)].tolist()
    version = activations.VERSION
    golden.check("published", "activations.py", version, {"attention_ov": sample}, rtol=1e-4)


# Names


@pytest.mark.parametrize("component", ["attention_ov", "attention_ov_heads", "mlp_out"])
def test_a_dataset_says_which_definition_it_is_of(component: str) -> None:
    (name,) = store.as_published({component: np.zeros(1)})
    assert name == f"{component}__published"
    plain, heads = component.removesuffix("_heads"), component.endswith("_heads")
    assert store.part_of(name) == (plain, heads, "published")
    assert store.part_of(component) == (plain, heads, "correct")


def test_tables_keep_the_definitions_apart() -> None:
    frame = scores()
    settled = stabilisation_rows.stabilisation(frame, ["cka"], [0.5], 0.2, {"m": 100})
    whole = settled[settled["layer"].isna() & settled["quantity"].str.contains("step")]
    assert whole["definition"].tolist() == ["correct", "published", "correct"]
    # without the published rows, the others are as they were
    alone = frame[frame["definition"] == "correct"]
    plain = stabilisation_rows.stabilisation(alone, ["cka"], [0.5], 0.2, {"m": 100})
    kept = settled[settled["definition"] == "correct"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, plain)


# A family without the fused layout


class Plain:
    """A family with separate value matrices."""


def test_a_family_without_a_published_cut_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "family", lambda _: Plain())
    with pytest.raises(ValueError, match=r"llama does not have; remove `published` from `defin"):
        published_family("llama")
    (first, _) = problems(config(lambda c: c.update(definitions=["correct", "published"])))
    assert first.startswith("models: one: the published definition splits a fused query_key_value")


# The config


def test_a_model_may_be_the_papers_and_needs_one_of_its_steps() -> None:
    def edit(made: dict[str, Any]) -> None:
        made["models"][0]["published_as"] = "70M"

    assert problems(config(edit)) == [
        "models: one: published_as 70M: none of its steps is among those that the paper shows, "
        "13000 to 143000 by 10000; add some or remove `published_as`"
    ]


def test_the_papers_metrics_are_needed_to_compare_with_it() -> None:
    def edit(made: dict[str, Any]) -> None:
        made["models"] = [{**made["models"][0], "published_as": "2.8B", "steps": [0, 13000]}]
        made["models"][0]["recipe"]["steps"] = 13000
        made["models"][0]["recipe"]["save_every"] = 1000
        made.update(similarity=["cka_debiased"], spectrum=["effective_rank"])

    metrics = "cka", "proportional_effective_rank"
    assert problems(config(edit)) == [
        f"models: one: published_as: the paper's metric {metric} is not in `{key}`; add it"
        for metric, key in zip(metrics, ("similarity", "spectrum"), strict=True)
    ]


# The data


def test_published_values_are_whole() -> None:
    values = published.values()
    medians = [v for v in values if v.source == "figure"]
    assert len(medians) == 328
    assert all(0 < v.value <= 1 and 0 < v.error <= 0.005 for v in values)
    keys = [(v.source, v.model, v.step, v.component, v.part, v.quantity) for v in values]
    assert len(set(zip(keys, (v.definition for v in values), strict=True))) == len(values)
    assert {v.model for v in values} == set(verification.SIZES)
    (one,) = [v for v in published.medians("70M") if (v.step, v.component) == (33000, "mlp_out")]
    assert (one.quantity, one.value) == ("per_weight", 0.983)
    assert {v.quantity for v in published.medians("70M")} == set(published.METRICS)


# The comparison, by hand: one model that the paper calls 70M, two layers of two heads

STEP = 33000  # the paper: CKA of attention 0.59; PER of attention 0.923, of the MLP 0.983
HEADS = np.array([[0.1, 0.2], [0.3, 0.4]])


def block(name: str, values: Any, quantity: str, step: int = STEP) -> tables.Columns:
    place = Where("s", "m", 1000, step, step / 143000)
    return tables.layer_block(place, name, np.array(values), quantity, 4)


def scores() -> pd.DataFrame:
    return tables.table(
        [
            block("attention_ov", [0.5, 0.7], "cka"),
            block("attention_ov_heads", HEADS, "cka"),
            block("attention_ov__published", [0.6, 0.64], "cka"),
            block("mlp_out", [0.2, 0.4], "cka"),
        ]
    )


def ranks() -> pd.DataFrame:
    per = "proportional_effective_rank"
    return tables.table(
        [
            block("attention_ov", [0.6, 0.6], per),
            block("attention_ov_heads", HEADS, per),
            block("mlp_out", [0.7, 0.9], per),
            block("attention_ov__published", [0.8, 0.9], per),
            block("attention_ov_heads__published", HEADS + 0.1, per),
            block("mlp_out__published", [0.95, 0.97], per),
        ]
    )


def compared(**changes: Any) -> dict[tuple[str, str, str], tuple[float, Any]]:
    """(component, quantity, definition) -> (value, n)."""
    asked = {"published_as": {"m": "70M"}, "definitions": ["correct", "published"], **changes}
    frame = published_comparison.comparison(scores(), ranks(), **asked)
    assert list(frame.columns) == list(tables.COLUMNS)
    keys = ["model", "step", "component", "quantity", "definition"]
    assert not frame.duplicated(keys).any()
    rows = frame.to_dict("records")
    return {
        (r["component"], r["quantity"], r["definition"]): (pytest.approx(r["value"]), r["n"])
        for r in rows
    }


PER = "proportional_effective_rank"


def test_medians_are_pooled_as_each_definition_says() -> None:
    found = compared()
    computed = {k: v for k, v in found.items() if k[1].endswith("_computed")}
    assert computed == {
        ("attention_ov", "cka_computed", "correct"): (0.6, 2),  # of 0.5 and 0.7
        ("attention_ov", "cka_computed", "published"): (0.62, 2),  # of 0.6 and 0.64
        # heads only: 0.1, 0.2, 0.3, 0.4
        ("attention_ov", f"{PER}_computed", "correct"): (0.25, 4),
        # heads and cut whole layers in one pool: 0.2, 0.3, 0.4, 0.5, 0.8, 0.9
        ("attention_ov", f"{PER}_computed", "published"): (0.45, 6),
        ("mlp_out", f"{PER}_computed", "correct"): (0.8, 2),
        ("mlp_out", f"{PER}_computed", "published"): (0.96, 2),
    }  # and no CKA of the MLP, which the paper's figure hides at this step


def test_published_and_difference_rows() -> None:
    found = compared()
    assert found["attention_ov", "cka_published", "published"][0] == 0.59
    assert found["attention_ov", "cka_difference", "correct"][0] == pytest.approx(0.6 - 0.59)
    assert found["mlp_out", f"{PER}_difference", "published"][0] == pytest.approx(0.96 - 0.983)
    assert ("attention_ov", "cka_published", "correct") not in found


def test_the_reading_error_is_the_interval() -> None:
    frame = published_comparison.comparison(scores(), ranks(), {"m": "70M"}, ["correct"])
    read = frame[frame["quantity"] == "cka_published"].iloc[0]
    assert (read["low"], read["high"]) == pytest.approx((0.585, 0.595))
    off = frame[frame["quantity"] == "cka_difference"].iloc[0]
    assert (off["low"], off["high"]) == pytest.approx((0.005, 0.015))


def test_the_null_of_cka_stands_beside_it() -> None:
    """Medians over layers of its mean and of its 95 % quantile, by each definition."""
    nulls = {"attention_ov": [0.1, 0.2], "attention_ov__published": [0.3, 0.5]}
    blocks = [
        {**block(name, means, "cka_null"), "high": np.array(means) + 0.01}
        for name, means in nulls.items()
    ]
    both = ["correct", "published"]
    table = pd.concat([scores(), tables.table(blocks)], ignore_index=True)
    frame = published_comparison.comparison(table, ranks(), {"m": "70M"}, both)
    own = frame[frame["quantity"] == "cka_null"]
    assert own["definition"].tolist() == both and own["n"].tolist() == [2, 2]
    numbers = own[["value", "high"]].to_numpy(dtype=float)
    np.testing.assert_allclose(numbers, [[0.15, 0.16], [0.4, 0.41]])
    rest = frame[frame["quantity"] != "cka_null"].reset_index(drop=True)
    without = published_comparison.comparison(scores(), ranks(), {"m": "70M"}, both)
    pd.testing.assert_frame_equal(rest, without)


def test_nothing_published_is_computed_unless_asked_for() -> None:
    found = compared(definitions=["correct"])
    own = {key for key in found if not key[1].endswith("_published")}
    assert {definition for _, _, definition in own} == {"correct"}


def test_the_mlps_cka_has_one_definition() -> None:
    """At step 13000 the paper shows it; both definitions give the same number."""
    moved = scores().assign(step=13000).astype(tables.TYPES)
    both = ["correct", "published"]
    frame = published_comparison.comparison(moved, tables.table([]), {"m": "70M"}, both)
    rows = frame[frame["quantity"] == "cka_computed"]
    assert rows["definition"].tolist() == both
    assert rows["value"].tolist() == pytest.approx([0.3, 0.3])


def test_missing_scores_are_left_out_and_counted() -> None:
    holed = scores()
    holed.loc[0, "value"] = pd.NA
    frame = published_comparison.comparison(holed, ranks(), {"m": "70M"}, ["correct"])
    row = frame[frame["quantity"] == "cka_computed"].iloc[0]
    assert (row["value"], row["n"]) == (0.7, 1)


def test_no_step_of_the_paper_no_rows() -> None:
    other = published_comparison.comparison(scores(), ranks(), {"another": "70M"}, ["correct"])
    assert len(other) == 0 and other.dtypes.astype(str).to_dict() == tables.TYPES


# Verification

PAPER = Probe(128, "last", {"m": 143000})


def check(**changes: Any) -> Check:
    return replace(Check("PER", "m", 0, "figure", 0.9, 0.005, computed=0.904), **changes)


def study(probe: Probe = PAPER) -> list[Check]:
    frame = published_comparison.comparison(
        scores(), ranks(), {"m": "70M"}, ["correct", "published"]
    )
    read = {"convergence": scores(), published.COMPARISON: frame}
    return verification.study_checks(published.values(), read, {"m": "70M"}, probe)


@pytest.mark.parametrize(
    ("computed", "verdict"),
    [(0.904, "pass"), (0.896, "pass"), (0.9051, "fail"), (float("nan"), "fail"), (None, "not co")],
)
def test_verdicts(computed: float | None, verdict: str) -> None:
    assert check(computed=computed).verdict.startswith(verdict)


def test_a_study_is_compared_by_the_published_definition() -> None:
    found = {(c.what, c.step): c for c in study() if c.computed is not None}
    assert {key: c.computed for key, c in found.items()} == {
        ("CKA of attention_ov, median over layers", STEP): pytest.approx(0.62),
        ("PER of attention_ov, median over layers", STEP): pytest.approx(0.45),
        ("PER of mlp_out, median over layers", STEP): pytest.approx(0.96),
    }
    tolerances = {c.what[:3]: c.tolerance for c in found.values()}
    assert tolerances == {"CKA": pytest.approx(0.01), "PER": pytest.approx(0.007)}


def test_notebook_numbers_are_compared_layer_by_layer() -> None:
    table = tables.table([block("mlp_out", [0.770, 0.1], "cka", step=1000)])
    read = {"convergence": table, published.COMPARISON: tables.table([])}
    checks = verification.study_checks(published.values(), read, {"m": "70M"}, PAPER)
    (one,) = [c for c in checks if c.computed is not None]
    assert (one.what, one.step, one.published) == ("CKA of mlp_out, layer 0", 1000, 0.770234)
    assert one.verdict == "pass"


@pytest.mark.parametrize(
    "probe",
    [
        Probe(512, "last", {"m": 143000}),
        Probe(128, "all", {"m": 143000}),
        Probe(128, "last", {"m": 9}),
    ],
)
def test_cka_on_another_probe_is_not_compared(probe: Probe) -> None:
    checks = [c for c in study(probe) if "CKA" in c.what]
    assert {c.verdict for c in checks} == {"not computed"}
    assert {c.remark for c in checks} == {probe.departure("m")} and probe.departure("m")


def test_gradients_are_not_computed_and_say_so() -> None:
    checks = [c for c in study() if "gradients" in c.what]
    assert checks and {c.remark for c in checks} == {"gradients are not compared with the paper"}


def test_checks_survive_their_table(tmp_path: Path) -> None:
    checks = [*study(), check(), check(computed=0.5)]
    tables.write(verification.table(checks), tmp_path / "v.csv", tmp_path / "v.parquet")
    assert verification.read(tmp_path / "v.parquet") == checks
    as_text = pd.read_csv(tmp_path / "v.csv")
    assert list(as_text.columns) == list(verification.TYPES)
    assert as_text["verdict"].tolist() == [c.verdict for c in checks]


def test_the_terminals_table_and_the_error(tmp_path: Path) -> None:
    checks = [check(), check(what="bad", computed=0.5), check(computed=None, remark="no such step")]
    text = verification.as_text(checks, tmp_path / "v.csv").splitlines()
    header = "what model step published computed difference +- verdict"
    assert text[0].split() == header.split()
    assert text[2].split() == ["bad", "m", "0", "0.9000", "0.5000", "-0.4000", "0.0050", "fail"]
    assert text[3] == "1 not computed: no such step"
    assert text[4].startswith("1 pass, 1 fail; all of it in ")
    with pytest.raises(ValueError, match=r"1 of 3 published .* bad \(m, step 0\): 0.5000, publ"):
        verification.require_passes(checks, tmp_path / "v.csv")
    verification.require_passes([checks[0], checks[2]], tmp_path / "v.csv")
