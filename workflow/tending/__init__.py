"""When do a language model's layers settle? Convergence and effective rank over checkpoints.

For a notebook: `open_checkpoint`, `capture`, `estimate`, and every metric by its name, as in
`from tending import cka, proportional_effective_rank`. They are imported on first use, so that
planning a study loads neither torch nor transformers; see docs/library.md.
"""

# No imports of other modules of tending: the code hash of every stage would follow them.
import importlib
from typing import Any

_VERBS = {
    "open_checkpoint": "tending.notebook",
    "capture": "tending.notebook",
    "estimate": "tending.notebook",
}
_METRICS = {"similarity": "compare", "spectrum": "compute", "representation": "compute"}


def __getattr__(name: str) -> Any:
    """Return the notebook function or the metric's function called `name`."""
    if name in _VERBS:
        return getattr(importlib.import_module(_VERBS[name]), name)
    if not name.startswith("_"):
        found = importlib.import_module("tending.core.plugins")
        for kind, function in _METRICS.items():
            package = f"tending.metrics.{kind}"
            if name in found.names(package):
                return getattr(importlib.import_module(f"{package}.{name}").METRIC, function)
    raise AttributeError(f"module 'tending' has no attribute {name!r}; see docs/library.md")
