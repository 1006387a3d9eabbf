"""What a study may say: its schema, and the relations that a schema cannot state."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml
from configs import ROOT, SCHEMA, TRAINED, Config, Edit, config, problems, written
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from tending.hub import pins
from tending.hub.pins import File, Pins, Revision
from tending.run import config as study
from tending.run.config import ConfigError
from tending.study import selection

STUDIES = [ROOT / "config.yaml", *sorted((ROOT / "studies").glob("*.yaml"))]


# The schema


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_studies_that_come_with_the_workflow_are_valid(path: Path) -> None:
    made = yaml.safe_load(path.read_text("utf-8"))
    validate(made, str(SCHEMA))


def test_the_default_study_can_be_run() -> None:
    made = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))
    validate(made, str(SCHEMA))
    study.check(made)


def test_defaults_are_filled_in() -> None:
    made = config()
    assert made["corpus"] == {"source": "embedded", "sequences": 128, "seed": 0}
    assert made["reference"] == "last"
    assert made["extraction"] == {
        "position": "last",
        "batch_size": 64,
        "device": "auto",
        "dtype": "float32",
    }
    assert made["held_out_loss"] == {"sequences": 128}
    assert made["spectrum"] == ["effective_rank", "proportional_effective_rank"]
    assert made["similarity"] == ["cka", "cka_debiased"]
    assert made["stabilisation"] == {"thresholds": [0.8, 0.9, 0.95], "early": 0.2}
    assert made["models"][0]["recipe"] == {
        **TRAINED,
        "steps": 1024,
        "batch": 16,
        "sequence_length": 64,
        "save_every": 64,
        "seed": 0,
    }
    study.check(made)


def test_one_batch_of_tokens_is_enough() -> None:
    study.check(config(lambda c: c["models"][0]["recipe"].update(training_tokens=16 * 65)))


def test_what_the_user_wrote_is_left() -> None:
    made = config(lambda c: c.update(extraction={"dtype": "bfloat16"}, similarity=["cka"]))
    assert made["extraction"]["dtype"] == "bfloat16"
    assert made["similarity"] == ["cka"]


REFUSED: dict[str, tuple[Edit, str, str]] = {
    "unknown key": (lambda c: c.update(stepz=[1]), "the config", "'stepz'"),
    "unknown key inside": (
        lambda c: c.update(extraction={"postion": "last"}),
        "extraction",
        "'postion'",
    ),
    "unknown key of a recipe": (
        lambda c: c["models"][1]["recipe"].update(width=3),
        "models[1].recipe",
        "'width'",
    ),
    "a text for a number of tokens": (
        lambda c: c["models"][1]["recipe"].update(training_tokens="all"),
        "models[1].recipe.training_tokens",
        "'all' is not of type 'integer'. Number of training tokens",
    ),
    "missing key": (lambda c: c.pop("corpus"), "the config", "'corpus'"),
    "missing part of a recipe": (
        lambda c: c["models"][1]["recipe"].pop("heads"),
        "models[1].recipe",
        "'heads'",
    ),
    "wrong type": (
        lambda c: c["corpus"].update(sequences="many"),
        "corpus.sequences",
        "'many'",
    ),
    "too few sequences": (
        lambda c: c["corpus"].update(sequences=3),
        "corpus.sequences",
        "3 is less than the minimum of 4",
    ),
    "negative step": (lambda c: c.update(steps=[0, -5]), "steps[1]", "-5"),
    "step that is no integer": (
        lambda c: c.update(steps=[0, 1.5]),
        "steps[1]",
        "1.5",
    ),
    "duplicate step": (lambda c: c.update(steps=[0, 5, 5]), "steps", "[0, 5, 5]"),
    "no steps": (lambda c: c.update(steps=[]), "steps", "[]"),
    "steps of a model": (
        lambda c: c["models"][1].update(steps=[3, 3]),
        "models[1].steps",
        "[3, 3]",
    ),
    "folder as study name": (lambda c: c.update(study="a/b"), "study", "'a/b'"),
    "hidden study name": (lambda c: c.update(study=".a"), "study", "'.a'"),
    "study name with a space": (lambda c: c.update(study="a b"), "study", "'a b'"),
    "folder as model name": (
        lambda c: c["models"][0].update(name="../x"),
        "models[0].name",
        "'../x'",
    ),
    "no models": (lambda c: c.update(models=[]), "models", "[]"),
    "path without a step": (
        lambda c: c["models"][0].update(path="/models/final"),
        "models[0].path",
        "'/models/final'",
    ),
    "unknown position": (
        lambda c: c.update(extraction={"position": "first"}),
        "extraction.position",
        "'first'",
    ),
    "float16": (
        lambda c: c.update(extraction={"dtype": "float16"}),
        "extraction.dtype",
        "'float16'",
    ),
    "threshold above 1": (
        lambda c: c.update(stabilisation={"thresholds": [0.9, 1.5]}),
        "stabilisation.thresholds[1]",
        "1.5",
    ),
    "metric twice": (
        lambda c: c.update(similarity=["cka", "cka"]),
        "similarity",
        "['cka', 'cka']",
    ),
    "reference that is no step": (
        lambda c: c.update(reference="first"),
        "reference",
        "'first'",
    ),
}


@pytest.mark.parametrize(("edit", "where", "value"), REFUSED.values(), ids=REFUSED.keys())
def test_the_schema_names_the_place_and_the_value(edit: Edit, where: str, value: str) -> None:
    made = written(edit)
    with pytest.raises(ConfigError) as caught:
        study.check_schema(made, SCHEMA)
    (line,) = str(caught.value).splitlines()[1:]
    assert line.startswith(f"  - {where}: ")
    assert value in line
    with pytest.raises(WorkflowError):  # and Snakemake's own check, which fills in the defaults
        config(edit)


def test_all_mistakes_are_listed_at_once() -> None:
    made = written(lambda c: c.update(study="a b", reference="first", stepz=[1]))
    with pytest.raises(ConfigError) as caught:
        study.check_schema(made, SCHEMA)
    places = [line.split(":")[0] for line in str(caught.value).splitlines()[1:]]
    assert places == ["  - the config", "  - reference", "  - study"]
    assert "unknown key 'stepz'; known: study, note, corpus" in str(caught.value)


def test_a_position_outside_the_sequences() -> None:
    made = config(lambda c: (c["corpus"].update(length=16), c.update(extraction={"position": -17})))
    (problem,) = problems(made)
    assert problem.startswith("extraction: position -17 is outside sequences of 16 tokens")


def test_an_unknown_source_lists_the_known() -> None:
    made = config(lambda c: c["models"][0].update(source="hub2"))
    assert problems(made)[0].startswith(
        "models: one: unknown model source 'hub2'; available: hub, local, trained"
    )
    made = config(lambda c: c["corpus"].update(source="pile"))
    assert problems(made)[0].startswith(
        "corpus: unknown corpus source 'pile'; available: embedded, hub, hub_text, text, tokens"
    )


def described(schema: Any, place: str = "") -> list[str]:
    """Keys of a schema that have no description."""
    found = []
    for key, inner in schema.get("properties", {}).items():
        if "description" not in inner:
            found.append(f"{place}{key}")
        found += described(inner, f"{place}{key}.")
        found += described(inner.get("items", {}), f"{place}{key}[].")
    return found


def test_every_key_is_described_and_every_object_closed() -> None:
    schema = yaml.safe_load(SCHEMA.read_text("utf-8"))
    assert described(schema) == []
    text = SCHEMA.read_text("utf-8")
    objects = len(re.findall(r"type: object", text))
    assert objects == len(
        re.findall(r"additionalProperties: (?:false|\{type: (?:string|\[.*\])\})", text)
    )


# Relations between keys, names and files


def test_a_model_name_twice() -> None:
    made = config(lambda c: c["models"][1].update(name="one"))
    assert problems(made) == [
        "models: the name 'one' is used 2 times; give each model its own",
    ]


def test_steps_that_do_not_ascend() -> None:
    assert problems(config(lambda c: c.update(steps=[0, 64, 16, 1024]))) == [
        "models: one: steps must ascend, found 16 after a larger one or twice",
        "models: two: steps must ascend, found 16 after a larger one or twice",
    ]


def test_a_step_that_the_training_does_not_keep_lists_the_nearest() -> None:
    def edit(made: Config) -> None:
        made["models"][1]["steps"] = [0, 100, 1024]

    assert problems(config(edit)) == [
        "models: two: step 100 does not exist; the nearest that do are 16, 32, 64, 128",
    ]


def test_a_step_after_the_end_of_training() -> None:
    (one, two) = problems(config(lambda c: c.update(steps=[0, 2000])))
    assert one.endswith("step 2000 does not exist; the nearest that do are 832, 896, 960, 1024")
    assert "two" in two


def test_no_steps_at_all() -> None:
    made = config(lambda c: (c.pop("steps"), c["models"][0].update(steps=[0])))
    assert problems(made) == [
        "models: two: no steps; give the study or the model `steps`",
    ]


def test_a_reference_that_is_not_among_the_steps() -> None:
    def edit(made: Config) -> None:
        made.update(reference=512)
        made["models"][0]["steps"] = [0, 512]

    assert problems(config(edit)) == [
        "models: two: the reference step 512 is not among its steps; add it to them",
    ]


def test_the_reference_is_the_largest_step_or_the_named_one() -> None:
    made = config(lambda c: c["models"][1].update(steps=[0, 512]))
    one, two = made["models"]
    assert selection.steps(made, one) == [0, 16, 1024] and selection.steps(made, two) == [0, 512]


@pytest.mark.parametrize(
    ("key", "name", "known"),
    [
        (
            "similarity",
            "ckaa",
            "unknown similarity metric 'ckaa'; available: angular_cka, cka",
        ),
        ("spectrum", "rank", "unknown spectrum metric 'rank'; available: condition_number, eff"),
        ("figures", "plot", "unknown figure 'plot'; available: "),
    ],
)
def test_an_unknown_name_lists_the_known(key: str, name: str, known: str) -> None:
    (problem,) = problems(config(lambda c: c.update({key: [name]})))
    assert problem.startswith(f"{key}: {known}")


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (
            lambda c: c["models"][0].pop("recipe"),
            "models: one: the source trained needs `recipe`",
        ),
        (
            lambda c: c["models"][0].update(path="/models/step{step}"),
            "models: one: `path` means nothing for the source trained; remove it or set another "
            "source",
        ),
        (
            lambda c: c["models"][0].update(training_steps=5),
            "models: one: `training_steps` means nothing for the source trained; remove it or set "
            "another source",
        ),
        (
            lambda c: c["models"][0]["recipe"].update(heads=3),
            "models: one: recipe: d_model 32 is not a multiple of heads 3",
        ),
        (
            lambda c: c["models"][0]["recipe"].update(training_tokens=1039),
            "models: one: recipe: training_tokens 1039 is less than one batch, 16 sequences of 64 "
            "tokens and the token after each, which is 1040; raise it or lower `batch` or "
            "`sequence_length`",
        ),
    ],
)
def test_what_does_not_fit_together(edit: Edit, problem: str) -> None:
    assert problems(config(edit)) == [problem]


def on_the_hub(**changes: Any) -> Edit:
    named = {"source": "hub", "dataset": "org/pile", "column": "ids", "sequences": 128}
    return lambda c: c.update(corpus={**named, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rows": "0..128"},
        {"rows": "5000.."},
        {"batch": {"step": 142999, "column": "batch_idx"}, "config": "a", "split": "b"},
        {"batch": {"step": 142999}, "revision": "refs/convert/parquet"},
    ],
)
def test_tokens_from_the_hub(changes: Config) -> None:
    made = config(on_the_hub(**changes))
    study.check(made)
    assert changes.items() <= made["corpus"].items()  # nothing is filled in


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rows": "9..", "batch": {"step": 1}}, "`rows` and `batch` both say which rows; remove"),
        ({"rows": "0..127"}, "`rows` 0..127 are fewer than the 128 of the study; see `corpus.seq"),
        ({"batch": {"step": 1, "rows_per_step": 64}}, "batch: `rows_per_step` 64 is less than "),
        (
            {"batch": {"step": 1, "column": "a", "rows_per_step": 64}},
            "batch: `rows_per_step` means nothing where `column` says the step",
        ),
        ({"path": "."}, "`path` means nothing for the source hub"),
        ({"source": "embedded", "sequences": 4}, "`column` means nothing for the source embedded"),
    ],
)
def test_tokens_from_the_hub_that_do_not_fit(changes: Config, problem: str) -> None:
    assert problems(config(on_the_hub(**changes)))[0].startswith(f"corpus: {problem}")


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "pile"},
        {"dataset": "org/pile@main"},
        {"rows": "128"},
        {"rows": "5..x"},
        {"batch": {"column": "a"}},
        {"batch": {"step": -1}},
        {"batch": {"step": 1, "rows": 2}},
    ],
)
def test_the_schema_refuses_what_names_no_rows(changes: Config) -> None:
    with pytest.raises(ConfigError):
        study.check_schema(written(on_the_hub(**changes)), SCHEMA)


# Models of the user's own


def local(folder: Path, **changes: Any) -> Edit:
    def edit(made: Config) -> None:
        path = f"{folder}/step{{step}}"
        made["models"] = [{"name": "mine", "source": "local", "path": path, **changes}]
        made["corpus"] = {"source": "text", "path": str(folder)}

    return edit


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    for step in (0, 16, 500, 1024):
        tiny.config("gpt_neox").save_pretrained(tmp_path / f"step{step}")
    return tmp_path


def test_local_checkpoints_are_found(checkpoints: Path) -> None:
    study.check(config(local(checkpoints)))


def test_local_checkpoints_that_are_not_there_list_the_nearest(checkpoints: Path) -> None:
    made = config(local(checkpoints, steps=[0, 400]))
    assert problems(made) == [
        "models: mine: step 400 does not exist; the nearest that do are 0, 16, 500, 1024",
    ]


def test_a_training_shorter_than_its_steps(checkpoints: Path) -> None:
    made = config(local(checkpoints, training_steps=500))
    (problem,) = problems(made)
    assert problem.endswith("step 1024 is after the end of the training, `training_steps` 500")


def test_a_path_that_matches_nothing_is_said_once(tmp_path: Path) -> None:
    """Not once for each of 154 steps."""
    made = config(local(tmp_path, path=f"{tmp_path}/none-{{step}}"))
    (problem,) = problems(made)
    remedy = f"nothing matches '{tmp_path}/none-{{step}}'; check the path and its {{step}} pattern"
    assert problem.startswith("models: mine: ") and problem.endswith(remedy)


def test_a_local_model_without_a_path(tmp_path: Path) -> None:
    made = config(lambda c: (local(tmp_path)(c), c["models"][0].pop("path")))
    assert problems(made) == ["models: mine: the source local needs `path`"]


@pytest.mark.parametrize("source", ["text", "tokens"])
def test_a_corpus_without_its_file(source: str) -> None:
    assert problems(config(lambda c: c.update(corpus={"source": source}))) == [
        f"corpus: the source {source} needs `path`",
    ]
    assert problems(config(lambda c: c.update(corpus={"source": source, "path": "/no/x"}))) == [
        "corpus: /no/x does not exist; see `corpus.path`",
    ]


def test_a_model_that_the_embedded_tokenizer_is_not_for(checkpoints: Path) -> None:
    made = config(lambda c: (local(checkpoints)(c), c.update(corpus={"source": "embedded"})))
    (problem,) = problems(made)
    assert problem.startswith("corpus: the embedded corpus has its own tokenizer, which mine was")


def test_models_with_different_tokenizers_are_two_studies(checkpoints: Path) -> None:
    def edit(made: Config) -> None:
        trained = made["models"][0]
        local(checkpoints)(made)
        made["models"].append(trained)

    (problem,) = problems(config(edit))
    assert "make two studies" in problem


def test_a_loss_of_single_tokens() -> None:
    """A sequence of one token predicts nothing: better said now than by a job on the GPU."""
    made = config(lambda c: c["corpus"].update(length=1))
    (problem,) = problems(made)
    assert "held_out_loss" in problem and "length" in problem


def test_all_problems_are_listed_at_once() -> None:
    def edit(made: Config) -> None:
        made.update(similarity=["ckaa", "cka", "ckb"], figures=["plot"], reference=3)
        made["corpus"] = {"source": "text", "path": "/no/x"}
        made["models"][0]["recipe"]["heads"] = 3
        made["models"][1]["steps"] = [0, 3, 5]

    found = "\n".join(problems(config(edit)))
    for part in (
        "ckaa",
        "ckb",
        "plot",
        "/no/x",
        "heads 3",
        "step 3 does",
        "step 5 does",
        "one: the",
    ):
        assert part in found, part


def test_checking_changes_nothing() -> None:
    made = config()
    before = copy.deepcopy(made)
    study.check(made)
    assert made == before


# Models on the hub, from their pin file


def hub_study(tmp_path: Path, **changes: Any) -> Config:
    """A study of a model on the hub, pinned at steps 0, 2, 4 and 9, of which 2 and 4 are alike."""
    revisions = {
        step: Revision(f"step{step}", f"{step:040x}", {"model.safetensors": File(1, digest)})
        for step, digest in ((0, "a"), (2, "b"), (4, "b"), (9, "c"))
    }
    model = {"name": "m", "source": "hub", "repository": "org/m"}
    existing = {step: revision.name for step, revision in revisions.items()}
    known = {"model_type": "gpt_neox", "max_position_embeddings": 64}
    pinned = Pins("org/m", pins.naming(model), existing, known, revisions)
    pins.write({"m": pinned}, tmp_path / "results/small/revisions.json")
    (tmp_path / "prose").mkdir()
    corpus = {"source": "text", "path": str(tmp_path / "prose"), "length": 8}
    return config(lambda c: c.update({"models": [model], "corpus": corpus, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": [0, 2, 4, 9]}, "m: 2 of its steps hold weights that another revision of org/m"),
        ({"steps": [2, 4], "duplicates": "drop"}, "m: `duplicates: drop` leaves none of its steps"),
        (
            {"steps": "all", "duplicates": "drop", "reference": 4},
            "m: the reference step 4 is one that `duplicates: drop` leaves out: step 2: ",
        ),
    ],
)
def test_duplicates_that_leave_a_study_without_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: Config, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = problems(hub_study(tmp_path, **changes))
    assert found.startswith(f"models: {message}")


def test_a_step_that_the_hub_did_not_have_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training may have gone on since the study was resolved."""
    monkeypatch.chdir(tmp_path)
    made = hub_study(tmp_path, steps=[0, 9, 12])
    study.check(made)
    assert selection.unresolved(made) == ["m"]
