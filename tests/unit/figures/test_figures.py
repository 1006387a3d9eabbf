"""Figures and the summary, on fabricated tables of ordinary and odd studies."""

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fabricated import (
    CAPTIONS,
    FEW,
    PACKAGE,
    SEEDS,
    SMALL,
    TINY,
    Model,
    Study,
    _draw,
    _panels,
    fabricate,
)
from matplotlib.figure import Figure
from matplotlib.text import Text

from tending.core import plugins, tables
from tending.figures import _select, _style
from tending.report import summary
from tending.run.config import SPECTRUM
from tending.stages.convergence.stabilisation_intervals import interval_quantity
from tending.stages.convergence.stabilisation_rows import fraction_quantity

FIGURES = plugins.names(PACKAGE)
CATEGORIES = {"Convergence", "Effective rank", "Published values", "Stabilisation", "Training"}
CATEGORIES |= {"Representations", "Trajectory", "Seeds", "Gradients", "Evaluations"}
TABLES = ("effective_rank", "convergence", "stabilisation", "association", "loss", "training")
TABLES += ("published_comparison", "representation", "trajectory", "groups", "effects")
TABLES += ("sample_size", "gradients", "late_phase")
TABLES += ("evaluations", "outcome_association")
MAPS = ("checkpoint_map", "layer_map")  # made for a figure from the models' files


LARGE = Study(
    models=(
        Model("pythia-70m-deduped", 70_426_624, 6, 8),
        Model("pythia-160m-deduped", 162_322_944, 12, 12),
        Model("pythia-410m-deduped", 405_334_016, 24, 16),
        Model("pythia-1.4b-deduped", 1_414_647_808, 24, 16),
        Model("pythia-2.8b-deduped", 2_775_208_960, 32, 32),
    ),
    steps=(0, *(2**k for k in range(10)), 1000, *range(3000, 143001, 10000)),
    trained=False,
)
CROWD = replace(
    SEEDS,
    models=tuple(
        Model(f"d{d}-{rate}-s{s}", 1000 * d, d // 32, 2, f"d{d}-{rate}")
        for d, rate in ((32, "fast"), (32, "slow"), (64, "slow"), (128, "slow"), (128, "slower"))
        for s in range(5)
    ),
)
ODD = {
    "small": SMALL,
    "one model of one layer, no heads, three steps": TINY,
    "biased CKA only, one threshold": replace(FEW, metrics=("cka",), thresholds=(0.9,)),
    "seeds": SEEDS,
    "no proportional rank": replace(FEW, rank_metrics=("effective_rank",)),
    "every metric of singular values": replace(FEW, rank_metrics=tuple(plugins.names(SPECTRUM))),
    "norms only": replace(FEW, rank_metrics=("frobenius", "nuclear", "spectral")),
    "singular matrices": replace(FEW, rank_metrics=("condition_number",)),
    "MLP only, nothing settles": replace(FEW, components=("mlp_out",), reference=False),
    "steps in one decade": replace(TINY, steps=(1100, 1200, 1500)),
    "many steps": replace(
        SMALL, models=(Model("m", 10**6, 10, 2),), steps=(0, *range(1000, 154000, 1000))
    ),
}


@pytest.fixture(scope="module")
def small() -> dict[str, pd.DataFrame]:
    return fabricate(SMALL)


@pytest.mark.parametrize("name", FIGURES)
def test_declares_what_it_needs_and_has_a_caption(name: str) -> None:
    declared = {
        k: plugins.constant(f"{PACKAGE}.{name}", k) for k in ("TABLES", "TITLE", "CATEGORY")
    }
    assert set(declared["TABLES"]) <= {*TABLES, *MAPS}
    assert isinstance(declared["TITLE"], str) and len(declared["TITLE"]) <= 40
    assert declared["CATEGORY"] in CATEGORIES
    assert (CAPTIONS / f"{name}.rst").exists()


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("name", FIGURES)
def test_draws_every_kind_of_study_from_its_tables_alone(name: str, case: str) -> None:
    made = fabricate(ODD[case])
    needed = {t: made[t] for t in plugins.constant(f"{PACKAGE}.{name}", "TABLES")}
    before = {t: table.copy() for t, table in needed.items()}
    figure = _draw(name, needed, ODD[case])
    assert _panels(figure)
    for table, rows in before.items():
        pd.testing.assert_frame_equal(needed[table], rows)
    assert max(figure.get_size_inches()) < 10


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "published_medians"])
def test_ignores_rows_of_the_published_definition(name: str, small: Any) -> None:
    other = {
        k: pd.concat([t, t.assign(definition="published", value=7.0)]) for k, t in small.items()
    }
    one, two = _draw(name, small, SMALL), _draw(name, other, SMALL)
    for a, b in zip(_panels(one), _panels(two), strict=True):
        lines = zip(a.get_lines(), b.get_lines(), strict=True)
        assert all(np.array_equal(p.get_xydata(), q.get_xydata(), equal_nan=True) for p, q in lines)


@pytest.mark.parametrize("study", [SMALL, TINY], ids=["small", "tiny"])
@pytest.mark.parametrize("name", FIGURES)
def test_text_fits_the_page_and_is_legible(name: str, study: Study) -> None:
    figure = _draw(name, fabricate(study), study)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert box.x0 > -0.02 and box.y0 > -0.02
    assert box.x1 < width + 0.02 and box.y1 < height + 0.02
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text()]
    # the exponents of powers of ten are smaller, as they should be
    assert min(t.get_fontsize() for t in texts) >= 7


def test_scores_by_step_are_the_medians(small: Any) -> None:
    panels = _panels(_draw("cka_by_step", small, SMALL))
    assert len(panels) == len(SMALL.metrics) * len(SMALL.components)
    table = small["convergence"]
    table = table[table["head"].isna()]
    places = itertools.product(SMALL.metrics, SMALL.components)
    for ax, (metric, component) in zip(panels, places, strict=True):
        rows = table[(table["quantity"] == metric) & (table["component"] == component)]
        lines = {str(line.get_label()): line for line in ax.get_lines()}
        for model in ("neox-d32", "neox-d64", "neox-d128"):
            medians = rows[rows["model"] == model].groupby("step")["value"].median()
            np.testing.assert_allclose(lines[model].get_ydata(), medians.to_numpy(dtype=float))
            assert list(lines[model].get_xdata()) == list(SMALL.steps)


def test_rank_by_step_pools_heads_and_keeps_them_from_whole_layers(small: Any) -> None:
    panels = _panels(_draw("rank_by_step", small, SMALL))
    assert len(panels) == 3
    table = small["effective_rank"]
    rows = table[
        (table["quantity"] == "proportional_effective_rank")
        & (table["component"] == "attention_ov")
        & (table["model"] == "neox-d128")
    ]
    for ax, own in zip(
        panels, [rows[rows["head"].notna()], rows[rows["head"].isna()]], strict=False
    ):
        (line,) = [x for x in ax.get_lines() if x.get_label() == "neox-d128"]
        medians = own.groupby("step")["value"].median().to_numpy(dtype=float)
        np.testing.assert_allclose(line.get_ydata(), medians)


@pytest.mark.parametrize(
    ("metric", "label"), [("gini", "Gini coefficient"), ("entropy", "Entropy (nats)")]
)
def test_a_metric_of_singular_values_is_called_as_its_file_says(metric: str, label: str) -> None:
    study = replace(FEW, rank_metrics=(metric, "effective_rank"))
    made = fabricate(study)
    assert _panels(_draw("rank_by_step", made, study))[0].get_ylabel() == label
    assert _panels(_draw("rank_against_cka", made, study))[1].get_xlabel() == label
    assert f"<dd>{label} of the weights" in summary.summary_html(made, study.options)


def test_layers_have_one_line_each(small: Any) -> None:
    panels = _panels(_draw("cka_layers", small, SMALL))
    count = [sum(str(x.get_label()).startswith("layer") for x in ax.get_lines()) for ax in panels]
    assert count == [2, 2, 3, 3, 4, 4]


def test_heatmaps_share_one_scale_and_show_the_scores(small: Any) -> None:
    figure = _draw("cka_heatmap", small, SMALL)
    images = [ax.get_images()[0] for ax in _panels(figure)]
    assert len({image.get_clim() for image in images}) == 1
    assert [image.get_array().shape for image in images] == [(n, 14) for n in (2, 2, 3, 3, 4, 4)]
    table = small["convergence"]
    rows = table[(table["quantity"] == "cka_debiased") & (table["model"] == "neox-d32")]
    rows = rows[(rows["component"] == "mlp_out") & (rows["layer"] == 1)]
    np.testing.assert_allclose(images[1].get_array()[1], rows["value"].to_numpy(dtype=float))
    assert sum(ax.get_label() == "<colorbar>" for ax in figure.axes) == 1


def test_the_reference_step_is_not_among_the_points_against_rank(small: Any) -> None:
    left, right = _panels(_draw("rank_against_cka", small, SMALL))
    for ax in (left, right):
        points = [len(c.get_offsets()) for c in ax.collections]
        assert points == [(len(SMALL.steps) - 1) * layers for layers in (2, 3, 4)]


def test_scores_within_their_null_are_hatched(small: Any) -> None:
    table = small["convergence"]
    rows = table["quantity"].eq("cka_debiased_null") & table["layer"].eq(1)
    rows &= table["model"].eq("neox-d32") & table["component"].eq("mlp_out")
    early = table["step"].le(4)
    raised = table["high"].mask(rows, -9.0).mask(rows & early, 9.0).astype("Float64")
    ax = _panels(_draw("cka_heatmap", {"convergence": table.assign(high=raised)}, SMALL))[1]
    layer = [p for p in ax.patches if p.get_y() == 0.5]
    ((left, width),) = [(p.get_x(), p.get_width()) for p in layer]
    assert (left, width) == (-0.5, 3)  # steps 0, 1 and 4 in one


def test_the_null_is_a_band_behind_the_scores(small: Any) -> None:
    table = small["convergence"]
    place = table["quantity"].eq("cka_debiased_null") & table["component"].eq("attention_ov")
    null = table[place & table["model"].eq("neox-d32")]
    low, high = float(null["value"].min()), float(null["high"].max())
    for name in ("cka_layers", "cka_boxplot"):
        ax = _panels(_draw(name, small, SMALL))[0]
        (band,) = [c for c in ax.collections if c.get_zorder() == 0.5]
        ends = band.get_paths()[0].get_extents().intervaly
        np.testing.assert_allclose(ends, [low, high])


@pytest.mark.parametrize(("apart", "bands", "dotted"), [(0.0, 1, 0), (0.2, 3, 3)])
def test_nulls_of_models_are_one_band_unless_they_differ(
    small: Any, apart: float, bands: int, dotted: int
) -> None:
    table = small["convergence"].copy()
    rows = table["quantity"].eq("cka_null")
    shift = table["model"].map({"neox-d32": 0.0, "neox-d64": 1.0, "neox-d128": 2.0}) * apart
    for column, value in (("value", 0.1), ("high", 0.2)):
        table[column] = table[column].mask(rows, value + shift).astype("Float64")
    ax = _panels(_draw("cka_by_step", {"convergence": table}, SMALL))[0]
    assert len([c for c in ax.collections if c.get_zorder() == 0.5]) == bands
    assert len([x for x in ax.get_lines() if x.get_linestyle() == ":"]) == dotted


def test_scores_without_nulls_and_intervals_are_drawn(small: Any) -> None:
    """Of tables in which nothing but the scores is known."""
    kept = small["convergence"]["quantity"].isin(SMALL.metrics)
    bare = small["convergence"][kept].assign(low=pd.NA, high=pd.NA).astype(tables.TYPES)
    settled = small["stabilisation"]
    settled = settled[~settled["quantity"].str.endswith("_interval")]
    for name in ("cka_by_step", "cka_layers", "cka_boxplot", "cka_heatmap", "rank_against_cka"):
        made = {"convergence": bare, "effective_rank": small["effective_rank"]}
        assert _panels(_draw(name, made, SMALL))
    assert _panels(_draw("stabilisation", {"stabilisation": settled}, SMALL))
    page = summary.summary_html(
        {**small, "convergence": bare, "stabilisation": settled}, SMALL.options
    )
    assert "within the null" not in page and "<small>95 %" not in page


def test_layers_that_never_settle_are_marked_as_such() -> None:
    study = ODD["MLP only, nothing settles"]
    ax = _panels(_draw("stabilisation", fabricate(study), study))[0]
    crosses = [len(np.atleast_1d(x.get_xdata())) for x in ax.get_lines() if x.get_marker() == "x"]
    assert crosses == [2, 3, 4]


def test_a_layer_is_drawn_as_its_bracket(small: Any) -> None:
    ax = _panels(_draw("stabilisation", small, SMALL))[0]
    table = small["stabilisation"]
    quantity = fraction_quantity("cka_debiased", 0.8)
    rows = table[(table["quantity"] == quantity) & (table["component"] == "attention_ov")]
    wanted = rows[(rows["model"] == "neox-d32") & rows["layer"].notna() & rows["head"].isna()]
    wanted = wanted[["low", "high"]]
    spans = [segment[:, 0] for segment in ax.collections[0].get_segments()]
    np.testing.assert_allclose(spans, wanted.to_numpy(dtype=float))


def test_whiskers_are_the_interval_of_the_bracket(small: Any) -> None:
    """One without an end goes to where layers that never settle are marked."""
    ax = _panels(_draw("stabilisation", small, SMALL))[0]
    table = small["stabilisation"]
    quantity = interval_quantity(fraction_quantity("cka_debiased", 0.8))
    rows = table[(table["quantity"] == quantity) & (table["component"] == "attention_ov")]
    rows = rows[(rows["model"] == "neox-d32") & rows["layer"].notna() & rows["head"].isna()]
    assert rows["high"].isna().tolist() == [False, True]
    wanted = rows[["low", "high"]].fillna(1.06).to_numpy(dtype=float)
    spans = [segment[:, 0] for segment in ax.collections[1].get_segments()]
    np.testing.assert_allclose(spans, wanted)


def test_published_medians_stand_beside_both_definitions(small: Any) -> None:
    figure = _draw("published_medians", small, SMALL)
    panels = _panels(figure)
    assert len(panels) == 4
    table = small["published_comparison"]
    rows = table[(table["model"] == "neox-d32") & (table["component"] == "attention_ov")]
    wanted = [("cka_computed", "correct"), ("cka_computed", "published")]
    wanted.append(("cka_published", "published"))
    lines = panels[0].get_lines()[:3]  # the smallest model's
    for line, (quantity, definition) in zip(lines, wanted, strict=True):
        own = rows[(rows["quantity"] == quantity) & (rows["definition"] == definition)]
        np.testing.assert_allclose(line.get_ydata(), own["value"].to_numpy(dtype=float))
    for ax in panels:
        assert "mean |difference|: correct 0.100, published 0.010" in ax.get_title(loc="left")


def test_a_study_without_the_published_definition_is_drawn_with_the_correct_one(small: Any) -> None:
    table = small["published_comparison"]
    kept = table[(table["definition"] == "correct") | table["quantity"].str.endswith("_published")]
    figure = _draw("published_medians", {"published_comparison": kept}, SMALL)
    assert "correct 0.100" in _panels(figure)[0].get_title(loc="left")
    assert "published 0" not in _panels(figure)[0].get_title(loc="left")
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert "this study, correct definition" in labels
    assert "this study, published definition" not in labels


def test_representations_have_a_row_per_metric_and_a_column_per_part(small: Any) -> None:
    """Details of a fit are in the table only; heads have columns of their own."""
    panels = _panels(_draw("representation_by_step", small, SMALL))
    assert len(panels) == 3 * 3
    titles = [ax.get_title().split("\n")[0] for ax in panels[:3]]
    assert titles == ["Attention OV", "MLP output", "Attention OV, heads"]
    labels = [ax.get_ylabel().split("\n")[0] for ax in panels[::3]]
    assert labels == ["Anisotropy", "Intrinsic dimension", "Power-law exponent"]
    table = small["representation"]
    rows = table[(table["model"] == "neox-d32") & (table["quantity"] == "anisotropy")]
    whole = rows[(rows["component"] == "mlp_out") & rows["head"].isna()]
    medians = whole.groupby("step")["value"].median().to_numpy(dtype=float)
    np.testing.assert_allclose(panels[1].get_lines()[0].get_ydata(), medians)


def test_nothing_beside_the_paper_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="no step of the study is among those that the paper"):
        _draw("published_medians", {"published_comparison": tables.table([])}, SMALL)


def test_loss_without_training_has_no_learning_rate(small: Any) -> None:
    assert len(_panels(_draw("training_loss", small, SMALL))) == 2
    study = replace(SMALL, trained=False)
    assert len(_panels(_draw("training_loss", fabricate(study), study))) == 1


def test_models_come_by_size_and_ties_by_the_config(small: Any) -> None:
    names = _select.models(small["convergence"], SMALL.options)
    assert names == ["neox-d32", "neox-d64", "neox-d128"]
    same = small["convergence"].assign(parameters=5)
    assert _select.models(same, SMALL.options) == [m.name for m in SMALL.models]


def test_of_many_models_the_first_seed_of_every_group_is_drawn() -> None:
    made = fabricate(CROWD)["convergence"]
    firsts = ["d32-fast-s0", "d32-slow-s0", "d64-slow-s0", "d128-slow-s0", "d128-slower-s0"]
    assert _select.models(made, CROWD.options) == firsts
    assert len(_select.every_model(made, CROWD.options)) == 25
    alone = replace(
        CROWD.options, groups={k: g for k, g in CROWD.options.groups.items() if "64" in g}
    )
    assert len(_select.models(made, alone)) == 21
    assert len(_select.models(fabricate(SEEDS)["convergence"], SEEDS.options)) == 6


def test_seeds_are_thin_lines_around_the_mean_of_their_group() -> None:
    made = fabricate(SEEDS)
    ax = _panels(_draw("seeds", made, SEEDS))[0]
    rows = made["convergence"]
    rows = rows[(rows["quantity"] == "cka_debiased") & rows["head"].isna()]
    rows = rows[(rows["component"] == "attention_ov") & rows["model"].str.startswith("d64")]
    medians = (
        rows.groupby(["model", "step"])["value"].median().unstack("step").to_numpy(dtype=float)
    )
    thin = [x.get_ydata() for x in ax.get_lines() if x.get_alpha() == 0.55]
    np.testing.assert_allclose(thin[3:], medians)
    (mean,) = [x for x in ax.get_lines() if x.get_label() == "d64"]
    np.testing.assert_allclose(mean.get_ydata(), medians.mean(axis=0))
    assert len(ax.collections) == 3  # one band per group, and the null


def test_seeds_are_compared_with_each_other_beside_themselves() -> None:
    made = fabricate(SEEDS)
    panels = _panels(_draw("between_seeds", made, SEEDS))
    assert len(panels) == 4  # two groups and two components
    for ax in panels:
        between, within = ax.get_lines()[:2]
        assert within.get_ydata()[-1] == 1 and between.get_ydata()[-1] < 0.7
        assert within.get_linestyle() != between.get_linestyle()


def test_effects_are_written_above_the_models_or_why_there_are_none() -> None:
    figure = _draw("effects", fabricate(CROWD), CROWD)
    title = _panels(figure)[0].get_title(loc="left")
    assert re.search(r"size [+-]\d\.\d{3}.*\nrate [+-].*\nsize alone", title)
    assert [t.get_text() for t in figure.legends[0].get_texts()][:3] == [
        "rate 0.01",
        "rate 0.005",
        "rate 0.0025",
    ]
    figure = _draw("effects", fabricate(SMALL), SMALL)
    assert (
        "cannot be told apart here (correlation -1.00)" in figure.legends[0].get_title().get_text()
    )
    assert "rate" not in _panels(figure)[0].get_title(loc="left")


def test_looks_differ_by_more_than_colour() -> None:
    looks = _style.model_looks([str(i) for i in range(10)])
    assert len({s.colour for s in looks.values()}) == 10
    assert len({s.marker for s in looks.values()}) == 10


def test_a_table_without_the_metric_is_named(small: Any) -> None:
    study = replace(SMALL, metrics=("svcca",))
    with pytest.raises(ValueError, match=r"table holds cka, cka_debiased.*needs svcca"):
        _draw("cka_by_step", small, study)


def test_saved_bytes_are_the_same_again_and_nothing_else_is_left(
    tmp_path: Path, small: Any
) -> None:
    figure = _draw("cka_by_step", small, SMALL)
    for name in ("a", "b"):
        _style.save(figure, tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    again = _draw("cka_by_step", small, SMALL)
    _style.save(again, tmp_path / "c.pdf", tmp_path / "c.png")
    for kind in ("pdf", "png"):
        assert len({(tmp_path / f"{n}.{kind}").read_bytes() for n in "abc"}) == 1
    assert len(list(tmp_path.iterdir())) == 6
    assert b"CreationDate" not in (tmp_path / "a.pdf").read_bytes()


def test_a_failed_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = Figure(layout="constrained")
    monkeypatch.setattr(figure, "savefig", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _style.save(figure, tmp_path / "a.pdf", tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_drawing_leaves_matplotlib_as_it_was(small: Any) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    _draw("training_loss", small, SMALL)
    assert dict(mpl.rcParams) == before


def test_summary_has_the_numbers_of_the_tables(small: Any) -> None:
    frame = summary.summary(small, SMALL.options).set_index("model")
    assert list(frame.index) == ["neox-d32", "neox-d64", "neox-d128"]
    assert list(frame["layers"]) == [2, 3, 4]
    # 20% of 1024 steps is 204.8; the checkpoint at or before it is 192
    assert set(frame["early_step"]) == {192}
    table = small["convergence"]
    rows = table[(table["quantity"] == "cka_debiased") & (table["step"] == 192)]
    rows = rows[(rows["model"] == "neox-d64") & (rows["component"] == "mlp_out")]
    assert frame.loc["neox-d64", "mlp_out_early_score"] == pytest.approx(rows["value"].median())
    table = small["stabilisation"]
    rows = table[(table["quantity"] == fraction_quantity("cka_debiased", 0.9))]
    rows = rows[(rows["model"] == "neox-d32") & (rows["component"] == "attention_ov")]
    (row,) = rows[rows["layer"].isna()].to_dict("records")
    ends = frame.loc[
        "neox-d32", ["attention_ov_fraction_0.9_low", "attention_ov_fraction_0.9_high"]
    ]
    assert list(ends) == [row["low"], row["high"]]
    quantity = interval_quantity(fraction_quantity("cka_debiased", 0.9))
    rows = table[(table["quantity"] == quantity) & (table["component"] == "attention_ov")]
    ((start, stop),) = rows[(rows["model"] == "neox-d32") & rows["layer"].isna()][
        ["low", "high"]
    ].to_numpy(dtype=float)
    ends = frame.loc["neox-d32", ["attention_ov_fraction_0.9_from", "attention_ov_fraction_0.9_to"]]
    assert list(ends) == [start, stop]
    assert f"95 %: {start:.3f} to {stop:.3f}" in summary.summary_html(small, SMALL.options)


@pytest.mark.parametrize("case", ODD)
def test_summary_page_stands_alone(case: str) -> None:
    study = ODD[case]
    made = fabricate(study)
    page = summary.summary_html(made, study.options)
    assert page == summary.summary_html(made, study.options)
    for forbidden in ("http", "<script", "<link", "src=", "nan", "<NA>"):
        assert forbidden not in page.lower()
    assert all(model.name in page for model in study.models)
    assert page.count('<tr class="model">') == len(study.models)
    table, nulls, late = page.split("<h2>")
    assert table.count("<tr") == 1 + len(study.models) * len(study.components)
    assert nulls.count("<tr") == 1 + len(study.models) * len(study.components) * len(study.metrics)
    assert late.count("<tr") == 1 + len(study.models)


def test_summary_escapes_names() -> None:
    study = replace(TINY, models=(Model("<b>", 5, 1, 0),))
    assert "<b>" not in summary.summary_html(fabricate(study), study.options)


def test_every_table_and_the_summary_have_captions() -> None:
    expected = {*FIGURES, *(f"table_{t}" for t in TABLES), "summary", "workflow"}
    assert {p.stem for p in CAPTIONS.glob("*.rst")} >= expected
