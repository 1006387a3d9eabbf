"""Fabricated tables of a study, with known numbers, and figures drawn from them."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradient_rows
import jinja2
import numpy as np
import pandas as pd
import trajectories
from docutils.core import publish_string
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tending.core import plugins, tables
from tending.core.estimates import Estimates
from tending.figures import Options
from tending.metrics.statistics import late_phase
from tending.stages.convergence import stabilisation_rows
from tending.stages.convergence.score_rows import error_quantity, heads_null_quantity, null_quantity
from tending.stages.convergence.stabilisation_intervals import interval_quantity
from tending.stages.seeds import group_tables
from tending.stages.seeds.between_seeds_rows import between_blocks
from tending.stages.synthesis import effects, late_phase_rows, outcome_association
from tending.stages.synthesis.association_table import Asked, association

PACKAGE = "tending.figures"
CAPTIONS = Path(__file__).parents[2] / "workflow" / "report"
SIZES = (128, 256, 512)


@dataclass(frozen=True)
class Model:
    name: str
    parameters: int
    layers: int
    heads: int
    group: str = ""  # default: a group of its own


@dataclass(frozen=True)
class Study:
    """A fabricated study."""

    models: tuple[Model, ...]
    steps: tuple[int, ...]
    metrics: tuple[str, ...] = ("cka", "cka_debiased")
    rank_metrics: tuple[str, ...] = ("effective_rank", "proportional_effective_rank")
    thresholds: tuple[float, ...] = (0.8, 0.9, 0.95)
    components: tuple[str, ...] = ("attention_ov", "mlp_out")
    trained: bool = True
    reference: bool = True  # the last step is the one the others are compared with

    @property
    def options(self) -> Options:
        return Options(
            study="fabricated",
            metrics=self.metrics,
            rank_metrics=self.rank_metrics,
            thresholds=self.thresholds,
            early=0.2,
            sequences=512,
            position="last",
            models=tuple(m.name for m in self.models),
            groups={m.name: m.group or f"{m.name}, seeds" for m in self.models},
        )


SMALL = Study(
    models=(
        Model("neox-d128", 1_055_000, 4, 8),
        Model("neox-d32", 91_000, 2, 2),
        Model("neox-d64", 281_000, 3, 4),
    ),
    steps=(0, 1, 4, 16, 64, 128, 192, 256, 384, 512, 640, 768, 896, 1024),
)
TINY = replace(SMALL, models=(Model("one-layer", 5000, 1, 0),), steps=(0, 10, 20), trained=False)
SEEDS = replace(
    SMALL,
    models=tuple(
        Model(f"d{d}-s{s}", 1000 * d, layers, 2, f"d{d}")
        for d, layers in ((32, 2), (64, 3))
        for s in range(3)
    ),
    steps=(0, 16, 64, 256, 1024),
)
FEW = replace(SMALL, steps=(0, 16, 256, 1024))


@cache
def fabricate(study: Study, seed: int = 0) -> dict[str, pd.DataFrame]:
    """All tables of a study whose layers approach their end smoothly, with a little noise."""
    random = np.random.default_rng(seed)
    convergence = _table(study, _scores(study, random))
    lengths = {m.name: study.steps[-1] for m in study.models}
    layers = {
        "convergence": convergence,
        "effective_rank": _table(study, _ranks(study, random)),
        "stabilisation": _settling(study, convergence),
    }
    asked = Asked(study.rank_metrics, study.metrics, study.thresholds, (0.1, 0.2), lengths)
    made = {
        **layers,
        "association": association(layers, asked),
        "loss": _table(study, _losses(study)),
        "late_phase": _late(study),
        "training": _table(study, _training(study, random) if study.trained else []),
        "published_comparison": _comparison(study, random),
        "representation": _table(study, _representations(study, random)),
        **trajectories.fabricate(
            {m.name: (m.parameters, m.layers) for m in study.models}, study.steps, study.components
        ),
        "sample_size": _table(study, _samples(study)),
        "gradients": _table(
            study, gradient_rows.rows(_places(study), study.steps, study.rank_metrics)
        ),
        "evaluations": _table(study, _evaluations(study, random)),
    }
    lead = outcome_association.Asked(study.rank_metrics, study.metrics, lengths)
    made["outcome_association"] = outcome_association.outcome_association(made, lead)
    rates = {m.name: _rate(m) for m in study.models} if study.trained else {}
    settled = made["stabilisation"]
    found_effects = effects.effects(settled, study.metrics, study.thresholds, rates)
    return {**made, "groups": _groups(study, made, random), "effects": tables.table(found_effects)}


def _rate(model: Model) -> float:
    """Falls with size, in groups by their name."""
    halvings = {"fast": 0, "slow": 1, "slower": 2}.get(model.group.split("-")[-1])
    return float(0.3 / model.parameters**0.3) if halvings is None else 0.01 / 2**halvings


def _groups(
    study: Study, made: Mapping[str, pd.DataFrame], random: np.random.Generator
) -> pd.DataFrame:
    members: dict[str, list[str]] = {}
    for model, group in study.options.groups.items():
        members.setdefault(group, []).append(model)
    read = [made[name] for name in ("convergence", "effective_rank", "stabilisation", "loss")]
    wanted = study.metrics, study.rank_metrics, study.thresholds
    blocks = group_tables.groups(members, *read, *wanted)
    own = {study.options.groups[m.name]: m for m in study.models}
    for group, step in itertools.product([g for g in members if len(members[g]) > 1], study.steps):
        seeds = len(members[group])
        shape = seeds * (seeds - 1) // 2, own[group].layers
        scores = {m: {c: _pairs(random, m, shape) for c in study.components} for m in study.metrics}
        place = {"study": "s", "group": group, "step": step, "parameters": own[group].parameters}
        last = study.steps[-1]
        place |= {"rows": 512}
        blocks += between_blocks(scores, place, members[group], study.metrics, last)
    return tables.table(blocks)


def _pairs(random: np.random.Generator, metric: str, shape: tuple[int, int]) -> Estimates:
    """Scores of pairs of seeds; the null of biased ones is not that within runs."""
    made = Estimates.undefined(shape, 8)
    made.value[...] = random.uniform(0.2, 0.6, shape)
    made.draws[...] = made.value[..., None] + random.normal(0, 0.02, (*shape, 8))
    made.standard_error[...], made.low[...] = 0.02, made.value - 0.04
    made.high[...], made.null_mean[...] = made.value + 0.04, 0.3 if metric == "cka" else 0
    made.null_high[...] = made.null_mean + 0.01
    return made


def _settling(study: Study, convergence: pd.DataFrame) -> pd.DataFrame:
    """Brackets, and their intervals: one checkpoint further on either side."""
    brackets = stabilisation_rows.stabilisation(
        convergence,
        study.metrics,
        study.thresholds,
        early=study.options.early,
        training_steps={m.name: study.steps[-1] for m in study.models},
    )
    intervals = brackets[brackets["value"].notna()].copy()
    intervals["quantity"] = intervals["quantity"].map(interval_quantity)
    fraction = intervals["quantity"].str.contains("fraction")
    intervals["low"] = intervals["low"].where(~fraction, intervals["low"] / 2)
    intervals["high"] = intervals["high"].mask(
        intervals["layer"].eq(1).fillna(False)
    )  # seldom settles
    return pd.concat([brackets, intervals.assign(n=200)], ignore_index=True)


def _table(study: Study, rows: list[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(tables.COLUMNS))
    sizes = {m.name: m.parameters for m in study.models}
    table["study"], table["definition"] = "fabricated", "correct"
    table["parameters"] = table["model"].map(sizes)
    steps = pd.to_numeric(table["step"])
    table["progress"] = (steps / study.steps[-1]).astype("Float64")
    for column in ("value", "low", "high"):
        table[column] = table[column].astype("float64")
    return table.astype(tables.TYPES)


def _places(study: Study) -> list[tuple[Model, str, int, int | None]]:
    return [
        (model, component, layer, head)
        for model in study.models
        for component in study.components
        for layer in range(model.layers)
        for head in [None, *(range(model.heads) if component == "attention_ov" else ())]
    ]


def _scores(study: Study, random: np.random.Generator) -> list[dict[str, Any]]:
    steps = np.array(study.steps)
    at = np.log1p(steps) / np.log1p(steps[-1])
    rows = []
    for model, component, layer, head in _places(study):
        depth = layer / max(model.layers - 1, 1)
        speed = 0.45 + 0.3 * depth + 0.1 * (component == "mlp_out")
        speed -= 0.12 * np.log10(model.parameters / 1e6)
        true = 1 / (1 + np.exp(-9 * (at - 0.55 - speed / 2.5)))
        true = (true - true[0]) / (true[-1] - true[0]) + random.normal(0, 0.015, len(steps))
        if study.reference:
            true[-1] = 1
        for metric in study.metrics:
            floor = 0.15 if metric == "cka" else -0.01
            for step, value in zip(study.steps, floor + (1 - floor) * true, strict=True):
                place = {"component": component, "layer": layer, "head": head}
                row = {"model": model.name, "step": step, "n": 512, **place}
                value = min(value, 1.0) - (not study.reference) / 2
                ends = {"low": value - 0.03 * (1 - value), "high": value + 0.03 * (1 - value)}
                rows.append({**row, "quantity": metric, "value": value, **ends})
                if head == 0:
                    ends = {"value": floor, "high": floor + 0.04}
                    quantity = heads_null_quantity(metric)
                    rows.append({**row, "head": None, "quantity": quantity, **ends})
                if head is None:
                    null = floor * np.log10(model.parameters) / 6
                    ends = {"value": null, "high": null + 0.02}
                    rows.append({**row, "quantity": null_quantity(metric), **ends})
                    rows.append({**row, "quantity": error_quantity(metric), "value": 0.01})
    return rows


def _samples(study: Study) -> list[dict[str, Any]]:
    """Scores at all but the last step; biased ones fall to the others as n grows."""
    rows = []
    for model, component, layer, head in _places(study):
        for step, metric, n in itertools.product(study.steps[:-1], study.metrics, SIZES):
            if head is not None:
                continue
            bias = 50 / (n + 50) if metric == "cka" else 0.0
            true = 0.2 + 0.7 * step / study.steps[-1]
            row = {"model": model.name, "step": step, "component": component, "layer": layer}
            value = true + (1 - true) * bias
            ends = {"low": value - 2 / n**0.5, "high": value + 2 / n**0.5}
            rows.append({**row, "quantity": metric, "n": n, "value": value, **ends})
            rows.append(
                {**row, "quantity": f"{metric}_standard_error", "n": n, "value": 1 / n**0.5}
            )
            null = {"value": bias, "high": bias + 0.1}
            rows.append({**row, "quantity": f"{metric}_null", "n": n, **null})
    return rows


def _ranks(study: Study, random: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for model, component, layer, head in _places(study):
        start = 0.966 if component == "mlp_out" or head is not None else 0.668
        for step in study.steps:
            progress = step / study.steps[-1]
            fall = 0.3 - 0.05 * np.log10(model.parameters / 1e5)
            value = start * (1 - fall * progress**0.5) + random.normal(0, 0.004)
            for quantity in study.rank_metrics:
                place = {"component": component, "layer": layer, "head": head}
                row = {"model": model.name, "step": step, "quantity": quantity}
                scale = 64.0 if quantity == "effective_rank" else 1.0
                if quantity == "condition_number" and (head is None or layer == 0):
                    scale = math.inf  # as where heads share values
                rows.append({**row, **place, "value": value * scale})
    return rows


def _representations(study: Study, random: np.random.Generator) -> list[dict[str, Any]]:
    metrics = {"anisotropy": 0.6, "intrinsic_dimension": 9.0, "power_law_alpha": 2.5}
    metrics |= {"power_law_alpha_x_min": 4.0}
    rows = []
    for (model, component, layer, head), step in itertools.product(_places(study), study.steps):
        for quantity, level in metrics.items():
            value = level * (1 - 0.4 * step / study.steps[-1]) + random.normal(0, 0.02 * level)
            place = {"component": component, "layer": layer, "head": head}
            row = {"model": model.name, "step": step, "quantity": quantity, "n": 512}
            ends = {"low": value - 0.1 * level, "high": value + 0.1 * level}
            missing = quantity == "intrinsic_dimension" and layer == 0 and step == 0
            rows.append({**row, **place, **ends, "value": math.nan if missing else value})
    return rows


def _losses(study: Study) -> list[dict[str, Any]]:
    rows = []
    for model, step in itertools.product(study.models, study.steps):
        value = _loss(model, study, step)
        row = {"model": model.name, "step": step, "n": 512}
        ends = {"low": value - 0.04, "high": value + 0.04}
        rows.append({**row, "quantity": "held_out_loss", "value": value, **ends})
        rows.append({**row, "quantity": "held_out_loss_standard_error", "value": 0.02})
    return rows


def _late(study: Study) -> pd.DataFrame:
    blocks: list[tables.Columns] = []
    for model in study.models:
        values = [_loss(model, study, step) for step in study.steps]
        late = late_phase.of_means(values, [0.02] * len(values), study.steps)
        place = {"study": "fabricated", "model": model.name, "parameters": model.parameters}
        blocks += late_phase_rows.blocks(place, "held_out_loss", late, study.steps[-1], 512)
    return tables.table(blocks)


def _evaluations(study: Study, random: np.random.Generator) -> list[dict[str, Any]]:
    """Scores that rise, of which one has standard errors and a direction."""
    rows: list[dict[str, Any]] = [{"quantity": "arc_easy:acc_higher_is_better", "value": 1.0}]
    for model, step in itertools.product(study.models, study.steps):
        value = 0.25 + 0.3 * step / study.steps[-1] + random.normal(0, 0.02)
        row = {"model": model.name, "step": step}
        ends = {"low": value - 0.02, "high": value + 0.02}
        rows.append({**row, "quantity": "arc_easy:acc", "value": value, **ends, "n": 2376})
        rows.append({**row, "quantity": "arc_easy:acc_standard_error", "value": 0.01})
        rows.append({**row, "quantity": "lambada:perplexity", "value": 1 / value})
    return rows


def _loss(model: Model, study: Study, step: int) -> float:
    end = 6 - 0.4 * np.log10(model.parameters)
    return float(end + (7.1 - end) * (1 - np.log1p(step) / np.log1p(study.steps[-1])) ** 1.2)


def _training(study: Study, random: np.random.Generator) -> list[dict[str, Any]]:
    last = study.steps[-1]
    rows = []
    for model in study.models:
        for step in np.unique(np.linspace(1, last, min(last, 1024)).astype(int)):
            rate = min(step / (0.01 * last), 0.55 + 0.45 * np.cos(np.pi * step / last))
            row = {"model": model.name, "step": step}
            loss = _loss(model, study, step) + random.normal(0, 0.08)
            rows.append({**row, "quantity": "training_loss", "value": loss})
            rate *= 3e-1 / model.parameters**0.3
            rows.append({**row, "quantity": "learning_rate", "value": rate})
            rows.append({**row, "quantity": "tokens_per_second", "value": 4e4})
    return rows


def _comparison(study: Study, random: np.random.Generator) -> pd.DataFrame:
    """Published medians as if the paper had every model and step; `published` is nearer to it."""
    measured = [*study.metrics, *study.rank_metrics]
    metrics = [m for m in ("cka", "proportional_effective_rank") if m in measured]
    rows: list[dict[str, Any]] = []
    for model, component, step, metric in itertools.product(
        study.models, study.components, study.steps, metrics
    ):
        place = {"study": "fabricated", "model": model.name, "parameters": model.parameters}
        place |= {"step": step, "progress": step / study.steps[-1], "component": component}
        value = 0.4 + 0.5 * step / study.steps[-1]

        def add(
            quantity: str, definition: str, value: float, place: dict[str, Any] = place, **ends: Any
        ) -> None:
            row = {"quantity": quantity, "definition": definition, "value": value}
            rows.append({**place, **row, **ends})

        add(f"{metric}_published", "published", value)
        for definition, off in (("correct", 0.1), ("published", 0.01)):
            own = value + off * float(np.sign(random.normal()))
            add(f"{metric}_computed", definition, own)
            add(f"{metric}_difference", definition, own - value)
            if metric == "cka":
                add(null_quantity(metric), definition, 0.2, high=0.25)
    return tables.table([pd.DataFrame(rows).to_dict("list")])


def _draw(name: str, made: Mapping[str, pd.DataFrame], study: Study) -> Figure:
    figure: Figure = plugins.load(PACKAGE, name, "figure").draw(made, study.options)
    return figure


def _panels(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>" and ax.axison]


CONFIG = {
    "study": "quick",
    "duplicates": "drop",
    "note": "Trained here, in *minutes*.\n\nSecond paragraph with a_trailing_ word.",
    "corpus": {"source": "embedded", "sequences": 512},
    "held_out_loss": {"sequences": 96},
    "reference": "last",
    "similarity": ["cka", "cka_debiased"],
    "spectrum": ["effective_rank", "proportional_effective_rank"],
    "stabilisation": {"thresholds": [0.8, 0.9, 0.95], "early": 0.2},
    "association": {"progress": [0.1, 0.2]},
    "extraction": {"position": "last"},
    "trajectory": ["drift", "subspace_overlap"],
    "subspace": {"directions": 10},
    "gradients": {"batches": "auto", "window": 2, "sequences": 128, "held_out_batches": 4},
    "models": [
        {"name": "neox-d32", "source": "trained"},
        {"name": "p_", "source": "hub", "repository": "org/p_"},
    ],
}


def _render(caption: Path, config: Mapping[str, Any]) -> tuple[str, str]:
    """HTML and docutils' warnings of a caption, rendered as `snakemake --report` does."""
    template = jinja2.Environment(
        # as Snakemake renders them
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).from_string(caption.read_text())
    warnings = StringIO()
    settings = {"warning_stream": warnings, "report_level": 1, "halt_level": 5}
    text = template.render(snakemake=SimpleNamespace(config=config))
    page = publish_string(text, writer="html5", settings_overrides=settings)
    return page.decode() if isinstance(page, bytes) else page, warnings.getvalue()
