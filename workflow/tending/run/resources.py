"""Memory and time that a job requests from a scheduler, from the sizes of its inputs.

These numbers do not limit jobs on a local machine; a cluster kills a job that exceeds them, so
they lie above the actual use (docs/cluster.md says how far). A job that is killed nevertheless
requests more at its next attempt.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod
from typing import Any

from tending import families
from tending.checkpoints import source
from tending.core import positions
from tending.core.aliases import Config
from tending.core.snakemake_internals import noted
from tending.stages.divergence import divergence_config

MB = 2**20
# MB that a job holds before it works, 1.5 times the observed: about 400 of them are the two
# Snakemake processes that a cluster starts around every job.
IMPORTS = {"plain": 800, "drawing": 1300, "torch": 1600}
START = 10  # minutes of work that does not depend on sizes, on a slow shared file system
SLACK = 1.5  # factor for memory that is not counted

# Lower bounds on a job's operations per second, and on bytes per second of its files.
CPU, GPU = 2e10, 5e12
READING, DOWNLOADING = 1e8, 5e6

Wildcards = Any  # Snakemake's
Asked = Callable[[Wildcards, int], int]  # a job's wildcards and attempt (from 1) -> its request


@dataclass(frozen=True)
class Need:
    """Resources that a job needs.

    memory: bytes besides those of the imports; seconds: besides those of the start.
    """

    memory: float
    seconds: float
    imports: str = "plain"


@dataclass(frozen=True)
class Size:
    """Sizes of one model. parameters: numbers in all its weights; largest: in the largest."""

    layers: int
    d_model: int
    d_mlp: int
    heads: int
    vocabulary: int
    parameters: int
    largest: int
    context: int


class Needs:
    """Resources that a study's jobs need. Every method but the first two is one kind of job."""

    def __init__(self, config: Config, steps: Mapping[str, list[int]]) -> None:
        self._config, self._steps = config, steps
        self._models = {model["name"]: model for model in config["models"]}
        self._sizes: dict[str, Size] = {}

    def memory(self, kind: str) -> Asked:
        """For `mem_mb`: MB that a job of this kind requests, in proportion to the attempt."""
        estimate: Callable[[Wildcards], Need] = getattr(self, kind)

        def mem_mb(wildcards: Wildcards, attempt: int) -> int:
            need = estimate(wildcards)
            return attempt * ceil(IMPORTS[need.imports] + SLACK * need.memory / MB)

        return noted(mem_mb)

    def runtime(self, kind: str) -> Asked:
        """For `runtime`: minutes that a job of this kind requests, in proportion to the attempt."""
        estimate: Callable[[Wildcards], Need] = getattr(self, kind)

        def runtime(wildcards: Wildcards, attempt: int) -> int:
            return attempt * ceil(START + estimate(wildcards).seconds / 60)

        return noted(runtime)

    # Sources

    def small(self, wildcards: Wildcards) -> Need:
        """A job whose cost does not depend on the study."""
        return Need(0, 0)

    def corpus(self, wildcards: Wildcards) -> Need:
        """Text that is read whole and cut into tokens, or rows of a dataset."""
        return Need(self._tokens * 8, self._tokens * 8 / DOWNLOADING, "torch")

    def training(self, wildcards: Wildcards) -> Need:
        """Weights, gradients, two moments, and one batch's activations for the backward pass."""
        size, recipe = self._size(wildcards.model), self._models[wildcards.model]["recipe"]
        batch = recipe["batch"] * recipe["sequence_length"]
        memory = 4 * (4 * size.parameters + batch * _width(size) * size.layers)
        seconds = 6 * size.parameters * batch * recipe["steps"] / CPU
        return Need(memory, seconds, "torch")

    def inspection(self, wildcards: Wildcards) -> Need:
        """One pass over every byte of a checkpoint, for its hash; few are held in memory."""
        return Need(0, 4 * self._size(wildcards.model).parameters / READING)

    def fetching(self, wildcards: Wildcards) -> Need:
        """The download of a checkpoint."""
        return Need(0, 4 * self._size(wildcards.model).parameters / DOWNLOADING)

    # From weights

    def activations(self, wildcards: Wildcards) -> Need:
        """Forward passes over the probe, and over the sequences of the held-out loss."""
        size, config = self._size(wildcards.model), self._config
        probed = max(config["corpus"]["sequences"], config["held_out_loss"]["sequences"])
        return self._passes(size, probed * self._length, 2)

    def gradients(self, wildcards: Wildcards) -> Need:
        """Forward and backward passes over every batch; the weights' gradients are kept."""
        size, asked = self._size(wildcards.model), self._config["gradients"]
        batches = max(2 * asked["window"] + 1, asked["held_out_batches"])
        passes = self._passes(size, batches * asked["sequences"] * self._length, 8)
        # sums over a batch stay where the model runs; one matrix at a time comes here in float64
        kept = 8 * (3 * size.largest + (0 if self._on_gpu else size.parameters))
        decomposed = batches * 4 * size.parameters * size.d_model / CPU
        return Need(passes.memory + kept, passes.seconds + decomposed, "torch")

    def divergence(self, wildcards: Wildcards) -> Need:
        """Forward passes over some sequences; the logits of both steps are compared."""
        size, sequences = self._size(wildcards.model), divergence_config.sequences(self._config)
        passes = self._passes(size, sequences * self._length, 2)
        predicted = divergence_config.count(self._config["divergence"]["positions"], self._length)
        logits = 8 * sequences * predicted * size.vocabulary
        return Need(passes.memory + logits, passes.seconds + 2 * logits / READING, "torch")

    def spectra(self, wildcards: Wildcards) -> Need:
        """One matrix at a time in float64, its Gram matrix, and the eigenvalues' workspace."""
        size = self._size(wildcards.model)
        operations = 4 * size.parameters * size.d_model  # twice its Gram matrices
        seconds = 4 * size.parameters / READING + operations / CPU
        return Need(8 * 3 * size.largest, seconds)

    # From activations

    def representation(self, wildcards: Wildcards) -> Need:
        """The activations of one checkpoint, and a layer's Gram matrix or covariance."""
        return self._compared(self._size(wildcards.model), 1)

    def convergence(self, wildcards: Wildcards) -> Need:
        """The activations of two checkpoints."""
        return self._compared(self._size(wildcards.model), 2)

    def sample_size(self, wildcards: Wildcards) -> Need:
        """Every checkpoint of a model against the reference, at several numbers of sequences."""
        one, steps = self.convergence(wildcards), len(self._steps[wildcards.model])
        sizes = len(self._config["sample_sizes"] or ())
        return Need(one.memory, one.seconds * steps * (1 + sizes))

    def trajectory(self, wildcards: Wildcards) -> Need:
        """All checkpoints of a model together, a layer at a time, compared in pairs."""
        size, steps = self._size(wildcards.model), len(self._steps[wildcards.model])
        one, width = self._compared(size, 1), min(size.d_model, self._rows)
        held = 8 * steps * self._rows * size.d_model
        seconds = one.seconds * steps + size.layers * steps**2 * 2 * self._rows * width**2 / CPU
        return Need(one.memory + held, seconds)

    def between(self, wildcards: Wildcards) -> Need:
        """The models of a group at one step, compared in pairs."""
        models = [m for m in self._models.values() if m.get("group") == wildcards.group]
        one = self._compared(self._size(models[0]["name"]), len(models))
        return Need(one.memory, one.seconds * len(models))

    # For the whole study

    def table(self, wildcards: Wildcards) -> Need:
        """Rows of every checkpoint and layer, and their intervals."""
        return Need(self._cells * 20_000, self._cells * 0.2, "drawing")

    def figure(self, wildcards: Wildcards) -> Need:
        """A drawing of a table."""
        return Need(self._cells * 10_000, self._cells * 0.02, "drawing")

    # Sizes

    def _passes(self, size: Size, tokens: int, operations: int) -> Need:
        """Loading and running a model; operations: per parameter and token.

        On a GPU the activations are in its memory, and the host holds only the weights and the
        tensor that it reads.
        """
        extraction = self._config["extraction"]
        number = 4 if extraction["dtype"] == "float32" else 2
        held = number * size.parameters + 2 * 4 * size.largest
        batch = min(extraction["batch_size"] * self._length, tokens)
        running = 0 if self._on_gpu else 4 * 4 * batch * _width(size)
        seconds = operations * size.parameters * tokens / (GPU if self._on_gpu else CPU)
        return Need(held + running, 4 * size.parameters / READING + seconds, "torch")

    def _compared(self, size: Size, files: int) -> Need:
        """Files of activations read whole, and one layer's workspace in float64."""
        rows, layers = self._rows, size.layers
        kept = 4 * files * layers * rows * size.d_model * len(self._config["components"])
        width = max(size.d_model, rows)
        work = 8 * 4 * rows * width
        seconds = kept / READING + files * layers * size.heads * 4 * rows**2 * width / CPU
        return Need(kept + work, seconds)

    @cached_property
    def _on_gpu(self) -> bool:
        """Whether the config requests a GPU from a scheduler; `auto` does."""
        return bool(self._config["extraction"]["device"] != "cpu")

    @cached_property
    def _length(self) -> int:
        """Tokens of a sequence: as configured, or as many as all models of the study can read."""
        asked = self._config["corpus"].get("length")
        return int(asked or min(self._size(name).context for name in self._models))

    @cached_property
    def _rows(self) -> int:
        """Rows of the activations of a checkpoint."""
        probed = positions.count(self._config["extraction"]["position"], self._length)
        return int(self._config["corpus"]["sequences"] * (probed or self._length))

    @cached_property
    def _tokens(self) -> int:
        config = self._config
        most = max(config["corpus"]["sequences"], config["held_out_loss"]["sequences"])
        return int(most) * self._length

    @cached_property
    def _cells(self) -> int:
        """Number of layers in all checkpoints of the study."""
        return sum(self._size(name).layers * len(steps) for name, steps in self._steps.items())

    def _size(self, model: str) -> Size:
        if model not in self._sizes:
            described = self._models[model]
            step = self._steps[model][-1]  # all are alike
            config = source(described["source"]).config(described, step, self._config["study"])
            self._sizes[model] = size_of(config)
        return self._sizes[model]


def size_of(config: Config) -> Size:
    """Return the sizes of a model from its config.json; raise ValueError for an unknown family."""
    kind = families.family(str(config["model_type"]))
    found, shapes = kind.architecture(config), kind.shapes(config)
    numbers = {name: prod(shape) for name, shape in shapes.items()}
    head = 0 if families.tied(kind, config) else found.vocabulary * found.d_model
    return Size(
        layers=found.layers,
        d_model=found.d_model,
        d_mlp=max((max(s) for n, s in shapes.items() if n != kind.EMBEDDING), default=1),
        heads=found.heads,
        vocabulary=found.vocabulary,
        parameters=sum(numbers.values()) + head,
        largest=max(numbers.values()),
        context=found.context,
    )


def _width(size: Size) -> int:
    """Count the values per token at the widest point of a layer, and those held beside it."""
    return size.d_mlp + 4 * size.d_model
