"""Which batches every checkpoint's gradients are taken of, and the files of that stage."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tending.components import DEFAULT
from tending.core import paths, provenance
from tending.core.snakemake_calls import all_noted
from tending.stages.gradients import gradient_config as asked
from tending.stages.gradients.gradient_config import window
from tending.study.selection import Config

TRAINED, DATASET = "trained", "dataset"  # where batches come from
_ORDERED = ("batch", "sequence_length", "seed", "training_tokens")  # of a recipe
SIX_PANELS = "six_panels"  # the figure that needs a component with all three columns
COSINES = "gradient_cosine"  # the figure that needs two batches of a checkpoint


@all_noted
class GradientStage:
    """The gradients of a study; without `gradients` in the config there are none."""

    def __init__(self, config: Config, steps: Mapping[str, Sequence[int]]) -> None:
        self._config, self._steps = config, steps
        self._settings: Mapping[str, Any] = config.get("gradients", {})
        self._study: str = config["study"]
        self._models = {model["name"]: model for model in config["models"]}
        self._orders = self._data_orders() if self.asked else {}

    @property
    def asked(self) -> bool:
        """Whether the study has gradients."""
        return "gradients" in self._config

    # What there is

    def files(self) -> list[str]:
        """One file for every model and step."""
        names = self._models if self.asked else ()
        own = [(name, step) for name in names for step in self._steps[name]]
        return [paths.GRADIENTS.format(study=self._study, model=m, step=s) for m, s in own]

    def weight_products(self) -> list[str]:
        """Patterns of what this stage makes from weights."""
        return [paths.GRADIENTS] if self.asked else []

    def undrawn(self) -> set[str]:
        """Figures that have nothing to show, although their tables are there."""
        shared = set(self._settings.get("components", ())) & set(self._config["components"])
        panels = set[str]() if shared & set(DEFAULT) else {SIX_PANELS}
        return panels if self._most_batches() > 1 else panels | {COSINES}

    def _most_batches(self) -> int:
        """The most batches that any checkpoint's gradients are taken of."""
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
        """Names of the orders of training data; models that share one share its batches."""
        return list(dict.fromkeys(name for name, _ in self._orders.values()))

    # What a job reads and is told

    def batches(self, wildcards: Any) -> str:
        """The file of the batches of a checkpoint: training batches, or the study's tokens."""
        if wildcards.model not in self._orders:
            return paths.TOKENS.format(study=self._study)
        order, _ = self._orders[wildcards.model]
        return paths.BATCHES.format(study=self._study, order=order, step=wildcards.step)

    def parts(self, wildcards: Any) -> list[int]:
        """Batches and sequences of each, where the study's tokens are divided; else nothing."""
        if wildcards.model in self._orders:
            return []
        return [self._settings["held_out_batches"], self._settings["sequences"]]

    def source(self, wildcards: Any) -> str:
        """What the batches of an order are cut from: a corpus, or the pin of a dataset."""
        trained = self._order(wildcards)["source"] == TRAINED
        pattern = paths.EMBEDDED_CORPUS if trained else paths.BATCHES_REVISION
        return pattern.format(study=self._study)

    def request(self, wildcards: Any) -> str:
        """Which batches of an order belong to a step, as JSON with sorted keys."""
        order = dict(self._order(wildcards))
        end = order.pop("end")
        steps = window(int(wildcards.step), self._settings["window"], end)
        return json.dumps({**order, "steps": steps}, sort_keys=True)

    def revision(self, wildcards: Any) -> list[str]:
        """The dataset on the hub and the revision asked for."""
        data = self._settings["data"]
        return [data["dataset"], data.get("revision", "main")]

    def components(self, wildcards: Any) -> list[str]:
        """What gradients are taken of, in an order of their own."""
        return sorted(self._settings["components"])

    def _order(self, wildcards: Any) -> Mapping[str, Any]:
        return next(what for name, what in self._orders.values() if name == wildcards.order)

    def _data_orders(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """The order of the data of every model of which it is known: its name, and what it is."""
        orders = {}
        for name, model in self._models.items():
            if asked.of_training(self._config, model):
                what = self._described(name)
                digest = provenance.text_sha256(json.dumps(what, sort_keys=True))
                orders[name] = (f"{what['source']}-{digest[:8]}", what)
        return orders

    def _described(self, name: str) -> dict[str, Any]:
        """All that the batches of a model depend on besides their steps."""
        model, sequences = self._models[name], self._settings["sequences"]
        end = asked.end(self._config, model, self._steps[name])
        if model["source"] == TRAINED:
            recipe = {key: model["recipe"][key] for key in _ORDERED if key in model["recipe"]}
            return {"source": TRAINED, "end": end, "sequences": sequences, **recipe}
        data = asked.data(self._config)
        sequences = min(sequences, data.get("rows_per_step", sequences))
        return {"source": DATASET, "end": end, **data, "sequences": sequences}
