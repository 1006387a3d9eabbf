"""The figures of gradients: what is in which panel."""

import numpy as np
from fabricated import SMALL, _draw, _panels, fabricate

from tending.figures import _select as select

MODELS = len(SMALL.models)


def test_six_panels_hold_scores_and_the_ranks_of_weights_and_gradients() -> None:
    made = fabricate(SMALL)
    panels = _panels(_draw("six_panels", made, SMALL))
    assert len(panels) == 6
    columns = {"convergence": "cka_debiased", "effective_rank": "proportional_effective_rank"}
    columns["gradients"] = "proportional_effective_rank"
    for i, component in enumerate(("attention_ov", "mlp_out")):
        for j, (name, quantity) in enumerate(columns.items()):
            heads = component == "attention_ov" and name != "convergence"
            rows = select.by_layer(made[name], quantity, component, heads=heads)
            own = rows[rows["model"] == "neox-d64"].groupby("progress")["value"].median()
            (line,) = [x for x in panels[3 * i + j].get_lines() if x.get_label() == "neox-d64"]
            np.testing.assert_allclose(line.get_xdata(), own.index)
            np.testing.assert_allclose(line.get_ydata(), own)


def test_a_component_without_gradients_has_no_row() -> None:
    made = dict(fabricate(SMALL))
    table = made["gradients"]
    made["gradients"] = table[table["component"].ne("attention_ov").fillna(True)]
    assert len(_panels(_draw("six_panels", made, SMALL))) == 3


def test_norms_and_cosines_have_a_panel_per_component() -> None:
    made = fabricate(SMALL)
    over = {"gradient_norm": "4 to 5 batches", "gradient_cosine": "3 to 4 pairs of consecutive"}
    for name, scale in (("gradient_norm", "log"), ("gradient_cosine", "linear")):
        figure = _draw(name, made, SMALL)
        panels = _panels(figure)
        assert [ax.get_yscale() for ax in panels] == [scale, scale]
        assert all(len([x for x in ax.get_lines() if x.get_marker()]) >= MODELS for ax in panels)
        assert f"means over {over[name]}" in str(figure.legends[0].get_title().get_text())
