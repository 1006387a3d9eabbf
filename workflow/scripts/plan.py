"""Print what a run of the study would fetch, make and keep."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness, RerunTrigger
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

from tending.hub import weight_shelf
from tending.run import forecast
from tending.run.job import running, tell

# as in profiles/default
TRIGGERS = frozenset({RerunTrigger.MTIME, RerunTrigger.PARAMS, RerunTrigger.INPUT})


def main(config: Mapping[str, Any], snakefile: Path, gpus: int) -> None:
    live = weight_shelf.places(config.get("live_checkpoints"), gpus)
    tell("\n".join(forecast.lines(config, to_make(config, snakefile), live)))


def to_make(config: Mapping[str, Any], snakefile: Path) -> list[str]:
    """Every file that a run would make now, from a dry run in this process."""
    made: list[str] = []
    with TemporaryDirectory() as folder, SnakemakeApi(_quiet()) as api:
        settings = Path(folder) / "config.json"
        settings.write_text(json.dumps(config), "utf-8")
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[settings]),
            snakefile=snakefile,
        )
        graph = workflow.dag(
            DAGSettings(targets=frozenset({"all"}), rerun_triggers=TRIGGERS, force_incomplete=True)
        )
        graph.execute_workflow(executor="dryrun", updated_files=made)
    return [str(file) for file in made]


def _quiet() -> OutputSettings:
    return OutputSettings(dryrun=True, quiet={Quietness.ALL})


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(snakemake.config, Path(snakemake.params.snakefile), int(snakemake.params.gpus))
