"""Long studies: planned without the hub; an added step is itself and what is drawn of all."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from bench import planning
from tending.checkpoints import hub
from tending.core import paths, plugins, steps
from tending.hub import pins
from tending.run import resolve_first
from tending.study import selection

REPOSITORY = Path(__file__).parents[2]
AGGREGATES = r"\w+_table|figure_\w+|summary|report|study_config"


def test_a_dry_run_needs_no_hub_and_an_added_step_plans_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    full = planning.subset(REPOSITORY / "studies/pythia-all.yaml", 2, 6)
    less = {**full, "steps": full["steps"][:3] + full["steps"][4:]}
    study = planning.written(full, "full.yaml")
    said, _ = planning.snakemake(study, "--dry-run", "--quiet", "rules")
    assert "12 revisions are not pinned yet; a real run asks the hub" in said
    jobs = planning.planned(said)
    for rule in ("spectra", "activations", "gradients", "divergence", "convergence"):
        assert jobs[rule] == 12
    assert jobs["fetch"] + jobs["fetch_reference"] == 12 and jobs["gradient_batches"] == 6
    assert not Path("results/pythia-all/revisions.json").exists()

    planning.pin(full)
    before = planning.written(less, "less.yaml")
    planning.finish(before)
    assert planning.planned(planning.snakemake(before, "--dry-run")[0]) == {}
    added = planning.planned(planning.snakemake(study, "--dry-run")[0])
    own = {rule: count for rule, count in added.items() if not re.fullmatch(AGGREGATES, rule)}
    stages = ("fetch", "spectra", "activations", "gradients", "divergence", "convergence")
    expected = dict.fromkeys((*stages, "representation", "trajectory"), 2)
    assert own == {**expected, "gradient_batches": 1}


def test_the_shipped_file_is_what_its_script_writes() -> None:
    content = json.loads((REPOSITORY / "studies/pythia.pins.json").read_text("utf-8"))
    assert len(content["models"]) == 10
    gigabytes = {n: m["files"]["model.safetensors"] / 1e9 for n, m in content["models"].items()}
    # as listed on the hub, in GB
    listed = {"14m": 0.05, "31m": 0.09, "70m": 0.17, "160m": 0.38, "410m": 0.91}
    listed |= {"1b": 2.1, "1.4b": 2.9, "2.8b": 5.68, "6.9b": 13.8, "12b": 23.8}
    assert gigabytes == pytest.approx(listed, rel=0.07)


@pytest.mark.parametrize("name", ["pythia.yaml", "pythia-70m.yaml", "pythia-all.yaml"])
def test_the_shipped_file_knows_the_studies(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load((REPOSITORY / "studies" / name).read_text("utf-8"))
    assert selection.unresolved(config) == []
    wanted = len(config["models"]) * len(steps.expand(config["steps"], None))
    assert sum(selection.unpinned(config).values()) == wanted


def test_pins_are_joined_once_for_all_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load((REPOSITORY / "studies/pythia-70m.yaml").read_text("utf-8"))
    (model,) = config["models"]
    calls: Counter[str] = Counter()
    joined = pins.joined
    monkeypatch.setattr(pins, "joined", lambda known: calls.update(["joined"]) or joined(known))
    hub._known.cache_clear()
    for step in steps.expand("pythia", None):
        hub.commit(model, step, "s")
    assert calls["joined"] == 1


def test_files_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins.literals("tending.components.mlp_out")
    monkeypatch.setattr("ast.parse", lambda text: pytest.fail("parsed again"))
    assert plugins.literals("tending.components.mlp_out")


@pytest.mark.parametrize(
    ("arguments", "only"),
    [
        (["plan"], True),
        (["plan", "--configfile", "x.yaml"], True),
        (["plan", "all"], False),
        (["--cores", "2", "plan"], False),
        ([], False),
    ],
)
def test_only_the_target_plan_alone_leaves_the_hub_in_peace(
    arguments: list[str], only: bool
) -> None:
    assert resolve_first.only_estimates(arguments) is only


def test_the_target_plan_prints_and_makes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "snakemake", "plan", "--cores", "1", "--snakefile"]
    command += [str(REPOSITORY / "Snakefile"), "--directory", str(tmp_path)]
    command += ["--configfile", str(REPOSITORY / "studies/pythia-70m.yaml")]
    own = {"PYTHONPATH": str(REPOSITORY / "workflow"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        command, env={**os.environ, **own}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "To fetch: 27 checkpoints, 4.5 GB, estimated from the shapes." in said
    assert re.search(r"^  activations +27 +not measured yet$", said, re.MULTILINE)
    assert "Largest live set: 0.3 GB, the 2 largest checkpoints" in said
    made = [p for p in (tmp_path / "results").rglob("*") if p.is_file()]
    assert {p.suffix for p in made} <= {".log", ".tsv"}
    assert not (tmp_path / paths.REVISIONS.format(study="pythia-70m")).exists()


def test_nothing_runs_without_commits() -> None:
    resolve_first.refuse_work({"plan"})
    with pytest.raises(ValueError, match="fetch cannot run alongside the target `plan`; name"):
        resolve_first.refuse_work({"plan", "fetch", "spectra"})
