"""Checkpoints that are revisions of a repository on the Hugging Face hub.

Planning reads the study's pin file and never the network: the rule `revisions` has asked the hub
before.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tending import families
from tending.checkpoints import Model
from tending.core import paths
from tending.core import steps as schedules
from tending.hub import duplicate_audit, pins
from tending.hub.pins import Pins

REQUIRED = ("repository",)
OPTIONAL = ("revision", "index_steps", "training_steps", "pins", "learning_rate")
REMOTE = True

_FIELD = re.compile(r"\{(step|index)(?::0(\d+)d)?\}|\*")


def own_pins(study: str) -> Path:
    """The study's own pin file."""
    return Path(paths.REVISIONS.format(study=study))


def named_pins(model: Model) -> Path | None:
    """The pin file that the model names: from the working directory, or one of the checkout's."""
    if not model.get("pins"):
        return None
    path = Path(model["pins"])
    shipped = paths.CHECKOUT / path
    return shipped if not path.exists() and shipped.exists() else path


def pin_files(model: Model, study: str) -> list[Path]:
    """The files with commits of the model: the one that it names and the study's own, if any."""
    found = [(path, pins.of(model, path)) for path in _places(model, study)]
    return [path for path, own in found if own and own.pinned()]


def known(model: Model, study: str) -> Pins | None:
    """What the pin files say of the model, together; the study's own says what is newer."""
    places = [place for place in _places(model, study) if place.exists()]
    written = tuple((place, place.stat().st_mtime_ns) for place in places)
    return _known(json.dumps(model, sort_keys=True, default=str), written)


# Asked for every job of a study: put together once for each state of the files.
@cache
def _known(described: str, places: tuple[tuple[Path, int], ...]) -> Pins | None:
    found = [pins.of(json.loads(described), path) for path, _ in places]
    return pins.joined([one for one in found if one is not None])


def _places(model: Model, study: str) -> list[Path]:
    named = named_pins(model)
    return [*([named] if named else []), own_pins(study)]


def pin_problem(model: Model, study: str) -> str:
    """What is wrong with the pin file that a model names, or nothing."""
    if not model.get("pins"):
        return ""
    path, own = named_pins(model), pins.of(model, own_pins(study))
    if path is None or not path.exists():
        return f"the pin file {path} does not exist; see `pins`"
    named = pins.of(model, path)
    if named is None:
        return (
            f"the pin file {path} does not pin {model['name']} of {model['repository']} with this "
            f"`revision`; name another in `pins`, or leave it out to ask the hub"
        )
    other = own.revisions if own else {}
    for step in sorted(set(named.revisions) & set(other)):
        if named.revisions[step].commit not in ("", other[step].commit):
            return (
                f"step {step} is pinned at {named.revisions[step].commit[:10]} in {path} and at "
                f"{other[step].commit[:10]} in {own_pins(study)}; delete it in one of them"
            )
    return ""


def resolved(model: Model, study: str) -> Pins:
    """The model's pins; PinError if the hub has not been asked yet."""
    found = known(model, study)
    if found is None:
        raise pins.PinError(
            f"{model['name']}: the revisions of {model['repository']} are not resolved yet; run "
            f"the workflow once with the network"
        )
    return found


def unresolved(model: Model, study: str, spec: schedules.Spec) -> bool:
    """Whether the hub must be asked before this model's steps can be planned."""
    found = known(model, study)
    if found is None:
        return True
    return not set(schedules.expand(spec, sorted(found.existing))) <= set(found.revisions)


def unpinned(model: Model, study: str, spec: schedules.Spec) -> list[int]:
    """The known steps among those asked for whose commits the hub must be asked for."""
    found = known(model, study)
    if found is None:
        return []
    return sorted(set(schedules.expand(spec, sorted(found.existing))) - found.pinned())


def steps(model: Model, study: str) -> list[int] | None:
    """The steps on the hub; None before it was asked."""
    found = known(model, study)
    return None if found is None else sorted(found.existing)


def mistaken(model: Model, study: str, asked: list[int]) -> dict[int, list[duplicate_audit.Listed]]:
    """Steps among `asked` that hold another revision's weights, as far as the hub was asked."""
    found = known(model, study)
    if found is None:
        return {}
    pinned = [step for step in asked if step in found.pinned()]
    last = last_step(model, study)
    return duplicate_audit.mistaken_steps(
        duplicate_audit.listing(model["name"], found, pinned, last)
    )


def folder(model: Model, step: int, study: str) -> Path:
    """Where the weights are while something needs them."""
    return Path(paths.WEIGHTS.format(study=study, model=model["name"], step=step))


def files(model: Model, step: int, study: str) -> list[str]:
    """None: a revision is the commit that it was pinned at."""
    return []


def revision(model: Model, step: int, study: str) -> str:
    """The branch or tag, as the hub names it."""
    return resolved(model, study).revisions[step].name


def commit(model: Model, step: int, study: str) -> str:
    """The commit that the revision was pinned at."""
    return resolved(model, study).revisions[step].commit


def last_step(model: Model, study: str) -> int:
    """The step that the training ended with, as far as the repository's names tell.

    A `revision` that names every step need not name the last one, so `training_steps` says it.
    """
    if isinstance(model.get("revision"), str | None):
        return max(resolved(model, study).existing)
    return int(model["training_steps"])


def total_steps(model: Model, asked: list[int], study: str) -> int:
    """`training_steps` of the model, or else the largest step on the hub, at least 1."""
    return int(model.get("training_steps") or max(*resolved(model, study).existing, 1))


def family(model: Model, step: int, study: str) -> str:
    """From the pinned config.json."""
    return str(resolved(model, study).config["model_type"])


def config(model: Model, step: int, study: str) -> Mapping[str, Any]:
    """The pinned one."""
    return resolved(model, study).config


def tokenizer(model: Model, step: int, study: str) -> str:
    """A copy that the workflow gets from the repository."""
    return paths.HUB_TOKENIZER.format(study=study, model=model["name"])


def tokenizer_digest(model: Model, step: int, study: str) -> str:
    """Hash of the tokenizer.json of a step, or else of main; nothing if neither has one.

    `not asked yet` where one is known to be there and the hub was not asked for either.
    """
    pinned = resolved(model, study)
    revisions = [pinned.revisions[step], *([pinned.main] if pinned.main else [])]
    files = [r.files["tokenizer.json"] for r in revisions if "tokenizer.json" in r.files]
    known = [file.sha256 or file.blob for file in files]
    return next(filter(None, known), "not asked yet" if files else "")


def context(model: Model, step: int, study: str) -> int:
    """From the pinned config.json."""
    config = resolved(model, study).config
    return families.family(str(config["model_type"])).architecture(config).context


# How revisions are named


def by_step(model: Model, names: list[str]) -> dict[int, str]:
    """step -> revision, of all names on the hub that the model's naming matches.

    Raises ValueError if two names are of one step.
    """
    naming = model.get("revision", "step{step}")
    if not isinstance(naming, str):
        return {int(step): str(name) for step, name in naming.items()}
    found: dict[int, str] = {}
    for name in sorted(names):
        step = _step_of(name, naming, _indexed(model))
        if step is None:
            continue
        if step in found:
            raise ValueError(
                f"step {step} is ambiguous: {found[step]!r} and {name!r} both match {naming!r}; "
                f"write a `revision` that only one matches, or name the revision of each step"
            )
        found[step] = name
    return found


def naming_problem(model: Model) -> str:
    """What is wrong with a model's `revision` and `index_steps`, or nothing."""
    naming = model.get("revision", "step{step}")
    if not isinstance(naming, str):
        wrong = [key for key in naming if not str(key).isdigit()]
        if wrong:
            return f"`revision` names the revision of step {wrong[0]!r}, not a number"
        if "training_steps" not in model:
            return "`revision` does not say where the training ends; give `training_steps`"
        return ""
    fields = [match[1] for match in _FIELD.finditer(naming) if match[1]]
    if len(fields) != 1 or re.search(r"[{}]", _FIELD.sub("", naming)):
        return (
            f"`revision` {naming!r} must hold one {{step}} or {{index}} (with zeros in front: "
            f"{{index:03d}}), and * for what differs besides"
        )
    if fields == ["index"] and not model.get("index_steps"):
        return "`revision` counts checkpoints by {index}; give the step of each in `index_steps`"
    if fields == ["step"] and model.get("index_steps"):
        return "`index_steps` means nothing without {index} in `revision`"
    try:
        _indexed(model)
    except ValueError:
        return "`index_steps` must name its steps: numbers, and ranges `A..B by C`"
    return ""


def _indexed(model: Model) -> list[int] | None:
    spec = model.get("index_steps")
    return None if spec is None else schedules.expand(spec, None)


def _step_of(name: str, naming: str, indexed: list[int] | None) -> int | None:
    """The step of the revision `name`, None if the naming does not match it."""
    pattern, end, width = "", 0, 0
    for match in _FIELD.finditer(naming):
        pattern += re.escape(naming[end : match.start()])
        after_any = naming[: match.start()].endswith("*")  # which must leave it all its digits
        digits = r"(?<!\d)(\d+)" if after_any else r"(\d+)"
        pattern += digits if match[1] else ".*"
        width = int(match[2]) if match[1] and match[2] else width
        end = match.end()
    matched = re.fullmatch(pattern + re.escape(naming[end:]), name)
    if matched is None:
        return None
    number = int(matched[1])
    if matched[1] != f"{number:0{width}d}":  # `step007` is not the revision of step 7
        return None
    if indexed is None:
        return number
    return indexed[number] if number < len(indexed) else None
