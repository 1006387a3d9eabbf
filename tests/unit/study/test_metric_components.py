"""Which metric is taken of which component, and what a study must not ask for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from configs import SCHEMA, config, problems, written
from snakemake.utils import validate

from tending import components
from tending.core import plugins
from tending.run import config as study
from tending.run.plan import Plan
from tending.stages.convergence import component_filter
from tending.study import metric_components

Config = dict[str, Any]
ALL = plugins.names(components.PACKAGE)


def normal(edit: Callable[[Config], object]) -> Config:
    made = config(edit)
    metric_components.normalise(made)
    return made


def asking(**changes: Any) -> Config:
    return normal(lambda c: c.update(changes))


def test_the_default_study_has_the_papers_two() -> None:
    made = normal(lambda _: None)
    assert made["components"] == list(components.DEFAULT) == ["attention_ov", "mlp_out"]
    assert metric_components.RESTRICTED not in made
    study.check(made)


def test_names_are_left_alone_and_restrictions_kept_apart() -> None:
    only = {"name": "gini", "components": ["mlp_out"]}
    made = asking(spectrum=["effective_rank", only])
    assert made["spectrum"] == ["effective_rank", "gini"]
    assert metric_components.restrictions(made, "spectrum") == {"gini": ["mlp_out"]}
    assert metric_components.restrictions(made, "similarity") == {}
    once = json.dumps(made)
    metric_components.normalise(made)
    assert json.dumps(made) == once
    assert Plan(made).restricted("spectrum") == ["gini mlp_out"]
    assert Plan(made).restricted("similarity") == []
    study.check(made)


def test_a_metric_is_taken_of_what_it_is_restricted_to() -> None:
    only = component_filter.parsed(["gini mlp_out mlp_in", "hoyer attention_ov"])
    assert component_filter.taken(only, "gini", "mlp_in")
    assert not component_filter.taken(only, "gini", "attention_ov_heads")
    assert component_filter.taken(only, "hoyer", "attention_ov_heads")
    assert component_filter.taken(only, "hoyer", "attention_ov__published")
    assert component_filter.taken(only, "entropy", "embedding")


def test_what_is_measured_of_weights_and_of_activations() -> None:
    made = asking(components=["residual", "qk", "mlp_out", "embedding"])
    assert metric_components.measured(made, "weights") == ["qk", "mlp_out", "embedding"]
    assert metric_components.measured(made, "activations") == ["residual", "mlp_out", "embedding"]
    assert Plan(made).weighed() == ["embedding", "mlp_out", "qk"]


def test_every_component_can_be_asked_for_of_a_gated_model(tmp_path: Path) -> None:
    made = asking(components=ALL, models=[local(tmp_path, "llama", vocabulary=47)], corpus=TEXT)
    made["corpus"]["path"] = str(tmp_path)
    study.check(made)
    plan = Plan(made)
    assert plan.vocabulary(Job) == 47 and plan.vocabulary_file(Job) == []


TEXT = {"source": "text", "length": 8}


class Job:
    model, step = "mine", "0"


def local(folder: Path, name: str, **keys: Any) -> Config:
    for step in (0, 16, 1024):
        tiny.save(tiny.model(name), folder / f"step{step}")
    return {"name": "mine", "source": "local", "path": f"{folder}/step{{step}}", **keys}


REFUSED: dict[str, tuple[Config, str]] = {
    "unknown": (
        {"components": ["mlp_out", "mlp"]},
        "components: unknown component 'mlp'; available: attention_out",
    ),
    "no gate": (
        {"components": ["mlp_out", "mlp_gate"]},
        "models: one: gpt_neox has no mlp_gate (the gate of a gated MLP, d_mlp x d); remove "
        "mlp_gate from `components` or the model from the study",
    ),
    "nothing in both": (
        {"components": ["qk", "residual", "embedding"]},
        "components: none of qk, residual, embedding has weights and activations in every layer",
    ),
    "restricted to what has no weights": (
        {
            "components": ["mlp_out", "residual"],
            "spectrum": ["gini", {"name": "hoyer", "components": ["residual"]}],
        },
        "spectrum: hoyer cannot be applied to 'residual', which is not among the `components` "
        "that have weights: mlp_out",
    ),
    "restricted to what is not asked for": (
        {"similarity": ["cka", {"name": "rsa_pearson", "components": ["mlp_in"]}]},
        "similarity: rsa_pearson cannot be applied to 'mlp_in'",
    ),
    "the first restricted": (
        {"similarity": [{"name": "cka", "components": ["mlp_out"]}, "rsa_pearson"]},
        "similarity: figures show cka for all components, so it cannot be restricted to "
        "some; write its name alone, or put another first",
    ),
    "what figures prefer restricted": (
        {"similarity": ["cka", {"name": "cka_debiased", "components": ["mlp_out"]}]},
        "similarity: figures show cka_debiased for all components, so it cannot be "
        "restricted to some; write its name alone",
    ),
    "twice": (
        {"spectrum": ["gini", "hoyer", {"name": "hoyer", "components": ["mlp_out"]}]},
        "spectrum: hoyer is listed 2 times; name it once",
    ),
}


@pytest.mark.parametrize(("changes", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_what_means_nothing_is_refused(changes: Config, problem: str) -> None:
    listed = problems(asking(**changes))
    assert any(line.startswith(problem) for line in listed), listed


@pytest.fixture
def one_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if `gini` declared that it is of stored matrices alone."""
    told = plugins.argument

    def argument(module: str, name: str, keyword: str, default: object) -> object:
        if module.endswith(".gini") and keyword == "one_matrix":
            return True
        return told(module, name, keyword, default)

    monkeypatch.setattr(plugins, "argument", argument)


def test_a_metric_of_one_matrix_is_not_taken_of_products(one_matrix: None) -> None:
    asked = ["attention_ov", "mlp_out", "mlp_in"]
    listed = problems(asking(components=asked, spectrum=["effective_rank", "gini"]))
    assert listed == [
        "spectrum: gini holds for one matrix, and attention_ov is a product of several; write "
        "{name: gini, components: [mlp_out, mlp_in]}"
    ]
    only = {"name": "gini", "components": ["mlp_in"]}
    study.check(asking(components=asked, spectrum=["effective_rank", only]))
    study.check(asking(components=["mlp_out"], spectrum=["gini"]))


def test_an_argument_is_read_without_importing() -> None:
    module = "tending.metrics.spectrum.gini"
    assert plugins.argument(module, "METRIC", "scale_free", None) is True
    assert plugins.argument(module, "METRIC", "one_matrix", False) is False
    assert plugins.argument(module, "OTHER", "scale_free", None) is None


def test_literals_are_read_without_importing() -> None:
    told = plugins.literals("tending.components.qk")
    assert told["WHOLE"] is False and told["LABEL"] == "Attention QK"


def test_embeddings_need_to_know_how_many_tokens_there_are(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    corpus = {**TEXT, "path": str(tmp_path / "text")}
    changes = {"components": ["mlp_out", "unembedding"], "corpus": corpus}
    (problem,) = problems(asking(**changes, models=[local(tmp_path, "gpt_neox")]))
    assert problem.startswith("models: mine: unembedding: rows beyond the tokenizer's tokens are")
    assert "tokenizer.json" in problem and "`vocabulary`" in problem
    (tmp_path / "step1024" / "tokenizer.json").write_text("{}")
    made = asking(**changes, models=[local(tmp_path, "gpt_neox")])
    study.check(made)
    file = str(tmp_path / "step1024" / "tokenizer.json")
    assert Plan(made).vocabulary_file(Job) == [file] and Plan(made).vocabulary(Job) is None


def test_a_study_that_does_not_ask_reads_no_tokenizer() -> None:
    plan = Plan(normal(lambda _: None))
    job = type("Job", (), {"model": "one", "step": "0"})
    assert plan.vocabulary_file(job) == [] and plan.vocabulary(job) is None


def test_a_trained_model_has_its_tokenizer() -> None:
    made = asking(components=["mlp_out", "embedding"])
    study.check(made)
    job = type("Job", (), {"model": "one", "step": "0"})
    assert Plan(made).vocabulary_file(job) == ["results/small/corpus/tokenizer.json"]


@pytest.mark.parametrize(
    "entry",
    [{"name": "gini"}, {"name": "gini", "components": []}, {"name": "gini", "of": ["mlp_out"]}, 3],
)
def test_an_entry_of_another_form_is_refused(entry: Any) -> None:
    made = written(lambda c: c.update(spectrum=["effective_rank", entry]))
    with pytest.raises(study.ConfigError, match=r"spectrum\[1\]"):
        study.check_schema(made, SCHEMA)


def test_the_papers_comparison_needs_the_papers_components() -> None:
    def edit(made: Config) -> None:
        made["models"][0].update(published_as="70M", steps=[0, 10000])
        made["models"][0]["recipe"].update(steps=10000, save_every=10000)
        made.update(components=["mlp_out"], reference="last")

    made = normal(edit)
    assert any("the paper's attention_ov is not in `components`" in p for p in problems(made))


def test_the_schema_accepts_what_normalise_reads() -> None:
    made = written(lambda c: c.update(spectrum=[{"name": "gini", "components": ["mlp_out"]}]))
    study.check_schema(made, SCHEMA)
    validate(made, str(SCHEMA))
