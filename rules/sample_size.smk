rule sample_size:
    input:
        activations=plan.compared_activations,
        reference=plan.reference_activations,
    output:
        rows=plan.path(paths.SAMPLE_SIZE),
    log:
        plan.path(paths.log(paths.SAMPLE_SIZE)),
    benchmark:
        plan.path(paths.benchmark(paths.SAMPLE_SIZE))
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("sample_size"),
        runtime=plan.needs.runtime("sample_size"),
    params:
        metrics=plan.metric_codes(study.SIMILARITY, plan.sampled_metrics()),
        sizes=config["sample_sizes"],
        restricted=plan.restricted("similarity"),
        training_steps=plan.training_length,
        code=code_hash("tending.stages.convergence.sample_size", script="sample_size"),
    message:
        "Scores of {wildcards.model} by number of sequences"
    script:
        "../workflow/scripts/sample_size.py"


rule sample_size_table:
    input:
        rows=plan.per_model(paths.SAMPLE_SIZE),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="sample_size"),
            caption="../workflow/report/table_sample_size.rst",
            category="Tables",
            labels={"table": "sample_size"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="sample_size"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="sample_size"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="sample_size")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        code=code_hash("tending.core.tables", script="sample_size_table"),
    message:
        "Table of scores by number of sequences"
    script:
        "../workflow/scripts/sample_size_table.py"
