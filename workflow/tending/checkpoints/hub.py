"""Checkpoints that are revisions of a repository on the Hugging Face hub.

Planning reads the study's pin file and never the network: the rule `revisions` has queried the
hub beforehand.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tending import families
from tending.core import paths
from tending.core import steps as schedules
from tending.core.aliases import Model
from tending.hub import duplicate_audit, pins
from tending.hub.pins import Pins

REQUIRED = ("repository",)
OPTIONAL = ("revision", "index_steps", "training_steps", "pins", "learning_rate")
REMOTE = True

_FIELD = re.compile(r"\{(step|index)(?::0(\d+)d)?\}|\*")


def own_pins(study: str) -> Path:
    """Return the path of the study's own pin file."""
    return Path(paths.REVISIONS.format(study=study))


def named_pins(model: Model) -> Path | None:
    """Return the pin file that the model names, from the working directory or the checkout."""
    if not model.get("pins"):
        return None
    path = Path(model["pins"])
    shipped = paths.CHECKOUT / path
    return shipped if not path.exists() and shipped.exists() else path


def pin_files(model: Model, study: str) -> list[Path]:
    """Return the files that pin commits of the model: the one it names and the study's own."""
    found = [(path, pins.of(model, path)) for path in _places(model, study)]
    return [path for path, own in found if own and own.pinned()]


def known(model: Model, study: str) -> Pins | None:
    """Merge the pin files' entries on the model; the study's own file takes precedence."""
    places = [place for place in _places(model, study) if place.exists()]
    written = tuple((place, place.stat().st_mtime_ns) for place in places)
    return _known(json.dumps(model, sort_keys=True, default=str), written)


# Called for every job of a study: merged once for each state of the files.
@cache
def _known(described: str, places: tuple[tuple[Path, int], ...]) -> Pins | None:
    found = [pins.of(json.loads(described), path) for path, _ in places]
    return pins.joined([one for one in found if one is not None])


def _places(model: Model, study: str) -> list[Path]:
    named = named_pins(model)
    return [*([named] if named else []), own_pins(study)]


def pin_problem(model: Model, study: str) -> str:
    """Describe the problem with the pin file that a model names; "" if there is none."""
    if not model.get("pins"):
        return ""
    path, own = named_pins(model), pins.of(model, own_pins(study))
    if path is None or not path.exists():
        return f"the pin file {path} does not exist; see `pins`"
    named = pins.of(model, path)
    if named is None:
        return (
            f"the pin file {path} does not pin {model['name']} of {model['repository']} with this "
            f"`revision`; name another in `pins`, or leave it out to query the hub"
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
    """Return the model's pins; raise PinError if the hub has not been queried yet."""
    found = known(model, study)
    if found is None:
        raise pins.PinError(
            f"{model['name']}: the revisions of {model['repository']} are not resolved yet; run "
            f"the workflow once with network access"
        )
    return found


def unresolved(model: Model, study: str, spec: schedules.Spec) -> bool:
    """Whether the hub must be queried before this model's steps can be planned."""
    found = known(model, study)
    if found is None:
        return True
    return not set(schedules.expand(spec, sorted(found.existing))) <= set(found.revisions)


def unpinned(model: Model, study: str, spec: schedules.Spec) -> list[int]:
    """Return the requested steps that are known but whose commits must be queried from the hub."""
    found = known(model, study)
    if found is None:
        return []
    return sorted(set(schedules.expand(spec, sorted(found.existing))) - found.pinned())


def steps(model: Model, study: str) -> list[int] | None:
    """Return the steps on the hub; None before it was queried."""
    found = known(model, study)
    return None if found is None else sorted(found.existing)


def mistaken(model: Model, study: str, asked: list[int]) -> dict[int, list[duplicate_audit.Listed]]:
    """Return steps among `asked` that hold another revision's weights, as far as pinned."""
    found = known(model, study)
    if found is None:
        return {}
    pinned = [step for step in asked if step in found.pinned()]
    last = last_step(model, study)
    return duplicate_audit.mistaken_steps(
        duplicate_audit.listing(model["name"], found, pinned, last)
    )


def folder(model: Model, step: int, study: str) -> Path:
    """Return the folder of the weights while they are needed."""
    return Path(paths.WEIGHTS.format(study=study, model=model["name"], step=step))


def files(model: Model, step: int, study: str) -> list[str]:
    """Return no file: a revision is fixed by the commit it is pinned at."""
    return []


def revision(model: Model, step: int, study: str) -> str:
    """Return the branch or tag, as the hub names it."""
    return resolved(model, study).revisions[step].name


def commit(model: Model, step: int, study: str) -> str:
    """Return the commit that the revision is pinned at."""
    return resolved(model, study).revisions[step].commit


def last_step(model: Model, study: str) -> int:
    """Return the last step of the training run, from the repository's names if they give it.

    A `revision` that maps steps to names need not include the last one, so `training_steps` does.
    """
    if isinstance(model.get("revision"), str | None):
        return max(resolved(model, study).existing)
    return int(model["training_steps"])


def total_steps(model: Model, asked: list[int], study: str) -> int:
    """Return `training_steps` of the model, or else the largest step on the hub, at least 1."""
    return int(model.get("training_steps") or max(*resolved(model, study).existing, 1))


def family(model: Model, step: int, study: str) -> str:
    """Return `model_type` of the pinned config.json."""
    return str(resolved(model, study).config["model_type"])


def config(model: Model, step: int, study: str) -> Mapping[str, Any]:
    """Return the pinned config.json."""
    return resolved(model, study).config


def tokenizer(model: Model, step: int, study: str) -> str:
    """Return the path of the copy that the workflow downloads from the repository."""
    return paths.HUB_TOKENIZER.format(study=study, model=model["name"])


def tokenizer_digest(model: Model, step: int, study: str) -> str:
    """Return the hash of the tokenizer.json of a step, or else of main; "" if neither has one.

    Returns `not asked yet` if one is known to exist but the hub has been queried for neither.
    """
    pinned = resolved(model, study)
    revisions = [pinned.revisions[step], *([pinned.main] if pinned.main else [])]
    files = [r.files["tokenizer.json"] for r in revisions if "tokenizer.json" in r.files]
    known = [file.sha256 or file.blob for file in files]
    return next(filter(None, known), "not asked yet" if files else "")


def context(model: Model, step: int, study: str) -> int:
    """Return the context length from the pinned config.json."""
    config = resolved(model, study).config
    return families.family(str(config["model_type"])).architecture(config).context


# Names of revisions


def by_step(model: Model, names: list[str]) -> dict[int, str]:
    """Map step -> revision, for all names on the hub that the model's naming matches.

    Raises ValueError if two names match the same step.
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
    """Describe the problem with a model's `revision` and `index_steps`; "" if there is none."""
    naming = model.get("revision", "step{step}")
    if not isinstance(naming, str):
        wrong = [key for key in naming if not str(key).isdigit()]
        if wrong:
            return f"`revision` maps step {wrong[0]!r}, which is not a number"
        if "training_steps" not in model:
            return "`revision` does not say where the training ends; give `training_steps`"
        return ""
    fields = [match[1] for match in _FIELD.finditer(naming) if match[1]]
    if len(fields) != 1 or re.search(r"[{}]", _FIELD.sub("", naming)):
        return (
            f"`revision` {naming!r} must hold one {{step}} or {{index}} (zero-padded: "
            f"{{index:03d}}), and * for any other part that varies"
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
    """Return the step of the revision `name`; None if the naming does not match it."""
    pattern, end, width = "", 0, 0
    for match in _FIELD.finditer(naming):
        pattern += re.escape(naming[end : match.start()])
        after_any = naming[: match.start()].endswith("*")  # which must not consume any digits
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
