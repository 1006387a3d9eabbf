"""When do a language model's layers settle? Convergence and effective rank over checkpoints.

For a notebook: `open_checkpoint`, `capture`, `estimate`, and every metric by its name, as in
`from tending import cka, proportional_effective_rank`. They are imported when they are first asked
for, so that planning a study loads neither torch nor transformers; see docs/library.md.
"""

# No import statements below: the hashes of the stages' code would follow them everywhere.
import importlib
from typing import Any

_VERBS = {
    "open_checkpoint": "tending.notebook",
    "capture": "tending.notebook",
    "estimate": "tending.notebook",
}
_METRICS = {"similarity": "compare", "spectrum": "compute", "representation": "compute"}


def __getattr__(name: str) -> Any:
    """A verb of the notebook, or the function of the metric of this name."""
    if name in _VERBS:
        return getattr(importlib.import_module(_VERBS[name]), name)
    if not name.startswith("_"):
        found = importlib.import_module("tending.core.plugins")
        for kind, function in _METRICS.items():
            package = f"tending.metrics.{kind}"
            if name in found.names(package):
                return getattr(importlib.import_module(f"{package}.{name}").METRIC, function)
    raise AttributeError(f"module 'tending' has no attribute {name!r}; see docs/library.md")
