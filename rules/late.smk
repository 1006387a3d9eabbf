rule late_phase_table:
    input:
        activations=plan.per_checkpoint(paths.ACTIVATIONS),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="late_phase"),
            caption="../workflow/report/table_late_phase.rst",
            category="Tables",
            labels={"table": "late_phase"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="late_phase"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="late_phase"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="late_phase")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        training_steps=plan.training_steps(),
        code=code_hash(
            "tending.stages.synthesis.late_phase_rows", script="late_phase_table"
        ),
    message:
        "Table of the late phase"
    script:
        "../workflow/scripts/late_phase_table.py"
