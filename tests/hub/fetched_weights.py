"""Published weights of one checkpoint, and what is derived from them."""

import os
from pathlib import Path
from typing import Any

from server import Hub
from suites import Layout, Suite

from tending.core import paths
from tending.hub.pins import Pins, Revision
from tending.models import checkpoint_record
from tending.run import resolution

MODEL = "org/model"
FOLDER = Path("results/s/weights/m/step1")


def resolved(*steps: int) -> Pins:
    """The pins of the model's steps."""
    model = {"name": "m", "source": "hub", "repository": MODEL}
    return resolution.resolve([model], {"m": list(steps)}, {})["m"]


def publish(hub: Hub, layout: Layout = "safetensors", **odd: Any) -> Revision:
    """Step 1 of a suite, with nothing asked of the hub so far."""
    Suite(steps=(0, 1), layout=layout).publish(hub, MODEL, **odd)
    revision = resolved(1).revisions[1]
    hub.requests.clear()
    return revision


def make(record: checkpoint_record.Checkpoint, *kinds: str, seconds: int = 1) -> None:
    """Make products; seconds: by how much they are newer than what is there."""
    for kind in kinds:
        product = Path(getattr(paths, kind).format(study="s", model="m", step=1))
        product.parent.mkdir(parents=True, exist_ok=True)
        product.touch()
        time = product.stat().st_mtime_ns + seconds * 10**9
        os.utime(product, ns=(time, time))
