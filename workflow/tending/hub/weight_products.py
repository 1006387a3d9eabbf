"""Outputs this run will derive from downloaded weights, and which of them exist.

Standard library only.
"""

import json
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

from tending.core import atomic, paths


def await_products(study: str, planned: Iterable[str]) -> None:
    """Record, when a run starts, which products of weights it will make.

    A planned product counts as made only if it is newer than this note: one of earlier settings
    stays until its job starts. Without a note, every product that exists counts as made.
    """
    note = Path(paths.WEIGHTS_AWAITED.format(study=study))
    atomic.write_text(note, json.dumps(sorted(planned)))
    _awaited.cache_clear()


def products(study: str, model: str, step: int) -> list[Path]:
    """Return the files derived from a checkpoint's weights, as far as the request is known."""
    noted = Path(paths.WEIGHTS_AWAITED.format(study=study)).exists()
    patterns = [*paths.WEIGHT_PRODUCTS, *(paths.ASKED_WEIGHT_PRODUCTS if noted else ())]
    return [Path(pattern.format(study=study, model=model, step=step)) for pattern in patterns]


def is_made(product: Path, study: str) -> bool:
    """Whether this run has nothing more to do for a product of weights."""
    note = Path(paths.WEIGHTS_AWAITED.format(study=study))
    if not note.exists():
        return product.exists()
    written = note.stat().st_mtime_ns
    if str(product) not in _awaited(note, written):
        return True
    return product.exists() and product.stat().st_mtime_ns > written


def all_made(study: str, model: str, step: int, given_up: Collection[str] = ()) -> bool:
    """Whether this run is done with a checkpoint's weights; given_up: products that failed."""
    made = products(study, model, step)
    return all(is_made(product, study) or str(product) in given_up for product in made)


def waits_for_reference(study: str, model: str, step: int) -> bool:
    """Whether this checkpoint's divergence must wait, because the reference is not made yet."""
    own = {"study": study, "model": model, "step": step}
    needed = (paths.REFERENCE, paths.DIVERGENCE)
    noted = Path(paths.WEIGHTS_AWAITED.format(study=study)).exists()
    return noted and not any(is_made(Path(p.format(**own)), study) for p in needed)


@cache
def _awaited(note: Path, written: int) -> frozenset[str]:
    return frozenset(json.loads(note.read_text("utf-8")))
