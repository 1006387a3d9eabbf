"""Positions, rows and sample sizes that a study may ask for."""

import re
from typing import Any

import pytest
import yaml
from configs import ROOT, SCHEMA, config, problems
from snakemake.utils import validate

from tending.core import paths
from tending.run import config as study
from tending.run import study_files
from tending.run.plan import Plan
from tending.study import row_limits

METRICS = row_limits.plugins.names(row_limits.SIMILARITY)
FEWEST = 4  # sequences, by the schema


def asked(**corpus: Any) -> Any:
    """A study of 16 tokens a sequence; extraction, similarity and sample_sizes by their names."""
    top = {k: corpus.pop(k) for k in ("similarity", "sample_sizes") if k in corpus}
    position = corpus.pop("position", "last")

    def edit(made: dict[str, Any]) -> None:
        made["corpus"].update({"length": 16, **corpus})
        made.update(top, extraction={"position": position})

    return config(edit)


@pytest.mark.parametrize("position", [[0, 15], [-1, -2], [3], 5, "all"])
def test_positions_within_the_sequences(position: Any) -> None:
    study.check(asked(position=position))


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ([3, 16], "extraction: position 16 is outside sequences of 16 tokens"),
        ([-17], "extraction: position -17 is outside sequences of 16 tokens"),
        ([15, -1], r"extraction: position 15 of 16 tokens is named twice in [15, -1]"),
    ],
)
def test_positions_that_cannot_be_probed(position: Any, message: str) -> None:
    (problem,) = problems(asked(position=position))
    assert problem.startswith(message)


@pytest.mark.parametrize("position", [[], [1, 1], [1.5], ["last"]])
def test_lists_of_positions_that_the_schema_refuses(position: Any) -> None:
    with pytest.raises(Exception, match="position"):
        asked(position=position)


def test_rows_are_not_bounded_for_metrics_that_read_them_block_by_block() -> None:
    study.check(asked(sequences=1_000_000, position="all"))


@pytest.mark.parametrize(
    ("sequences", "position", "rows"),
    [(20_001, "last", "20001 sequences x 1 positions are 20001"), (1251, "all", "1251 .* 20016")],
)
def test_too_many_rows_for_a_metric_that_needs_all_at_once(
    sequences: int, position: str, rows: str
) -> None:
    made = asked(sequences=sequences, position=position, similarity=["cka", "rsa_pearson"])
    (problem,) = problems(made)
    assert problem.startswith("similarity: rsa_pearson needs all rows at once")
    assert "or only the metrics cka, cka_debiased" in problem
    assert re.search(rows, problem)


def test_as_many_rows_as_it_takes() -> None:
    study.check(asked(sequences=1250, position="all", similarity=["cka", "rsa_pearson"]))


def test_a_length_that_is_not_known_yet_is_left_to_the_job() -> None:
    made = asked(sequences=4096, position="all", similarity=["rsa_pearson"])
    del made["corpus"]["length"]
    study.check(made)
    with pytest.raises(ValueError, match="4096 sequences x 64 positions are 262144"):
        row_limits.check(4096, 64, made["similarity"])


# Sample sizes


def test_sample_sizes_add_a_table_a_figure_and_one_job_per_model() -> None:
    without = Plan(asked())
    made = asked(sequences=512, sample_sizes=[128, 512])
    study.check(made)
    plan = Plan(made)
    assert set(plan.tables()) - set(without.tables()) == {"sample_size"}
    assert set(plan.figures()) - set(without.figures()) == {"score_by_n"}
    assert plan.per_model(paths.SAMPLE_SIZE) == [
        "results/small/sample_size/one.parquet",
        "results/small/sample_size/two.parquet",
    ]
    assert plan.sampled_metrics() == ["cka", "cka_debiased"]
    assert without.sampled_metrics() == []


def test_a_sample_is_compared_with_the_reference_at_every_other_step() -> None:
    job: Any = type("Job", (), {"model": "one"})()
    files = Plan(asked()).compared_activations(job)
    assert [file.split("/")[-1] for file in files] == ["step0.h5", "step16.h5"]
    assert Plan(asked()).training_length(job) == 1024


@pytest.mark.parametrize(
    ("sizes", "metrics", "message"),
    [
        ([256, 128], ["cka"], "sample_sizes must ascend, found [256, 128]"),
        ([128, 1024], ["cka"], "sample_sizes: 1024 is more than `corpus.sequences` 512"),
        ([128], ["svcca"], "sample_sizes: none of the metrics of `similarity` reads rows"),
    ],
)
def test_sample_sizes_that_cannot_be_taken(
    sizes: list[int], metrics: list[str], message: str
) -> None:
    (problem,) = problems(asked(sequences=512, sample_sizes=sizes, similarity=metrics))
    assert problem.startswith(message)


def test_the_ready_study_is_taken_as_it_is() -> None:
    made = yaml.safe_load((ROOT / "studies/sample-size.yaml").read_text("utf-8"))
    validate(made, str(SCHEMA))
    study.check(made)
    assert made["sample_sizes"][-1] == made["corpus"]["sequences"] == 4096


# Reruns


def test_studies_of_the_usual_components_keep_the_version_they_recorded() -> None:
    """Snakemake runs an extraction again when its params change."""
    plan = Plan(asked())
    assert plan.extraction_version() == 1
    assert study_files.StudyFiles(asked()).config["sample_sizes"] == []


@pytest.mark.parametrize(
    ("names", "version"),
    [
        (["mlp_out", "attention_ov"], 1),
        (["attention_ov", "mlp_out", "unembedding", "qk"], 1),  # weights only
        (["attention_ov", "mlp_out", "residual"], "1 attention_ov mlp_out residual"),
        (["residual", "mlp_out", "attention_ov"], "1 attention_ov mlp_out residual"),
        (["mlp_out"], "1 mlp_out"),
    ],
)
def test_other_components_are_another_version(names: list[str], version: Any) -> None:
    assert Plan({**asked(), "components": names}).extraction_version() == version


LEAST = {
    n: row_limits.plugins.load(row_limits.SIMILARITY, n, "metric").METRIC.least for n in METRICS
}


@pytest.mark.parametrize("name", [n for n in METRICS if LEAST[n] > FEWEST])
def test_a_metric_is_refused_with_fewer_rows_than_it_takes(name: str) -> None:
    (problem,) = problems(asked(similarity=[name], sequences=LEAST[name] - 1))
    assert problem.startswith(f"similarity: {name} needs at least {LEAST[name]} rows to compare, b")
    study.check(asked(similarity=[name], sequences=LEAST[name]))


def test_no_metric_needs_more_rows_than_are_asked_about() -> None:
    assert max(LEAST.values()) <= row_limits.FEW


def test_positions_count_as_rows() -> None:
    study.check(asked(similarity=["mutual_knn"], sequences=FEWEST, position=[1, 2, 3]))
