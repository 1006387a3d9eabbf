# Models of one `group` are seeds of one configuration: every pair of them at every step they share.
rule between:
    input:
        activations=plan.groups.activations,
    output:
        # An updated file keeps the scores of metrics that have not changed.
        scores=update(plan.path(paths.BETWEEN)),
    log:
        plan.path(paths.log(paths.BETWEEN)),
    benchmark:
        plan.path(paths.benchmark(paths.BETWEEN))
    wildcard_constraints:
        group=plan.any_of(plan.groups.names()),
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("between"),
        runtime=plan.needs.runtime("between"),
    params:
        metrics=plan.metric_codes(study.SIMILARITY, config["similarity"]),
        code=code_hash("tending.stages.seeds.between_seeds", script="between"),
    message:
        "Seeds of {wildcards.group} at step {wildcards.step}"
    script:
        "../workflow/scripts/between.py"


rule groups_table:
    input:
        between=plan.groups.between(),
        convergence=plan.path(paths.TABLE_PARQUET, table="convergence"),
        ranks=plan.path(paths.TABLE_PARQUET, table="effective_rank"),
        stabilisation=plan.path(paths.TABLE_PARQUET, table="stabilisation"),
        loss=plan.path(paths.TABLE_PARQUET, table="loss"),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="groups"),
            caption="../workflow/report/table_groups.rst",
            category="Tables",
            labels={"table": "groups"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="groups"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="groups"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="groups")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        members=plan.groups.members,
        restricted=plan.restricted("similarity"),
        metrics=config["similarity"],
        ranks=config["spectrum"],
        thresholds=lookup(within=config, dpath="stabilisation/thresholds"),
        training_steps=plan.training_steps(),
        code=code_hash(
            "tending.stages.seeds.group_tables",
            "tending.stages.seeds.between_seeds_rows",
            script="groups_table",
        ),
    message:
        "Table of groups of seeds"
    script:
        "../workflow/scripts/groups_table.py"
