"""The files of a dataset's repository that make up a split, by the rules of the hub.

The dataset card's `configs` come first; without them, folders or files named after the split.
https://huggingface.co/docs/hub/datasets-data-files-configuration
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from tending.corpus import CorpusError

KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
CONVERTED = "refs/convert/parquet"  # the hub's own Parquet copy: a folder per config and split
NOT_DATA = (
    "README.md",
    "config.json",
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
)
SHOWN = 12  # files or names that an error lists

_SEPARATOR = "[-._ 0-9]"
_SHARD = re.compile(r"data/([^/]+)-\d{5}-of-\d{5}[^/]*\.[^/]*")

Splits = Mapping[str, list[str]]


def split_files(
    files: list[str],
    card: Mapping[str, Any],
    revision: str,
    config: str | None,
    split: str,
) -> list[str]:
    """Return a split's Parquet files in row order: as the card lists them, then by name.

    files: all of the repository, sorted; card: the metadata at the head of its README.md.
    Raises CorpusError listing the existing ones if there is no such config or split, or no Parquet.
    """
    entries = _configs(files, card, revision)
    entry = entries[_chosen(entries, config)]
    folder = str(entry.get("data_dir", "")).strip("./")
    inside = [f for f in files if not folder or f.startswith(f"{folder}/")]
    if "data_files" in entry:
        splits = _declared(inside, folder, entry["data_files"])
    else:
        splits = _by_name(inside, folder)
    if not splits.get(split):
        known = [name for name, found in splits.items() if found]
        raise CorpusError(
            f"no split {split!r}; available: {listed(known)}. Name one in `corpus.split`; the "
            f"files of the repository: {listed(files)}"
        )
    return _parquet(splits[split], revision)


def listed(names: list[str]) -> str:
    """List the first names, and the number of further ones."""
    if not names:
        return "none"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _configs(
    files: list[str], card: Mapping[str, Any], revision: str
) -> dict[str, Mapping[str, Any]]:
    """Return the card's entry for each config; without a card, an empty one for the only config."""
    entries = card.get("configs")
    if isinstance(entries, list) and entries and revision != CONVERTED:
        return {str(entry.get("config_name", "default")): entry for entry in entries}
    if revision != CONVERTED:
        return {"default": {}}
    found: dict[str, Mapping[str, Any]] = {}
    for config, split in sorted({PurePosixPath(f).parts[:2] for f in files if f.count("/") == 2}):
        entry = found.setdefault(config, {"data_files": []})
        path = f"{config}/{split}/*.parquet"
        entry["data_files"].append({"split": split.removeprefix("partial-"), "path": path})
    return found or {"default": {}}


def _chosen(entries: Mapping[str, Mapping[str, Any]], config: str | None) -> str:
    """Choose the requested config; else the default, else the only one."""
    if config is not None and config not in entries:
        raise CorpusError(
            f"no config {config!r}; available: {listed(list(entries))}. Name one in `corpus.config`"
        )
    defaults = [name for name, entry in entries.items() if entry.get("default") is True]
    for name in (config, *defaults[:1], "default"):
        if name in entries:
            return str(name)
    if len(entries) > 1:
        raise CorpusError(
            f"several configs and none of them the default; name one in `corpus.config`: "
            f"{listed(list(entries))}"
        )
    return next(iter(entries))


def _declared(files: list[str], folder: str, data_files: Any) -> Splits:
    """Group files by split, as `data_files` of a card declares: a text, a list, or by split."""
    try:
        if isinstance(data_files, Mapping):
            declared = dict(data_files)
        elif isinstance(data_files, list) and any(isinstance(e, Mapping) for e in data_files):
            declared = {entry["split"]: entry["path"] for entry in data_files}
        else:
            declared = {"train": data_files}
        splits: dict[str, list[str]] = {}
        for split, paths in declared.items():
            patterns = [f"{folder}/{p}".lstrip("/") for p in _list(paths)]
            splits[str(split)] = [f for p in patterns for f in files if matches(f, p)]
    except (KeyError, TypeError) as error:
        raise CorpusError(
            f"the dataset card's `data_files` are not of a form that the hub documents "
            f"({error!r}): {data_files!r}"
        ) from None
    return splits


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _by_name(files: list[str], folder: str) -> Splits:
    """Group files by split, by the names of shards, folders or files; else all are `train`."""
    start = len(folder) + 1 if folder else 0
    visible = [f for f in files if not re.search(r"(^|/)(\.|__)", f[start:])]
    visible = [f for f in visible if PurePosixPath(f).name not in NOT_DATA]
    shards = [(m[1], f) for f in visible if (m := _SHARD.fullmatch(f[start:]))]
    if shards:
        return {split: [f for s, f in shards if s == split] for split, _ in shards}
    inner = {f: PurePosixPath(f[start:]).parts for f in visible}
    for part in (slice(0, -1), slice(-1, None)):
        splits = {
            split: [f for f, parts in inner.items() if any(_named(p, split) for p in parts[part])]
            for split in KEYWORDS
        }
        if any(splits.values()):
            return splits
    return {"train": visible}


def _named(part: str, split: str) -> bool:
    """Whether a folder's or a file's name contains the split's name as a separate word."""
    words = "|".join(KEYWORDS[split])
    return bool(re.search(f"(^|{_SEPARATOR})({words})({_SEPARATOR}|$)", part))


def matches(path: str, pattern: str) -> bool:
    """Whether a path matches a glob in which `**` stands for any folders."""
    return _match(path.split("/"), pattern.split("/"))


def _match(parts: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        rest = pattern[1:] or ["*"]
        return any(_match(parts[i:], rest) for i in range(len(parts)))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _match(parts[1:], pattern[1:])


def _parquet(files: list[str], revision: str) -> list[str]:
    found = list(dict.fromkeys(f for f in files if f.endswith(".parquet")))
    if not found:
        copy = "" if revision == CONVERTED else f"; set `corpus.revision` to {CONVERTED}, the hub's"
        copy += "" if revision == CONVERTED else " own Parquet copy, if this dataset has one"
        raise CorpusError(f"the split has no Parquet file, only {listed(sorted(files))}{copy}")
    return found
