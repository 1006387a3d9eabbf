"""Checkpoints in local folders, named by a pattern with `{step}`."""

import re
from collections.abc import Mapping
from functools import cache
from glob import escape
from pathlib import Path
from typing import Any

from tending import families
from tending.core.aliases import Model
from tending.models.weights import read_config

REQUIRED = ("path",)
OPTIONAL = ("training_steps", "learning_rate")
REMOTE = False

_WATCHED = ("config.json", "*.safetensors", "*.bin", "*.index.json")


def steps(model: Model, study: str) -> list[int]:
    """Return the steps whose folder exists, found by listing the pattern's parent folders."""
    return _existing(str(Path(model["path"])))  # `./a//b/` and `a/b` are the same folder


@cache
def _existing(pattern: str) -> list[int]:
    wanted = re.compile(re.escape(pattern).replace(r"\{step\}", r"(\d+)", 1))
    anchor, _, rest = pattern.partition("{step}")
    parent, stem = (anchor, "") if anchor.endswith("/") else ("", anchor)
    root = Path(parent) if parent else Path(anchor).parent
    names = f"{escape(Path(stem).name)}*{escape(rest)}" if stem else f"*{escape(rest)}"
    candidates = (wanted.fullmatch(str(path)) for path in root.glob(names) if path.is_dir())
    # `step007` is not the folder of step 7: the pattern writes numbers without padding.
    return sorted(
        int(match[1])
        for match in candidates
        if match and pattern.format(step=int(match[1])) == match[0]
    )


def folder(model: Model, step: int, study: str) -> Path:
    """Fill the step into the pattern."""
    return Path(str(model["path"]).format(step=step))


def files(model: Model, step: int, study: str) -> list[str]:
    """Return the config and weight files that exist; the inspection reports missing ones."""
    there = folder(model, step, study)
    return sorted(str(p) for pattern in _WATCHED for p in there.glob(pattern))


def revision(model: Model, step: int, study: str) -> str:
    """Return the folder, as the user wrote it."""
    return str(folder(model, step, ""))


def total_steps(model: Model, asked: list[int], study: str) -> int:
    """Return `training_steps` of the model, or else its largest step in the study, at least 1."""
    return int(model.get("training_steps") or max(*asked, 1))


def family(model: Model, step: int, study: str) -> str:
    """Return `model_type` of the checkpoint's config.json."""
    return str(read_config(folder(model, step, ""))["model_type"])


def config(model: Model, step: int, study: str) -> Mapping[str, Any]:
    """Return the config.json beside the weights."""
    return read_config(folder(model, step, ""))


def tokenizer(model: Model, step: int, study: str) -> str:
    """Return the path of the tokenizer.json beside the weights."""
    return str(folder(model, step, study) / "tokenizer.json")


def context(model: Model, step: int, study: str) -> int:
    """Return the context length from the checkpoint's config.json."""
    config = read_config(folder(model, step, ""))
    return families.family(str(config["model_type"])).architecture(config).context
