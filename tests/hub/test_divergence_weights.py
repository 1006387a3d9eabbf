"""Weights from the hub stay until the divergences that a study asks for are made of them."""

from pathlib import Path

import pytest
from fetched_weights import FOLDER, MODEL, make, publish
from server import Hub

from tending.core import paths
from tending.hub import fetching, weight_products, weight_shelf
from tending.hub.weight_shelf import Entry
from tending.models import checkpoint_record

PRODUCTS = ("SPECTRA", "ACTIVATIONS", "REFERENCE", "DIVERGENCE")


@pytest.fixture
def record(here: Hub) -> checkpoint_record.Checkpoint:
    """A checkpoint of which nothing is made yet."""
    return fetching.arrived(MODEL, publish(here), Entry("s", "m", 1), lambda _: None)


def files(*kinds: str) -> list[str]:
    return [getattr(paths, kind).format(study="s", model="m", step=1) for kind in kinds]


@pytest.mark.parametrize("last", PRODUCTS)
def test_weights_wait_for_everything_that_is_asked_for(
    last: str, here: Hub, record: checkpoint_record.Checkpoint
) -> None:
    weight_products.await_products("s", files(*PRODUCTS))
    assert set(files(*PRODUCTS)) <= set(map(str, weight_products.products("s", "m", 1)))
    with here.untouched():
        for kind in [kind for kind in PRODUCTS if kind != last]:
            with fetching.weights(record, "s"):
                make(record, kind)
            assert FOLDER.exists(), f"{last} is not made"
        with fetching.weights(record, "s"):
            make(record, last)
    assert not FOLDER.exists()


def test_weights_do_not_wait_for_what_nobody_asked_for(
    here: Hub, record: checkpoint_record.Checkpoint
) -> None:
    weight_products.await_products("s", files("SPECTRA", "ACTIVATIONS"))
    for kind in ("SPECTRA", "ACTIVATIONS"):
        with fetching.weights(record, "s"):
            make(record, kind)
    assert not FOLDER.exists()


def test_a_run_leaves_what_divergences_are_still_made_of(
    here: Hub, record: checkpoint_record.Checkpoint
) -> None:
    make(record, "SPECTRA", "ACTIVATIONS")
    asked = [getattr(paths, kind) for kind in PRODUCTS]
    weight_shelf.sweep("s", {("m", 1)}, asked)
    assert FOLDER.exists()
    make(record, "REFERENCE")
    weight_shelf.sweep("s", {("m", 1)}, asked)
    assert FOLDER.exists()
    make(record, "DIVERGENCE")
    weight_shelf.sweep("s", {("m", 1)}, asked)
    assert not Path("results/s/weights").exists()
