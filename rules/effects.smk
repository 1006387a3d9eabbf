rule effects_table:
    input:
        stabilisation=plan.path(paths.TABLE_PARQUET, table="stabilisation"),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="effects"),
            caption="../workflow/report/table_effects.rst",
            category="Tables",
            labels={"table": "effects"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="effects"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="effects"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="effects")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        metrics=config["similarity"],
        thresholds=lookup(within=config, dpath="stabilisation/thresholds"),
        rates=plan.learning_rates(),
        code=code_hash("tending.stages.synthesis.effects", script="effects_table"),
    message:
        "Table of the effects of size and learning rate"
    script:
        "../workflow/scripts/effects_table.py"
