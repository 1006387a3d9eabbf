"""Components that are one stored matrix, and the functions that they share."""

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
    """Return the functions of a linear layer, whose activation is its output, bias included.

    name: of the families' function that returns its matrix; `name`_module returns its module.
    """

    def matrix(weights: ModelWeights, layer: int) -> Any:
        """Return the matrix as a linear layer stores it, (output, input)."""
        return getattr(weights.kind, name)(weights.tensors, layer)

    def modules(kind: Family, layer: int) -> list[str]:
        """Return the projection itself."""
        return [getattr(kind, f"{name}_module")(layer)]

    def probe(kind: Family, layer: int) -> Probe:
        """Hook the projection's output, bias included."""
        return Probe(modules(kind, layer)[0], "output")

    return Projection(spectra_of(matrix), matrix, modules, probe)


def spectra_of(matrix: Matrix) -> Callable[[ModelWeights, int], Spectra]:
    """Return a function that computes the min(m, n) singular values of a single matrix (m, n)."""

    def spectra(weights: ModelWeights, layer: int) -> Spectra:
        return of_matrix(matrix(weights, layer))

    return spectra


def value_and_output_modules(kind: Family, layer: int) -> list[str]:
    """Return the projections that hold W_V and W_O, which families read together."""
    return [kind.value_module(layer), kind.attention_module(layer)]
