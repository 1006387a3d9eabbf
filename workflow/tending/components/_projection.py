"""Components that are one stored matrix, with the functions that they share."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tending.components import Probe
from tending.components._weights import ModelWeights, Spectra, of_matrix
from tending.families import Family

Matrix = Callable[[ModelWeights, int], Any]


class Projection(NamedTuple):
    """The functions of a component that is one linear layer of the MLP."""

    spectra: Callable[[ModelWeights, int], Spectra]
    matrix: Matrix
    modules: Callable[[Family, int], list[str]]
    probe: Callable[[Family, int], Probe]


def projection(name: str) -> Projection:
    """Functions of the linear layer whose matrix families give as `name`, its module as
    `name`_module. Its activation is the module's output, bias included.
    """

    def matrix(weights: ModelWeights, layer: int) -> Any:
        """The matrix as a linear layer has it, (output, input)."""
        return getattr(weights.kind, name)(weights.tensors, layer)

    def modules(kind: Family, layer: int) -> list[str]:
        """The projection itself."""
        return [getattr(kind, f"{name}_module")(layer)]

    def probe(kind: Family, layer: int) -> Probe:
        """The output of the projection, its bias included."""
        return Probe(modules(kind, layer)[0], "output")

    return Projection(spectra_of(matrix), matrix, modules, probe)


def spectra_of(matrix: Matrix) -> Callable[[ModelWeights, int], Spectra]:
    """The function that gives the singular values of a component's one matrix (m, n): min(m, n)."""

    def spectra(weights: ModelWeights, layer: int) -> Spectra:
        return of_matrix(matrix(weights, layer))

    return spectra


def value_and_output_modules(kind: Family, layer: int) -> list[str]:
    """The projections that hold W_V and W_O, which families read together."""
    return [kind.value_module(layer), kind.attention_module(layer)]
