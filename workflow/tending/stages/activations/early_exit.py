"""Early exit: stop the last layer after its last hooked module, and narrow its MLP.

Nothing that is kept depends on modules after the last hooked one, or on the last MLP's output at
positions that are not probed. Where attention and MLP are parallel, the MLP does not depend on the
last layer's attention either.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from tending.components import Component, probing
from tending.core.aliases import Config
from tending.families import Family, attention_aside, gated
from tending.stages.activations.hooks import Narrow


class _Heard(Exception):  # noqa: N818 - no error: all hooked values have been computed
    """Raised to end the model's forward pass."""


@dataclass(frozen=True)
class LastLayer:
    """Parts of the last layer that are skipped or narrowed; modules as named by the family files.

    end: the last module that runs. narrowed: modules that receive the probed positions only.
    attention: module that is skipped except for `value`, which then receives the probed positions
    only; None if its output is needed.
    """

    end: nn.Module
    narrowed: tuple[nn.Module, ...]
    attention: nn.Module | None
    value: nn.Module

    @property
    def heard_narrow(self) -> set[nn.Module]:
        """Modules that receive the probed positions only."""
        inner = {self.end, *self.narrowed} if self.narrowed else set()
        return inner | ({self.value} if self.attention is not None else set())

    @contextmanager
    def ending(self, narrow: Narrow) -> Iterator[None]:
        """Within this context, end forward passes after the last hooked module, without error."""
        with ExitStack() as stack:

            def hooked(handle: Any) -> None:
                stack.callback(handle.remove)

            for module in self.narrowed:
                hooked(module.register_forward_pre_hook(lambda _, given: (narrow(given[0]),)))
            if self.attention is not None:
                stack.enter_context(_replaced(self.attention, self.value, narrow))
            hooked(self.end.register_forward_hook(_end))
            stack.enter_context(suppress(_Heard))
            yield


def last_layer(
    base: nn.Module, kind: Family, config: Config, parts: Sequence[Component]
) -> LastLayer | None:
    """Determine how to exit early given the hooked components; None if that is not possible."""
    last = kind.architecture(config).layers - 1
    heard = {probing(part.name).probe(kind, last).module for part in parts if part.layers}
    value, attention = kind.value_module(last), kind.attention_module(last)
    gate = gated(kind)
    mlp_in = [kind.mlp_in_module(last), *([gate.mlp_gate_module(last)] if gate else [])]
    mlp_out = kind.mlp_out_module(last)
    if not heard or not heard <= {value, attention, *mlp_in, mlp_out}:
        return None
    within = not heard.isdisjoint([*mlp_in, mlp_out])
    end = mlp_out if within else attention if attention in heard else value
    aside = attention_aside(kind, config, last) if attention not in heard else None
    module = base.get_submodule
    return LastLayer(
        end=module(end),
        narrowed=tuple(module(name) for name in mlp_in) if within else (),
        attention=None if aside is None else module(aside),
        value=module(value),
    )


def _end(*_: object) -> None:
    raise _Heard


@contextmanager
def _replaced(attention: nn.Module, value: nn.Module, narrow: Narrow) -> Iterator[None]:
    """Within this context, reduce attention to its value projection; its output is a placeholder.

    That output is not used.
    """

    def forward(*args: Tensor, **kwargs: Any) -> tuple[Tensor, None]:
        given = args[0] if args else kwargs["hidden_states"]
        value(narrow(given))
        return given.new_zeros(()), None

    attention.forward = forward
    try:
        yield
    finally:
        del attention.forward  # restores the class's own method
