"""Matching of scores to checkpoints of the study.

Standard library only, because planning imports this.
"""

import re
from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

from tending.checkpoints import hub
from tending.core import paths
from tending.core.aliases import Model
from tending.stages.evaluations.evaluation_files import Written

Entry = Mapping[str, Any]
_FIELD = re.compile(r"\{(model|step)\}|\*\*/|\*")
_REGEX = {"**/": "(?:.*/)?", "*": "[^/]*", "model": "[^/]+?", "step": r"\d+"}


def files(entry: Entry) -> dict[str, dict[str, str]]:
    """Return the files that match an entry's `path`, sorted, each with its {model} and {step}."""
    pattern, anywhere, matching, end = str(Path(entry["path"])), "", "", 0
    for found in _FIELD.finditer(pattern):
        literal, field = pattern[end : found.start()], found[1]
        anywhere += escape(literal) + ("*" if field else found[0])
        group = _REGEX[field or found[0]]
        if field:  # a repeated field must match the same text
            again = f"(?P<{field}>" in matching
            group = f"(?P={field})" if again else f"(?P<{field}>{group})"
        matching += re.escape(literal) + group
        end = found.end()
    wanted = re.compile(matching + re.escape(pattern[end:]))
    root = Path(Path(pattern).anchor)
    inside = anywhere.removeprefix(str(root)) if root.anchor else anywhere
    names = [str(path) for path in root.glob(inside + escape(pattern[end:])) if path.is_file()]
    matched = {name: wanted.fullmatch(name) for name in sorted(names)}
    return {name: match.groupdict() for name, match in matched.items() if match}


class Places:
    """Lookup of a study's models and steps from entries, paths and files of scores.

    models: from the config; study: its name. Keys of an entry take precedence, then the fields of
    its path, then the file.
    """

    def __init__(self, study: str, models: Sequence[Model]) -> None:
        self._study, self._models = study, {model["name"]: model for model in models}

    def of(self, score: Written, entry: Entry, fields: Mapping[str, str]) -> tuple[str, int] | None:
        """Return model and step of a score; None if the entry excludes its model.

        Raises ValueError if the study does not have the model, or if the step is not given.
        """
        said = entry.get("model", fields.get("model", score.model))
        step = entry.get("step", fields.get("step", score.step))
        if said is None:
            raise ValueError(
                f"{score.where}: nothing says which model it is of; give `model`, or {{model}} in "
                f"`path`, or a column (see `columns`)"
            )
        named = entry.get("models") or {}
        name = named.get(said, said)
        if name is None:
            return None
        found = self._candidates(str(name))
        if step is not None:
            return self._only(score, said, sorted(found)), int(step)
        at = {(model, own) for model, own in found.items() if own is not None}
        if not at and score.revision:
            at = {(m, s) for m in found for s in _steps_of(self._models[m], score.revision)}
        self._only(score, said, sorted(found if not at else {model for model, _ in at}))
        if not at:
            what = f"revision {score.revision!r}" if score.revision else "no revision"
            raise ValueError(
                f"{score.where}: nothing says which step it is of ({what}); give `step`, or "
                f"{{step}} in `path`, or a column (see `columns`)"
            )
        return at.pop()

    def _candidates(self, name: str) -> dict[str, int | None]:
        """Return models with this name, repository or step folder; in the last case with the step.

        The step is None otherwise.
        """
        if name in self._models:
            return {name: None}
        own = {m["name"] for m in self._models.values() if m.get("repository") == name}
        found: dict[str, int | None] = dict.fromkeys(own)
        for model in self._models.values():
            match = _folders(model, self._study).fullmatch(str(Path(name).resolve()))
            if match:
                found[model["name"]] = int(match[1])
        return found

    def _only(self, score: Written, said: object, found: Sequence[str]) -> str:
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(
                f"{score.where}: {said} may be any of {', '.join(found)}; say which in `model` or "
                f"`models`"
            )
        raise ValueError(
            f"{score.where}: the study has no model {said!r}, by name, repository or folder; it "
            f"has {', '.join(self._models)}; say which it is in `models`, as `{said}: NAME`, or "
            f"`{said}: null` to leave it out"
        )


def _steps_of(model: Model, revision: str) -> list[int]:
    """Return the step of a revision by the model's naming pattern; empty if it does not match."""
    return [step for step, name in hub.by_step(model, [revision]).items() if name == revision]


def _folders(model: Model, study: str) -> re.Pattern[str]:
    """Return a pattern for a model's checkpoint folders, absolute, with the step as a group.

    It matches nothing for a model on the hub.
    """
    trained = paths.TRAINED_CHECKPOINT.format(study=study, model=model["name"], step="{step}")
    pattern = {"local": model.get("path"), "trained": trained}.get(model["source"])
    if pattern is None:
        return re.compile("(?!)")
    return re.compile(re.escape(str(Path(pattern).resolve())).replace(r"\{step\}", r"(\d+)", 1))
