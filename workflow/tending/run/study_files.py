"""Which files a study consists of."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tending.core import paths, plugins, provenance
from tending.core.positions import recorded
from tending.run.resources import Needs
from tending.stages.divergence.divergence_config import Divergence
from tending.stages.evaluations.evaluations import Evaluations
from tending.stages.gradients.gradient_stage import GradientStage
from tending.stages.representation import representation_config
from tending.stages.trajectory import trajectory_config
from tending.study import published, selection
from tending.study.seed_groups import SeedGroups, learning_rates

Wildcards = Any  # Snakemake's, with .model and .step
TABLES = (
    *("effective_rank", "convergence", "stabilisation", "association"),
    *("loss", "late_phase", "training"),
)


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
        """The step that the others of a model are compared with."""
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
        """What is measured of activations alone; nothing unless the config names a metric."""
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

    def local_models(self) -> list[str]:
        """Names of the models whose checkpoints lie on this machine."""
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
        """Names of the tables a figure shows besides, of those that the study has."""
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
        """The modules that draw a figure, and make tables of maps for it."""
        made = ["tending.stages.trajectory.trajectory_tables"] if self.maps_of(figure) else []
        return [f"{plugins.FIGURES}.{figure}", *made]

    def maps_of(self, figure: str) -> set[str]:
        """The quantities of trajectories among what a figure is drawn from."""
        return set(self.tables_of(figure)) & set(plugins.names(plugins.TRAJECTORY))

    def trajectory_files(self) -> list[str]:
        """One file per model, if the study asks for anything of all its checkpoints together."""
        names = self._models if self.config["trajectory"] else ()
        return [self.path(paths.TRAJECTORY, model=name) for name in names]

    def table_files(self, tables: list[str] | tuple[str, ...]) -> list[str]:
        """The Parquet files of the named tables."""
        return [self.path(paths.TABLE_PARQUET, table=table) for table in tables]

    def path(self, pattern: str, **wildcards: object) -> str:
        """A pattern filled in for this study; wildcards that are left stay as they are."""
        filled = pattern.replace("{study}", self.study)
        for name, value in wildcards.items():
            filled = filled.replace(f"{{{name}}}", str(value))
        return filled

    def tables(self) -> list[str]:
        """Names of the tables that this study has."""
        audited = ["audit"] if self.remote_models() else []
        measured = [representation_config.TABLE] if self.config["representation"] else []
        sampled = ["sample_size"] if self.config["sample_sizes"] else []
        compared = [published.COMPARISON] if self.published_as() else []
        of_groups = self.groups.tables(len(self._models))
        tables = [*TABLES, *of_groups, *audited, *measured, *sampled, *compared]
        asked = [*self.gradients.tables(), *self.divergence.tables(), *self.evaluations.tables()]
        return [*tables, *self._trajectory_table(), *asked]

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
        """What figures and captions need to know of the config, as JSON with sorted keys."""
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
        """Peak learning rate of every model of which it is known."""
        return learning_rates(self.config)

    def _empty_tables(self) -> set[str]:
        empty = set() if self.trained("{model}") else {"training"}
        if not self.config["held_out_loss"]["sequences"]:
            empty |= {"loss", "late_phase"}
        if not self.config["representation"]:
            empty.add(representation_config.TABLE)
        if not self._trajectory_table():
            empty.add(trajectory_config.TABLE)
        if not self.config["sample_sizes"]:
            empty.add("sample_size")
        return empty if self.published_as() else empty | {published.COMPARISON}

    def _trajectory_table(self) -> list[str]:
        """The name of the table, if something asked for has rows in it."""
        modules = [f"{plugins.TRAJECTORY}.{name}" for name in self.config["trajectory"]]
        tabled = any(plugins.constant(module, "TABLED") for module in modules)
        return [trajectory_config.TABLE] if tabled else []

    def _unasked(self) -> set[str]:
        """Figures of what the study does not ask for, quantities of trajectories among them."""
        unasked = set(plugins.names(plugins.TRAJECTORY)) - set(self.config["trajectory"])
        return unasked | self.gradients.undrawn()

    def published_as(self) -> dict[str, str]:
        """The paper's name of every model that is compared with it."""
        models = self._models.items()
        return {name: model["published_as"] for name, model in models if "published_as" in model}
