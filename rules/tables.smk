# One rule per file of workflow/tending/tables that the study has.
for table in plan.tables():

    rule:
        name:
            f"{table}_table"
        input:
            **plan.table_inputs(table),
        output:
            csv=report(
                plan.path(paths.TABLE_CSV, table=table),
                caption=f"../workflow/report/table_{table}.rst",
                category="Tables",
                labels={"table": table},
            ),
            parquet=plan.path(paths.TABLE_PARQUET, table=table),
        log:
            plan.path(paths.log(paths.TABLE_CSV), table=table),
        benchmark:
            plan.path(paths.benchmark(paths.TABLE_CSV), table=table)
        conda:
            "../envs/tending.yaml"
        resources:
            mem_mb=plan.needs.memory("table"),
            runtime=plan.needs.runtime("table"),
        params:
            table=table,
            settings=plan.table_settings(table),
            metrics=plan.table_metrics(table),
            code=code_hash(plan.table_module(table), script="table"),
        message:
            f"Table of {plan.table_title(table)}"
        script:
            "../workflow/scripts/table.py"


rule summary:
    input:
        tables=plan.table_files(plan.summarised()),
    output:
        html=report(
            plan.path(paths.SUMMARY),
            caption="../workflow/report/summary.rst",
            category="Summary",
            labels={"page": "The study in one table"},
        ),
    log:
        plan.path(paths.log(paths.SUMMARY)),
    benchmark:
        plan.path(paths.benchmark(paths.SUMMARY))
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        options=plan.figure_options,
        code=code_hash("tending.report.summary", script="summary"),
    message:
        "Summary of the study"
    script:
        "../workflow/scripts/summary.py"
