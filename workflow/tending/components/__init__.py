"""Measured components of a model, one file each; the file's name is the component's name.

A component is a part of every block, or of the whole model, that has weights, activations, or
both. Its file declares, as literals that planning reads without importing it:

LABEL, DESCRIPTION: its name for readers, and a phrase that describes it with its shape.
WEIGHTS, ACTIVATIONS: whether it has singular values, and whether it has activations.
GRADIENTS = True: the gradient of the loss with respect to its weights is measured, too.
HEADS: whether it also exists per head. ONE_MATRIX: whether its weights are a single stored
matrix, not a product of several. WHOLE = False: it exists per head only. LAYERS = False: a model
has one, not one per layer. REQUIRES: functions that its family must have beyond those of
`tending.families.Family`.

With WEIGHTS it defines `spectra(weights, layer)`, the singular values of a layer; with
ACTIVATIONS `probe(kind, layer)`, where the model is hooked; with GRADIENTS `modules(kind, layer)`,
the modules that hold its weights, and `matrix(weights, layer)`, its one matrix, or, if it is a
product, `factors(weights, layer)`. See `Weighing`, `Probing`, `OneMatrix` and `Product`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from tending.core import plugins
from tending.families import Family

if TYPE_CHECKING:
    from tending.components._weights import Factors, ModelWeights, Spectra

PACKAGE = "tending.components"
DEFAULT = ("attention_ov", "mlp_out")  # those of arXiv 2410.11451
HEADS = "_heads"  # suffix of the name of a per-head dataset


@dataclass(frozen=True)
class Component:
    """The declarations of a component's file; see the top of this module."""

    name: str
    label: str
    description: str
    weights: bool
    activations: bool
    heads: bool
    one_matrix: bool
    whole: bool = True
    layers: bool = True
    requires: tuple[str, ...] = ()
    gradients: bool = False

    def datasets(self) -> list[str]:
        """Return its dataset names in a file of spectra or activations, the whole layer's first."""
        names = (self.whole, self.name), (self.heads, f"{self.name}{HEADS}")
        return [name for exists, name in names if exists]


@dataclass(frozen=True)
class Probe:
    """A hook on a model: a module of the base model, and the side of it that is captured.

    The input is the module's first argument. If the output is a tuple, its first part is captured.
    """

    module: str
    side: Literal["input", "output"]


class Weighing(Protocol):
    """The interface of the file of a component with WEIGHTS."""

    def spectra(self, weights: "ModelWeights", layer: int) -> "Spectra":
        """Return a layer's singular values, descending; layer is 0 if LAYERS is False."""


class Probing(Protocol):
    """The interface of the file of a component with ACTIVATIONS."""

    def probe(self, kind: Family, layer: int) -> Probe:
        """Return the hook that captures a layer's activations; layer is 0 if LAYERS is False."""


class Trained(Protocol):
    """The interface of the file of a component with GRADIENTS, besides one of the two below."""

    def modules(self, kind: Family, layer: int) -> list[str]:
        """Return the modules of the base model that hold its weights."""


class OneMatrix(Trained, Protocol):
    """A component with GRADIENTS and ONE_MATRIX."""

    def matrix(self, weights: "ModelWeights", layer: int) -> Any:
        """Return its matrix, (m, n), or the matrix's gradient if the tensors are gradients."""


class Product(Trained, Protocol):
    """A component with GRADIENTS that is a product of two matrices."""

    def factors(self, weights: "ModelWeights", layer: int) -> "Factors":
        """Return the factors of its products, as linear functions of the tensors."""


def component(name: str) -> Component:
    """Return a component's declarations; raise ValueError with the known names if unknown."""
    plugins.require(PACKAGE, name, "component")
    fields: dict[str, Any] = plugins.literals(f"{PACKAGE}.{name}")
    return Component(name=name, **{key.lower(): value for key, value in fields.items()})


def of_model(names: Iterable[str]) -> list[str]:
    """Return the components among `names` of which a model has one, not one per layer."""
    return [name for name in names if not component(name).layers]


def with_gradients() -> list[str]:
    """Return the names of all components whose gradients can be measured."""
    return [name for name in plugins.names(PACKAGE) if component(name).gradients]


def weighing(name: str) -> Weighing:
    """Import the file of a component with weights."""
    return cast(Weighing, plugins.load(PACKAGE, name, "component"))


def probing(name: str) -> Probing:
    """Import the file of a component with activations."""
    return cast(Probing, plugins.load(PACKAGE, name, "component"))


def trained(name: str) -> Trained:
    """Import the file of a component with gradients."""
    return cast(Trained, plugins.load(PACKAGE, name, "component"))


def inapplicable(
    part: Component, model_type: str, kind: Family, key: str = "components"
) -> str | None:
    """Explain why a family has no such component, with the remedy; return None if it has one.

    key: the key of the config that requests it.
    """
    if all(hasattr(kind, name) for name in part.requires):
        return None
    return (
        f"{model_type} has no {part.name} ({part.description}); remove {part.name} from "
        f"`{key}` or the model from the study"
    )
