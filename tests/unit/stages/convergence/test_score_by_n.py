"""The figure of scores against the number of sequences, and captions of several positions."""

from dataclasses import replace

import numpy as np
import pytest
from fabricated import CAPTIONS, CONFIG, FEW, SMALL, _draw, _panels, _render, fabricate

from tending.figures import _select


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


@pytest.mark.parametrize("caption", sorted(p.name for p in CAPTIONS.glob("*.rst")))
def test_captions_render_with_several_positions(caption: str) -> None:
    page, warnings = _render(
        CAPTIONS / caption,
        {**CONFIG, "extraction": {"position": [15, -1]}, "sample_sizes": [128, 512]},
    )
    assert warnings == ""
    told = '["extraction"]["position"]' in (CAPTIONS / caption).read_text("utf-8")
    assert ("positions 15, -1" in page) == told


@pytest.mark.parametrize(
    ("position", "label"),
    [
        ("last", "sequences, last position"),
        ("-2", "sequences, position -2"),
        ("all", "positions, all positions"),
        ("[15, -1]", "positions, positions 15, -1"),
    ],
)
def test_what_n_counts_and_where(position: str, label: str) -> None:
    table = fabricate(FEW)["convergence"]
    options = replace(FEW.options, position=position)
    assert _select.probe_label(table, options) == f"n = 512 {label}"
