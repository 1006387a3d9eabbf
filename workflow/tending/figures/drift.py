"""Distance and speed of activations' movement from checkpoint to checkpoint."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from tending.figures import Options, _nulls, _panels
from tending.figures import _select as select
from tending.figures._style import model_looks, styled
from tending.stages.convergence.score_rows import null_quantity

TABLES = ("trajectory",)
TITLE = "Drift from checkpoint to checkpoint"
CATEGORY = "Trajectory"

SIMILARITY, SPEED = "cka_debiased_step_to_step", "cka_debiased_drift_speed"


@styled
def draw(tables: Mapping[str, pd.DataFrame], options: Options) -> Figure:
    """Rows: similarity with the previous checkpoint, and speed; columns: components."""
    table = tables["trajectory"]
    components = select.components(table, [SIMILARITY])
    looks = model_looks(select.models(table, options))
    moved = select.correct(table, SIMILARITY).dropna(subset="value")
    figure, axes = _panels.grid(2, len(components), 1.9, 0.7, sharex=True, sharey="row")
    alike = True
    for quantity, row in zip((SIMILARITY, SPEED), axes, strict=True):
        shown, nulls = list[pd.Series](), list[pd.Series]()
        for component, ax in zip(components, row, strict=True):
            rows = select.by_layer(table, quantity, component).dropna(subset="value")
            null = _null(table, quantity, component)
            shown += [rows["value"]]
            nulls += [null["low"]]
            alike &= _nulls.of_models(ax, null, looks, relative=quantity == SPEED)
            if quantity == SPEED:
                rows = rows[rows["value"] > 0]  # equal checkpoints have a speed of 0 and no log
                ax.set_yscale("log")
            _panels.medians(ax, rows, looks)
            _panels.step_axis(ax, select.steps(moved), label=row is axes[-1])
            if row is axes[0]:
                ax.set_title(select.component_label(component))
        if quantity == SIMILARITY:
            row[0].set_ylim(*_panels.score_limits(pd.concat(shown), pd.concat(nulls)))
    axes[0][0].set_ylabel("CKA (debiased)\nwith the checkpoint before")
    axes[1][0].set_ylabel("speed since then\n(radians per training run)")
    for ax in axes[0]:
        _panels.zero_line(ax)
    title = (
        f"median over layers, band from quartile to quartile; {select.probe_label(table, options)}"
    )
    if any(len(_null(table, SIMILARITY, component)) for component in components):
        where = "grey" if alike else "grey, or in a model's colour below a dotted line"
        title += f"\n{where}: {_nulls.LABEL}; of the speed, its 5 % quantile to mean"
    _panels.model_legend(figure, looks, title)
    return figure


def _null(table: pd.DataFrame, quantity: str, component: str) -> pd.DataFrame:
    """Return the null of every layer that has one: `low` and `high` are mean and 95 % quantile.

    For the speed, `high` is the mean and `low` its 5 % quantile, from the similarity's 95 % one.
    """
    rows = select.by_layer(table, null_quantity(quantity), component).dropna(subset="value")
    return rows.assign(**{"high" if quantity == SPEED else "low": rows["value"]})
