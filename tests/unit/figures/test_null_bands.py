"""Where a figure shows a similarity, the score of permuted sequences is behind it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fabricated import SEEDS, Model, _draw, _panels, fabricate
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from tending.figures import _nulls

PAIR = tuple(Model(f"d{d}-s{s}", 1000 * d, 3, 2, f"d{d}") for d in (32, 64) for s in range(2))
STUDY = replace(SEEDS, models=PAIR, steps=(0, 16, 256, 1024), thresholds=(0.9,))
BIASED = replace(STUDY, metrics=("cka",))
GREY = to_rgba(_nulls.BAND["facecolor"])


@pytest.fixture(scope="module")
def made() -> dict[str, pd.DataFrame]:
    return fabricate(STUDY)


def bands(ax: Axes) -> list[PolyCollection]:
    """The grey ones, as drawn step by step."""
    found = [c for c in ax.collections if isinstance(c, PolyCollection)]
    return [c for c in found if tuple(c.get_facecolor()[0]) == GREY]


def ends(band: PolyCollection) -> tuple[float, float]:
    heights = band.get_paths()[0].vertices[:, 1]  # type: ignore[index, call-overload]
    return float(heights.min()), float(heights.max())


def title(figure: object) -> str:
    return str(figure.legends[0].get_title().get_text())  # type: ignore[attr-defined]


def test_seeds_have_the_null_of_their_scores(made: dict[str, pd.DataFrame]) -> None:
    figure = _draw("seeds", made, STUDY)
    scores = made["convergence"]
    null = scores[scores["quantity"] == "cka_debiased_null"]
    for ax in _panels(figure):
        (band,) = bands(ax)
        assert ends(band) == pytest.approx((null["value"].min(), null["high"].max()), abs=1e-9)
        assert ax.get_ylim()[0] < ends(band)[0]
    assert _nulls.LABEL in title(figure)


def test_pairs_of_seeds_have_the_nulls_of_both_lines(made: dict[str, pd.DataFrame]) -> None:
    """From the smallest mean to the largest quantile of what is between seeds, and within runs."""
    figure = _draw("between_seeds", made, STUDY)
    scores, groups = made["convergence"], made["groups"]
    for ax in _panels(figure):
        (band,) = bands(ax)
        low, high = ends(band)
        between = groups[groups["quantity"] == "cka_debiased_between_seeds_null"]
        within = scores[scores["quantity"] == "cka_debiased_null"]
        assert low == pytest.approx(min(between["value"].min(), within["value"].min()), abs=1e-3)
        assert high == pytest.approx(max(between["high"].max(), within["high"].max()), abs=1e-3)
    assert f"grey: {_nulls.LABEL}" in title(figure)


def test_nulls_that_differ_have_the_colours_of_their_lines() -> None:
    """Biased scores of pairs have a null of 0.3 here, those within runs half of that."""
    figure = _draw("between_seeds", fabricate(BIASED), BIASED)
    for ax in _panels(figure):
        assert not bands(ax)
        tops = {x.get_color(): x.get_ydata() for x in ax.get_lines() if x.get_linestyle() == ":"}
        lines = [x.get_color() for x in ax.get_lines() if x.get_marker() in ("o", "s")]
        assert set(tops) == set(lines) and len(tops) == 2
        np.testing.assert_allclose(tops[lines[0]], 0.31)
    assert "in a line's colour below a dotted line" in title(figure)


def test_an_early_similarity_has_its_null_across_the_panel(made: dict[str, pd.DataFrame]) -> None:
    """Layers' own, and of heads that of all heads of a layer; when layers settle has none."""
    figure = _draw("association", made, STUDY)
    scores = made["convergence"].set_index("quantity")
    quantities = ["cka_debiased_null", "cka_debiased_heads_null", "cka_debiased_null"]
    for i, ax in enumerate(_panels(figure)):
        spans = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_facecolor() == GREY]
        if i % 2 == 0:
            assert not spans
            continue
        (span,) = spans
        known = scores.loc[quantities[i // 2]]
        bottom, top = span.get_y(), span.get_y() + span.get_height()
        assert [bottom, top] == pytest.approx([known["value"].min(), known["high"].max()])
    assert f"grey: {_nulls.LABEL}" in title(figure)


@pytest.mark.parametrize("name", ["seeds", "between_seeds", "association"])
def test_without_a_null_there_is_no_band_and_no_word_of_it(
    name: str, made: dict[str, pd.DataFrame]
) -> None:
    bare = {n: t[~t["quantity"].str.endswith("_null")] for n, t in made.items() if len(t)}
    assert "null" not in title(_draw(name, {**made, **bare}, STUDY))
