"""List the metrics or components that a config can name: `python -m tending metrics`."""

import argparse
from collections.abc import Iterator
from typing import Any

from tending.core import plugins

KINDS = {
    "similarity": "two checkpoints' activations",
    "spectrum": "singular values",
    "representation": "one checkpoint's activations",
    "trajectory": "all checkpoints of a model",
}
LAWS = ("rotation", "scaling", "translation")
HEADER = ("name", "what it is", "range", "does not change with")

Row = tuple[str, ...]


def metrics() -> Iterator[str]:
    """Yield lines that list every metric, by kind."""
    for kind, of in KINDS.items():
        package = f"tending.metrics.{kind}"
        loaded = {n: plugins.load(package, n, "metric").METRIC for n in plugins.names(package)}
        rows = [(name, m.label, interval(m.bounds), laws(m)) for name, m in loaded.items()]
        yield f"{kind}: metrics of {of}"
        yield from aligned([HEADER, *rows])
        yield ""
    yield "Formulas, costs, sources and when to use which: docs/metrics.md"


def components() -> Iterator[str]:
    """Yield lines that list every component and which of its quantities are measured."""
    package = "tending.components"
    rows = []
    for name in plugins.names(package):
        told = plugins.literals(f"{package}.{name}")
        kinds = ("WEIGHTS", "ACTIVATIONS", "GRADIENTS")
        measured = ", ".join(kind.lower() for kind in kinds if told.get(kind))
        rows.append((name, measured, str(told["DESCRIPTION"])))
    yield from aligned([("name", "measured", "what it is"), *rows])


def interval(bounds: tuple[float | None, float | None]) -> str:
    """Format a closed range: `0 to 1`, `>= 0`, `<= 1` or `any`."""
    low, high = bounds
    if low is None:
        return "any" if high is None else f"<= {high:g}"
    return f">= {low:g}" if high is None else f"{low:g} to {high:g}"


def laws(metric: Any) -> str:
    """Name the transformations that leave a metric's value unchanged."""
    if hasattr(metric, "invariant_to"):
        return ", ".join(law for law in LAWS if law in metric.invariant_to) or "-"
    return "scaling" if metric.scale_free else "-"


def aligned(rows: list[Row]) -> Iterator[str]:
    """Yield rows as lines, with every column padded to one width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  " + "  ".join(cells).rstrip()


def main() -> None:
    """Print the requested list."""
    parser = argparse.ArgumentParser(prog="python -m tending", description=__doc__)
    parser.add_argument("list", choices=["metrics", "components"], help="what to list")
    asked = parser.parse_args().list
    print("\n".join(metrics() if asked == "metrics" else components()))


if __name__ == "__main__":
    main()
