"""The run before the run: a study on the hub cannot be planned before its revisions are known.

Which steps exist decides which jobs there are, so the rule `revisions` is a workflow of its own,
in rules/revisions.smk. Its result, the study's pin file, is read like any other source; no edge
leads from it to the stages, so a step that is added does not touch the others (see
docs/decisions/0004-pins-before-the-plan.md).
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tending import paths
from tending.config import ConfigError


def resolve(config: Mapping[str, Any], repository: Path) -> None:
    """Make the study's pin file, or complete it, by a run of the rule `revisions`.

    repository: the checkout, which holds rules/revisions.smk. Raises ConfigError with what the
    hub said if it cannot be done.
    """
    study = config["study"]
    target = paths.REVISIONS.format(study=study)
    log = Path(paths.log(paths.REVISIONS).format(study=study))
    log.unlink(missing_ok=True)  # what it says below is of this run
    with TemporaryDirectory() as folder:
        settings = Path(folder) / "config.json"
        settings.write_text(json.dumps(config), "utf-8")
        command = [sys.executable, "-m", "snakemake", target, "--forcerun", "revisions"]
        command += ["--snakefile", str(repository / "rules/revisions.smk")]
        command += ["--configfile", str(settings), "--cores", "1"]
        command += ["--workflow-profile", "none", "--nolock", "--quiet", "all"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(
            f"the revisions of the study {study!r} cannot be resolved:\n"
            f"{_said(log) or done.stderr or done.stdout}"
        )


def _said(log: Path) -> str:
    """The error in a job's log, without times, or nothing."""
    if not log.exists():
        return ""
    lines = log.read_text("utf-8").splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r"\d\d:\d\d:\d\d ERROR ", line)]
    if not starts:
        return ""
    return "\n".join(lines[starts[0] :]).split("ERROR ", 1)[1]
