"""Singular values, norms and cosines of gradients, from their factors. No torch, no files.

The gradient of a component that is a product L R is the first-order change of the product when
its factors move along their gradients: dL R + L dR = [dL, L] [R; dR]. For k columns of L its rank
is at most 2 k, and it is not formed where 2 k is smaller than its size.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from tending import components as parts
from tending.components._weights import ModelWeights, Shape
from tending.core.arrays import Floats
from tending.metrics.algebra.singular_values import Spectrum, product_spectra, singular_values


@dataclass(frozen=True)
class Part:
    """A component with gradients, and its module file."""

    name: str
    one_matrix: bool
    file: parts.Trained

    @staticmethod
    def named(name: str) -> "Part":
        """Look up a component by name, once rather than for every layer."""
        return Part(name, parts.component(name).one_matrix, parts.trained(name))


@dataclass(frozen=True)
class Change:
    """Change of a matrix, or of a stack of matrices, as the product left @ right, float64.

    left: (..., m, k), right: (..., k, n); right None: left is the change itself, (m, n).
    """

    left: Floats
    right: Floats | None = None


@dataclass(frozen=True)
class Measured:
    """Measurements of one gradient by dataset, layers first, as in files of spectra.

    spectra: singular values, descending, (layers, values) or (layers, heads, values). norms:
    Frobenius norms, (layers,) or (layers, heads). cosines: with the previous gradient, likewise;
    NaN where one of the two is 0; empty if there is none. shapes: shapes of the matrices, for
    datasets of a single matrix each.
    """

    spectra: dict[str, Floats] = field(default_factory=dict)
    norms: dict[str, Floats] = field(default_factory=dict)
    cosines: dict[str, Floats] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)


def measured(
    weights: ModelWeights,
    taken: Iterable[Part],
    gradient: Mapping[str, Any],
    before: Mapping[str, Any] | None,
) -> Measured:
    """Measure a gradient.

    gradient: by name of weight, for the weights of the components' modules; before: the previous
    gradient, for the cosines.
    """
    found = Measured()
    layers = weights.kind.architecture(weights.config).layers
    for part in taken:
        made: dict[str, list[tuple[Floats, Floats, Floats | None]]] = {}
        for layer in range(layers):
            now = changes(part, weights, gradient, layer)
            then = {} if before is None else changes(part, weights, before, layer)
            for dataset, change in now.items():
                numbers = spectrum(change), norm(change), cosine(change, then.get(dataset))
                made.setdefault(dataset, []).append(numbers)
            if part.one_matrix:
                m, n = now[part.name].left.shape
                found.shapes[part.name] = (int(m), int(n))
        for dataset, rows in made.items():
            spectra, norms, cosines = zip(*rows, strict=True)
            found.spectra[dataset], found.norms[dataset] = np.stack(spectra), np.stack(norms)
            if before is not None:
                found.cosines[dataset] = np.stack(cosines)
    return found


def changes(
    part: Part, weights: ModelWeights, gradient: Mapping[str, Any], layer: int
) -> dict[str, Change]:
    """Compute the change of a layer's component along a gradient, by dataset."""
    along = replace(weights, tensors=gradient)
    if part.one_matrix:
        plain = cast(parts.OneMatrix, part.file).matrix(along, layer)
        return {part.name: Change(np.asarray(plain, dtype=np.float64))}
    product = cast(parts.Product, part.file)
    here, moved = product.factors(weights, layer), product.factors(along, layer)
    found = {}
    if here.whole is not None and moved.whole is not None:
        found[part.name] = _small(product_change(here.whole, moved.whole))
    if here.heads is not None and moved.heads is not None:
        found[f"{part.name}{parts.HEADS}"] = product_change(here.heads, moved.heads)
    return found


def product_change(factors: tuple[Any, Any], moved: tuple[Any, Any]) -> Change:
    """Return the first-order change of left @ right, (..., m, k) and (..., k, n), along `moved`."""
    left, right = (np.asarray(f, dtype=np.float64) for f in factors)
    d_left, d_right = (np.asarray(f, dtype=np.float64) for f in moved)
    return Change(
        np.concatenate([d_left, left], axis=-1), np.concatenate([right, d_right], axis=-2)
    )


def spectrum(change: Change) -> Spectrum:
    """Compute singular values, descending: (min(m, n),), or (heads, min(k, m, n)) for a stack.

    For a single matrix, values beyond its rank are included as zeros.
    """
    if change.right is None:
        return singular_values(change.left)
    if change.left.ndim > 2:
        return product_spectra(change.left, change.right)
    values = product_spectra(change.left[None], change.right[None])[0]
    size = min(change.left.shape[0], change.right.shape[1])
    return np.pad(values, (0, size - values.size))


def norm(change: Change) -> Floats:
    """Compute the Frobenius norm, (...)."""
    return np.asarray(np.sqrt(np.maximum(inner(change, change), 0.0)))  # rounding may go below 0


def cosine(change: Change, other: Change | None) -> Floats | None:
    """Compute the cosine of two changes as vectors, (...), in [-1, 1]; NaN if one is 0."""
    if other is None:
        return None
    norms = norm(change) * norm(other)
    product = inner(change, other)
    found = np.divide(product, norms, out=np.full_like(norms, np.nan), where=norms > 0)
    return np.asarray(np.clip(found, -1.0, 1.0))


def inner(change: Change, other: Change) -> Floats:
    """Compute the inner product, (...): tr(R' L' L_other R_other), without forming L R."""
    if change.right is None or other.right is None:
        return np.asarray(np.vdot(change.left, other.left))
    of_left = change.left.swapaxes(-1, -2) @ other.left
    of_right = change.right @ other.right.swapaxes(-1, -2)
    return np.asarray((of_left * of_right).sum(axis=(-1, -2)))


def _small(change: Change) -> Change:
    """Multiply the factors of a change out unless they are smaller than the product."""
    assert change.right is not None
    if change.left.shape[-1] < min(change.left.shape[0], change.right.shape[1]):
        return change
    return Change(change.left @ change.right)
