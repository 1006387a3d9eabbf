"""The figures of association say what the table says, and that there is too little to say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fabricated import SMALL, TINY, _draw, _panels, fabricate

from tending.core import plugins
from tending.figures import Options, _association
from tending.stages.convergence.stabilisation_rows import fraction_quantity
from tending.stages.synthesis.association_table import association_quantity

FIGURES = ("association", "association_by_step")
RANK = "proportional_effective_rank"
OUTCOMES = (fraction_quantity("cka_debiased", 0.9), "cka_debiased_at_0.2")


@pytest.fixture(scope="module")
def small() -> dict[str, pd.DataFrame]:
    return fabricate(SMALL)


def pooled(table: pd.DataFrame, component: str, quantity: str) -> pd.DataFrame:
    own = table[(table["quantity"] == quantity) & (table["component"] == component)]
    return own[own["model"].isna()].sort_values("step")


def test_every_panel_states_the_pooled_correlation_of_the_table(small: Any) -> None:
    panels = _panels(_draw("association", small, SMALL))
    kinds = (("attention_ov", ""), ("attention_ov", "_heads"), ("mlp_out", ""))
    places = [(*kind, outcome) for kind in kinds for outcome in OUTCOMES]
    assert len(panels) == len(places)
    for ax, (component, kind, outcome) in zip(panels, places, strict=True):
        name = association_quantity(RANK, "reference", outcome, kind)
        (row,) = pooled(small["association"], component, name).itertuples()
        title = ax.get_title(loc="left")
        if pd.isna(row.value):
            assert _association.FEW in title
        else:
            assert f"= {row.value:.2f} [{row.low:.2f}, {row.high:.2f}], p = " in title
            assert f"n = {row.n}" in title
        assert ("within layers" in title) == bool(kind)


def test_there_is_a_point_for_every_layer_and_head(small: Any) -> None:
    panels = _panels(_draw("association", small, SMALL))
    counts = [[len(c.get_offsets()) for c in ax.collections] for ax in panels]
    assert counts == [[2, 3, 4]] * 2 + [[4, 12, 32]] * 2 + [[2, 3, 4]] * 2


def test_ranks_are_drawn_relative_to_their_model(small: Any) -> None:
    """Half of a model's points lie on either side of 0, whatever the model's level."""
    for ax in _panels(_draw("association", small, SMALL)):
        for points in ax.collections:
            assert np.median(np.asarray(points.get_offsets())[:, 0]) == pytest.approx(0, abs=1e-12)


def test_layers_that_never_settle_are_beyond_the_end_of_training() -> None:
    study = replace(SMALL, components=("mlp_out",), reference=False)
    ax = _panels(_draw("association", fabricate(study), study))[0]
    for points in ax.collections:
        assert (np.asarray(points.get_offsets())[:, 1] > 1).all()
    assert "never" in [label.get_text() for label in ax.get_yticklabels()]


def test_lines_by_step_are_those_of_the_table(small: Any) -> None:
    panels = _panels(_draw("association_by_step", small, SMALL))
    (line,) = [x for x in panels[3].get_lines() if x.get_label() == "pooled"]
    name = association_quantity(RANK, "step", OUTCOMES[1], "_heads")
    rows = pooled(small["association"], "attention_ov", name)
    np.testing.assert_allclose(line.get_ydata(), rows["value"].to_numpy(float))
    assert list(line.get_xdata()) == rows["step"].tolist() == list(SMALL.steps)


@pytest.mark.parametrize("name", FIGURES)
def test_too_few_layers_are_said_to_be_too_few(name: str) -> None:
    figure = _draw(name, fabricate(TINY), TINY)
    for ax in _panels(figure):
        said = [ax.get_title(loc="left"), *(text.get_text() for text in ax.texts)]
        assert _association.FEW in said


def test_the_reader_is_told_how_many_correlations_there_are(small: Any) -> None:
    table = small["association"]
    count = int((table["value"].notna() & ~table["quantity"].str.endswith("_p_value")).sum())
    for name in FIGURES:
        (legend,) = _draw(name, small, SMALL).legends
        assert f"the table has {count:,} correlations" in legend.get_title().get_text()


def test_without_fractions_of_training_only_settling_is_shown(small: Any) -> None:
    options = Options(**{**vars(SMALL.options), "progress": ()})
    figure = plugins.load("tending.figures", "association", "figure").draw(small, options)
    assert len(_panels(figure)) == 3


def test_components_without_both_sides_are_an_error_that_says_so(small: Any) -> None:
    none = {**small, "effective_rank": small["effective_rank"][:0]}
    with pytest.raises(ValueError, match="no component has both proportional_effective_rank"):
        _draw("association", none, SMALL)
