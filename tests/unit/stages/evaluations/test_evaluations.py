"""Benchmark scores that a study names: both formats, whose they are, and what is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from configs import Config, config, problems

from tending.core import tables
from tending.run import config as study
from tending.run.config import ConfigError
from tending.run.plan import Plan
from tending.stages.evaluations import evaluations
from tending.stages.evaluations.evaluation_table import evaluations as scores_table

TABLE = """model,step,task,metric,value,standard_error,higher_is_better,n
one,0,arc_easy,acc,0.25,0.009,true,2376
one,16,arc_easy,acc,0.31,0.0095,true,2376
two,16,arc_easy,acc,,,,
two,0,lambada_openai,perplexity,3473989.1,,False,
"""
HUB = {"name": "160m", "source": "hub", "repository": "EleutherAI/pythia-160m"}
FOLDERS = {"name": "mine", "source": "local", "path": "runs/mine/step{step}"}
MODELS = [
    {"name": "one", "source": "trained"},
    {"name": "two", "source": "trained"},
    HUB,
    FOLDERS,
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def harness(model_args: Any, **changes: Any) -> dict[str, Any]:
    """What lm-evaluation-harness 0.4 writes of two tasks and a group, shortened."""
    return {
        "results": {
            "arc_easy": {
                "alias": "arc_easy",
                "acc,none": 0.4364,
                "acc_stderr,none": 0.0102,
                "acc_norm,none": 0.3989,
                "acc_norm_stderr,none": 0.01,
            },
            "gsm8k": {
                "alias": "gsm8k",
                "sample_len": 1319,
                "exact_match,strict-match": 0.01,
                "exact_match_stderr,strict-match": 0.0027,
                "exact_match,flexible-extract": 0.02,
                "exact_match_stderr,flexible-extract": "N/A",
            },
            "wikitext": {"word_perplexity,none": 37.4, "word_perplexity_stderr,none": "N/A"},
            "mmlu": {"alias": "mmlu", " ": " ", "acc,none": float("nan")},
        },
        "groups": {"mmlu": {"acc,none": 0.23}},
        "higher_is_better": {
            "arc_easy": {"acc": True, "acc_norm": True},
            "wikitext": {"word_perplexity": False},
            "mmlu": {"acc": None},
        },
        "n-samples": {"arc_easy": {"original": 2376, "effective": 100}},
        "config": {"model": "hf", "model_args": model_args, "model_revision": "main"},
        "model_name": "EleutherAI/pythia-160m",
        "date": 1700000000.0,
        **changes,
    }


def put(name: str, content: Any) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return name


def read(*entries: dict[str, Any], models: Any = MODELS) -> evaluations.Scores:
    return evaluations.read("small", models, entries)


def values(scores: evaluations.Scores) -> dict[tuple[Any, ...], float]:
    assert scores.problems == []
    return {key: score.value for key, score in scores.found.items()}


def refused(*entries: dict[str, Any], models: Any = MODELS) -> str:
    (problem,) = read(*entries, models=models).problems
    return problem


# Formats


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_plain_table_has_a_score_in_every_row(kind: str) -> None:
    rows = [line.split(",") for line in TABLE.splitlines()]
    records = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    path = put(f"scores.{kind}", TABLE if kind == "csv" else records)
    scores = read({"path": path})
    assert values(scores) == {
        ("one", 0, "arc_easy", "acc"): 0.25,
        ("one", 16, "arc_easy", "acc"): 0.31,
        ("two", 0, "lambada_openai", "perplexity"): 3473989.1,
    }
    first = scores.found["one", 0, "arc_easy", "acc"]
    assert (first.error, first.n, first.higher_is_better) == (0.009, 2376, True)
    last = scores.found["two", 0, "lambada_openai", "perplexity"]
    assert np.isnan(last.error) and last.n is None and last.higher_is_better is False


def test_columns_by_other_names() -> None:
    path = put("s.csv", "checkpoint,benchmark,metric,score,date\n16,arc_easy,acc,0.3,today\n")
    columns = {"step": "checkpoint", "task": "benchmark", "value": "score"}
    scores = read({"path": path, "columns": columns, "ignore": ["date"], "model": "one"})
    assert values(scores) == {("one", 16, "arc_easy", "acc"): 0.3}


@pytest.mark.parametrize(
    "model_args",
    [
        "pretrained=EleutherAI/pythia-160m,revision=step1000,dtype=float32",
        {"pretrained": "EleutherAI/pythia-160m", "revision": "step1000", "device": None},
    ],
    ids=["text", "dictionary"],
)
def test_results_of_the_harness_are_of_their_repository_and_revision(model_args: Any) -> None:
    path = put("evals/EleutherAI__pythia-160m/results_2024-01-01.json", harness(model_args))
    scores = read({"path": "evals/**/results_*.json"})
    assert path and values(scores) == {
        ("160m", 1000, "arc_easy", "acc"): 0.4364,
        ("160m", 1000, "arc_easy", "acc_norm"): 0.3989,
        ("160m", 1000, "gsm8k", "exact_match,strict-match"): 0.01,
        ("160m", 1000, "gsm8k", "exact_match,flexible-extract"): 0.02,
        ("160m", 1000, "wikitext", "word_perplexity"): 37.4,
    }
    acc = scores.found["160m", 1000, "arc_easy", "acc"]
    assert (acc.error, acc.n, acc.higher_is_better) == (0.0102, 100, True)
    assert np.isnan(scores.found["160m", 1000, "wikitext", "word_perplexity"].error)
    assert scores.directions()["wikitext", "word_perplexity"] is False


def test_results_of_earlier_versions_have_no_filters() -> None:
    """As in Pythia's own repository, evals/pythia-v1/pythia-160m/zero-shot/160m_step8.json."""
    task = {"ppl": 3473989.1, "ppl_stderr": 333117.2, "acc": 0.0, "acc_stderr": 0.0}
    args = "use_accelerate=True,pretrained=EleutherAI/pythia-v1.1-160m,revision=step8"
    content = {"results": {"lambada_openai": task}, "config": {"model_args": args}}
    path = put("evals/160m_step8.json", content)
    named = {"EleutherAI/pythia-v1.1-160m": "160m"}
    scores = read({"path": path, "models": named})
    assert values(scores) == {
        ("160m", 8, "lambada_openai", "ppl"): 3473989.1,
        ("160m", 8, "lambada_openai", "acc"): 0.0,
    }
    assert scores.found["160m", 8, "lambada_openai", "ppl"].error == 333117.2


def test_the_examples_of_the_page_are_read() -> None:
    page = (Path(__file__).parents[4] / "docs/evaluations.md").read_text("utf-8")
    blocks = dict(re.findall(r"^```(json|text)\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL))
    (asked, _) = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    put("evals/step1000/EleutherAI__pythia-160m/results_2026-01-01.json", blocks["json"])
    put("scores.csv", blocks["text"])
    models = [HUB, {"name": "small", "source": "trained"}]
    found = values(read(*yaml.safe_load(asked)["evaluations"], models=models))
    assert found == {
        ("160m", 1000, "arc_easy", "acc"): 0.4364,
        ("160m", 1000, "lambada_openai", "perplexity"): 38.2,
        ("160m", 1000, "lambada_openai", "acc"): 0.3268,
        ("small", 0, "arc_easy", "acc"): 0.2513,
        ("small", 1000, "arc_easy", "acc"): 0.4364,
    }


# Whose they are


@pytest.mark.parametrize("pretrained", ["runs/mine/step64", "./runs/mine/step64/", "{here}"])
def test_results_of_a_folder_are_of_its_model_and_step(folder: Path, pretrained: str) -> None:
    pretrained = pretrained.format(here=folder / "runs/mine/step64")
    path = put("r.json", harness({"pretrained": pretrained}))
    assert {key[:2] for key in values(read({"path": path}))} == {("mine", 64)}


def test_results_of_a_checkpoint_that_the_workflow_trained() -> None:
    pretrained = "results/small/training/two/step16"
    path = put("r.json", harness({"pretrained": pretrained}))
    assert {key[:2] for key in values(read({"path": path}))} == {("two", 16)}


def test_the_path_says_model_and_step() -> None:
    for model, step in (("one", 0), ("one", 16), ("two", 16)):
        put(f"e/{model}/{model}-step{step}/r.json", harness("pretrained=/elsewhere/x"))
    put("e/one/two-step3/r.json", harness("pretrained=/elsewhere/x"))  # another field again
    found = values(read({"path": "e/{model}/{model}-step{step}/*.json"}))
    assert {key[:2] for key in found} == {("one", 0), ("one", 16), ("two", 16)}


def test_the_entry_says_model_and_step_and_comes_first() -> None:
    path = put("r.json", harness("pretrained=EleutherAI/pythia-160m,revision=step1000"))
    assert {key[:2] for key in values(read({"path": path, "model": "one", "step": 16}))} == {
        ("one", 16)
    }


def test_revisions_are_those_of_the_models_naming() -> None:
    path = put("r.json", harness("pretrained=org/a,revision=stage1-step7-tokens3B"))
    for naming in ("stage1-step{step}-tokens*", {"7": "stage1-step7-tokens3B", "9": "x"}):
        model = {"name": "a", "source": "hub", "repository": "org/a", "revision": naming}
        assert {k[:2] for k in values(read({"path": path}, models=[model]))} == {("a", 7)}


def test_tasks_and_metrics_can_be_chosen_and_told_apart() -> None:
    put("zero/r.json", harness("pretrained=EleutherAI/pythia-160m,revision=step8"))
    changed = harness("pretrained=EleutherAI/pythia-160m,revision=step8")
    changed["results"]["arc_easy"]["acc,none"] = 0.5
    put("five/r.json", changed)
    some = {"tasks": ["arc_*"], "metrics": ["acc"]}
    found = read({"path": "zero/r.json", **some}, {"path": "five/*", "suffix": "_5shot", **some})
    assert values(found) == {
        ("160m", 8, "arc_easy", "acc"): 0.4364,
        ("160m", 8, "arc_easy_5shot", "acc"): 0.5,
    }
    assert "no tasks 'arc_hard'" in refused({"path": "zero/*", "tasks": ["arc_hard"]})


def test_a_model_can_be_left_out() -> None:
    path = put("s.csv", "model,step,task,metric,value\none,0,t,m,1\nother,0,t,m,2\n")
    found = read({"path": path, "models": {"other": None}})
    assert values(found) == {("one", 0, "t", "m"): 1.0}


# Mistakes

HEAD = "model,step,task,metric,value"
MISTAKES: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    "no column": ("s.csv", "model,step,task,value\n", {}, "no column 'metric'"),
    "unknown column": ("s.csv", f"{HEAD},stderr\n", {}, "'stderr' that means nothing here; known:"),
    "renamed column": ("s.csv", HEAD, {"columns": {"n": "N"}}, "no column 'N' for n"),
    "not a number": ("s.csv", f"{HEAD}\none,0,t,m,x\n", {}, "row 1: value 'x' is not a number"),
    "not a step": ("s.csv", f"{HEAD}\none,1.5,t,m,1\n", {}, "step '1.5' is not a whole number"),
    "no task": ("s.csv", f"{HEAD}\none,1,,m,1\n", {}, "row 1: no task"),
    "no step": ("s.csv", f"{HEAD}\none,,t,m,1\n", {}, "nothing says which step"),
    "unknown model": ("s.csv", f"{HEAD}\nthree,1,t,m,1\n", {}, "no model 'three'"),
    "no model": ("s.csv", "step,task,metric,value\n1,t,m,1\n", {}, "nothing says which model"),
    "negative error": (
        "s.csv",
        f"{HEAD},standard_error\none,1,t,m,1,-1\n",
        {},
        "standard_error -1.0 is negative",
    ),
    "neither true nor false": (
        "s.csv",
        f"{HEAD},higher_is_better\none,1,t,m,1,up\n",
        {},
        "'up' is neither true nor false",
    ),
    "two values": (
        "s.csv",
        f"{HEAD}\none,1,t,m,1\none,1,t,m,2\n",
        {},
        "one at step 1 has t m 1 in s.csv, row 1 and 2 in s.csv, row 2",
    ),
    "not JSON": ("s.json", "{", {}, "s.json is not JSON"),
    "other JSON": ("s.json", {"acc": 1}, {}, "neither a list of rows nor `results`"),
    "unknown repository": (
        "s.json",
        harness("pretrained=EleutherAI/pythia-70m,revision=step1"),
        {},
        "no model 'EleutherAI/pythia-70m'",
    ),
    "no revision": (
        "s.json",
        harness("pretrained=EleutherAI/pythia-160m"),
        {},
        "nothing says which step it is of (revision 'main'); give `step`",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_named_with_its_file(case: str) -> None:
    name, content, keys, message = MISTAKES[case]
    problem = refused({"path": put(name, content), **keys})
    assert message in problem
    assert problem.startswith("evaluations: ") and name in problem


def test_a_repository_of_two_models_is_ambiguous() -> None:
    path = put("r.json", harness("pretrained=EleutherAI/pythia-160m,revision=step8"))
    twice = [HUB, {**HUB, "name": "again"}]
    assert "may be any of 160m, again; say which" in refused({"path": path}, models=twice)


def with_scores(edit: Callable[[Config], object] = lambda _: None, text: str = TABLE) -> Config:
    put("scores.csv", text)

    def made(c: Config) -> None:
        c["evaluations"] = [{"path": "scores.csv"}]
        edit(c)

    return config(made)


def test_a_study_with_scores_is_accepted() -> None:
    made = with_scores()
    study.check(made)
    assert study.check_evaluations(made) == []
    assert study.check_evaluations(config()) == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"path": "nothing/*.csv"}, "no file matches 'nothing/*.csv'; check `path`"),
        ({"path": "*"}, "notes.txt is neither .csv nor .json; narrow `path`"),
        ({"path": "scores.csv", "model": "three"}, "the study has no model 'three'"),
        ({"path": "scores.csv", "models": {"a": "b"}}, "the study has no model 'b'"),
    ],
)
def test_entries_without_files_or_models_are_refused_before_any_is_read(
    entry: dict[str, Any], message: str
) -> None:
    put("notes.txt", "")
    (problem,) = problems(with_scores(lambda c: c.update(evaluations=[entry])))
    assert message in problem


def test_steps_that_the_study_does_not_have_are_kept_and_said() -> None:
    made = with_scores(text=TABLE + "one,8,arc_easy,acc,0.28,0.009,true,2376\n")
    (warning,) = study.check_evaluations(made)
    assert "one has scores at 1 step that the study does not have (8)" in warning


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("one,2000,arc_easy,acc,0.28,,,", "step 2000, after the end of its training, 1024 steps"),
        ("two,0,arc_easy,acc,0.3,,false,", "higher_is_better of arc_easy acc"),
        ("two,0,arc_easy,acc,none,,,", "value 'none' is not a number"),
    ],
)
def test_mistakes_in_files_stop_the_study(row: str, message: str) -> None:
    with pytest.raises(ConfigError, match="the study 'small' cannot be run") as caught:
        study.check_evaluations(with_scores(text=TABLE + row + "\n"))
    assert message in str(caught.value)


def test_one_mistake_in_many_files_is_not_a_page() -> None:
    for i in range(30):
        put(f"many/{i}.json", "{")
    made = with_scores(lambda c: c.update(evaluations=[{"path": "many/*.json"}]))
    with pytest.raises(ConfigError) as caught:
        study.check_evaluations(made)
    assert str(caught.value).endswith("and 20 more")


# The plan and the table


def test_scores_have_a_table_a_figure_and_their_files_as_inputs() -> None:
    planned = Plan(with_scores())
    assert set(planned.tables()) >= {"evaluations", "outcome_association"}
    assert {"evaluations", "outcome_association"} <= set(planned.figures())
    assert planned.evaluations.files() == ["scores.csv"]
    read_by = planned.table_inputs("outcome_association")["tables"]
    tables = ["convergence", "effective_rank", "loss", "evaluations"]
    assert read_by == planned.table_files(tables)
    asked = json.loads(planned.evaluations.described())
    assert values(evaluations.read(*asked)) == values(read({"path": "scores.csv"}))


def test_without_scores_and_loss_there_is_nothing_to_associate() -> None:
    planned = Plan(config(lambda c: c.update(held_out_loss={"sequences": 0})))
    assert not {"evaluations", "outcome_association"} & set(planned.tables())


def test_the_table_has_scores_intervals_errors_and_directions() -> None:
    scores = read({"path": put("scores.csv", TABLE)})
    lengths = {"one": 1024, "two": 1024}
    table = scores_table(scores, "small", {"one": 100, "two": 200}, lengths)
    assert table.dtypes.astype(str).to_dict() == tables.TYPES
    rows = table.set_index(["quantity", "model", "step"])
    acc = rows.loc[("arc_easy:acc", "one", 16)]
    assert (acc["value"], acc["n"], acc["parameters"]) == (0.31, 2376, 100)
    assert acc["progress"] == 16 / 1024
    half = 1.959964 * 0.0095
    assert [acc["low"], acc["high"]] == pytest.approx([0.31 - half, 0.31 + half])
    assert rows.loc[("arc_easy:acc_standard_error", "one", 16)]["value"] == 0.0095
    perplexity = table[table["quantity"] == "lambada_openai:perplexity"]
    assert perplexity[["low", "high", "n"]].isna().all(axis=None)
    directions = table[table["model"].isna()].set_index("quantity")["value"].to_dict()
    assert directions == {
        "arc_easy:acc_higher_is_better": 1.0,
        "lambada_openai:perplexity_higher_is_better": 0.0,
    }


def test_samples_that_are_all_wrong_do_not_make_a_score_certain() -> None:
    rows = "one,0,gsm8k,acc,0.0,0.0,1.0,40\ntwo,0,gsm8k,acc,0.1,0.05,,40\n"
    scores = read({"path": put("scores.csv", f"{TABLE.splitlines()[0]}\n{rows}")})
    table = scores_table(scores, "small", {"one": 100, "two": 200}, {"one": 8, "two": 8})
    one, two = (table[table["model"] == name].set_index("quantity") for name in ("one", "two"))
    assert one.loc["gsm8k:acc", ["low", "high"]].isna().all()
    assert one.loc["gsm8k:acc_standard_error", "value"] == 0
    assert two.loc["gsm8k:acc", ["low", "high"]].notna().all()
