"""What a run is going to make from downloaded weights, and what of it is made. Standard library."""

import json
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

from tending.core import atomic, paths


def await_products(study: str, planned: Iterable[str]) -> None:
    """Note, when a run starts, which products of weights it is going to make.

    One that is planned counts as made only when it is newer than this note: a product of earlier
    settings still lies there until its job starts. Without a note, what exists is made.
    """
    note = Path(paths.WEIGHTS_AWAITED.format(study=study))
    atomic.write_text(note, json.dumps(sorted(planned)))
    _awaited.cache_clear()


def products(study: str, model: str, step: int) -> list[Path]:
    """The files that are made from a checkpoint's weights, as far as it is known what is asked."""
    noted = Path(paths.WEIGHTS_AWAITED.format(study=study)).exists()
    patterns = [*paths.WEIGHT_PRODUCTS, *(paths.ASKED_WEIGHT_PRODUCTS if noted else ())]
    return [Path(pattern.format(study=study, model=model, step=step)) for pattern in patterns]


def is_made(product: Path, study: str) -> bool:
    """Whether nothing more has to be done for a product of weights in this run."""
    note = Path(paths.WEIGHTS_AWAITED.format(study=study))
    if not note.exists():
        return product.exists()
    written = note.stat().st_mtime_ns
    if str(product) not in _awaited(note, written):
        return True
    return product.exists() and product.stat().st_mtime_ns > written


def all_made(study: str, model: str, step: int, given_up: Collection[str] = ()) -> bool:
    """Whether this run makes nothing more of a checkpoint's weights; given_up: what has failed."""
    made = products(study, model, step)
    return all(is_made(product, study) or str(product) in given_up for product in made)


def waits_for_reference(study: str, model: str, step: int) -> bool:
    """Whether a divergence of this checkpoint cannot be taken yet: the reference is not made."""
    own = {"study": study, "model": model, "step": step}
    needed = (paths.REFERENCE, paths.DIVERGENCE)
    noted = Path(paths.WEIGHTS_AWAITED.format(study=study)).exists()
    return noted and not any(is_made(Path(p.format(**own)), study) for p in needed)


@cache
def _awaited(note: Path, written: int) -> frozenset[str]:
    return frozenset(json.loads(note.read_text("utf-8")))
