rule association_table:
    input:
        tables=plan.table_files(["effective_rank", "convergence", "stabilisation"]),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="association"),
            caption="../workflow/report/table_association.rst",
            category="Tables",
            labels={"table": "association"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="association"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="association"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="association")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        rank_metrics=config["spectrum"],
        metrics=config["similarity"],
        thresholds=lookup(within=config, dpath="stabilisation/thresholds"),
        progress=lookup(within=config, dpath="association/progress"),
        references=plan.reference_steps(),
        code=code_hash(
            "tending.stages.synthesis.association_table", script="association_table"
        ),
    message:
        "Table of the association of rank and convergence"
    script:
        "../workflow/scripts/association_table.py"
