import sys
from pathlib import Path

from snakemake.utils import min_version, validate

from tending.hub import run_watch, weight_products, weight_shelf
from tending import components
from tending.run import config as study, resolve_first, run_lock
from tending.study import metric_components, selection
from tending.core import paths, snakemake_internals
from tending.run.job import check_interpreter
from tending.run.plan import Plan, embedded_packages, module_version
from tending.core.provenance import code_hash, file_sha256
from tending.study.published import FILE as PUBLISHED_VALUES
from tending.stages.representation import representation_config
from tending.run.priorities import Turns

min_version("9.20")
check_interpreter(sys.executable)
snakemake_internals.note_resources(workflow.global_resources.get("_cores"))

# A study file replaces the default study whole: nothing of the default is merged into it.
if not workflow.overwrite_configfiles:

    configfile: f"{workflow.basedir}/config.yaml"


study.check_schema(
    config, Path(workflow.basedir) / "workflow/schemas/config.schema.yaml"
)
validate(config, "workflow/schemas/config.schema.yaml")  # fills in the defaults
metric_components.normalise(config)
study.check(config)

if workflow.is_main_process and run_lock.take():
    logger.warning(
        "An earlier run was killed; its lock is removed, its finished work is kept."
    )

# What is known without the hub is enough to plan; a run needs the commits.
unpinned = selection.unpinned(config)
planning = workflow.output_settings.dryrun or resolve_first.only_estimates(sys.argv[1:])
if (
    workflow.is_main_process
    and planning
    and unpinned
    and not selection.unresolved(config)
):
    logger.info(
        f"{sum(unpinned.values()):,} revisions are not pinned yet; a real run asks the hub for "
        "their commits first."
    )
elif workflow.is_main_process and (unpinned or selection.unresolved(config)):
    logger.info("Asking the hub for the study's revisions.")
    for warning in resolve_first.resolve(config, Path(workflow.basedir)):
        logger.warning(warning)
    study.check(config)
plan = Plan(config)

if workflow.is_main_process:
    for warning in study.check_evaluations(config):
        logger.warning(warning)

# A limit that `--resources gpu=1` leaves alone; `--resources gpu=1 download=4` changes it.
workflow.global_resources.setdefault("download", 2)

if workflow.is_main_process:
    weight_shelf.announce(
        config.get("live_checkpoints"), workflow.global_resources.get("gpu").value
    )
watch, turns = run_watch.Watch(plan.study), Turns(plan)


report: "workflow/report/workflow.rst"


wildcard_constraints:
    model=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    step=r"\d+",
    table=plan.any_of(plan.tables()),


# On a cluster these run where snakemake runs: what needs the network, and what takes a moment.
localrules:
    all,
    study_config,
    report,
    verify,
    fetch,
    hub_tokenizer,
    corpus,
    gradient_batches,


rule all:
    default_target: True
    input:
        plan.path(paths.REPORT),
        # Named here, so that a deleted one is made again.
        plan.report_files(),
        plan.figure_files(),
        plan.table_files(plan.tables()),
        plan.per_checkpoint(paths.ACTIVATIONS),
        plan.per_checkpoint(paths.SPECTRA),
        plan.per_checkpoint(paths.CONVERGENCE),
        plan.representation_files(),
        plan.trajectory_files(),
        plan.groups.between(),
        plan.gradients.files(),
        plan.divergence.files(),
    message:
        "Everything is there"


include: "rules/corpus.smk"
include: "rules/checkpoints.smk"
include: "rules/hub.smk"
include: "rules/activations.smk"
include: "rules/spectra.smk"
include: "rules/convergence.smk"
include: "rules/representation.smk"
include: "rules/trajectory.smk"
include: "rules/gradients.smk"
include: "rules/divergence.smk"
include: "rules/tables.smk"
include: "rules/groups.smk"
include: "rules/sample_size.smk"
include: "rules/figures.smk"
include: "rules/verify.smk"
include: "rules/plan.smk"


onstart:
    if workflow.is_main_process and selection.unpinned(config):
        resolve_first.refuse_work(
            {job.rule.name for job in workflow.dag.needrun_jobs()}
        )
    if plan.remote_models() and workflow.is_main_process:
        weight_products.await_products(
            plan.study, plan.weight_products(workflow.dag)
        )
        if not config["keep_checkpoints"]:
            weight_shelf.trim(plan.study, weight_shelf.limit())
        watch.start(workflow.scheduler)


onerror:
    watch.stop()


onsuccess:
    watch.stop()
    if plan.remote_models() and not config["keep_checkpoints"]:
        weight_shelf.sweep(
            plan.study, plan.remote_checkpoints(), plan.weight_patterns()
        )
    # A run of single targets may leave the report behind what it shows.
    if plan.report_is_current():
        logger.info(f"The report is in {plan.path(paths.REPORT)}")
