"""Reproduction of published numbers, with one verdict each.

Step 0 needs no download: the published weights start as Gaussians and the proportional effective
rank (PER) does not depend on scale, so random weights of the same shapes must give the published
ranks. The other numbers are compared where a study has the models and steps.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tending.families import Weights, published_family
from tending.metrics.spectrum.proportional_effective_rank import proportional_effective_rank
from tending.stages.spectra.weight_spectra import published_spectra, weight_spectra
from tending.stages.synthesis.published_comparison import computed_quantity
from tending.study import published
from tending.study.published import METRICS, Value

SIZES = {  # the paper's name of a model: d_model and heads
    "70M": (512, 8),
    "160M": (768, 12),
    "410M": (1024, 16),
    "1.4B": (2048, 16),
    "2.8B": (2560, 32),
}
SEED = 0

# ASSUME: tolerances for a correct number's distance from the published one. Another draw of weights
# changes the median of a layer's heads and the down-projection by less than 0.001, W_O W_V by a
# little more; the published numbers are rounded to 0.001.
INITIAL = 0.002
# In addition to the reading error. Ranks need the weights only; CKA needs float32 forward passes
# through every layer, whose order of summation differs between machines and library versions.
ALLOWANCE = {"cka": 0.005, "per_weight": 0.002, "per_gradient": 0.005}
NOTEBOOK = {"cka": 0.001, "per_weight": 0.001, "per_gradient": 0.005}  # printed to 6 digits
PASS, FAIL, NOT_COMPUTED = "pass", "fail", "not computed"
TYPES = {
    "what": "string",
    "model": "string",
    "step": "Int64",
    "source": "string",
    "published": "Float64",
    "computed": "Float64",
    "difference": "Float64",
    "tolerance": "Float64",
    "verdict": "string",
    "remark": "string",
}

Part = tuple[str, str, str]  # component, `head` or `layer`, definition


@dataclass(frozen=True)
class Probe:
    """Probe tokens of a study's CKA; references: model -> its reference step."""

    sequences: int
    position: str
    references: Mapping[str, int]
    tokens: str = ""  # description, if they are known to differ from the paper's

    def departure(self, model: str) -> str:
        """Describe any difference from the paper's probe known from the config; empty if none."""
        if self.tokens:
            return f"CKA on {self.tokens}, not on the batch of step {published.BATCH}"
        ours = self.sequences, self.position, self.references[model]
        paper = published.SEQUENCES, published.POSITION, published.REFERENCE
        if ours == paper:
            return ""
        return "CKA on {} sequences, position {}, to step {}; the paper's: {}, {}, {}".format(
            *ours, *paper
        )


@dataclass(frozen=True)
class Check:
    """A published number and the computed one, or a remark that explains its absence."""

    what: str
    model: str
    step: int
    source: str
    published: float
    tolerance: float
    computed: float | None = None
    remark: str = ""

    @property
    def difference(self) -> float | None:
        """Computed minus published; None if not computed."""
        return None if self.computed is None else self.computed - self.published

    @property
    def verdict(self) -> str:
        """PASS, FAIL or NOT_COMPUTED; NaN fails."""
        if self.difference is None:
            return NOT_COMPUTED
        return PASS if abs(self.difference) <= self.tolerance else FAIL


def initial_checks(values: Iterable[Value], advance: Callable[[], object]) -> list[Check]:
    """Check all numbers of step 0 that follow from shapes; advance() is called after each size."""
    wanted = [value for value in values if value.source in ("step0", "gaussian")]
    checks = []
    for model, (d_model, heads) in SIZES.items():
        ranks = initial_ranks(d_model, heads)
        checks += [
            Check(
                f"{_what(v)}, random weights",
                *(v.model, v.step, v.source, v.value, INITIAL),
                computed=ranks[v.component, v.part, v.definition],
            )
            for v in wanted
            if v.model == model
        ]
        advance()
    return checks


def initial_ranks(d_model: int, heads: int) -> dict[Part, float]:
    """Compute the PER of each part of one Gaussian GPT-NeoX layer; for heads, the median."""
    kind = published_family("gpt_neox")
    config = {"hidden_size": d_model, "num_attention_heads": heads, "num_hidden_layers": 1}
    config |= {"vocab_size": 1, "max_position_embeddings": 1}
    weights = _gaussian_layer(d_model)
    correct = weight_spectra(kind, weights, config)
    spectra = {
        "correct": correct,
        "published": published_spectra(kind, weights, config, correct),
    }
    datasets = {
        ("attention_ov", "head"): "attention_ov_heads",
        ("attention_ov", "layer"): "attention_ov",
        ("mlp_out", "layer"): "mlp_out",
    }
    return {
        (*part, definition): float(np.median(proportional_effective_rank(own[dataset])))
        for definition, own in spectra.items()
        for part, dataset in datasets.items()
    }


def _gaussian_layer(d_model: int) -> Weights:
    random = np.random.default_rng(SEED)
    shapes = {
        "attention.query_key_value": (3 * d_model, d_model),
        "attention.dense": (d_model, d_model),
        "mlp.dense_4h_to_h": (d_model, 4 * d_model),
    }
    return {
        f"layers.0.{name}.weight": random.standard_normal(shape, dtype=np.float32)
        for name, shape in shapes.items()
    }


def study_checks(
    values: Iterable[Value],
    tables: Mapping[str, pd.DataFrame],
    published_as: Mapping[str, str],
    probe: Probe,
) -> list[Check]:
    """Check all published numbers of the models that a study identifies as the paper's.

    tables: `convergence` and `published_comparison`. Numbers that the study lacks are not computed.
    """
    wanted = [value for value in values if value.source in ("figure", "notebook")]
    return [
        _study_check(value, model, tables, probe.departure(model))
        for model, label in published_as.items()
        for value in wanted
        if value.model == label
    ]


def _study_check(
    value: Value, model: str, tables: Mapping[str, pd.DataFrame], departure: str
) -> Check:
    computed, remark = None, ""
    if value.quantity not in METRICS:
        remark = "gradients are not compared with the paper"
    elif value.quantity == "cka" and departure:
        remark = departure
    else:
        computed = _computed(value, model, tables)
        if computed is None:
            remark = "the study has no such step, or not the definition `published`"
    figure = value.source == "figure"
    tolerance = value.error + (ALLOWANCE if figure else NOTEBOOK)[value.quantity]
    where = (model, value.step, value.source, value.value, tolerance)
    return Check(_what(value), *where, computed=computed, remark=remark)


def _computed(value: Value, model: str, tables: Mapping[str, pd.DataFrame]) -> float | None:
    """Look up the study's number for a published one; None if it has none.

    CKA of `mlp_out` has one definition only.
    """
    metric = METRICS[value.quantity]
    median = value.part == "median"
    table = tables[published.COMPARISON if median else "convergence"]
    definition = "published" if median else "correct"
    rows = table[
        (table["model"] == model)
        & (table["step"] == value.step)
        & (table["component"] == value.component)
        & (table["quantity"] == (computed_quantity(metric) if median else metric))
        & (table["definition"] == definition)
        & table["head"].isna()
    ]
    rows = rows if median else rows[rows["layer"] == value.layer]
    return float(rows["value"].astype("float64").iloc[0]) if len(rows) else None


def _what(value: Value) -> str:
    names = {"cka": "CKA", "per_weight": "PER", "per_gradient": "PER of gradients"}
    part = {
        "median": "median over layers",
        "head": "one head",
        "layer": "whole layer" if value.layer is None else f"layer {value.layer}",
    }[value.part]
    cut = ", cut to d_head" if (value.source, value.definition) == ("gaussian", "published") else ""
    return f"{names[value.quantity]} of {value.component}, {part}{cut}"


def table(checks: Iterable[Check]) -> pd.DataFrame:
    """Tabulate checks, one row each, with the columns of TYPES."""
    rows = [
        {**asdict(check), "difference": check.difference, "verdict": check.verdict}
        for check in checks
    ]
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def read(parquet: Path) -> list[Check]:
    """Read checks from a table written before."""
    rows = pd.read_parquet(parquet).astype(TYPES).drop(columns=["difference", "verdict"])
    rows = rows.astype(object).where(rows.notna(), None)
    return [Check(**{str(k): v for k, v in row.items()}) for row in rows.to_dict("records")]


def as_text(checks: list[Check], csv: Path) -> str:
    """Format a table for a terminal: computed numbers line by line, others counted by reason."""
    lines = [_line("what", "model", "step", "published", "computed", "difference", "+-", "verdict")]
    lines += [
        _line(
            *(c.what, c.model, c.step, f"{c.published:.4f}", f"{c.computed:.4f}"),
            *(f"{c.difference:+.4f}", f"{c.tolerance:.4f}", c.verdict),
        )
        for c in checks
        if c.verdict != NOT_COMPUTED
    ]
    for remark in dict.fromkeys(c.remark for c in checks if c.verdict == NOT_COMPUTED):
        count = sum(c.remark == remark for c in checks)
        lines.append(f"{count} {NOT_COMPUTED}: {remark}")
    passed = sum(c.verdict == PASS for c in checks)
    return "\n".join([*lines, f"{passed} pass, {len(failed(checks))} fail; all of it in {csv}"])


def _line(*cells: object) -> str:
    widths = (-58, -12, 7, 10, 10, 11, 7, -7)
    return " ".join(
        f"{cell!s:<{-width}}" if width < 0 else f"{cell!s:>{width}}"
        for cell, width in zip(cells, widths, strict=True)
    ).rstrip()


def failed(checks: Iterable[Check]) -> list[Check]:
    """Return the checks whose number differs from the published one."""
    return [check for check in checks if check.verdict == FAIL]


def require_passes(checks: list[Check], csv: Path) -> None:
    """Raise ValueError naming the numbers that were not reproduced, if any."""
    wrong = failed(checks)
    if wrong:
        named = "; ".join(
            f"{c.what} ({c.model}, step {c.step}): {c.computed:.4f}, published {c.published:.4f}"
            for c in wrong[:5]
        )
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(
            f"{len(wrong)} of {len(checks)} published numbers are not reproduced: {named}{more}. "
            f"All of them are in {csv}; check the models' `published_as`, and that the probe "
            f"sequences are the paper's"
        )
