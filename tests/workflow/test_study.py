"""A whole study: what it computes, what it leaves, and what a second run does."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import FIGURES, Run, Workplace

from tending.core import store, tables

CHECKPOINTS = 6  # two models, three steps
KEYS = ["model", "step", "component", "layer", "head", "quantity", "definition"]

Finished = tuple[Workplace, Run]


def test_every_job_runs_once(finished: Finished) -> None:
    jobs = finished[1].jobs
    per_checkpoint = ("checkpoint", "activations", "spectra", "convergence")
    once = ["embedded_corpus", "corpus", "summary", "study_config", "report"]
    once += [f"figure_{name}" for name in FIGURES]
    once += [f"{table}_table" for table in ("effective_rank", "convergence", "stabilisation")]
    once += ["loss_table", "late_phase_table", "training_table", "association_table"]
    once += ["outcome_association_table"]
    expected = Counter({"train": 2, **dict.fromkeys(once, 1)})
    assert jobs == expected + Counter(dict.fromkeys(per_checkpoint, CHECKPOINTS))


def test_the_last_lines_say_where_the_report_is(finished: Finished) -> None:
    assert "The report is in results/tiny/report.html" in finished[1].output.splitlines()[-5:]


def test_progress_names_stages_and_counts(finished: Finished) -> None:
    total = finished[1].jobs.total() + 1
    assert f"{total} of {total} steps (100%) done" in finished[1].output
    assert re.search(r"Job \d+: Training a\n", finished[1].output)
    assert re.search(r"Job \d+: Activations of b at step 6\n", finished[1].output)


def test_every_job_has_a_log_and_a_benchmark(finished: Finished) -> None:
    results = finished[0].results
    logs = sorted(p.relative_to(results / "logs") for p in (results / "logs").rglob("*.log"))
    marks = (results / "benchmarks").rglob("*.tsv")
    assert [p.with_suffix("") for p in logs] == sorted(
        p.relative_to(results / "benchmarks").with_suffix("") for p in marks
    )
    assert len(logs) == finished[1].jobs.total()
    assert "6/6" in (results / "logs/training/a/manifest.log").read_text()
    assert "loss=" in (results / "logs/training/a/manifest.log").read_text()
    assert "24/24" in (results / "logs/activations/a/step2.log").read_text()


def test_a_second_run_has_nothing_to_do(copied: Callable[..., Workplace]) -> None:
    assert "Nothing to be done" in copied().finish().output


def test_tables_hold_everything_exactly_once(finished: Finished) -> None:
    folder = finished[0].results / "tables"
    for name, rows in {
        # models x steps x (layers whole, heads, MLP) x quantities: a has 2 layers, b 1, 2 heads
        "effective_rank": 3 * (2 + 1) * 4 * 2,
        # whole layers have standard errors and nulls besides, heads a null of each layer's
        "convergence": 3 * (2 + 1) * (2 * 3 + 2 + 1) * 2,
        "loss": CHECKPOINTS * 4,
        # of a model and of each of its steps
        "late_phase": 2 * (3 + 3 * 2),
        "training": 2 * 6 * 3,
        # metrics x thresholds x ((rows of layers and heads) x 2 units + medians x 2 + shares),
        # and an interval of each; and the early score of every model, component and metric
        "stabilisation": 2 * 3 * ((2 + 1) * 4 * 2 + 2 * 2 * 3) * 2 + 2 * 2 * 2,
    }.items():
        table = tables.read(folder / f"{name}.parquet")
        assert list(table.columns) == list(tables.COLUMNS)
        assert len(table) == rows, name
        assert not table.duplicated(KEYS).any(), name
        assert not table["value"].isna().any(), name
        as_text = pd.read_csv(folder / f"{name}.csv")
        assert list(as_text.columns) == list(tables.COLUMNS)
        np.testing.assert_array_equal(as_text["value"], table["value"].to_numpy(float))


def test_the_reference_agrees_with_itself(finished: Finished) -> None:
    table = tables.read(finished[0].results / "tables/convergence.parquet")
    table = table[table["quantity"].isin(["cka", "cka_debiased"])]
    reference = table[table["step"] == 6]["value"].to_numpy(float)
    np.testing.assert_allclose(reference, 1, atol=1e-9)
    assert (table[table["step"] == 0]["value"].to_numpy(float) < 1 - 1e-6).all()


def test_scores_have_intervals_and_stand_in_them(finished: Finished) -> None:
    table = tables.read(finished[0].results / "tables/convergence.parquet")
    scores = table[table["quantity"].isin(["cka", "cka_debiased"])]
    assert (scores["low"] <= scores["value"]).all() and (scores["value"] <= scores["high"]).all()
    nulls = table[table["quantity"].str.endswith("_null")]
    assert (nulls["value"] <= nulls["high"]).all() and nulls["low"].isna().all()
    settled = tables.read(finished[0].results / "tables/stabilisation.parquet")
    intervals = settled[settled["quantity"].str.endswith("_interval")]
    assert set(intervals["n"]) == {200}
    assert (intervals["low"] <= intervals["value"]).all()


def test_files_say_what_they_are_of(finished: Finished) -> None:
    read = store.read_arrays(finished[0].results / "activations/a/step2.h5")
    assert read.arrays["attention_ov"].shape == (2, 24, 8)
    assert read.arrays["attention_ov_heads"].shape == (2, 2, 24, 4)
    assert read.arrays["mlp_out"].shape == (2, 24, 8)
    assert read.arrays["held_out_loss"].shape == (8,)
    found = read.attributes
    assert (found["study"], found["model"], found["step"]) == ("tiny", "a", 2)
    assert (found["family"], found["dtype"], found["revision"]) == ("gpt_neox", "float32", "step2")
    tokens = store.read_arrays(finished[0].results / "corpus/tokens.h5")
    assert found["corpus_sha256"] == tokens.attributes["corpus_sha256"]
    assert tokens.arrays["tokens"].dtype == np.int32
    assert tokens.arrays["tokens"].shape == (24, 16)
    for name in ("weights_sha256", "code_version", "libraries", "created", "tokens_shape"):
        assert len(found[name]), name


def test_the_report_is_one_file_with_everything_in_it(finished: Finished) -> None:
    page = (finished[0].results / "report.html").read_text("utf-8")
    for name in ("cka_by_step.png", "rank_by_step.png", "summary.html", "convergence.csv"):
        assert name in page
    assert "not evidence for or against" in page
    assert "System Message" not in page  # what docutils writes into a page it could not read
    assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?://', page)


def test_a_deleted_result_is_made_again(copied, finished: Finished) -> None:
    workplace: Workplace = copied()
    (workplace.results / "convergence/a/step2.h5").unlink()
    planned = workplace.planned()
    assert planned["convergence"] == 1
    workplace.finish("results/tiny/convergence/a/step2.h5")
    (workplace.results / "figures/cka_by_step.pdf").unlink()
    partial = workplace.finish("results/tiny/tables/convergence.csv")
    assert partial.jobs["convergence_table"] == 1
    assert "The report is in" not in partial.output  # it is older than the table now
    planned = workplace.planned()
    assert planned["figure_cka_by_step"] == planned["report"] == 1
    assert not {"activations", "train", "spectra"} & set(planned)


def test_a_study_file_replaces_the_default_one(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path).configure()
    workplace.finish("results/tiny/config.json")
    kept = json.loads((workplace.results / "config.json").read_text("utf-8"))
    assert kept["note"] == ""  # the default study has one
    assert [model["name"] for model in kept["models"]] == ["a", "b"]
    assert kept["corpus"]["sequences"] == 24
    assert kept["stabilisation"] == {"thresholds": [0.8, 0.9, 0.95], "early": 0.2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": [0, 2, 5]}, "step 5 does not exist; the nearest that do are 2, 3, 4, 6"),
        (
            {"similarity": ["ckaa"]},
            "unknown similarity metric 'ckaa'; available: angular_cka, cka, cka_debiased",
        ),
        ({"sequence": 12}, "the config: unknown key 'sequence'; known: study, note, corpus"),
        ({"steps": [0, -2]}, "steps[1]: -2 is not allowed. A step, 0 or more"),
        ({"reference": 3}, "the reference step 3 is not among its steps"),
    ],
)
def test_a_mistake_is_named_before_any_job(tmp_path: Path, changes, message: str) -> None:
    done = Workplace(tmp_path).configure(**changes).run("--dry-run")
    assert done.returncode == 1
    assert message in done.output
    assert "Traceback" not in done.output


def test_the_default_study_plans() -> None:
    """From another folder, in which nothing has been computed."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        workplace = Workplace(Path(folder))
        command = [part for part in workplace.command("--dry-run") if "study.yaml" not in part]
        command.remove("--configfile")
        workplace.command = lambda *_: command  # type: ignore[method-assign]
        planned = workplace.planned()
    assert planned["train"] == 3
    assert planned["activations"] == planned["spectra"] == planned["convergence"] == 36
