"""What a study that asks for divergences says, plans and may not ask for."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import yaml
from configs import ROOT, SCHEMA, config, problems
from snakemake.utils import validate

from tending.core import paths
from tending.run import config as study
from tending.run.plan import Plan
from tending.stages.divergence import divergence
from tending.stages.divergence.divergence_config import count, probed

Config = dict[str, Any]


def asking(edit: Callable[[Config], object] = lambda _: None, **keys: Any) -> Config:
    """The small study with divergences, edited before the defaults are filled in."""

    def both(made: Config) -> None:
        made["divergence"] = keys
        edit(made)

    return config(both)


def job(model: str, step: int = 16) -> SimpleNamespace:
    return SimpleNamespace(model=model, step=str(step))


def local(folder: Path, **keys: Any) -> Config:
    for step in (0, 8, 64):
        tiny.save(tiny.model("gpt_neox"), folder / f"step{step}")
    return {"name": "mine", "source": "local", "path": f"{folder}/step{{step}}", **keys}


# Positions


@pytest.mark.parametrize(
    ("positions", "length", "expected"),
    [
        (8, 64, [7, 15, 23, 31, 39, 47, 55, 63]),
        (1, 64, [63]),
        (3, 10, [2, 5, 9]),
        (8, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (8, 3, [0, 1, 2]),
        ("all", 4, [0, 1, 2, 3]),
        ([-1, 0, 5], 10, [0, 5, 9]),
    ],
)
def test_positions(positions: Any, length: int, expected: list[int]) -> None:
    assert probed(positions, length) == expected
    assert count(positions, length) == len(expected)


@pytest.mark.parametrize("count", range(1, 40))
def test_evenly_spaced_positions_end_with_the_last(count: int) -> None:
    found = probed(count, 37)
    gaps = {b - a for a, b in zip([-1, *found], found, strict=False)}
    assert found[-1] == 36 and len(found) == min(count, 37)
    assert max(gaps) - min(gaps) <= 1


# Off and on


def test_nobody_asked() -> None:
    plan = Plan(config())
    assert plan.divergence.files() == []
    assert not {paths.REFERENCE, paths.DIVERGENCE} & set(plan.weight_patterns())
    assert "divergence" not in plan.tables()
    study.check(config())


def test_defaults_and_files() -> None:
    made = asking()
    study.check(made)
    plan = Plan(made)
    assert plan.divergence.sequences == 128 and plan.divergence.positions == 8
    assert "divergence" in plan.tables()
    steps = (0, 16, 1024)
    assert plan.divergence.files() == [
        *(f"results/small/divergence/one/step{step}.h5" for step in steps),
        *(f"results/small/divergence/two/step{step}.h5" for step in steps),
    ]
    assert {paths.REFERENCE, paths.DIVERGENCE} <= set(plan.weight_patterns())


def test_a_small_study_takes_all_its_sequences() -> None:
    few = asking(lambda c: c["corpus"].update(sequences=24) or c.update(held_out_loss={}))
    few["held_out_loss"]["sequences"] = 40
    assert Plan(few).divergence.sequences == 40
    assert Plan(asking(sequences=16)).divergence.sequences == 16


def test_the_extraction_is_not_another_one() -> None:
    """Nothing that the other stages are told or read changes with it."""
    plain, asked = Plan(config()), Plan(asking())
    assert asked.rows() == plain.rows()
    assert asked.extraction_version() == plain.extraction_version()
    assert asked.vocabulary_file(job("one")) == plain.vocabulary_file(job("one")) == []


def test_the_version_and_the_settings_are_one_text() -> None:
    """Params are compared as a set, in which 8 of 64 is 64 of 8."""
    one, other = Plan(asking(sequences=64, positions=8)), Plan(asking(sequences=8, positions=64))
    assert one.divergence.version() == f"{divergence.VERSION} of 64 sequences at 8"
    assert one.divergence.version() != other.divergence.version()


def test_an_added_step_leaves_the_reference_as_it_is(tmp_path: Path) -> None:
    def told(steps: list[int]) -> tuple[str, list[str], int | None]:
        made = asking(lambda c: c.update(models=[local(tmp_path)], steps=steps, reference=8))
        own = Plan(made).divergence
        return (
            own.reference_record(job("mine")),
            own.tokenizer(job("mine")),
            own.vocabulary(job("mine")),
        )

    assert told([0, 8]) == told([0, 8, 64])
    assert told([0, 8])[:2] == (
        "results/small/checkpoints/mine/step8.json",
        [f"{tmp_path}/step8/tokenizer.json"],
    )


def test_the_tokenizer_of_a_trained_model() -> None:
    own = Plan(asking()).divergence
    assert own.tokenizer(job("two")) == ["results/small/corpus/tokenizer.json"]
    assert own.vocabulary(job("two")) is None


# What is refused


def test_a_model_must_say_how_many_tokens_it_has(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    corpus = {"source": "text", "path": str(tmp_path / "text"), "length": 8}

    def mine(**keys: Any) -> Config:
        models = [local(tmp_path, **keys)]
        return asking(lambda c: c.update(models=models, steps=[0, 8, 64], corpus=corpus))

    (problem,) = problems(mine())
    assert problem == (
        "models: mine: divergence: logits beyond the tokenizer's tokens are padding and left out, "
        "but the model has no tokenizer.json at step 64 that says how many there are; put one "
        "beside its weights, or give the model `vocabulary`"
    )
    study.check(mine(vocabulary=47))
    told = Plan(mine(vocabulary=47)).divergence
    assert told.vocabulary(job("mine")) == 47 and told.tokenizer(job("mine")) == []
    (tmp_path / "step64" / "tokenizer.json").write_text("{}")
    study.check(mine())


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (
            {"sequences": 200},
            "divergence: 200 sequences are more than the 128 of the study; lower "
            "`divergence.sequences` or raise `corpus.sequences`",
        ),
        (
            {"positions": [3, 32]},
            "divergence: position 32 is outside sequences of 32 tokens (see "
            "`divergence.positions`)",
        ),
        (
            {"positions": [31, -1]},
            "divergence: position 31 of 32 tokens is named twice in [31, -1] (see "
            "`divergence.positions`)",
        ),
    ],
)
def test_what_cannot_be_taken(keys: Config, problem: str) -> None:
    assert problems(asking(lambda c: c["corpus"].update(length=32), **keys)) == [problem]


@pytest.mark.parametrize(
    "keys",
    [{"sequences": 1}, {"positions": 0}, {"positions": "last"}, {"positions": []}, {"steps": [1]}],
)
def test_what_the_schema_refuses(keys: Config) -> None:
    made = config()
    made["divergence"] = keys
    with pytest.raises(study.ConfigError, match="divergence"):
        study.check_schema(made, SCHEMA)


@pytest.mark.parametrize("name", ["config.yaml", "studies/pythia.yaml", "studies/pythia-70m.yaml"])
def test_studies_that_have_it(name: str) -> None:
    made = yaml.safe_load((ROOT / name).read_text("utf-8"))
    validate(made, str(SCHEMA))
    assert made["divergence"]["sequences"] == 128 and made["divergence"]["positions"] == 8
