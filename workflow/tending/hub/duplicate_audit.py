"""Audit for revisions that should differ but hold the same weights, by the hub's hashes.

Suites have been published in which the branch of one step holds another step's weights, or one
shard of the final model. This can be seen without a download.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tending.hub.pins import Pins

if TYPE_CHECKING:
    import pandas as pd

POLICIES = ("error", "drop", "keep")
MAIN = "main"
COLUMNS = (
    *("study", "model", "step", "revision", "commit", "file", "bytes", "sha256"),
    *("identical_to", "verdict"),
)


@dataclass(frozen=True)
class Listed:
    """One weight file of one revision, and the other revisions that hold the same bytes.

    step is None for the branch main. same: names of the other revisions, by step. expected: why
    the match is legitimate; empty if it is a mistake, or if there is no match. believed: of several
    that match by mistake, this is the one to which the weights belong.
    """

    model: str
    step: int | None
    revision: str
    commit: str
    file: str
    size: int
    sha256: str
    same: tuple[str, ...] = ()
    expected: str = ""
    believed: bool = False


def listing(model: str, pins: Pins, steps: Iterable[int], last: int) -> list[Listed]:
    """List the weight files of the steps and of main, with the revisions that hold the same bytes.

    last: the last step of the training run. Steps 0 and 1 may match, because many training runs
    begin with a learning rate of 0; main may be the last step. Every other pair should differ.
    """
    used: list[tuple[int | None, str]] = [(step, pins.revisions[step].name) for step in steps]
    holders: dict[str, list[tuple[int | None, str]]] = defaultdict(list)
    found = []
    for step, name in [*used, (None, MAIN)]:
        revision = pins.main if step is None else pins.revisions[step]
        for file, facts in sorted(revision.weights().items()) if revision else []:
            digest = facts.sha256 or facts.blob
            holders[digest].append((step, name))
            commit = revision.commit if revision else ""
            found.append(Listed(model, step, name, commit, file, facts.size, digest))
    return [_compared(entry, holders[entry.sha256], last, pins) for entry in found]


def _compared(
    entry: Listed, holders: list[tuple[int | None, str]], last: int, pins: Pins
) -> Listed:
    others = [holder for holder in holders if holder != (entry.step, entry.revision)]
    if not others:
        return entry
    steps = {step for step, _ in holders if step is not None}
    with_main = any(step is None for step, _ in holders)
    expected = ""
    if len(steps) <= 1 and with_main and steps <= {last}:
        expected = "main is the last step"
    elif steps <= {0, 1} and not with_main:
        expected = "the first update of many training runs has learning rate 0"
    # main is the released model: it decides which of several that match is the last step
    believed = entry.step is None or (entry.step == last and (with_main or pins.main is None))
    same = tuple(dict.fromkeys(name for _, name in others))
    return replace(entry, same=same, expected=expected, believed=believed)


def mistaken_steps(listed: Iterable[Listed]) -> dict[int, list[Listed]]:
    """Return the steps whose weights cannot be trusted, with their entries.

    Which of two identical revisions is right cannot be seen from outside, so both are named; only
    the last step is believed, if main holds the same weights.
    """
    steps: dict[int, list[Listed]] = defaultdict(list)
    for entry in listed:
        if entry.step is not None and entry.same and not entry.expected and not entry.believed:
            steps[entry.step].append(entry)
    return dict(steps)


def described(mistaken: Mapping[int, list[Listed]]) -> str:
    """Describe the mistaken steps, for an error or a warning."""
    return "; ".join(
        f"step {step}: {entries[0].file} is also that of {', '.join(entries[0].same)}"
        for step, entries in sorted(mistaken.items())
    )


def row(study: str, entry: Listed, policy: str) -> dict[str, object]:
    """Build one row of the audit's table; verdict states the study's decision."""
    if not entry.same:
        verdict = "unique"
    elif entry.expected:
        verdict = f"expected: {entry.expected}"
    elif entry.believed:
        verdict = "duplicate, believed: main holds it too"
    else:
        verdict = f"duplicate, {'dropped' if policy == 'drop' else 'kept'}"
    return {
        "study": study,
        "model": entry.model,
        "step": entry.step,
        "revision": entry.revision,
        "commit": entry.commit,
        "file": entry.file,
        "bytes": entry.size,
        "sha256": entry.sha256,
        "identical_to": " ".join(entry.same),
        "verdict": verdict,
    }


def table(rows: Sequence[Mapping[str, object]]) -> "pd.DataFrame":
    """Build the audit's table, in the order of the rows."""
    import pandas as pd

    kinds = dict.fromkeys(COLUMNS, "string") | {"step": "Int64", "bytes": "Int64"}
    return pd.DataFrame(list(rows), columns=list(COLUMNS)).astype(kinds)
