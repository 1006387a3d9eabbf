"""A study on a real SLURM of one node: every job through it, and whatever may end one.

The run that goes over its time takes more than a minute, SLURM's least; it is under way while the
others are.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import cluster
import pytest
from cluster import Cluster
from studies import REPOSITORY, Run, Workplace, study

REQUIRED = "TENDING_SLURM"  # `required`: a machine without SLURM fails these tests
FOUND = TypeVar("FOUND")
SECONDS = 240


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    reason = cluster.why_not()
    if reason and os.environ.get(REQUIRED) != "required":
        pytest.skip(reason)
    with cluster.running(tmp_path_factory.mktemp("slurm") / "cluster") as running:
        yield running


@pytest.fixture(scope="module")
def prepared(slurm: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A study whose model is trained already, on this machine: what is left is for the cluster."""
    workplace = Workplace(tmp_path_factory.mktemp("prepared"), variables=slurm.environment)
    workplace.configure(
        models=study()["models"][:1],
        steps=[0, 6],
        extraction={"device": "auto"},  # asks for a GPU; what SLURM gives is none
        figures=["cka_by_step"],
        trajectory=[],
    )
    workplace.finish("--until", "train", "corpus")
    return workplace


def command(workplace: Workplace, *options: str) -> list[str]:
    """The run on the cluster; options come after the profile and win."""
    started = [sys.executable, str(Path(__file__).with_name("eager.py")), *options]
    started += ["--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(workplace.folder)]
    started += ["--configfile", str(workplace.folder / "study.yaml")]
    started += ["--workflow-profile", str(REPOSITORY / "profiles/slurm"), "--latency-wait", "10"]
    return [*started, "--seconds-between-status-checks", "1"]


@contextmanager
def started(workplace: Workplace, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A run that does not outlive the block; what it says goes to a file of its own."""
    with (workplace.folder / "output.txt").open("w") as output:
        run = subprocess.Popen(
            command(workplace, *options),
            env=workplace.environment,
            stdout=output,
            stderr=output,
            text=True,
        )
    try:
        yield run
    finally:
        run.kill()
        run.wait()


def end(workplace: Workplace, run: subprocess.Popen[str]) -> Run:
    """Wait for a run, and read what it said."""
    returncode = run.wait(timeout=SECONDS)
    return Run(returncode, (workplace.folder / "output.txt").read_text())


def awaited(run: subprocess.Popen[str], look: Callable[[], FOUND | None]) -> FOUND:
    """What `look` finds while a run goes on; AssertionError if the run ends before."""
    for _ in range(SECONDS * 5):
        found = look()
        if found:
            return found
        assert run.poll() is None, "the run ended before it could be disturbed"
        time.sleep(0.2)
    raise AssertionError("what was waited for did not happen")


def at_work(slurm: Cluster, script: str, folder: Path) -> tuple[str, int] | None:
    """Job and process of a script that is running for a study."""
    for job, state, _ in slurm.queue():
        if state == "RUNNING":
            for process in slurm.processes(job):
                line = _read(process, "cmdline")
                if f".{script}.py" in line and str(folder) in line:
                    return job, process
    return None


def _read(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_text(errors="replace")
    except OSError:
        return ""


@pytest.fixture(scope="module")
def overdue(
    prepared: Workplace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Workplace, subprocess.Popen[str]]]:
    """A run whose one job is allowed a minute and reads a file that nobody ever writes."""
    workplace = prepared.copy(tmp_path_factory.mktemp("overdue") / "study")
    workplace.finish("results/tiny/checkpoints/a/step6.json")
    weights = workplace.results / "training/a/step6/model.safetensors"
    weights.unlink()
    os.mkfifo(weights)
    target = "results/tiny/spectra/a/step6.h5"
    limited = "--retries", "0", "--set-resources", "spectra:runtime=1"
    with started(workplace, target, *limited) as run:
        yield workplace, run


def test_a_study_survives_a_cancelled_job_and_a_killed_run(
    slurm: Cluster, prepared: Workplace, overdue: object, tmp_path: Path
) -> None:
    workplace = prepared.copy(tmp_path / "study")
    with started(workplace) as run:
        job, process = awaited(run, lambda: at_work(slurm, "activations", workplace.folder))
        first = slurm.job(job)
        assert first["Partition"] == "gpu" and first["TresPerJob"] == "gres:gpu:1"
        assert "CUDA_VISIBLE_DEVICES=0" in _read(process, "environ").split("\0")
        slurm.ask("scancel", job)

        (left,) = awaited(run, lambda: slurm.jobs_of("convergence", states="running"))
        slurm.ask("scontrol", "suspend", left)  # or it might end before the next run looks
        made = finished(workplace)
        run.kill()
        killed = end(workplace, run)
    assert len(made) == 4
    assert "Trying to restart job" in killed.output
    again = [slurm.job(number) for number in slurm.jobs_of("activations")]
    assert sorted(j["JobState"] for j in again) == ["CANCELLED", "COMPLETED", "COMPLETED"]
    memory = {_memory(j) for j in again if j["JobState"] == "COMPLETED"}
    assert memory == {_memory(first), 2 * _memory(first)}, "the second attempt asks for more"

    with started(workplace) as run:
        rest = end(workplace, run)
    assert rest.returncode == 0, rest.output
    assert "its finished work is kept" in rest.output
    assert slurm.job(left)["JobState"] == "CANCELLED"
    assert finished(workplace) == made
    assert not {"checkpoint", "activations", "spectra"} & set(rest.jobs)
    assert "Nothing to be done" in workplace.finish("--dry-run").output
    check_submissions(slurm, killed, rest)


def finished(workplace: Workplace) -> dict[Path, int]:
    """What was made before the kill, and when."""
    stages = (workplace.results / name for name in ("activations", "spectra"))
    return {path: path.stat().st_mtime_ns for stage in stages for path in stage.rglob("*.h5")}


def _memory(job: dict[str, str]) -> int:
    return int(job["MinMemoryNode"].removesuffix("M"))


def check_submissions(slurm: Cluster, *runs: Run) -> None:
    """Every job went through SLURM but those that are to run beside Snakemake, short ones together,
    and none had a GPU that did not ask for it.
    """
    said = "".join(run.output for run in runs)
    submitted = slurm.comments(re.findall(r"submitted with SLURM jobid (\d+)", said))
    grouped = Counter(name for name in submitted.values() if not name.count("_wildcards_"))
    expected = {"rule_inspection_checkpoint": 1, "rule_convergence_convergence": 2}
    assert grouped.items() >= expected.items(), (
        "both steps in one submission, one of which was cancelled"
    )
    ended = set(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", said))
    alone = {"activations", "spectra"}
    together = {"checkpoint", "convergence", "summary", "figure_cka_by_step"}
    together |= {rule for rule in ended if rule.endswith("_table")}
    assert ended == {*alone, *together, "study_config", "report", "all"}
    names = {re.sub(r"^rule_([a-z]+).*", r"\1", name) for name in submitted.values()}
    groups = {"inspection", "convergence", "tables", "joined", "figures"}
    assert names == {*alone, *groups}
    for job in map(slurm.job, submitted):
        assert _memory(job) >= 800 and job["TimeLimit"] != "UNLIMITED"
        assert (job["Partition"] == "gpu") == ("TresPerJob" in job)


def test_a_job_over_its_time_is_reported_with_its_log(
    overdue: tuple[Workplace, subprocess.Popen[str]],
) -> None:
    workplace, run = overdue
    ended = end(workplace, run)
    assert ended.returncode == 1
    assert "Error in rule spectra" in ended.output
    assert "SLURM status is: 'TIMEOUT'" in ended.output
    assert "log: results/tiny/logs/spectra/a/step6.log, /" in ended.output  # and SLURM's
    assert "DUE TO TIME LIMIT" in ended.output  # which is printed
    assert not (workplace.results / "spectra/a/step6.h5").exists()
