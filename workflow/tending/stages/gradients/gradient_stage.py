"""Files of the gradient stage, and the batches used for each checkpoint's gradients."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tending.components import DEFAULT
from tending.core import paths, provenance
from tending.core.aliases import Config
from tending.core.snakemake_internals import all_noted
from tending.stages.gradients import gradient_config as asked
from tending.stages.gradients.gradient_config import window

TRAINED, DATASET = "trained", "dataset"  # where batches come from
_ORDERED = ("batch", "sequence_length", "seed", "training_tokens")  # of a recipe
SIX_PANELS = "six_panels"  # the figure that needs a component for all three columns
COSINES = "gradient_cosine"  # the figure that needs two batches of a checkpoint


@all_noted
class GradientStage:
    """The gradient stage of a study; empty without `gradients` in the config."""

    def __init__(self, config: Config, steps: Mapping[str, Sequence[int]]) -> None:
        self._config, self._steps = config, steps
        self._settings: Mapping[str, Any] = config.get("gradients", {})
        self._study: str = config["study"]
        self._models = {model["name"]: model for model in config["models"]}
        self._orders = self._data_orders() if self.asked else {}

    @property
    def asked(self) -> bool:
        """Whether the study includes gradients."""
        return "gradients" in self._config

    # Outputs

    def files(self) -> list[str]:
        """Return one file for every model and step."""
        names = self._models if self.asked else ()
        own = [(name, step) for name in names for step in self._steps[name]]
        return [paths.GRADIENTS.format(study=self._study, model=m, step=s) for m, s in own]

    def weight_products(self) -> list[str]:
        """Return patterns of the files that this stage derives from weights."""
        return [paths.GRADIENTS] if self.asked else []

    def undrawn(self) -> set[str]:
        """Return the figures that have nothing to show although their tables exist."""
        shared = set(self._settings.get("components", ())) & set(self._config["components"])
        panels = set[str]() if shared & set(DEFAULT) else {SIX_PANELS}
        return panels if self._most_batches() > 1 else panels | {COSINES}

    def _most_batches(self) -> int:
        """Return the largest number of batches for any checkpoint."""
        counts = [0]
        for name in self._models if self.asked else ():
            if name in self._orders:
                end = self._orders[name][1]["end"]
                own = [window(step, self._settings["window"], end) for step in self._steps[name]]
                counts += map(len, own)
            else:
                counts.append(self._settings["held_out_batches"])
        return max(counts)

    def orders(self) -> list[str]:
        """Return names of the orders of training data; models with the same order share batches."""
        return list(dict.fromkeys(name for name, _ in self._orders.values()))

    # Inputs and params of jobs

    def batches(self, wildcards: Any) -> str:
        """Return the file with a checkpoint's batches: training batches, or the study's tokens."""
        if wildcards.model not in self._orders:
            return paths.TOKENS.format(study=self._study)
        order, _ = self._orders[wildcards.model]
        return paths.BATCHES.format(study=self._study, order=order, step=wildcards.step)

    def parts(self, wildcards: Any) -> list[int]:
        """Return numbers of held-out batches and of sequences in each; empty for training ones."""
        if wildcards.model in self._orders:
            return []
        return [self._settings["held_out_batches"], self._settings["sequences"]]

    def source(self, wildcards: Any) -> str:
        """Return the source of an order's batches: a corpus file, or the pin of a dataset."""
        trained = self._order(wildcards)["source"] == TRAINED
        pattern = paths.EMBEDDED_CORPUS if trained else paths.BATCHES_REVISION
        return pattern.format(study=self._study)

    def request(self, wildcards: Any) -> str:
        """Return the request for an order's batches around a step, as JSON with sorted keys."""
        order = dict(self._order(wildcards))
        end = order.pop("end")
        steps = window(int(wildcards.step), self._settings["window"], end)
        return json.dumps({**order, "steps": steps}, sort_keys=True)

    def revision(self, wildcards: Any) -> list[str]:
        """Return the dataset on the hub and the requested revision."""
        data = self._settings["data"]
        return [data["dataset"], data.get("revision", "main")]

    def components(self, wildcards: Any) -> list[str]:
        """Return the components whose gradients are computed, sorted by name."""
        return sorted(self._settings["components"])

    def _order(self, wildcards: Any) -> Mapping[str, Any]:
        return next(what for name, what in self._orders.values() if name == wildcards.order)

    def _data_orders(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return the data order of every model with training batches: its name and description."""
        orders = {}
        for name, model in self._models.items():
            if asked.of_training(self._config, model):
                what = self._described(name)
                digest = provenance.text_sha256(json.dumps(what, sort_keys=True))
                orders[name] = (f"{what['source']}-{digest[:8]}", what)
        return orders

    def _described(self, name: str) -> dict[str, Any]:
        """Return everything that a model's batches depend on except their steps."""
        model, sequences = self._models[name], self._settings["sequences"]
        end = asked.end(self._config, model, self._steps[name])
        if model["source"] == TRAINED:
            recipe = {key: model["recipe"][key] for key in _ORDERED if key in model["recipe"]}
            return {"source": TRAINED, "end": end, "sequences": sequences, **recipe}
        data = asked.data(self._config)
        sequences = min(sequences, data.get("rows_per_step", sequences))
        return {"source": DATASET, "end": end, **data, "sequences": sequences}
