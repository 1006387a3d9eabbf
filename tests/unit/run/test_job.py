"""What a job does around its work, in processes of their own."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tending.run import job

JOB = """
import os, subprocess, sys, threading, warnings
from tending.core.progress import progress
from tending.run.job import running, RUN_VARIABLE
with running(sys.argv[1], 3):
{work}
"""


def run(log: Path, work: str, **environment: str) -> subprocess.CompletedProcess[str]:
    indented = "\n".join(f"    {line}" for line in work.splitlines())
    inherited = {k: v for k, v in os.environ.items() if k != job.RUN_VARIABLE}
    return subprocess.run(
        [sys.executable, "-c", JOB.format(work=indented), str(log)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**inherited, **environment},
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "a" / "job.log"  # folders that are not there yet


def test_a_job_that_ends_well(log: Path) -> None:
    done = run(log, "print('some output')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    first, last = log.read_text().splitlines()
    assert first == "some output"
    assert "INFO done in" in last


def test_a_job_that_ends_well_does_not_wait_for_python_to_take_itself_apart(log: Path) -> None:
    late = "import atexit; atexit.register(lambda: os.write(1, b'late')); print('kept', end='')"
    assert run(log, f"print('here'); {late}").returncode == 0
    first, last = log.read_text().splitlines()
    assert first == "here" and last.startswith("kept") and "done in" in last


@pytest.mark.parametrize(
    "error",
    [
        "ValueError",
        "FloatingPointError",
        "FileNotFoundError",
        "MemoryError",
    ],
)
def test_an_error_that_names_its_remedy_is_one_line(log: Path, error: str) -> None:
    done = run(log, f"raise {error}('a.h5 is broken; delete it')")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    (line,) = log.read_text().splitlines()
    assert line.endswith("ERROR a.h5 is broken; delete it")


def test_a_warning_is_seen_on_the_terminal_too(log: Path) -> None:
    done = run(log, "import logging; logging.warning('rows cut to 16')")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{log}: rows cut to 16\n"
    assert "WARNING rows cut to 16" in log.read_text()


def test_an_error_without_a_message_still_says_something(log: Path) -> None:
    """Python's own MemoryError has no text."""
    done = run(log, "raise MemoryError")
    assert done.returncode == 1
    assert "MemoryError" in log.read_text()


@pytest.mark.parametrize("error", ["KeyError('hidden')", "TypeError('hidden')", "AssertionError"])
def test_an_unexpected_error_has_its_traceback(log: Path, error: str) -> None:
    done = run(log, f"raise {error}")
    assert done.returncode == 1
    text = log.read_text()
    assert "Traceback" in text and error.split("(")[0] in text
    assert "report it" in text


def test_all_output_goes_to_the_log(log: Path) -> None:
    work = (
        "print('to stdout', flush=True)\n"
        "print('to stderr', file=sys.stderr, flush=True)\n"
        "subprocess.run([sys.executable, '-c', \"print('of a child')\"], check=True)\n"
        "os.write(2, b'of a library in C\\n')\n"
        "warnings.warn('a warning')"
    )
    done = run(log, work)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = log.read_text()
    for part in ("to stdout", "to stderr", "of a child", "of a library in C", "a warning"):
        assert part in text


def test_the_log_is_of_this_run_alone(log: Path) -> None:
    run(log, "print('the first')")
    run(log, "print('the second')")
    assert "the first" not in log.read_text()


def test_progress_is_in_the_log(log: Path) -> None:
    work = "with progress(4, 'layers') as advance:\n    advance(3)\n    advance(loss=0.5)"
    assert run(log, work).returncode == 0
    assert "4/4" in log.read_text() and "loss=0.500" in log.read_text()


def test_threads_reach_the_tokenizers(log: Path) -> None:
    work = "print(os.environ['RAYON_NUM_THREADS'], os.environ['TOKENIZERS_PARALLELISM'])"
    run(log, work)
    assert log.read_text().startswith("3 false\n")


def test_a_job_ends_with_the_run_that_started_it(log: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    began = time.perf_counter()
    done = run(log, "threading.Event().wait(60)", TENDING_RUN=f"{job.here()} {ended.pid}")
    assert time.perf_counter() - began < 5  # a second or two, and the start of Python
    assert done.returncode == 1
    assert "the run that started this job is gone" in log.read_text()


def test_a_job_ends_when_its_run_is_killed(log: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    at_work, job_end = os.pipe()
    work = "    os.write(int(sys.argv[2]), b'x')\n    threading.Event().wait(60)"
    here = job.here()
    started = subprocess.Popen(
        [sys.executable, "-c", JOB.format(work=work), str(log), str(job_end)],
        env={**os.environ, job.RUN_VARIABLE: f"{here} {holder.pid}"},
        pass_fds=[job_end],
    )
    assert os.read(at_work, 1) == b"x"
    holder.kill()
    holder.communicate()
    assert started.wait(timeout=10) == 1
    assert "the run that started this job is gone" in log.read_text()
    os.close(at_work)
    os.close(job_end)


def test_a_job_of_a_living_run_ends_by_itself(log: Path) -> None:
    assert run(log, "print('x')", TENDING_RUN=f"{job.here()} {os.getpid()}").returncode == 0
    assert "done in" in log.read_text()


@pytest.mark.parametrize("moved", ["to another machine", "into a scheduler's job"])
def test_a_job_out_of_sight_of_its_run_goes_on(log: Path, moved: str) -> None:
    """On another machine the process id means another process, or none."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    elsewhere = {"TENDING_RUN": f"{job.here()} {ended.pid}", "SLURM_JOB_ID": "7"}
    if moved == "to another machine":
        elsewhere = {"TENDING_RUN": f"login-1/ {ended.pid}"}
    work = "print(sorted(t.name for t in threading.enumerate() if '_watch' in t.name))"
    done = run(log, work, **elsewhere)
    assert done.returncode == 0
    assert log.read_text().startswith("[]\n")


def test_a_run_inside_a_job_of_a_scheduler_is_watched(log: Path) -> None:
    """Snakemake with its own executor, in one submission: its jobs are beside it."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    run_here = f"{socket.gethostname()}/7 {ended.pid}"
    work = "threading.Event().wait(60)"
    done = run(log, work, TENDING_RUN=run_here, SLURM_JOB_ID="7")
    assert done.returncode == 1
    assert "the run that started this job is gone" in log.read_text()


def test_an_interpreter_with_a_space_in_its_path_is_refused() -> None:
    job.check_interpreter("/opt/python/bin/python")
    with pytest.raises(ValueError, match="move the checkout"):
        job.check_interpreter("/home/me/my studies/.venv/bin/python")
