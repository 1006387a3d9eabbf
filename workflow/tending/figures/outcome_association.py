"""Association of similarity, rank and gradients with outcomes, controlling for training step."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tending.figures import Options, _panels
from tending.figures import _select as select
from tending.figures._style import FAINT, Look, model_looks, styled
from tending.metrics.statistics.partial_correlation import LEAST_MODELS
from tending.stages.synthesis.outcome_association import (
    COSINE,
    KINDS,
    LOSS,
    PEARSON,
    SPEARMAN,
    WITHIN,
    outcome_quantity,
)

TABLES = ("outcome_association",)
TITLE = "Loss and scores beyond the step"
CATEGORY = "Evaluations"

MOST = 5  # outcomes; further ones are only in the table
NOTHING = "not defined"
_TITLES = {
    SPEARMAN: "Spearman's, given\nthe rank of the step",
    PEARSON: "Pearson's, given\nlog(step + 1)",
    WITHIN: "Pearson's, given log(step + 1)\nand what all models do",
}
_POOLED = "black"
Predictor = tuple[str, str]  # component and quantity


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: outcomes; columns: kinds; in each panel a line per predictor, models as marks."""
    table = tables["outcome_association"]
    shown = _predictors(table, options)
    every = list(dict.fromkeys(_outcome(q) for q in table["quantity"].unique()))
    if not shown or not every:
        raise ValueError("nothing to draw: no predictor and outcome have a step in common")
    outcomes = every[:MOST]
    looks = model_looks(select.models(table[table["model"].notna()], options))
    kinds = KINDS if len(looks) >= LEAST_MODELS else KINDS[:-1]
    height = 0.5 + 0.2 * len(shown)
    figure, axes = _panels.grid(len(outcomes), len(kinds), height, 0.9, sharex=True, sharey=True)
    for outcome, panels in zip(outcomes, axes, strict=True):
        for kind, ax in zip(kinds, panels, strict=True):
            _panel(ax, table, kind, outcome, shown, looks)
            if outcome == outcomes[0]:
                ax.set_title(_TITLES[kind])
        label = outcome.replace("_", " ") if outcome == LOSS else "\n".join(outcome.rsplit(":", 1))
        panels[0].set_ylabel(label)
    for ax in axes[-1]:
        ax.set_xlabel("partial correlation")
    _legend(figure, looks, len(every))
    return figure


def _predictors(table: pd.DataFrame, options: Options) -> list[Predictor]:
    """Return each component's lead similarity, rank and gradients, in the order of the table."""
    rank = options.lead_rank_metric
    wanted = [options.lead_metric, rank, COSINE, f"gradient_{rank}"]
    there = table[["component", "quantity"]].drop_duplicates()
    return [
        (component, name)
        for component in dict.fromkeys(there["component"])
        for name in wanted
        if (
            there["component"].eq(component) & there["quantity"].str.contains(f"n_{name}_vs_")
        ).any()
    ]


def _outcome(quantity: str) -> str:
    return quantity.split("_vs_", 1)[1].removesuffix("_p_value")


def _label(predictor: Predictor) -> str:
    component, name = predictor
    if name == COSINE:
        what = "gradient cosine"
    elif name.startswith("gradient_"):
        what = f"{_rank(name.removeprefix('gradient_'))} of gradients"
    else:
        similar = name.split("_")[0] in ("cka", "svcca", "pwcca", "rsa")
        what = select.metric_label(name) if similar else _rank(name)
    return f"{select.component_label(component)}: {what}"


def _rank(name: str) -> str:
    return "PER" if name == "proportional_effective_rank" else name.replace("_", " ")


def _panel(
    ax: Axes,
    table: pd.DataFrame,
    kind: str,
    outcome: str,
    predictors: Sequence[Predictor],
    looks: dict[str, Look],
) -> None:
    """Draw models from top to bottom in every predictor's row and, if several, pooled below."""
    every = [*looks, None] if len(looks) > 1 else [*looks]
    spread = np.linspace(-0.3, 0.3, len(every)) if len(every) > 1 else [0.0]
    for i, (component, name) in enumerate(predictors):
        quantity = outcome_quantity(kind, name, outcome)
        rows = select.correct(table, quantity)
        rows = rows[(rows["component"] == component) & rows["value"].notna()]
        for model, offset in zip(every, spread, strict=True):
            own = rows[rows["model"].isna() if model is None else rows["model"] == model]
            for row in own.itertuples():
                _mark(ax, row, i + float(offset), looks.get(model) if model else None)
        p_values = select.correct(table, f"{quantity}_p_value").dropna(subset=["value"])
        pooled = p_values[(p_values["component"] == component) & p_values["model"].isna()]
        for p_value in pooled["value"]:
            ax.annotate(f"p = {p_value:.2g}", (1.12, i), va="center", fontsize=7)
    if not ax.lines:
        ax.text(0, (len(predictors) - 1) / 2, NOTHING, ha="center", va="center")
    ax.axvline(0, color=FAINT, linewidth=0.5, zorder=0)
    ax.set_yticks(range(len(predictors)), [_label(p) for p in predictors])
    ax.set(ylim=(len(predictors) - 0.5, -0.5), xlim=(-1.05, 1.5), xticks=[-1, 0, 1])


def _mark(ax: Axes, row: object, at: float, look: Look | None) -> None:
    """Draw one coefficient with its interval; without a look, as pooled."""
    value, low, high = (float(getattr(row, c)) for c in ("value", "low", "high"))
    colour = look.colour if look else _POOLED
    if np.isfinite(low):
        ax.plot([low, high], [at, at], color=colour, linewidth=0.7 if look else 1.4, alpha=0.8)
    marker, size = (look.marker, 3) if look else ("d", 4.5)
    ax.plot([value], [at], color=colour, marker=marker, markersize=size, linestyle="none")


def _legend(figure: Figure, looks: dict[str, Look], outcomes: int) -> None:
    keys = [Line2D([], [], color=s.colour, marker=s.marker, linewidth=0.7) for s in looks.values()]
    keys += [Line2D([], [], color=_POOLED, marker="d", linewidth=1.4)] * (len(looks) > 1)
    several = "pooled, " if len(looks) > 1 else ""
    title = f"line: 95 % interval, where one can be justified; p: {several}by shifts in time"
    if outcomes > MOST:
        title += f"; {MOST} of {outcomes} outcomes, the others in the table"
    _panels.place_legend(figure, keys, [*looks, "pooled"][: len(keys)], title)
