"""Setup and teardown of every job of the workflow: log, errors, threads, orphans."""

import io
import logging
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUN_VARIABLE = "TENDING_RUN"  # the snakemake process that started the job, see `here`
POLL_SECONDS = 0.5

logger = logging.getLogger("tending")
told = logging.getLogger("tending.told")  # to the terminal only, unformatted


def check_interpreter(path: str) -> None:
    """Raise ValueError if Snakemake, which does not quote it, cannot start jobs by this path."""
    if any(character.isspace() for character in path):
        raise ValueError(
            f"Snakemake cannot start jobs with {path!r}, because there is a space in the path; "
            f"move the checkout, or its virtual environment, to a folder without one"
        )


@contextmanager
def running(log: str, threads: int) -> Iterator[None]:
    """Run a job's work with all output going to `log`; an error ends the process with status 1.

    Warnings go to the log, and to the terminal preceded by the name of the log.
    An error that names its remedy (ValueError, MemoryError, OSError and the like) is logged as
    one line, any other with its traceback. The job ends if the snakemake that started it on this
    machine does, so that no orphan writes alongside the next run.

    The process ends immediately after the work, because Python's teardown of the modules of torch
    and transformers takes most of a second. So a script has no code after this block.
    """
    # BLAS and torch read theirs from the environment that Snakemake sets for the job
    os.environ.update(RAYON_NUM_THREADS=str(threads or 1), TOKENIZERS_PARALLELISM="false")
    if not threads:  # a job that mostly waits; to some libraries 0 means all cores
        os.environ.update({k: "1" for k in os.environ if k.endswith("_NUM_THREADS")})
    _redirect(Path(log))
    _end_with_run()
    started = time.perf_counter()
    try:
        yield
    except (ValueError, ArithmeticError, OSError, MemoryError) as error:
        logger.error("%s", str(error) or type(error).__name__)
        logger.debug("%s", traceback.format_exc())
        _leave(1)
    except Exception:
        logger.exception("unexpected; if this is a bug in tending, please report it with this log")
        _leave(1)
    logger.info("done in %.1f s", time.perf_counter() - started)
    _leave(0)


def tell(text: str) -> None:
    """Print to the user's terminal from inside `running`, bypassing the log."""
    told.info("%s", text)


def _redirect(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    terminal = logging.StreamHandler(os.fdopen(os.dup(2), "w"))
    terminal.addFilter(_for_the_user)
    told.propagate = False
    told.addHandler(logging.StreamHandler(os.fdopen(os.dup(2), "w")))
    terminal.setFormatter(logging.Formatter(f"{log}: %(message)s"))
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    if isinstance(sys.stdout, io.TextIOWrapper):  # keep printed lines in order
        sys.stdout.reconfigure(line_buffering=True)
    for name in ("httpx", "httpx2", "huggingface_hub"):  # they log signed URLs
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    logging.getLogger().addHandler(terminal)
    logging.captureWarnings(True)


def _for_the_user(record: logging.LogRecord) -> bool:
    """Whether a record is one of our warnings; others are for the log, and errors end the job."""
    return record.levelno == logging.WARNING and record.name != "py.warnings"


def here() -> str:
    """Identify where process ids are valid: a machine, and the scheduler's job on it, if any."""
    return f"{socket.gethostname()}/{os.environ.get('SLURM_JOB_ID', '')}"


def _end_with_run() -> None:
    """Watch the process that started the job, unless it is not visible from here.

    A job that a scheduler started, here or on another machine, is the scheduler's to end.
    """
    place, _, run = os.environ.get(RUN_VARIABLE, "").rpartition(" ")
    if place == here():
        threading.Thread(target=_watch, args=(int(run),), daemon=True).start()


def _watch(run: int) -> None:
    while True:
        try:
            os.kill(run, 0)
        except ProcessLookupError:
            logger.error("the run that started this job is gone; ending, nothing was written")
            os._exit(1)
        time.sleep(POLL_SECONDS)


def _leave(status: int) -> None:
    """End the process; an exception would make Snakemake print its script wrapper too."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
