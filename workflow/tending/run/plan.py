"""Inputs and parameters of every job of a study.

The rules query the plan; it returns plain paths and scalars, so that Snakemake reruns a job
exactly when something it depends on has changed.
"""

import json
from collections.abc import Callable
from functools import cache, cached_property, partial
from typing import Any

from tending import components, tables
from tending import corpus as corpora
from tending.checkpoints import hub, source
from tending.core import paths, plugins, provenance
from tending.core.snakemake_internals import all_noted, noted
from tending.run.study_files import StudyFiles, Wildcards
from tending.study import metric_components, published, row_limits, selection


@all_noted
class Plan(StudyFiles):
    """Inputs and parameters of every job of a study."""

    # Inputs

    def checkpoint_files(self, wildcards: Wildcards) -> list[str]:
        """Files whose change makes it another checkpoint."""
        model = self._models[wildcards.model]
        return source(model["source"]).files(model, int(wildcards.step), self.study)

    def reference_activations(self, wildcards: Wildcards) -> str:
        """Activations of the step that this model's steps are compared with."""
        step = self.reference(wildcards.model)
        return paths.ACTIVATIONS.format(study=self.study, model=wildcards.model, step=step)

    def trajectory_activations(self, wildcards: Wildcards) -> list[str]:
        """Activations of all steps of a model, ascending."""
        model = wildcards.model
        return [
            paths.ACTIVATIONS.format(study=self.study, model=model, step=step)
            for step in self.steps(model)
        ]

    def compared_activations(self, wildcards: Wildcards) -> list[str]:
        """Activations of every step of a model except the reference step."""
        steps = [s for s in self.steps(wildcards.model) if s != self.reference(wildcards.model)]
        own = {"study": self.study, "model": wildcards.model}
        return [paths.ACTIVATIONS.format(**own, step=step) for step in steps]

    def corpus_files(self, wildcards: Wildcards) -> list[str]:
        """Files the probe tokens are made from."""
        corpus = self.config["corpus"]
        return corpora.source(corpus["source"]).files(corpus, self.study)

    def tokenizer_file(self, wildcards: Wildcards) -> list[str]:
        """The tokenizer of a text: the named one or the first model's own; else none."""
        corpus = self.config["corpus"]
        if not plugins.constant(f"tending.corpus.{corpus['source']}", "TOKENIZER"):
            return []
        if corpus.get("tokenizer"):
            named = corpus["tokenizer"]
            return [named if named.endswith(".json") else f"{named}/tokenizer.json"]
        model = self.config["models"][0]
        return [source(model["source"]).tokenizer(model, self.steps(model["name"])[-1], self.study)]

    def vocabulary_file(self, wildcards: Wildcards) -> list[str]:
        """The tokenizer that determines a model's number of tokens, if a component needs it."""
        model = self._models[wildcards.model]
        if "vocabulary" in model or not self._of_model:
            return []
        return [source(model["source"]).tokenizer(model, self.steps(model["name"])[-1], self.study)]

    def weight_products(self, graph: Any) -> list[str]:
        """Outputs that a run will derive from weights; graph: Snakemake's, of that run."""
        made = {f for p in self.weight_patterns() for f in self.per_checkpoint(p)}
        return [str(f) for job in graph.needrun_jobs() for f in job.output if str(f) in made]

    def weight_patterns(self) -> list[str]:
        """Path patterns of everything that the study derives from weights."""
        asked = [*self.gradients.weight_products(), *self.divergence.weight_products()]
        return [*paths.WEIGHT_PRODUCTS, *asked]

    def remote_checkpoints(self) -> set[tuple[str, int]]:
        """Model and step of every checkpoint that is fetched."""
        return {(model, step) for model in self.remote_models() for step in self.steps(model)}

    # Parameters

    def checkpoint_folder(self, wildcards: Wildcards) -> str:
        """Folder of a checkpoint in Hugging Face format."""
        model = self._models[wildcards.model]
        return str(source(model["source"]).folder(model, int(wildcards.step), self.study))

    def revision(self, wildcards: Wildcards) -> str:
        """Name of a checkpoint at its source."""
        model = self._models[wildcards.model]
        return source(model["source"]).revision(model, int(wildcards.step), self.study)

    def repository(self, wildcards: Wildcards) -> str:
        """The repository of a model on the hub."""
        return str(self._models[wildcards.model]["repository"])

    def commit(self, wildcards: Wildcards) -> str:
        """The commit that a revision on the hub is pinned at."""
        return hub.commit(self._models[wildcards.model], int(wildcards.step), self.study)

    def tokenizer_digest(self, wildcards: Wildcards) -> str:
        """Hash of a model's tokenizer on the hub; adding a step does not change it."""
        last = self._steps[wildcards.model][-1]
        return hub.tokenizer_digest(self._models[wildcards.model], last, self.study)

    def corpus_keys(self, wildcards: Wildcards) -> str:
        """The corpus source's own keys that name no file, as JSON with sorted keys.

        A source without such keys gets its name again: Snakemake compares the params of a job as
        a set, so its token file, and the GPU jobs that read it, are not rerun.
        """
        corpus = self.config["corpus"]
        module = f"tending.corpus.{corpus['source']}"
        required, optional = (plugins.constant(module, c) for c in ("REQUIRED", "OPTIONAL"))
        assert isinstance(required, tuple) and isinstance(optional, tuple)
        own = {*required, *optional} - {"path", "tokenizer"}
        told = {key: corpus[key] for key in own if key in corpus}
        return json.dumps(told, sort_keys=True) if told else str(corpus["source"])

    def corpus_revision(self, wildcards: Wildcards) -> list[str]:
        """The dataset on the hub and the requested revision."""
        corpus = self.config["corpus"]
        return [corpus["dataset"], corpus.get("revision", "main")]

    def recipe(self, wildcards: Wildcards) -> str:
        """A trained model's recipe as JSON with sorted keys."""
        return json.dumps(self._models[wildcards.model]["recipe"], sort_keys=True)

    def family_code(self, wildcards: Wildcards) -> str:
        """Hash of the code of a model's family, found from the last step, as all are alike."""
        model = self._models[wildcards.model]
        name = source(model["source"]).family(model, self.steps(model["name"])[-1], self.study)
        return _family_code(name)

    def weighed(self) -> list[str]:
        """Components whose singular values the study computes, sorted by name."""
        return self._weighed

    @cached_property  # read by every checkpoint's job
    def _weighed(self) -> list[str]:
        return sorted(metric_components.measured(self.config, "weights"))

    @cached_property
    def _of_model(self) -> list[str]:
        return components.of_model(self._weighed)

    def vocabulary(self, wildcards: Wildcards) -> int | None:
        """Number of a model's tokens, if the config gives it and a component needs it."""
        return self._models[wildcards.model].get("vocabulary") if self._of_model else None

    def restricted(self, key: str) -> list[str]:
        """`metric component component ...` for every metric of `key` restricted to components."""
        named = metric_components.restrictions(self.config, key)
        return [" ".join([metric, *components]) for metric, components in named.items()]

    def context(self, wildcards: Wildcards) -> int:
        """The longest sequence that every model of the study can read, in tokens."""
        return min(
            source(model["source"]).context(model, self.steps(name)[-1], self.study)
            for name, model in self._models.items()
        )

    def rows(self) -> int:
        """Sequences in the study's token file: enough for the probe and for the loss."""
        wanted = self.config["corpus"]["sequences"], self.config["held_out_loss"]["sequences"]
        return int(max(wanted))

    def gpus(self) -> int:
        """Number of GPUs an extraction requests: 0 only if the config names the CPU.

        `auto` counts as one, because the machine that plans may not be the one that computes.
        """
        return 0 if self.config["extraction"]["device"] == "cpu" else 1

    def training_steps(self) -> dict[str, int]:
        """Length of every model's training run in steps, the denominator of progress."""
        return {
            name: source(model["source"]).total_steps(model, self.steps(name), self.study)
            for name, model in self._models.items()
        }

    def training_length(self, wildcards: Wildcards) -> int:
        """Length of one model's training run in steps."""
        return self.training_steps()[wildcards.model]

    def sampled_metrics(self) -> list[str]:
        """The similarities that are measured at several numbers of sequences."""
        return row_limits.sampled(self.config)

    def definitions(self) -> list[str]:
        """The requested definitions, `correct` first."""
        return sorted(self.config["definitions"])

    def extraction_version(self) -> int | str:
        """The version of activations, which changes when they do.

        It is the stage's version, followed by the definitions and components if they are not the
        default ones, so that default studies keep the version that they recorded.
        """
        version, asked = (
            module_version("tending.stages.activations.activations"),
            self.definitions(),
        )
        told = [] if asked == ["correct"] else asked
        captured = sorted(metric_components.measured(self.config, "activations"))
        told += [] if captured == sorted(components.DEFAULT) else captured
        return " ".join([str(version), *told]) if told else version

    def table_settings(self, table: str) -> Callable[[Wildcards], str]:
        """Return the function that gives a table's settings, as JSON with sorted keys.

        One scalar, which Snakemake compares; a function of the wildcards, because Snakemake reads
        plain strings for wildcards, and the name of a revision may hold `{step}`.
        """
        known = self.settings_of_tables()

        def settings(wildcards: Wildcards) -> str:
            own = {name: known[name]() for name in tables.declared(table).settings}
            return json.dumps(own, sort_keys=True)

        return noted(settings)

    def settings_of_tables(self) -> dict[str, Callable[[], Any]]:
        """Functions that return each setting, by the names that tables' SETTINGS may have."""
        config = self.config
        return {
            "definitions": self.definitions,
            "duplicates": partial(config.get, "duplicates"),
            "early": partial(config["stabilisation"].get, "early"),
            "evaluations": self.evaluations.described,
            "groups": partial(dict, self.groups.members),
            "hub_models": self._hub_models,
            "learning_rates": self.learning_rates,
            "progress": partial(config["association"].get, "progress"),
            "published_as": self.published_as,
            "published_values": partial(provenance.file_sha256, published.FILE),
            "references": self.reference_steps,
            "representation": partial(config.get, "representation"),
            "requested_steps": self._requested_steps,
            "similarity": partial(config.get, "similarity"),
            "similarity_components": partial(self._restrictions, "similarity"),
            "spectrum": partial(config.get, "spectrum"),
            "spectrum_components": partial(self._restrictions, "spectrum"),
            "study": partial(str, self.study),
            "thresholds": partial(config["stabilisation"].get, "thresholds"),
            "training_steps": self.training_steps,
            "trajectory": partial(config.get, "trajectory"),
        }

    def table_metrics(self, table: str) -> list[str]:
        """`metric hash` for every metric whose own code computes a table's numbers."""
        return [
            line
            for key in tables.declared(table).metrics
            for line in self.metric_codes(f"tending.metrics.{key}", self.config[key])
        ]

    def _hub_models(self) -> list[Any]:
        return [self._models[name] for name in self.remote_models()]

    def _requested_steps(self) -> dict[str, list[int]]:
        """The requested steps of hub models, before duplicates are dropped."""
        names = self.remote_models()
        return {n: selection.asked_steps(self.config, self._models[n]) for n in names}

    def _restrictions(self, key: str) -> dict[str, list[str]]:
        named = metric_components.restrictions(self.config, key)
        return {metric: list(components) for metric, components in named.items()}

    def published_tables(self) -> list[str]:
        """Tables of quantities that the paper published; none if no model is compared with it."""
        names = ["convergence", published.COMPARISON] if self.published_as() else []
        return self.table_files(names)

    def references(self) -> dict[str, int]:
        """The reference step of each model that is compared with the paper."""
        return {model: self.reference(model) for model in self.published_as()}

    def reference_steps(self) -> dict[str, int]:
        """The reference step of each model."""
        return {model: self.reference(model) for model in self._models}

    def other_tokens(self, wildcards: Wildcards) -> str:
        """Describe the probe if it cannot be the paper's; a user's own matrix may be."""
        corpus = self.config["corpus"]
        if corpus["source"] == "hub":
            ours = corpus["dataset"], corpus.get("batch", {}).get("step")
            known = ours[0] in published.DATASETS and ours[1] == published.BATCH
            return "" if known else f"{ours[0]}, {'rows' if ours[1] is None else f'step {ours[1]}'}"
        return "" if corpus["source"] == "tokens" else f"the source {corpus['source']}"

    def metric_codes(self, package: str, names: list[str]) -> list[str]:
        """`metric hash` for every metric, in the config's order."""
        return [f"{name} {provenance.code_hash(f'{package}.{name}')}" for name in names]

    # Functions of the wildcards, even where they need none: Snakemake looks for wildcards in plain
    # strings in `params`, and a path pattern in a config has some.

    def settings(self, wildcards: Wildcards) -> str:
        """The whole config as JSON with sorted keys."""
        return json.dumps(self.config, sort_keys=True, indent=2)


@cache  # called by every checkpoint's job
def _family_code(name: str) -> str:
    plugins.require("tending.families", name, "model family")
    return provenance.code_hash(f"tending.families.{name}")


def module_version(module: str) -> int:
    """Return the VERSION of a stage that is too costly to rerun on every change of its code."""
    return int(str(plugins.constant(module, "VERSION")))


def embedded_packages() -> list[str]:
    """Return `package version` of every package the embedded corpus is built from."""
    packages = plugins.constant("tending.corpus.embedded", "PACKAGES")
    assert isinstance(packages, tuple)
    versions = provenance.versions(packages)
    return [f"{name} {version}" for name, version in versions.items()]
