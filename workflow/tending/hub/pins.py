"""The pin file: the commit and the file hashes of every revision when a study resolved it.

A study keeps it, so that a rerun months later reads the same bytes or reports that it cannot. It
is read without the hub. An entry is valid for one repository and one way of naming revisions; a
model that changes either is resolved again.

A file that comes with a study may also describe a model before the hub is queried: its steps and
the sizes of their files, but no commits. That is enough to plan, and no more.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from tending.core import atomic
from tending.core.aliases import Model
from tending.core.steps import expand

SCHEMA_VERSION = 1
_WEIGHTS = re.compile(r"(model|pytorch_model)([-.].*)?\.(safetensors|bin)")


class PinError(ValueError):
    """A pin file that cannot be used, with the remedy."""


@dataclass(frozen=True)
class File:
    """One file of a revision: its size in bytes, and the hash of its content on the hub.

    sha256 is given for files in large-file storage; blob, the git object id, for the others.
    """

    size: int
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True)
class Revision:
    """A resolved revision. files: config, tokenizer, and weights in every format there is.

    commit is empty for one that is known but was not queried from the hub yet; the sizes of its
    files are then estimates, and their hashes are missing.
    """

    name: str
    commit: str
    files: dict[str, File]

    def weights(self) -> dict[str, File]:
        """Return the weight files."""
        return {name: file for name, file in self.files.items() if _WEIGHTS.fullmatch(name)}


@dataclass(frozen=True)
class Pins:
    """Everything resolved for one model.

    naming: the repository's way of naming revisions, as text; existing: step -> revision for
    every step on the hub; config: config.json of the last requested step; main: the branch main.
    """

    repository: str
    naming: str
    existing: dict[int, str]
    config: dict[str, Any]
    revisions: dict[int, Revision] = field(default_factory=dict)
    main: Revision | None = None

    def pinned(self) -> set[int]:
        """Return the steps whose commits are known."""
        return {step for step, revision in self.revisions.items() if revision.commit}


def naming(model: Model) -> str:
    """Serialise the naming of a model's revisions, as a text that changes with the naming."""
    return json.dumps([model.get("revision", "step{step}"), model.get("index_steps")])


def read(path: Path) -> dict[str, Pins]:
    """Read pins by model, none if there is no file; raise PinError if it is not a pin file."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}


@cache
def _read(path: Path, changed: int) -> dict[str, Pins]:
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise PinError(
                f"{path} has schema version {content['schema_version']}, this version of tending "
                f"reads {SCHEMA_VERSION}; delete it to resolve the revisions again"
            )
        return {name: _pins(fields) for name, fields in content["models"].items()}
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise PinError(
            f"{path} is not a pin file ({error!r}); delete it to resolve the revisions again"
        ) from None


def write(pins: Mapping[str, Pins], path: Path) -> None:
    """Write the pin file, steps ascending, so that versions of it are easy to compare.

    Revisions without a commit are left out: they are not pinned.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "models": {name: _fields(model) for name, model in pins.items()},
    }
    atomic.write_text(path, json.dumps(content, indent=1) + "\n")


def of(model: Model, path: Path) -> Pins | None:
    """Return a pin file's entry on a model, or None.

    An entry for another repository, or with another naming, does not count.
    """
    pins = read(path).get(model["name"])
    if pins and (pins.repository, pins.naming) == (model["repository"], naming(model)):
        return pins
    return None


def joined(found: Sequence[Pins]) -> Pins | None:
    """Merge several pins of one model; later ones take precedence. None if there are none.

    Answers of the hub take precedence over descriptions without it.
    """
    if not found:
        return None
    told = [pins for pins in found if pins.pinned()] or found
    existing = {step: name for pins in told for step, name in pins.existing.items()}
    revisions: dict[int, Revision] = {}
    for pins in found:
        for step, revision in pins.revisions.items():
            if revision.commit or (step in existing and step not in revisions):
                revisions[step] = revision
    return replace(told[-1], existing=existing, revisions=revisions)


def _fields(pins: Pins) -> dict[str, Any]:
    return {
        **asdict(pins),
        "existing": {str(step): name for step, name in sorted(pins.existing.items())},
        "revisions": {
            str(s): _revision_fields(r) for s, r in sorted(pins.revisions.items()) if r.commit
        },
        "main": _revision_fields(pins.main) if pins.main else None,
    }


def _revision_fields(revision: Revision) -> dict[str, Any]:
    files = {
        name: {key: value for key, value in asdict(file).items() if value != ""}
        for name, file in sorted(revision.files.items())
    }
    return {"name": revision.name, "commit": revision.commit, "files": files}


def _pins(fields: dict[str, Any]) -> Pins:
    if "steps" in fields:
        return _known(fields)
    main = fields["main"]
    return Pins(
        repository=fields["repository"],
        naming=fields["naming"],
        existing={int(step): name for step, name in fields["existing"].items()},
        config=fields["config"],
        revisions={int(step): _revision(r) for step, r in fields["revisions"].items()},
        main=_revision(main) if main else None,
    )


def _known(fields: dict[str, Any]) -> Pins:
    """Parse a description without the hub, in short form: all revisions have the same files."""
    (naming, _), steps = json.loads(fields["naming"]), expand(fields["steps"], None)
    existing = {step: naming.format(step=step) for step in steps}
    files = {name: File(size) for name, size in fields["files"].items()}
    return Pins(
        repository=fields["repository"],
        naming=fields["naming"],
        existing=existing,
        config=fields["config"],
        revisions={step: Revision(name, "", files) for step, name in existing.items()},
    )


def _revision(fields: dict[str, Any]) -> Revision:
    files = {name: File(**file) for name, file in fields["files"].items()}
    return Revision(fields["name"], fields["commit"], files)
