"""Weights from the hub stay until the divergences that a study asks for are made of them."""

from pathlib import Path

import pytest
from server import Hub
from test_fetching import FOLDER, MODEL, make, publish

from tending import awaited, fetching, inspection, paths, shelf
from tending.shelf import Entry

PRODUCTS = ("SPECTRA", "ACTIVATIONS", "REFERENCE", "DIVERGENCE")


@pytest.fixture
def record(here: Hub) -> inspection.Checkpoint:
    """A checkpoint of which nothing is made yet."""
    return fetching.arrived(MODEL, publish(here), Entry("s", "m", 1), lambda _: None)


def files(*kinds: str) -> list[str]:
    return [getattr(paths, kind).format(study="s", model="m", step=1) for kind in kinds]


@pytest.mark.parametrize("last", PRODUCTS)
def test_weights_wait_for_everything_that_is_asked_for(
    last: str, here: Hub, record: inspection.Checkpoint
) -> None:
    awaited.await_products("s", files(*PRODUCTS))
    assert set(files(*PRODUCTS)) <= set(map(str, awaited.products("s", "m", 1)))
    with here.untouched():
        for kind in [kind for kind in PRODUCTS if kind != last]:
            with fetching.weights(record, "s"):
                make(record, kind)
            assert FOLDER.exists(), f"{last} is not made"
        with fetching.weights(record, "s"):
            make(record, last)
    assert not FOLDER.exists()


def test_weights_do_not_wait_for_what_nobody_asked_for(
    here: Hub, record: inspection.Checkpoint
) -> None:
    awaited.await_products("s", files("SPECTRA", "ACTIVATIONS"))
    for kind in ("SPECTRA", "ACTIVATIONS"):
        with fetching.weights(record, "s"):
            make(record, kind)
    assert not FOLDER.exists()


def test_a_run_leaves_what_divergences_are_still_made_of(
    here: Hub, record: inspection.Checkpoint
) -> None:
    make(record, "SPECTRA", "ACTIVATIONS")
    asked = [getattr(paths, kind) for kind in PRODUCTS]
    shelf.sweep("s", {("m", 1)}, asked)
    assert FOLDER.exists()
    make(record, "REFERENCE")
    shelf.sweep("s", {("m", 1)}, asked)
    assert FOLDER.exists()
    make(record, "DIVERGENCE")
    shelf.sweep("s", {("m", 1)}, asked)
    assert not Path("results/s/weights").exists()
