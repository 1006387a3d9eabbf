"""The import of one model class of transformers, without what no job uses of it.

A model class of transformers brings along torch's compiler, torch.distributed and SciPy's
optimisers, for code that never runs here: compiled or distributed models and losses of object
detection. That is more than a second for every job. For the length of the import SciPy and
torch.distributed are declared absent, as transformers knows them to be in some environments. The
compiler has a stand-in whose marks on functions are no marks, which is right as long as nothing
is compiled; whatever else is asked of it comes from the real one, which is imported then.

This is for processes that do one job: until its end transformers takes torch to be without
`distributed`. The notebook's functions never come here. Where another version of transformers or
torch has other names, nothing is declared and the import only takes longer.
"""

import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
INDEXING = "torch._dynamo._trace_wrapped_higher_order_op"  # of it, what attention masks import
MARKS = ("allow_in_graph", "assume_constant_result", "disable", "graph_break")  # for the compiler
SCIPY = "is_scipy_available"
MODELLING = "transformers.modeling_utils"  # imported by every model class


def import_model_class(model_type: str) -> None:
    """Import the causal language model of a `model_type`, so that loading finds it imported.

    Does nothing if a model class has been imported already, or if transformers keeps this one
    elsewhere than it did: loading imports it then.
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
    """Without a search for garbage among the millions of objects that imports make and keep."""
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
    """Answer no to a module's function `question`, if it has one."""
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
    """Put stand-ins where the compiler's modules would be, unless it is imported already.

    They stay: torch itself marks functions when they are first called, as in drawing weights.
    """
    if COMPILER not in sys.modules:
        for name, contents in STAND_INS.items():
            sys.modules[name] = _StandIn(name, contents)


class _StandIn(ModuleType):
    """Has the given names, and gives way to the real module when it is asked for another."""

    def __init__(self, name: str, names: dict[str, Any]) -> None:
        super().__init__(name)
        vars(self).update(names)

    def __getattr__(self, name: str) -> Any:
        # The path of a package is asked for by imports from it; other such names of every module.
        if name.startswith("__") and (name != "__path__" or self.__name__ != COMPILER):
            raise AttributeError(name)
        for stand_in in STAND_INS:
            if isinstance(sys.modules.get(stand_in), _StandIn):
                del sys.modules[stand_in]
        return getattr(importlib.import_module(self.__name__), name)


def _unmarked(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
    """A decorator, with or without arguments, that returns the function itself."""
    return (lambda decorated: decorated) if function is None else function


def _index_mode() -> Any:
    """What attention masks of a shape of their own are made in, imported when one is made."""
    return importlib.import_module(INDEXING).TransformGetItemToIndex()


STAND_INS: dict[str, dict[str, Any]] = {
    COMPILER: dict.fromkeys(MARKS, _unmarked),
    INDEXING: {"TransformGetItemToIndex": _index_mode},
}
