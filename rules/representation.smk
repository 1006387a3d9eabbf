rule representation:
    input:
        activations=plan.path(paths.ACTIVATIONS),
    output:
        # An updated file keeps the numbers of metrics that have not changed.
        measured=update(plan.path(paths.REPRESENTATION)),
    log:
        plan.path(paths.log(paths.REPRESENTATION)),
    benchmark:
        plan.path(paths.benchmark(paths.REPRESENTATION))
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("representation"),
        runtime=plan.needs.runtime("representation"),
    params:
        metrics=representation_config.codes(config),
        code=code_hash(
            "tending.stages.representation.representations", script="representation"
        ),
    message:
        "Representations of {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/representation.py"


rule representation_table:
    input:
        measured=plan.per_checkpoint(paths.REPRESENTATION),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table=representation_config.TABLE),
            caption="../workflow/report/table_representation.rst",
            category="Tables",
            labels={"table": representation_config.TABLE},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table=representation_config.TABLE),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table=representation_config.TABLE),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table=representation_config.TABLE)
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        metrics=config["representation"],
        training_steps=plan.training_steps(),
        code=code_hash("tending.core.tables", script="representation_table"),
    message:
        "Table of representations"
    script:
        "../workflow/scripts/representation_table.py"
