"""Study configs for tests: the default one with changes, and the problems found in one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from snakemake.utils import validate

from tending.run import config as study
from tending.run.config import ConfigError

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
TRAINED = {"d_model": 32, "layers": 2, "heads": 2, "learning_rate": 0.01}
Config = dict[str, Any]
Edit = Callable[[Config], object]


def written(edit: Edit = lambda _: None) -> Config:
    """A small study of two trained models, edited, as it stands in a file."""
    made: Config = {
        "study": "small",
        "corpus": {"source": "embedded"},
        "models": [
            {"name": "one", "source": "trained", "recipe": dict(TRAINED)},
            {"name": "two", "source": "trained", "recipe": {**TRAINED, "d_model": 64}},
        ],
        "steps": [0, 16, 1024],
    }
    edit(made)
    return made


def config(edit: Edit = lambda _: None) -> Config:
    """The same with its defaults filled in."""
    made = written(edit)
    validate(made, str(SCHEMA))
    return made


def problems(made: Config) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        study.check(made)
    first, *listed = str(caught.value).splitlines()
    assert first == f"the study {made['study']!r} cannot be run:"
    assert all(line.startswith("  - ") for line in listed)
    return [line.removeprefix("  - ") for line in listed]
