"""Seeds of one configuration: what is computed when models become seeds, or one is new."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from studies import FIGURES, RECIPE, Workplace, contents, study

from tending.core import tables

Copied = Callable[..., Workplace]
STEPS = 3
AGGREGATES = Counter(
    {
        "groups_table": 1,
        **{f"figure_{name}": 1 for name in [*FIGURES, "between_seeds"]},
        **dict.fromkeys(["summary", "study_config", "report"], 1),
    }
)
OF_MODELS = Counter(["effective_rank_table", "convergence_table", "stabilisation_table"])
OF_MODELS += Counter(["loss_table", "late_phase_table", "training_table", "association_table"])
OF_MODELS += Counter(["outcome_association_table"])


def models(seeds: int) -> list[dict[str, Any]]:
    """The tiny study's two models; the first has further seeds."""
    first, other = study()["models"]
    more = [{**first, "name": f"a{s}", "recipe": {**RECIPE, "seed": s}} for s in range(1, seeds)]
    return [*({**model, "group": "g"} for model in [first, *more]), other]


def test_seeds_cost_what_compares_them(copied: Copied) -> None:
    workplace = copied().configure(models=models(2), figures=[*FIGURES, "between_seeds"])
    before = contents(workplace.results / "activations")
    jobs = workplace.planned()
    new = {"train": 1, "checkpoint": STEPS, "activations": STEPS, "spectra": STEPS}
    new |= {"convergence": STEPS, "between": STEPS, "effects_table": 1}
    assert jobs == AGGREGATES + OF_MODELS + Counter(new)
    made = workplace.finish("results/tiny/tables/groups.parquet", "results/tiny/config.json").jobs
    assert all(made[rule] == jobs[rule] for rule in made) and made["between"] == STEPS
    after = contents(workplace.results / "activations")
    assert {name: after[name] for name in before} == before
    table = tables.read(workplace.results / "tables/groups.parquet")
    assert set(table["model"]) == {"g", "a / a1"}
    between = table[table["quantity"] == "cka_between_seeds"]
    assert (between["n"] == 1).all() and between["value"].between(0, 1).all()
    pair = table[(table["quantity"] == "cka_between_pair") & table["layer"].notna()]
    assert (pair["n"] == 24).all() and (pair["low"] <= pair["value"]).all()
    assert pair["value"].tolist() == between.loc[between["layer"].notna(), "value"].tolist()

    # Making the other model's steps more leaves what compares seeds alone.
    changed = models(2)
    changed[-1]["steps"] = [0, 1, 2, 6]
    workplace.configure(models=changed, figures=[*FIGURES, "between_seeds"])
    jobs = workplace.planned()
    assert "between" not in jobs and jobs["groups_table"] == 1

    workplace.configure(models=changed, figures=[*FIGURES, "between_seeds"], similarity=["cka"])
    assert workplace.planned()["between"] == STEPS
    workplace.finish("results/tiny/between/g/step2.h5")
    log = (workplace.results / "logs/between/g/step2.log").read_text("utf-8")
    assert "kept: cka; computing: -" in log
    assert json.loads((workplace.results / "config.json").read_text())["models"][0]["group"] == "g"


def test_models_that_become_seeds_are_not_computed_again(copied: Copied) -> None:
    other = {**study()["models"][0], "name": "b", "recipe": {**RECIPE, "layers": 1, "seed": 1}}
    grouped = [study()["models"][0], {**other, "group": "h"}]
    planned = copied().configure(models=grouped).planned()
    assert planned == AGGREGATES - Counter(["figure_between_seeds"])
