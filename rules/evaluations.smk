# Benchmark scores that the study names, and how activations, weights and gradients go with them.
rule evaluations_table:
    input:
        files=plan.evaluations.files(),
        convergence=plan.path(paths.TABLE_PARQUET, table="convergence"),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="evaluations"),
            caption="../workflow/report/table_evaluations.rst",
            category="Tables",
            labels={"table": "evaluations"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="evaluations"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="evaluations"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="evaluations")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        asked=plan.evaluations.asked,
        training_steps=plan.training_steps(),
        code=code_hash(
            "tending.stages.evaluations.evaluation_table", script="evaluations_table"
        ),
    message:
        "Table of evaluations"
    script:
        "../workflow/scripts/evaluations_table.py"


rule outcome_association_table:
    input:
        tables=plan.table_files(plan.evaluations.associated(plan.tables())),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="outcome_association"),
            caption="../workflow/report/table_outcome_association.rst",
            category="Tables",
            labels={"table": "outcome_association"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="outcome_association"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="outcome_association"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="outcome_association")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        rank_metrics=config["spectrum"],
        metrics=config["similarity"],
        references=plan.reference_steps(),
        code=code_hash(
            "tending.stages.synthesis.outcome_association",
            script="outcome_association_table",
        ),
    message:
        "Table of the association with loss and evaluations"
    script:
        "../workflow/scripts/outcome_association_table.py"
