"""Benchmark scores named by a study: their files, the scores, and problems with them."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tending.checkpoints import source
from tending.core.aliases import Config
from tending.stages.evaluations import evaluation_files
from tending.stages.evaluations.evaluation_files import Written
from tending.stages.evaluations.evaluation_matching import Entry, Places, files
from tending.study import selection

# keys of a model that identify its checkpoints
_NAMING = ("name", "source", "repository", "revision", "index_steps", "path")
MOST_PROBLEMS = 10  # shown, because one mistake in a glob affects every file


@dataclass
class Scores:
    """Scores of a study by (model, step, task, metric), and the problems of their files."""

    found: dict[tuple[str, int, str, str], Written] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def directions(self) -> dict[tuple[str, str], bool]:
        """Return whether higher is better, for each (task, metric) where it is known."""
        known = ((key[2:], score.higher_is_better) for key, score in self.found.items())
        return {key: better for key, better in known if better is not None}


def quantity(task: str, metric: str) -> str:
    """Return a score's name in tables, such as `arc_easy:acc`."""
    return f"{task}:{metric}"


def read(study: str, models: Sequence[Mapping[str, Any]], entries: Sequence[Entry]) -> Scores:
    """Read all scores of the entries; a file with an error adds a problem and no further scores."""
    scores, places = Scores(), Places(study, models)
    for entry in entries:
        known: dict[str, set[str]] = {"tasks": set(), "metrics": set()}
        for name, fields in files(entry).items():
            try:
                own = _of_file(name, fields, entry, places, known)
                for key, score in own:
                    _put(scores, key, score)
            except ValueError as error:
                scores.problems.append(f"evaluations: {error}")
        scores.problems += _unmatched(entry, known)
    return scores


def _of_file(
    name: str,
    fields: Mapping[str, str],
    entry: Entry,
    places: Places,
    known: Mapping[str, set[str]],
) -> list[tuple[tuple[str, int, str, str], Written]]:
    """Return one file's scores that the entry selects, with (model, step, task, metric)."""
    columns, ignored = entry.get("columns") or {}, entry.get("ignore") or ()
    kept = []
    for score in evaluation_files.read(Path(name), columns, ignored):
        known["tasks"].add(score.task)
        known["metrics"].add(score.metric)
        if not (_wanted(entry, "tasks", score.task) and _wanted(entry, "metrics", score.metric)):
            continue
        place = places.of(score, entry, fields)
        if place is not None:
            task = score.task + entry.get("suffix", "")
            kept.append(((*place, task, score.metric), replace(score, task=task)))
    return kept


def _wanted(entry: Entry, key: str, name: str) -> bool:
    return key not in entry or any(fnmatchcase(name, pattern) for pattern in entry[key])


def _unmatched(entry: Entry, known: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield a problem for each pattern of an entry that matches no task or metric in its files."""
    for key, names in known.items():
        for pattern in entry.get(key, ()):
            if names and not any(fnmatchcase(name, pattern) for name in names):
                shown = ", ".join(sorted(names)[:12]) + (", ..." if len(names) > 12 else "")
                yield f"evaluations: {entry['path']}: no {key} {pattern!r}; there are {shown}"


def _put(scores: Scores, key: tuple[str, int, str, str], score: Written) -> None:
    """Add a score; ValueError if the same checkpoint, task and metric has a different value."""
    other = scores.found.setdefault(key, score)
    model, step, task, metric = key
    if other.value != score.value:
        raise ValueError(
            f"{model} at step {step} has {task} {metric} {other.value:g} in {other.where} and "
            f"{score.value:g} in {score.where}; narrow `path`, or tell two settings apart by "
            f"`suffix`"
        )
    if math.isnan(other.error) and not math.isnan(score.error):
        scores.found[key] = score


class Evaluations:
    """The benchmark scores of a study, as inputs and params of rules."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._entries: Sequence[Entry] = config.get("evaluations") or []

    def files(self) -> list[str]:
        """Return every file that an entry matches, once, in order."""
        return list(dict.fromkeys(name for entry in self._entries for name in files(entry)))

    def described(self) -> str:
        """Return the entries and the keys that identify models, as JSON with sorted keys."""
        models = [{k: m[k] for k in _NAMING if k in m} for m in self._config["models"]]
        return json.dumps([self._config["study"], models, self._entries], sort_keys=True)


def problems(config: Config) -> Iterator[str]:
    """Yield problems with entries that need no reading of files, so it is fast enough for any job.

    See `check` for the contents of the files.
    """
    for entry in config.get("evaluations") or []:
        found = files(entry)
        if not found:
            yield f"evaluations: no file matches {entry['path']!r}; check `path`"
        other = [name for name in found if Path(name).suffix not in (".csv", ".json")]
        if other:
            yield f"evaluations: {other[0]} is neither .csv nor .json; narrow `path`"
        names = {model["name"] for model in config["models"]}
        meant = [entry["model"]] if "model" in entry else []
        meant += [name for name in (entry.get("models") or {}).values() if name is not None]
        for name in meant:
            if name not in names:
                yield f"evaluations: the study has no model {name!r}; it has {', '.join(names)}"


def check(config: Config) -> tuple[list[str], list[str]]:
    """Read all files of scores; return problems with them, and warnings."""
    entries = config.get("evaluations") or []
    if not entries:
        return [], []
    scores = read(config["study"], config["models"], entries)
    found, warnings = [*scores.problems, *_undirected(scores)], list[str]()
    if not scores.found and not found:
        found.append("evaluations: the files hold no score; see docs/evaluations.md")
    for model in config["models"]:
        own = sorted({step for name, step, *_ in scores.found if name == model["name"]})
        wanted = selection.steps(config, model)
        length = source(model["source"]).total_steps(model, wanted, config["study"])
        found += _beyond(model["name"], own, length)
        warnings += _unmeasured(model["name"], [step for step in own if step not in wanted])
    left = len(found) - MOST_PROBLEMS
    return found[:MOST_PROBLEMS] + [f"evaluations: and {left} more"] * (left > 0), warnings


def _beyond(name: str, steps: Sequence[int], length: int) -> Iterator[str]:
    if steps and steps[-1] > length:
        yield (
            f"evaluations: {name} has scores of step {steps[-1]}, after the end of its training, "
            f"{length} steps; set `training_steps` of the model if it is longer"
        )


def _unmeasured(name: str, steps: Sequence[int]) -> Iterator[str]:
    if steps:
        shown = ", ".join(map(str, steps[:5])) + (", ..." if len(steps) > 5 else "")
        number = "1 step" if len(steps) == 1 else f"{len(steps)} steps"
        yield (
            f"evaluations: {name} has scores at {number} that the study does not have ({shown}); "
            f"they are in the table and figure, and in no association"
        )


def _undirected(scores: Scores) -> Iterator[str]:
    """Yield a problem for the first metric whose files disagree on whether higher is better."""
    directions = scores.directions()
    for (_, _, task, metric), score in scores.found.items():
        better = score.higher_is_better
        if better is not None and better != directions[task, metric]:
            yield (
                f"evaluations: {score.where}: higher_is_better of {task} {metric} is {better} "
                f"there and {not better} elsewhere"
            )
            return
