"""Which files a study consists of."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from configs import TRAINED, config

from tending.core import paths, plugins, provenance
from tending.run import plan
from tending.run.plan import Plan
from tending.study.published import COMPARISON
from tending.tables import names

# Without a model that is the paper's there is nothing to set beside the published medians.
# So it is with what nobody asked to be measured. Groups come with seeds, effects with three models.
TABLES = ["association", "convergence", "effective_rank", "late_phase", "loss", "stabilisation"]
TABLES += ["training"]
OUTCOMES = "outcome_association"
UNASKED = {"published_medians", "representation_by_step", "seeds", "between_seeds", "effects"}
UNASKED |= {"six_panels", "gradient_norm", "gradient_cosine"}
UNASKED |= {"score_by_n", "evaluations", *plugins.names("tending.metrics.trajectory")}
FIGURES = [name for name in plugins.names("tending.figures") if name not in UNASKED]
PATTERNS = {
    name: value
    for name, value in vars(paths).items()
    if name.isupper() and isinstance(value, str) and name != "STUDY"
}


def job(**wildcards: Any) -> SimpleNamespace:
    return SimpleNamespace(**wildcards)


@pytest.fixture
def small() -> Plan:
    def edit(made: dict[str, Any]) -> None:
        made["models"][1]["steps"] = [0, 512]

    return Plan(config(edit))


def test_every_path_is_in_its_study() -> None:
    assert all(pattern.startswith("results/{study}/") for pattern in PATTERNS.values())
    assert len(set(PATTERNS.values())) == len(PATTERNS)


def test_a_product_has_its_own_log_and_benchmark() -> None:
    assert paths.log(paths.ACTIVATIONS) == "results/{study}/logs/activations/{model}/step{step}.log"
    assert paths.benchmark(paths.TOKENS) == "results/{study}/benchmarks/corpus/tokens.tsv"
    products = [paths.ACTIVATIONS, paths.SPECTRA, paths.CONVERGENCE, paths.CHECKPOINT]
    assert len({paths.log(p) for p in products}) == len(products)


def test_a_file_for_every_model_and_step(small: Plan) -> None:
    assert small.per_checkpoint(paths.SPECTRA) == [
        "results/small/spectra/one/step0.h5",
        "results/small/spectra/one/step16.h5",
        "results/small/spectra/one/step1024.h5",
        "results/small/spectra/two/step0.h5",
        "results/small/spectra/two/step512.h5",
    ]


def test_another_step_or_model_adds_its_own_files_only(small: Plan) -> None:
    more = config(lambda c: c["models"][1].update(steps=[0, 256, 512]))
    more["models"].append({**more["models"][0], "name": "three"})
    before, after = small.per_checkpoint(paths.SPECTRA), Plan(more).per_checkpoint(paths.SPECTRA)
    assert set(before) < set(after)
    added = {p.split("/")[3] + "/" + p.split("/")[4] for p in set(after) - set(before)}
    assert added == {"two/step256.h5", "three/step0.h5", "three/step16.h5", "three/step1024.h5"}


def test_every_model_has_its_own_reference(small: Plan) -> None:
    ask = small.reference_activations
    assert ask(job(model="one", step="16")) == "results/small/activations/one/step1024.h5"
    assert ask(job(model="two", step="0")) == "results/small/activations/two/step512.h5"


def test_a_checkpoint_is_watched_through_its_manifest(small: Plan) -> None:
    files = small.checkpoint_files(job(model="one", step="16"))
    assert files == ["results/small/training/one/manifest.json"]
    assert small.checkpoint_folder(job(model="one", step="16")).endswith("training/one/step16")


def test_a_recipe_is_told_in_full_and_in_order(small: Plan) -> None:
    told = small.recipe(job(model="one"))
    assert list(json.loads(told)) == sorted(json.loads(told))
    assert TRAINED.items() <= json.loads(told).items()


def test_recipes_are_told_as_before_there_was_a_limit_on_tokens() -> None:
    """Else every existing study would train its models again."""
    made = config(lambda c: c["models"][1]["recipe"].update(training_tokens=5000))
    told = [Plan(made).recipe(job(model=name)) for name in ("one", "two")]
    assert told[0] == (
        '{"batch": 16, "d_model": 32, "heads": 2, "layers": 2, "learning_rate": 0.01, '
        '"save_every": 64, "seed": 0, "sequence_length": 64, "steps": 1024}'
    )
    assert json.loads(told[1])["training_tokens"] == 5000


def test_progress_is_a_share_of_each_training(small: Plan) -> None:
    assert small.training_steps() == {"one": 1024, "two": 1024}


def test_tokens_serve_the_probe_and_the_loss() -> None:
    for sequences, scored, expected in ((128, 32, 128), (16, 64, 64), (16, 0, 16)):
        made = config()
        made["corpus"]["sequences"] = sequences
        made["held_out_loss"]["sequences"] = scored
        assert Plan(made).rows() == expected


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("auto", 1), ("cuda", 1)])
def test_a_gpu_is_asked_for_unless_the_config_names_the_cpu(device: str, gpus: int) -> None:
    made = config()
    made["extraction"]["device"] = device
    assert Plan(made).gpus() == gpus


def test_the_context_is_that_of_the_shortest_model() -> None:
    made = config(lambda c: c["models"][1]["recipe"].update(sequence_length=48))
    assert Plan(made).context(job()) == 48


def test_the_metrics_codes_change_with_their_modules(small: Plan) -> None:
    codes = small.metric_codes("tending.metrics.similarity", ["cka", "cka_debiased"])
    names, hashes = zip(*(code.split() for code in codes), strict=True)
    assert names == ("cka", "cka_debiased")
    assert hashes[0] == provenance.code_hash("tending.metrics.similarity.cka")
    assert hashes[0] != hashes[1]


def test_all_figures_are_drawn_unless_some_are_named() -> None:
    every = FIGURES
    assert Plan(config()).figures() == every
    named = config(lambda c: c.update(figures=every[:2]))
    assert Plan(named).figures() == every[:2]


def test_a_figure_without_its_tables_is_not_drawn() -> None:
    made = config(lambda c: c.update(held_out_loss={"sequences": 0}))
    planned = Plan(made)
    for figure in FIGURES:
        only_loss = set(planned.tables_of(figure)) <= {"loss", "late_phase", OUTCOMES}
        assert (figure in planned.figures()) == (not only_loss)


@pytest.mark.parametrize("figure", plugins.names("tending.figures"))
def test_a_figure_says_what_it_needs(figure: str) -> None:
    planned = Plan(config())
    assert set(planned.tables_of(figure)) <= {*names(), "checkpoint_map", "layer_map"}
    assert planned.figure_text(figure, "TITLE")
    assert planned.figure_text(figure, "CATEGORY")


def test_settings_are_the_whole_config_in_order(small: Plan) -> None:
    assert json.loads(small.settings(job())) == small.config
    backwards = dict(reversed(list(small.config.items())))
    assert Plan(backwards).settings(job()) == small.settings(job())


def test_versions_of_stages_and_packages() -> None:
    from tending.stages.activations import activations
    from tending.stages.training import training

    assert plan.module_version("tending.stages.activations.activations") == activations.VERSION
    assert plan.module_version("tending.stages.training.training") == training.VERSION
    assert any(p.startswith("numpy ") for p in plan.embedded_packages())


def test_an_empty_list_of_figures_draws_none() -> None:
    assert Plan(config()).figures() == FIGURES
    assert Plan(config(lambda c: c.update(figures=[]))).figures() == []


def test_an_unknown_family_stops_the_plan_before_any_job(tmp_path: Path) -> None:
    (tmp_path / "step0").mkdir()
    (tmp_path / "step0/config.json").write_text('{"model_type": "mamba"}')
    made = config()
    mine = {"name": "mine", "source": "local", "path": f"{tmp_path}/step{{step}}", "steps": [0]}
    made["models"] = [mine]
    planned = Plan(made)
    for ask in (planned.family_code, planned.context):
        with pytest.raises(ValueError, match=r"family 'mamba'; available: .*llama.*mamba\.py"):
            ask(job(model="mine", step="0"))


def replicating() -> Plan:
    def edit(made: dict[str, Any]) -> None:
        made["models"][0]["published_as"] = "70M"
        made["definitions"] = ["published", "correct"]

    return Plan(config(edit))


def test_a_study_beside_the_paper_has_its_table_and_figure() -> None:
    planned = replicating()
    assert planned.published_as() == {"one": "70M"}
    assert planned.references() == {"one": 1024}
    assert planned.tables() == sorted([*TABLES, COMPARISON, OUTCOMES])
    assert set(planned.figures()) == {*FIGURES, "published_medians"}
    assert f"results/small/tables/{COMPARISON}.csv" in planned.report_files()
    assert len(planned.published_tables()) == 2


def test_a_study_of_its_own_has_nothing_of_the_paper(small: Plan) -> None:
    assert small.tables() == sorted([*TABLES, OUTCOMES])
    assert small.published_as() == small.references() == {}
    assert small.published_tables() == []
    assert not any("published" in path for path in [*small.report_files(), *small.figure_files()])


def test_the_published_definition_extracts_again_and_the_correct_one_does_not(small: Plan) -> None:
    """What a study without it has recorded stays as it was: the version, an integer."""
    assert small.extraction_version() == plan.module_version(
        "tending.stages.activations.activations"
    )
    assert replicating().extraction_version() == "1 correct published"
