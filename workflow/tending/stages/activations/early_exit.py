"""The last layer, run no further than it is heard, and its MLP at the probed positions alone.

Nothing that is kept depends on the rest: what follows the last module that is listened at, and
what the last MLP makes of positions that are not probed. Where attention and MLP stand side by
side, the MLP does not depend on the last layer's attention either.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from tending.components import Component, probing
from tending.families import Config, Family, attention_aside, gated
from tending.stages.activations.hooks import Narrow


class _Heard(Exception):  # noqa: N818 - no error: the model has said all that is listened for
    """Ends the model's pass."""


@dataclass(frozen=True)
class LastLayer:
    """What of the last layer is cut short. Its modules are those of `family` files.

    end: after which nothing is heard. narrowed: given the probed positions alone. attention: left
    out but for `value`, which is given the probed positions alone; None if it is needed.
    """

    end: nn.Module
    narrowed: tuple[nn.Module, ...]
    attention: nn.Module | None
    value: nn.Module

    @property
    def heard_narrow(self) -> set[nn.Module]:
        """Modules that see the probed positions alone."""
        inner = {self.end, *self.narrowed} if self.narrowed else set()
        return inner | ({self.value} if self.attention is not None else set())

    @contextmanager
    def ending(self, narrow: Narrow) -> Iterator[None]:
        """Within it a pass of the model ends, quietly, after what is heard."""
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
    """How the last layer can be cut short if these components are heard; None if it cannot."""
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
    """Attention that computes its values alone, and gives nothing: what it gives is not used."""

    def forward(*args: Tensor, **kwargs: Any) -> tuple[Tensor, None]:
        given = args[0] if args else kwargs["hidden_states"]
        value(narrow(given))
        return given.new_zeros(()), None

    attention.forward = forward
    try:
        yield
    finally:
        del attention.forward  # the class's own is seen again
