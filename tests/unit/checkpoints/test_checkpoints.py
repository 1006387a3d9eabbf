"""Where checkpoints come from: folders of the user's and trainings of the workflow."""

from pathlib import Path
from typing import Any

import pytest
import tiny

from tending.checkpoints import local, source, trained
from tending.core import plugins

RECIPE = {
    "d_model": 32,
    "layers": 2,
    "heads": 2,
    "learning_rate": 0.01,
    "steps": 100,
    "batch": 4,
    "sequence_length": 16,
    "save_every": 50,
    "seed": 0,
}


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
    return root


def model(path: object, **more: Any) -> dict[str, Any]:
    return {"name": "mine", "source": "local", "path": str(path), **more}


def test_steps_are_the_folders_that_match(tmp_path: Path) -> None:
    folders(tmp_path, "step0", "step10", "step9", "step", "stepx", "step5.old", "my-step7")
    (tmp_path / "step3").write_text("a file")
    assert local.steps(model(f"{tmp_path}/step{{step}}"), "any") == [0, 9, 10]


def test_numbers_are_written_without_padding(tmp_path: Path) -> None:
    """`step007` is not what the pattern makes of step 7."""
    folders(tmp_path, "step007", "step8")
    assert local.steps(model(f"{tmp_path}/step{{step}}"), "any") == [8]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("{step}", ["4", "16"]),
        ("run.a-{step}-unsharded", ["run.a-4-unsharded", "run.a-16-unsharded"]),
        ("step{step}/hf", ["step4/hf", "step16/hf"]),
        ("global_step{step}/a/b", ["global_step4/a/b", "global_step16/a/b"]),
        ("run[1]/step{step}", ["run[1]/step4", "run[1]/step16"]),
        ("step{step}[1]", ["step4[1]", "step16[1]"]),
    ],
)
def test_every_pattern_finds_its_own_folders(
    tmp_path: Path, pattern: str, names: list[str]
) -> None:
    folders(tmp_path, *names)
    mine = model(tmp_path / pattern)
    assert local.steps(mine, "any") == [4, 16]
    assert [local.folder(mine, s, "any") for s in (4, 16)] == [tmp_path / n for n in names]


@pytest.mark.parametrize(
    "pattern",
    ["models/step{step}", "./models/step{step}", "models/step{step}/", "models//step{step}"],
)
def test_a_folder_may_be_spelled_in_several_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    folders(tmp_path, "models/step4", "models/step16")
    monkeypatch.chdir(tmp_path)
    local._existing.cache_clear()
    assert local.steps(model(pattern), "any") == [4, 16]


def test_a_folder_beside_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders(tmp_path, "models/step4", "here")
    monkeypatch.chdir(tmp_path / "here")
    assert local.steps(model("../models/step{step}"), "any") == [4]


def test_no_folder_no_steps(tmp_path: Path) -> None:
    assert local.steps(model(f"{tmp_path}/nowhere/step{{step}}"), "any") == []


def test_files_to_watch_are_config_and_weights(tmp_path: Path) -> None:
    built = tiny.model("gpt_neox")
    tiny.save(built, tmp_path / "step4", max_shard_size="8KB")
    (tmp_path / "step4" / "notes.txt").write_text("")
    watched = local.files(model(f"{tmp_path}/step{{step}}"), 4, "any")
    names = {Path(f).name for f in watched}
    assert {"config.json", "model.safetensors.index.json"} < names
    assert not {"notes.txt", "generation_config.json"} & names
    assert sum(n.endswith(".safetensors") for n in names) > 2


def test_progress_is_a_share_of_the_training(tmp_path: Path) -> None:
    assert local.total_steps(model(tmp_path), [0, 16, 500], "any") == 500
    assert local.total_steps(model(tmp_path, training_steps=143000), [0, 16, 500], "any") == 143000
    assert local.total_steps(model(tmp_path), [0], "any") == 1  # progress is a fraction of it


def test_the_context_is_the_configs(tmp_path: Path) -> None:
    tiny.config("gpt_neox").save_pretrained(tmp_path / "step4")
    assert local.context(model(f"{tmp_path}/step{{step}}"), 4, "any") == 32


def test_a_trained_model() -> None:
    mine = {"name": "d32", "source": "trained", "recipe": RECIPE}
    assert trained.steps(mine, "any") == [0, 1, 2, 4, 8, 16, 32, 50, 64, 100]
    assert trained.total_steps(mine, [0, 16], "any") == 100
    assert trained.context(mine, 16, "any") == 16
    assert trained.recipe(mine).as_dict() == RECIPE
    there = trained.folder(mine, 16, "small")
    (manifest,) = trained.files(mine, 16, "small")
    assert there.parent == Path(manifest).parent
    assert "small" in there.parts and "d32" in there.parts and there.name == "step16"


def test_an_unknown_source_lists_the_known() -> None:
    with pytest.raises(
        ValueError, match=r"unknown model source 's3'; available: hub, local, trained"
    ):
        source("s3")


@pytest.mark.parametrize("name", plugins.names("tending.checkpoints"))
def test_every_source_has_all_functions(name: str) -> None:
    functions = ("steps", "folder", "files", "revision", "total_steps", "context")
    assert all(callable(getattr(source(name), function)) for function in functions)
    assert isinstance(plugins.constant(f"tending.checkpoints.{name}", "REMOTE"), bool)
