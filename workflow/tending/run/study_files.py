"""The files of a study."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tending import tables
from tending.checkpoints import hub
from tending.core import paths, plugins, provenance
from tending.core.positions import recorded
from tending.run.resources import Needs
from tending.stages.divergence.divergence_config import Divergence
from tending.stages.evaluations.evaluations import Evaluations
from tending.stages.gradients.gradient_stage import GradientStage
from tending.study import selection
from tending.study.seed_groups import LEAST_MODELS, SeedGroups, learning_rates

Wildcards = Any  # Snakemake's, with .model and .step


class StudyFiles:
    """The models, steps, tables and figures of one study, from its checked config."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.study: str = config["study"]
        self._models = {model["name"]: model for model in config["models"]}
        self._steps = {n: selection.steps(config, m) for n, m in self._models.items()}
        self.groups = SeedGroups(config, self._steps)
        self.gradients = GradientStage(config, self._steps)
        self.divergence = Divergence(config, self._steps)
        self.evaluations = Evaluations(config)
        self.needs = Needs(config, self._steps)

    def steps(self, model: str) -> list[int]:
        """Steps of a model, ascending."""
        return self._steps[model]

    def reference(self, model: str) -> int:
        """The reference step of a model, which its other steps are compared with."""
        wanted = self.config["reference"]
        return self.steps(model)[-1] if wanted == "last" else int(wanted)

    def reference_steps(self) -> dict[str, int]:
        """The reference step of every model."""
        return {model: self.reference(model) for model in self._models}

    def per_checkpoint(self, pattern: str) -> list[str]:
        """One path for every model and step of the study."""
        return [
            pattern.format(study=self.study, model=model, step=step)
            for model in self._models
            for step in self.steps(model)
        ]

    def representation_files(self) -> list[str]:
        """Files of measures of activations alone; none unless the config names such a metric."""
        return self.per_checkpoint(paths.REPRESENTATION) if self.config["representation"] else []

    def per_model(self, pattern: str) -> list[str]:
        """One path for every model of the study."""
        return [pattern.format(study=self.study, model=model) for model in self._models]

    def remote_models(self) -> list[str]:
        """Names of the models whose checkpoints are fetched."""
        return [
            n
            for n, m in self._models.items()
            if plugins.constant(f"tending.checkpoints.{m['source']}", "REMOTE")
        ]

    def pin_files(self) -> list[str]:
        """The files that pin the revisions of the models on the hub."""
        remote = [self._models[name] for name in self.remote_models()]
        return sorted({str(f) for model in remote for f in hub.pin_files(model, self.study)})

    def local_models(self) -> list[str]:
        """Names of the models whose checkpoints are on this machine."""
        return [name for name in self._models if name not in self.remote_models()]

    def any_of(self, names: list[str]) -> str:
        """A pattern that matches these names and nothing else."""
        return "|".join(map(re.escape, names)) or "(?!)"

    def trained(self, pattern: str) -> list[str]:
        """One path for every model that the workflow trains."""
        names = [name for name, m in self._models.items() if m["source"] == "trained"]
        return [pattern.format(study=self.study, model=name) for name in names]

    def figures(self) -> list[str]:
        """Names of the figures to draw: those of the config that have something to show."""
        wanted = self.config.get("figures", plugins.names(plugins.FIGURES))
        empty = self._empty_tables()
        drawn = [n for n in wanted if {*self.tables_of(n), *self.optional_tables(n)} - empty]
        drawn = [name for name in drawn if name not in self._unasked()]
        return [n for n in drawn if set(self.tables_of(n)) - self.maps_of(n) <= set(self.tables())]

    def tables_of(self, figure: str) -> list[str]:
        """Names of the tables a figure is drawn from."""
        tables = plugins.constant(f"{plugins.FIGURES}.{figure}", "TABLES")
        assert isinstance(tables, tuple)
        return list(tables)

    def optional_tables(self, figure: str) -> list[str]:
        """Names of the optional tables of a figure that the study has."""
        named = plugins.constant_or(f"{plugins.FIGURES}.{figure}", "OPTIONAL", ())
        assert isinstance(named, tuple)
        return [table for table in named if table in self.tables()]

    def figure_text(self, figure: str, constant: str) -> str:
        """A figure's TITLE or CATEGORY."""
        return str(plugins.constant(f"{plugins.FIGURES}.{figure}", constant))

    def figure_inputs(self, figure: str) -> list[str]:
        """Tables a figure is drawn from; for a map of checkpoints or layers, the models' files."""
        tables = [name for name in self.tables_of(figure) if name not in self.maps_of(figure)]
        models = self.trajectory_files() if self.maps_of(figure) else []
        return [*self.table_files([*tables, *self.optional_tables(figure)]), *models]

    def figure_modules(self, figure: str) -> list[str]:
        """The modules that draw a figure, and those that make tables of maps for it."""
        made = ["tending.stages.trajectory.trajectory_tables"] if self.maps_of(figure) else []
        return [f"{plugins.FIGURES}.{figure}", *made]

    def maps_of(self, figure: str) -> set[str]:
        """The trajectory quantities among the inputs of a figure."""
        return set(self.tables_of(figure)) & set(plugins.names(plugins.TRAJECTORY))

    def trajectory_files(self) -> list[str]:
        """One file per model, if the study requests any trajectory quantity."""
        names = self._models if self.config["trajectory"] else ()
        return [self.path(paths.TRAJECTORY, model=name) for name in names]

    def table_files(self, tables: list[str] | tuple[str, ...]) -> list[str]:
        """The Parquet files of the named tables."""
        return [self.path(paths.TABLE_PARQUET, table=table) for table in tables]

    def path(self, pattern: str, **wildcards: object) -> str:
        """Fill in a pattern for this study; wildcards that are not given stay as they are."""
        filled = pattern.replace("{study}", self.study)
        for name, value in wildcards.items():
            filled = filled.replace(f"{{{name}}}", str(value))
        return filled

    def tables(self) -> list[str]:
        """Names of the tables that this study has, sorted."""
        met = self.conditions()
        return [name for name in tables.names() if not (asked := _asked(name)) or met[asked]]

    def summarised(self) -> list[str]:
        """Names of the tables that every study has, which the summary reads."""
        return [name for name in tables.names() if not _asked(name)]

    def conditions(self) -> dict[str, bool]:
        """Conditions under which a study has a table; the names that tables' ASKED may have."""
        config = self.config
        evaluated = bool(config.get("evaluations"))
        return {
            "divergence": self.divergence.asked,
            "evaluations": evaluated,
            "gradients": self.gradients.asked,
            "groups": bool(self.groups.members),
            "hub_models": bool(self.remote_models()),
            "outcome": evaluated or bool(config["held_out_loss"]["sequences"]),
            "published_as": bool(self.published_as()),
            "representation": bool(config["representation"]),
            "sample_sizes": bool(config["sample_sizes"]),
            "several_models": len(self._models) >= LEAST_MODELS,
            "trajectory_rows": self._has_trajectory_rows(),
        }

    def products(self) -> dict[str, list[str]]:
        """Files that tables read, by the names that tables' FILES may have."""
        return {
            "activations": self.per_checkpoint(paths.ACTIVATIONS),
            "between_seeds": self.groups.between(),
            "divergences": self.divergence.files(),
            "evaluation_files": self.evaluations.files(),
            "gradients": self.gradients.files(),
            "pins": self.pin_files(),
            "representations": self.representation_files(),
            "sample_sizes": self.per_model(paths.SAMPLE_SIZE),
            "scores": self.per_checkpoint(paths.CONVERGENCE),
            "spectra": self.per_checkpoint(paths.SPECTRA),
            "training_logs": self.trained(paths.TRAINING_LOG),
            "training_manifests": self.trained(paths.TRAINING_MANIFEST),
            "trajectories": self.trajectory_files(),
        }

    def table_inputs(self, table: str) -> dict[str, list[str]]:
        """Files that a table reads, by product, and `tables`, other tables, if it reads any."""
        declared, products = tables.declared(table), self.products()
        others = [*declared.tables, *(t for t in declared.optional if t in self.tables())]
        own = {name: products[name] for name in declared.files}
        return own | ({"tables": self.table_files(others)} if others else {})

    def table_module(self, table: str) -> str:
        """Dotted name of the file that makes a table."""
        return tables.module(table)

    def table_title(self, table: str) -> str:
        """A table's title for readers, which states the contents of its rows."""
        return tables.declared(table).title

    def report_files(self) -> list[str]:
        """Everything the report shows."""
        return [
            self.path(paths.SUMMARY),
            *(self.path(paths.FIGURE_PNG, figure=figure) for figure in self.figures()),
            *(self.path(paths.TABLE_CSV, table=table) for table in self.tables()),
        ]

    def figure_files(self) -> list[str]:
        """The figures for print."""
        return [self.path(paths.FIGURE_PDF, figure=figure) for figure in self.figures()]

    def report_is_current(self) -> bool:
        """Whether the report exists and is not older than anything it shows."""
        files = [Path(self.path(paths.REPORT)), *map(Path, self.report_files())]
        if not all(file.exists() for file in files):
            return False
        report, *shown = (file.stat().st_mtime for file in files)
        return all(report >= time for time in shown)

    def captions(self) -> str:
        """Hash of the report's front page, captions and style sheet."""
        folder = paths.WORKFLOW / "report"
        tables = (f"table_{table}" for table in self.tables())
        names = ["workflow", "summary", *self.figures(), *tables]
        files = [*(folder / f"{name}.rst" for name in names), folder / "stylesheet.css"]
        return provenance.text_sha256("\n".join(file.read_text("utf-8") for file in files))

    def figure_options(self, wildcards: Wildcards) -> str:
        """Settings of the config that figures and captions need, as JSON with sorted keys."""
        config = self.config
        options = {
            "study": self.study,
            "metrics": config["similarity"],
            "rank_metrics": config["spectrum"],
            "thresholds": config["stabilisation"]["thresholds"],
            "early": config["stabilisation"]["early"],
            "sequences": config["corpus"]["sequences"],
            "position": recorded(config["extraction"]["position"]),
            "models": list(self._models),
            "progress": config["association"]["progress"],
            "references": self.reference_steps(),
        }
        if self.groups.of_model:
            options["groups"] = self.groups.of_model
        return json.dumps(options, sort_keys=True)

    def learning_rates(self) -> dict[str, float]:
        """Peak learning rate of every model for which it is known."""
        return learning_rates(self.config)

    def _empty_tables(self) -> set[str]:
        """Tables that the study lacks, or has without rows."""
        empty = set(tables.names()) - set(self.tables())
        if not self.trained("{model}"):
            empty.add("training")
        if not self.config["held_out_loss"]["sequences"]:
            empty |= {"loss", "late_phase"}
        return empty

    def _has_trajectory_rows(self) -> bool:
        """Whether a requested quantity of trajectories has rows in a table."""
        modules = [f"{plugins.TRAJECTORY}.{name}" for name in self.config["trajectory"]]
        return any(plugins.constant(module, "TABLED") for module in modules)

    def _unasked(self) -> set[str]:
        """Figures of quantities that the study does not request, trajectories among them."""
        unasked = set(plugins.names(plugins.TRAJECTORY)) - set(self.config["trajectory"])
        return unasked | self.gradients.undrawn()

    def published_as(self) -> dict[str, str]:
        """The paper's name of every model that is compared with it."""
        models = self._models.items()
        return {name: model["published_as"] for name, model in models if "published_as" in model}


def _asked(table: str) -> str:
    return tables.declared(table).asked
