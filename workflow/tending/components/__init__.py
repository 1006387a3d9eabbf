"""What is measured of a model, one file per component; the file's name is the component's name.

A component is a part of every block, or of the whole model, that has weights, activations, or
both. Its file declares, as literals that planning reads without importing it:

LABEL, DESCRIPTION: as a reader calls it, and what it is, in a sentence with its shape.
WEIGHTS, ACTIVATIONS: whether it has singular values, and whether it has activations.
GRADIENTS = True: the gradient of the loss is taken of its weights, too.
HEADS: whether it also exists per head. ONE_MATRIX: whether its weights are one matrix as it is
stored, not a product of several. WHOLE = False: it exists per head only. LAYERS = False: there is
one of the model, not one per layer. REQUIRES: functions that its family must have beyond those of
`tending.families.Family`.

With WEIGHTS it defines `spectra(weights, layer)`, the singular values of a layer; with
ACTIVATIONS `probe(kind, layer)`, where the model is listened at; with GRADIENTS `modules(kind,
layer)`, which hold its weights, and `matrix(weights, layer)`, its one matrix, or, if it is a
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
DEFAULT = ("attention_ov", "mlp_out")  # what arXiv 2410.11451 measures
HEADS = "_heads"  # suffix of the name of a per-head dataset


@dataclass(frozen=True)
class Component:
    """What a component's file declares; see the head of this module."""

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
        """Names of its datasets in a file of spectra or activations, the whole layer's first."""
        names = (self.whole, self.name), (self.heads, f"{self.name}{HEADS}")
        return [name for exists, name in names if exists]


@dataclass(frozen=True)
class Probe:
    """Where a model is listened at: a module of the base model, and which side of it.

    The input is the module's first argument; the output, where it is a tuple, its first part.
    """

    module: str
    side: Literal["input", "output"]


class Weighing(Protocol):
    """What the file of a component with WEIGHTS defines."""

    def spectra(self, weights: "ModelWeights", layer: int) -> "Spectra":
        """Singular values of one layer, descending; layer is 0 where there is one of the model."""


class Probing(Protocol):
    """What the file of a component with ACTIVATIONS defines."""

    def probe(self, kind: Family, layer: int) -> Probe:
        """Where the activations of `layer` are read; layer is 0 where there is one of the model."""


class Trained(Protocol):
    """What the file of a component with GRADIENTS defines, besides one of the two below."""

    def modules(self, kind: Family, layer: int) -> list[str]:
        """Modules of the base model that hold its weights."""


class OneMatrix(Trained, Protocol):
    """A component with GRADIENTS and ONE_MATRIX."""

    def matrix(self, weights: "ModelWeights", layer: int) -> Any:
        """Its matrix, (m, n); of tensors that are a gradient, the matrix's gradient."""


class Product(Trained, Protocol):
    """A component with GRADIENTS that is a product of two matrices."""

    def factors(self, weights: "ModelWeights", layer: int) -> "Factors":
        """What its products are of, as linear functions of the tensors."""


def component(name: str) -> Component:
    """What the component's file declares; ValueError with the known names if there is none."""
    plugins.require(PACKAGE, name, "component")
    fields: dict[str, Any] = plugins.literals(f"{PACKAGE}.{name}")
    return Component(name=name, **{key.lower(): value for key, value in fields.items()})


def of_model(names: Iterable[str]) -> list[str]:
    """Those components among `names` of which a model has one, not one per layer."""
    return [name for name in names if not component(name).layers]


def with_gradients() -> list[str]:
    """Names of all components of which gradients are taken."""
    return [name for name in plugins.names(PACKAGE) if component(name).gradients]


def weighing(name: str) -> Weighing:
    """The file of a component with weights."""
    return cast(Weighing, plugins.load(PACKAGE, name, "component"))


def probing(name: str) -> Probing:
    """The file of a component with activations."""
    return cast(Probing, plugins.load(PACKAGE, name, "component"))


def trained(name: str) -> Trained:
    """The file of a component with gradients."""
    return cast(Trained, plugins.load(PACKAGE, name, "component"))


def inapplicable(
    part: Component, model_type: str, kind: Family, key: str = "components"
) -> str | None:
    """Why a family has no such component, with the remedy; None if it has.

    key: of the config, where it is asked for.
    """
    if all(hasattr(kind, name) for name in part.requires):
        return None
    return (
        f"{model_type} has no {part.name} ({part.description}); remove {part.name} from "
        f"`{key}` or the model from the study"
    )
