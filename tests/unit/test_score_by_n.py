"""The figure of scores against the number of sequences."""

import numpy as np
from test_figures import SMALL, _draw, _panels, fabricate


def test_scores_by_n_are_those_of_the_middle_layer_with_intervals_and_a_null() -> None:
    small = fabricate(SMALL)
    panels = _panels(_draw("score_by_n", small, SMALL))
    assert len(panels) == len(SMALL.models) * len(SMALL.components)
    table = small["sample_size"]
    own = table[(table["model"] == "neox-d32") & (table["component"] == "attention_ov")]
    own = own[(own["layer"] == 1) & (own["step"] == SMALL.steps[0])]
    containers = panels[0].containers  # biased and debiased, of an early and a middle step
    assert len(containers) == 4
    for container, metric in zip(containers, ("cka", "cka_debiased"), strict=False):
        rows = own[own["quantity"] == metric]
        line, _, (bars,) = container
        np.testing.assert_allclose(line.get_ydata(), rows["value"].to_numpy(dtype=float))
        ends = [[low, high] for (_, low), (_, high) in bars.get_segments()]
        np.testing.assert_allclose(ends, rows[["low", "high"]].to_numpy(dtype=float))
    nulls = [x for x in panels[0].get_lines() if x.get_label() == "null"]
    assert len(nulls) == 2
    np.testing.assert_allclose(
        nulls[0].get_ydata(), own[own["quantity"] == "cka_null"]["value"].to_numpy(dtype=float)
    )
