"""The run before the run: a study on the hub cannot be planned before its revisions are known.

The existing steps determine the jobs, so the rule `revisions` is a separate workflow, in
rules/revisions.smk. Its result, the study's pin file, is read like any other source; no edge leads
from it to the stages, so adding a step does not affect the others (see
docs/decisions/0004-pins-before-the-plan.md).
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tending.core import paths
from tending.run.config import ConfigError


def resolve(config: Mapping[str, Any], repository: Path) -> list[str]:
    """Make the study's pin file, or complete it, by running the rule `revisions`.

    repository: the checkout, which holds rules/revisions.smk. Returns warnings for the user, on
    revisions that moved. Raises ConfigError with the hub's answer if it cannot be done.
    """
    study = config["study"]
    target = paths.REVISIONS.format(study=study)
    log = Path(paths.log(paths.REVISIONS).format(study=study))
    log.unlink(missing_ok=True)  # so that it holds messages of this run only
    environment = {k: v for k, v in os.environ.items() if k != "SNAKEMAKE_PROFILE"}
    with TemporaryDirectory() as folder:
        settings = Path(folder) / "config.json"
        settings.write_text(json.dumps(config), "utf-8")
        command = [sys.executable, "-m", "snakemake", target, "--forcerun", "revisions"]
        command += ["--snakefile", str(repository / "rules/revisions.smk")]
        command += ["--configfile", str(settings), "--cores", "1", "--rerun-incomplete"]
        command += ["--workflow-profile", "none", "--nolock"]
        # In a file, not a pipe: if this process is killed, the other could no longer write its last
        # messages into a pipe, and would never end.
        output = Path(folder) / "output.txt"
        with output.open("w") as file:
            done = subprocess.run(command, stdout=file, stderr=file, env=environment)
        said = output.read_text("utf-8")
    if done.returncode:
        raise ConfigError(
            f"the revisions of the study {study!r} cannot be resolved:\n"
            f"{''.join(_said(log, 'ERROR')[:1]) or said}"
        )
    return _said(log, "WARNING")


def only_estimates(arguments: Sequence[str]) -> bool:
    """Whether the one target of a command line is `plan`, named first as in docs/planning.md.

    If that is not certain the hub is queried, as before any other run.
    """
    return list(arguments[:1]) == ["plan"] and all(a.startswith("-") for a in arguments[1:2])


def refuse_work(rules: Collection[str]) -> None:
    """Raise ConfigError if a run whose commits are not known would do more than estimate."""
    if others := sorted({*rules} - {"plan", "all"}):
        raise ConfigError(
            f"the study's revisions are not pinned, so {others[0]} cannot run alongside the "
            f"target `plan`; name `plan` alone, or run without it"
        )


def _said(log: Path, level: str) -> list[str]:
    """Return the messages of one level in a job's log, of one or more lines each, without times."""
    if not log.exists():
        return []
    # a progress bar may stand on the line before the time
    pieces = re.split(r"\d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) ", log.read_text("utf-8"))
    told = zip(pieces[1::2], pieces[2::2], strict=True)
    return [text.rstrip() for kind, text in told if kind == level]
