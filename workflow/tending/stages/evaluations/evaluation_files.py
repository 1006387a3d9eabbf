"""Files of benchmark scores: plain tables, and results of lm-evaluation-harness.

Standard library only, because planning reads them.
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REQUIRED = ("task", "metric", "value")  # of a plain table, besides those that name the checkpoint
PLACE = ("model", "step")
OPTIONAL = ("standard_error", "higher_is_better", "n")
COLUMNS = (*PLACE, *REQUIRED, *OPTIONAL)

# Keys that lm-evaluation-harness writes among the metrics of a task.
_BESIDE = {"alias", "name", "samples", "sample_len", "sample_count"}
_STDERR = "_stderr"
_TRUE, _FALSE = {"true", "1", "1.0", "yes"}, {"false", "0", "0.0", "no"}


@dataclass(frozen=True)
class Written:
    """One score as given in a file.

    model, step, revision: names of the checkpoint, as far as the file gives them. error: standard
    error, NaN if unknown; n: number of samples; higher_is_better: None if unknown.
    """

    where: str
    task: str
    metric: str
    value: float
    error: float = math.nan
    n: int | None = None
    higher_is_better: bool | None = None
    model: str | None = None
    step: int | None = None
    revision: str | None = None


def read(path: Path, columns: Mapping[str, str], ignored: Sequence[str]) -> list[Written]:
    """Read the scores of one file, in its order, without those that are missing or not finite.

    columns: our name of a table's column -> the file's; ignored: columns to ignore. Raises
    ValueError, naming the file, if it is in neither format.
    """
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        return list(_table(path, rows, list(reader.fieldnames or ()), columns, ignored))
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        names = list(dict.fromkeys(name for row in content for name in row))
        return list(_table(path, content, names, columns, ignored))
    if isinstance(content, dict) and isinstance(content.get("results"), dict):
        return list(_harness(path, content))
    raise ValueError(
        f"{path} holds neither a list of rows nor `results` of lm-evaluation-harness; see "
        f"docs/evaluations.md for both layouts"
    )


def _table(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    columns: Mapping[str, str],
    ignored: Sequence[str],
) -> Iterator[Written]:
    theirs = {ours: columns.get(ours, ours) for ours in COLUMNS}
    for ours, name in theirs.items():
        if name not in names and (ours in REQUIRED or ours in columns):
            raise ValueError(
                f"{path} has no column {name!r} for {ours}; it has {', '.join(names)}; say which "
                f"one it is in `columns`, as `{ours}: NAME`"
            )
    unknown = [name for name in names if name not in {*theirs.values(), *ignored}]
    if unknown:
        raise ValueError(
            f"{path} has a column {unknown[0]!r} that means nothing here; known: "
            f"{', '.join(COLUMNS)}; name it in `columns` as what it is, or in `ignore`"
        )
    for i, row in enumerate(rows, start=1):
        cells = {ours: row.get(name) for ours, name in theirs.items()}
        where = f"{path}, row {i}"
        value = _number(cells["value"], f"{where}: value")
        if math.isfinite(value):
            yield Written(where, value=value, **_described(cells, where))


def _described(cells: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Parse a row's cells except its value."""
    for name in ("task", "metric"):
        if _empty(cells[name]):
            raise ValueError(f"{where}: no {name}; every row needs one")
    error = _number(cells["standard_error"], f"{where}: standard_error")
    if error < 0:
        raise ValueError(f"{where}: standard_error {error} is negative")
    return {
        "task": str(cells["task"]),
        "metric": str(cells["metric"]),
        "error": error if math.isfinite(error) else math.nan,
        "n": _whole(cells["n"], f"{where}: n"),
        "higher_is_better": _truth(cells["higher_is_better"], where),
        "model": None if _empty(cells["model"]) else str(cells["model"]),
        "step": _whole(cells["step"], f"{where}: step"),
    }


def _harness(path: Path, content: Mapping[str, Any]) -> Iterator[Written]:
    """Yield scores of `results` in either layout: metrics as `acc,none` (0.4) or `acc` (0.3)."""
    run = content.get("config") or {}
    arguments = _arguments(run.get("model_args"))
    model = arguments.get("pretrained") or content.get("model_name")
    revision = arguments.get("revision") or run.get("model_revision")
    for task, metrics in content["results"].items():
        if not isinstance(metrics, dict):
            raise ValueError(f"{path}: the results of {task} are {metrics!r} and no metrics")
        samples = (content.get("n-samples") or {}).get(task)
        for key, value in metrics.items():
            metric, _, kind = key.partition(",")
            if key in _BESIDE or metric.endswith(_STDERR) or not _is_number(value):
                continue
            error = metrics.get(f"{metric}{_STDERR},{kind}" if kind else f"{metric}{_STDERR}")
            error = math.nan if not _is_number(error) else float(str(error))  # `N/A` for none
            better = ((content.get("higher_is_better") or {}).get(task) or {}).get(metric)
            yield Written(
                f"{path}, {task}",
                task,
                metric if kind in ("", "none") else key,
                float(value),
                error,
                samples.get("effective") if isinstance(samples, dict) else samples,
                better if isinstance(better, bool) else None,
                str(model) if model else None,
                None,
                str(revision) if revision else None,
            )


def _arguments(written: object) -> dict[str, str]:
    """Parse `model_args`, a dictionary or a text `pretrained=NAME,revision=NAME`."""
    if isinstance(written, dict):
        return {str(key): str(value) for key, value in written.items() if value is not None}
    pairs = (part.partition("=") for part in str(written or "").split(","))
    return {key.strip(): value.strip() for key, sign, value in pairs if sign}


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]


def _empty(value: object) -> bool:
    return value is None or str(value).strip() in ("", "N/A", "NA", "null")


def _number(value: object, what: str) -> float:
    if _empty(value):
        return math.nan
    try:
        return float(str(value))
    except ValueError:
        raise ValueError(f"{what} {value!r} is not a number") from None


def _whole(value: object, what: str) -> int | None:
    number = _number(value, what)
    if math.isnan(number):
        return None
    if number < 0 or number != math.floor(number):
        raise ValueError(f"{what} {value!r} is not a whole number of 0 or more")
    return int(number)


def _truth(value: object, where: str) -> bool | None:
    text = "" if _empty(value) else str(value).strip().lower()
    if text and text not in _TRUE | _FALSE:
        raise ValueError(f"{where}: higher_is_better {value!r} is neither true nor false")
    return text in _TRUE if text else None
