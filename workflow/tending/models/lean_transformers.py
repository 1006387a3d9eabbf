"""Import one model class of transformers without the dependencies that no job uses.

A model class of transformers imports torch's compiler, torch.distributed and SciPy's optimisers,
for code that never runs here: compiled or distributed models and losses of object detection. That
takes every job more than a second. During the import, SciPy and torch.distributed are declared
absent, as they are in some environments that transformers supports. The compiler is replaced by a
stand-in whose decorators do nothing, which is correct as long as nothing is compiled; a request
for anything else imports the real one.

This is for processes that do one job: to their end, transformers assumes that torch is without
`distributed`. The notebook's functions do not use it. If another version of transformers or torch
has other names, nothing is declared absent and the import only takes longer.
"""

import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
INDEXING = "torch._dynamo._trace_wrapped_higher_order_op"  # imported by attention masks
MARKS = ("allow_in_graph", "assume_constant_result", "disable", "graph_break")  # its decorators
SCIPY = "is_scipy_available"
MODELLING = "transformers.modeling_utils"  # imported by every model class


def import_model_class(model_type: str) -> None:
    """Import the causal language model of a `model_type`, so that loading finds it imported.

    Does nothing if a model class has been imported already, or if another version of transformers
    has moved this one: loading then imports it.
    """
    if MODELLING in sys.modules:
        return
    _stand_in_for_the_compiler()
    with _uncollected(), _without_scipy(), _without_distributed():
        try:
            auto = importlib.import_module("transformers.models.auto.configuration_auto")
            folder = auto.model_type_to_module_name(model_type)
            importlib.import_module(f"transformers.models.{folder}.modeling_{folder}")
            importlib.import_module("transformers.models.auto.modeling_auto")
        except (AttributeError, ModuleNotFoundError):
            return


@contextmanager
def _uncollected() -> Iterator[None]:
    """Suspend garbage collection, which would search millions of objects that imports keep."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _without_distributed() -> Iterator[None]:
    import torch

    with _absent(torch.distributed, "is_available"):
        yield


@contextmanager
def _without_scipy() -> Iterator[None]:
    from transformers import utils

    with _absent(utils, SCIPY), _absent(utils.import_utils, SCIPY):
        yield


@contextmanager
def _absent(module: ModuleType, question: str) -> Iterator[None]:
    """Make a module's function `question` return False, if it has one."""
    kept = getattr(module, question, None)
    if kept is None:
        yield
        return
    setattr(module, question, lambda: False)
    try:
        yield
    finally:
        setattr(module, question, kept)


def _stand_in_for_the_compiler() -> None:
    """Put stand-ins in place of the compiler's modules, unless it is imported already.

    They stay: torch itself decorates functions when they are first called, as in drawing weights.
    """
    if COMPILER not in sys.modules:
        for name, contents in STAND_INS.items():
            sys.modules[name] = _StandIn(name, contents)


class _StandIn(ModuleType):
    """A module with the given names, replaced by the real one when another is requested."""

    def __init__(self, name: str, names: dict[str, Any]) -> None:
        super().__init__(name)
        vars(self).update(names)

    def __getattr__(self, name: str) -> Any:
        # Imports from a package request its path; other such names are requested of every module.
        if name.startswith("__") and (name != "__path__" or self.__name__ != COMPILER):
            raise AttributeError(name)
        for stand_in in STAND_INS:
            if isinstance(sys.modules.get(stand_in), _StandIn):
                del sys.modules[stand_in]
        return getattr(importlib.import_module(self.__name__), name)


def _unmarked(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
    """Decorate a function, with or without arguments, by returning it unchanged."""
    return (lambda decorated: decorated) if function is None else function


def _index_mode() -> Any:
    """Return the mode in which attention masks of unusual shapes are built, imported on use."""
    return importlib.import_module(INDEXING).TransformGetItemToIndex()


STAND_INS: dict[str, dict[str, Any]] = {
    COMPILER: dict.fromkeys(MARKS, _unmarked),
    INDEXING: {"TransformGetItemToIndex": _index_mode},
}
