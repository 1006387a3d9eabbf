"""Recomputation after a change: counted in plans, and run where numbers matter."""

from collections import Counter
from collections.abc import Callable

from studies import FIGURES, RECIPE, Workplace, contents, edit, study

from tending.core import store, tables

Copied = Callable[..., Workplace]
AGGREGATES = Counter(
    [
        *(f"{name}_table" for name in ("effective_rank", "convergence", "stabilisation", "loss")),
        *("association_table", "late_phase_table", "outcome_association_table"),
        *(f"figure_{name}" for name in FIGURES),
        *("summary", "study_config", "report"),
    ]
)
SIMILARITY = "workflow/tending/metrics/similarity"


def without(jobs: Counter[str], *names: str) -> Counter[str]:
    return Counter({rule: n for rule, n in jobs.items() if rule not in names})


def test_adding_a_step_computes_that_step(copied: Copied) -> None:
    workplace = copied().configure(steps=[0, 1, 2, 6])
    jobs = workplace.planned()
    per_step = ("checkpoint", "activations", "spectra", "convergence")
    # Tables of trainings do not depend on the steps of the study, and nothing is trained again.
    assert jobs == AGGREGATES + Counter(dict.fromkeys(per_step, 2))


def test_adding_a_model_computes_that_model(copied: Copied) -> None:
    models = study()["models"]
    models.append({"name": "c", "source": "trained", "recipe": {**RECIPE, "seed": 7}})
    workplace = copied().configure(models=models)
    before = contents(workplace.results / "activations")
    jobs = workplace.planned()
    per_step = ("checkpoint", "activations", "spectra", "convergence")
    # Three sizes are enough for the effects of size.
    once = ("train", "training_table", "effects_table")
    new = Counter({**dict.fromkeys(once, 1), **dict.fromkeys(per_step, 3)})
    assert jobs == AGGREGATES + new
    workplace.finish("results/tiny/convergence/c/step6.h5")
    after = contents(workplace.results / "activations")
    assert {name: after[name] for name in before} == before


def test_adding_a_metric_computes_only_it(copied: Copied) -> None:
    workplace = copied(with_library=True)
    new = workplace.repository / SIMILARITY / "half_cka.py"
    new.write_text((workplace.repository / SIMILARITY / "cka.py").read_text("utf-8"), "utf-8")
    edit(new, "return inner.xy", "return 0.5 * inner.xy")
    # Without an influence the score is what `compare` gives.
    edit(new, "    influence=influence,\n    streams=True,\n", "")
    workplace.configure(similarity=["cka", "cka_debiased", "half_cka"])
    jobs = workplace.planned()
    unmoved = ("effective_rank_table", "loss_table", "late_phase_table")
    assert jobs == without(AGGREGATES, *unmoved) - Counter({"figure_rank_by_step": 0}) + Counter(
        {"convergence": 6}
    )
    workplace.finish("results/tiny/tables/convergence.parquet")
    log = (workplace.results / "logs/convergence/a/step2.log").read_text("utf-8")
    assert "kept: cka, cka_debiased; computing: half_cka" in log
    table = tables.read(workplace.results / "tables/convergence.parquet")
    wide = table.pivot_table(
        index=["model", "step", "component", "layer", table["head"].fillna(-1)],
        columns="quantity",
        values="value",
    )
    assert len(wide) == 36
    assert (wide["half_cka"] * 2 - wide["cka"]).abs().max() < 1e-12


def test_adding_a_spectrum_metric_computes_only_it(copied: Copied) -> None:
    workplace = copied(with_library=True)
    folder = workplace.repository / "workflow/tending/metrics/spectrum"
    text = (folder / "effective_rank.py").read_text("utf-8")
    (folder / "twice.py").write_text(text.replace("np.exp(", "2 * np.exp("), "utf-8")
    names = ["effective_rank", "proportional_effective_rank", "twice"]
    jobs = workplace.configure(spectrum=names).planned()
    unmoved = ("convergence_table", "stabilisation_table", "loss_table", "late_phase_table")
    assert jobs == without(AGGREGATES, *unmoved)
    workplace.finish("results/tiny/tables/effective_rank.parquet")
    table = tables.read(workplace.results / "tables/effective_rank.parquet")
    values = table.pivot(index=["model", "step", "component", "layer", "head"], columns="quantity")
    assert (values["value"]["twice"] == 2 * values["value"]["effective_rank"]).all()


def test_changing_a_figure_redraws_only_it(copied: Copied) -> None:
    workplace = copied(with_library=True)
    figure = workplace.repository / "workflow/tending/figures/rank_by_step.py"
    figure.write_text(figure.read_text("utf-8") + "\nUNUSED = 1\n", "utf-8")
    assert workplace.planned() == Counter(["figure_rank_by_step", "report"])


def test_a_comment_computes_nothing(copied: Copied) -> None:
    workplace = copied(with_library=True)
    for file in (workplace.repository / "workflow").rglob("*.py"):
        file.write_text(file.read_text("utf-8") + "\n# A comment that changes nothing.\n", "utf-8")
    edit(workplace.repository / SIMILARITY / "cka.py", '"""Linear CKA', '"""The linear CKA')
    assert "Nothing to be done" in workplace.finish("--dry-run").output


def test_a_changed_script_runs_again(copied: Copied) -> None:
    workplace = copied(with_library=True)
    edit(workplace.repository / "workflow/scripts/summary.py", "read = {", "read = {} | {")
    planned = workplace.planned()
    assert planned["summary"] == 1 and not any(rule.endswith("_table") for rule in planned)


def test_a_changed_table_is_made_again(copied: Copied) -> None:
    workplace = copied(with_library=True)
    table = workplace.repository / "workflow/tending/tables/convergence.py"
    edit(table, 'int(read.attributes["rows"])', '2 * int(read.attributes["rows"])')
    planned = workplace.planned()
    assert planned["convergence_table"] == 1
    assert not {"spectra", "effective_rank_table"} & set(planned)


def test_a_deleted_table_or_figure_is_made_again(copied: Copied) -> None:
    workplace = copied()
    (workplace.results / "tables/loss.csv").unlink()
    (workplace.results / "figures/rank_by_step.png").unlink()
    jobs = workplace.planned()
    assert jobs["loss_table"] == jobs["figure_rank_by_step"] == 1


def test_changed_arithmetic_recomputes_that_metric_everywhere(copied: Copied) -> None:
    workplace = copied(with_library=True)
    before = store.read_scores(workplace.results / "convergence/a/step2.h5")
    cka = workplace.repository / SIMILARITY / "cka.py"
    edit(cka, "import math", "import dataclasses\nimport math")
    quarter = "dataclasses.replace(biased(found), score=0.25 * biased(found).score)"
    edit(cka, "\n\n\nMETRIC", f"\n\n\ndef quarter(found):\n    return {quarter}\n\n\nMETRIC")
    edit(cka, "of_prepared=biased", "of_prepared=quarter")
    jobs = workplace.planned()
    assert jobs["convergence"] == 6
    assert not {"activations", "spectra", "train", "effective_rank_table"} & set(jobs)
    workplace.finish("results/tiny/convergence/a/step2.h5")
    log = (workplace.results / "logs/convergence/a/step2.log").read_text("utf-8")
    assert "kept: cka_debiased; computing: cka" in log
    after = store.read_scores(workplace.results / "convergence/a/step2.h5")
    for component, estimates in before.metrics["cka"].items():
        assert (after.metrics["cka"][component].value == 0.25 * estimates.value).all()
        kept, old = (scores.metrics["cka_debiased"][component] for scores in (after, before))
        for name, values in vars(old).items():
            assert (getattr(kept, name) == values).all(), name


def test_changed_shared_arithmetic_recomputes_every_metric_that_uses_it(copied: Copied) -> None:
    workplace = copied(with_library=True)
    shared = workplace.repository / SIMILARITY / "_moments.py"
    edit(shared, "np.asarray(np.einsum(", "np.asarray(1 * np.einsum(")
    workplace.finish("results/tiny/convergence/a/step2.h5")
    log = (workplace.results / "logs/convergence/a/step2.log").read_text("utf-8")
    assert "kept: -; computing: cka, cka_debiased" in log


def test_a_changed_extraction_setting_extracts_again(copied: Copied) -> None:
    workplace = copied().configure(extraction={"device": "cpu", "position": 3})
    planned = workplace.planned()
    assert planned["activations"] == planned["convergence"] == 6
    assert not {"train", "spectra", "checkpoint"} & set(planned)


def test_finished(copied: Copied) -> None:
    """The copies above start from a study in which there is nothing to do."""
    assert "Nothing to be done" in copied().finish("--dry-run").output
