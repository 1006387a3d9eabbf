"""Quantities of all checkpoints of a model together, from their activations."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tending.core.aliases import Warn
from tending.metrics.trajectory import STEPS, Stack, TrajectoryMetric
from tending.stages.convergence.comparison import Source

Measured = dict[str, npt.NDArray[np.float64]]
Layer = int | None  # None: a component that the model has once
Pair = tuple[str, Layer]  # component and layer
Place = tuple[int, str, Layer]  # step, component and layer
Metrics = Mapping[str, TrajectoryMetric]


def measure(
    sources: Mapping[int, Source],
    components: Sequence[str],
    metrics: Mapping[str, tuple[str, TrajectoryMetric]],
    directions: int,
    warn: Warn,
    advance: Callable[[], object] = lambda: None,
    rows_per_sequence: int = 1,
) -> Measured:
    """Compute metrics over steps or layers.

    Returns `METRIC/MEASURE/COMPONENT` -> (layers, ...) for metrics over steps and `METRIC/MEASURE`
    -> (steps, ...) for metrics over layers; further axes are steps, or the places of `pairs`.
    sources: step -> activations, ascending. components: components of whole layers; one that the
    model has once counts as one layer. metrics: name -> (OVER, the metric). Undefined values are
    NaN, and warn(text) names them. advance() is called `work` times. rows_per_sequence: consecutive
    rows of one sequence, which are not independent. Raises ValueError if shapes differ.
    """
    shapes = _shapes(sources, components)
    measured = dict[str, npt.NDArray[np.float64]]()

    def computed(places: Sequence[Place], chosen: Metrics) -> Measured:
        stack = Stack(_reader(sources, places), len(places), directions, rows_per_sequence)
        made = _computed(stack, places, chosen, warn)
        advance()
        return made

    if over_steps := {n: m for n, (over, m) in metrics.items() if over == STEPS}:
        for name, shape in shapes.items():
            each = ([(s, name, layer) for s in sources] for layer in _layers(shape))
            rows = [computed(places, over_steps) for places in each]
            measured |= {f"{key}/{name}": values for key, values in _stacked(rows)}
    if over_layers := {n: m for n, (over, m) in metrics.items() if over != STEPS}:
        rows = [computed([(s, *pair) for pair in pairs(shapes)], over_layers) for s in sources]
        measured |= dict(_stacked(rows))
    return measured


def pairs(shapes: Mapping[str, tuple[int, ...]]) -> list[Pair]:
    """Return all (component, layer), in the order of the axes of metrics over layers."""
    return [(name, layer) for name, shape in shapes.items() for layer in _layers(shape)]


def work(
    shapes: Mapping[str, tuple[int, ...]],
    components: Sequence[str],
    steps: int,
    metrics: Mapping[str, tuple[str, TrajectoryMetric]],
) -> int:
    """Return the number of stacks that `measure` computes: one per layer, and one per step."""
    overs = {over for over, _ in metrics.values()}
    layers = len(pairs({name: shapes[name] for name in components}))
    return (layers if STEPS in overs else 0) + (steps if overs - {STEPS} else 0)


def _reader(
    sources: Mapping[int, Source], places: Sequence[Place]
) -> Callable[[int], npt.NDArray[np.float64]]:
    """Return a function that reads the activations at the i-th (step, component, layer)."""

    def read(i: int) -> npt.NDArray[np.float64]:
        step, component, layer = places[i]
        return sources[step].matrix(component, () if layer is None else (layer,))

    return read


def _computed(stack: Stack, places: Sequence[Place], metrics: Metrics, warn: Warn) -> Measured:
    """Compute `METRIC/MEASURE` of a stack; warn(text) names places without a similarity.

    places: (step, component, layer) of each representation in the stack.
    """
    made = {
        f"{name}/{measure}": values
        for name, metric in metrics.items()
        for measure, values in metric.compute(stack).items()
    }
    for i, reason in sorted(stack.undefined.items()):
        step, component, layer = places[i]
        named = component if layer is None else f"{component} of layer {layer}"
        warn(f"{named} at step {step} has no similarity: {reason}")
    return made


def _layers(shape: tuple[int, ...]) -> Sequence[Layer]:
    """Return a component's layers; [None] if the model has it once, with shape (rows, width)."""
    return range(shape[0]) if len(shape) > 2 else [None]


def _stacked(rows: Sequence[Measured]) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    return ((key, np.stack([row[key] for row in rows])) for key in rows[0])


def _shapes(sources: Mapping[int, Source], components: Sequence[str]) -> dict[str, tuple[int, ...]]:
    last = list(sources)[-1]
    shapes = {name: sources[last].shapes[name] for name in components}
    for step, source in sources.items():
        for name, shape in shapes.items():
            if source.shapes[name] != shape:
                raise ValueError(
                    f"{name}: shape {source.shapes[name]} at step {step}, {shape} at step {last}; "
                    f"extract all with the same corpus and model (see `corpus`)"
                )
    return shapes
