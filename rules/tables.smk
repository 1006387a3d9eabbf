rule effective_rank_table:
    input:
        plan.per_checkpoint(paths.SPECTRA),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="effective_rank"),
            caption="../workflow/report/table_effective_rank.rst",
            category="Tables",
            labels={"table": "effective_rank"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="effective_rank"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="effective_rank"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="effective_rank")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        metrics=plan.metric_codes(study.SPECTRUM, config["spectrum"]),
        restricted=plan.restricted("spectrum"),
        training_steps=plan.training_steps(),
        code=code_hash(
            "tending.stages.spectra.spectrum_table",
            "tending.stages.convergence.component_filter",
            script="effective_rank_table",
        ),
    message:
        "Table of effective ranks"
    script:
        "../workflow/scripts/effective_rank_table.py"


rule convergence_table:
    input:
        scores=plan.per_checkpoint(paths.CONVERGENCE),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="convergence"),
            caption="../workflow/report/table_convergence.rst",
            category="Tables",
            labels={"table": "convergence"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="convergence"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="convergence"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="convergence")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        metrics=config["similarity"],
        restricted=plan.restricted("similarity"),
        training_steps=plan.training_steps(),
        code=code_hash(
            "tending.stages.convergence.score_rows",
            "tending.stages.convergence.component_filter",
            script="convergence_table",
        ),
    message:
        "Table of convergence scores"
    script:
        "../workflow/scripts/convergence_table.py"


rule stabilisation_table:
    input:
        convergence=plan.path(paths.TABLE_PARQUET, table="convergence"),
        scores=plan.per_checkpoint(paths.CONVERGENCE),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="stabilisation"),
            caption="../workflow/report/table_stabilisation.rst",
            category="Tables",
            labels={"table": "stabilisation"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="stabilisation"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="stabilisation"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="stabilisation")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        metrics=config["similarity"],
        thresholds=lookup(within=config, dpath="stabilisation/thresholds"),
        early=lookup(within=config, dpath="stabilisation/early"),
        restricted=plan.restricted("similarity"),
        training_steps=plan.training_steps(),
        code=code_hash(
            "tending.stages.convergence.stabilisation_intervals",
            "tending.stages.convergence.early_scores",
            script="stabilisation_table",
        ),
    message:
        "Table of stabilisation"
    script:
        "../workflow/scripts/stabilisation_table.py"


rule loss_table:
    input:
        activations=plan.per_checkpoint(paths.ACTIVATIONS),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="loss"),
            caption="../workflow/report/table_loss.rst",
            category="Tables",
            labels={"table": "loss"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="loss"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="loss"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="loss")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        training_steps=plan.training_steps(),
        code=code_hash("tending.stages.activations.loss_rows", script="loss_table"),
    message:
        "Table of held-out losses"
    script:
        "../workflow/scripts/loss_table.py"


rule training_table:
    input:
        logs=plan.trained(paths.TRAINING_LOG),
        manifests=plan.trained(paths.TRAINING_MANIFEST),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="training"),
            caption="../workflow/report/table_training.rst",
            category="Tables",
            labels={"table": "training"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="training"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="training"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="training")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        training_steps=plan.training_steps(),
        code=code_hash("tending.core.tables", script="training_table"),
    message:
        "Table of training logs"
    script:
        "../workflow/scripts/training_table.py"


rule published_comparison_table:
    input:
        convergence=plan.path(paths.TABLE_PARQUET, table="convergence"),
        ranks=plan.path(paths.TABLE_PARQUET, table="effective_rank"),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table=COMPARISON),
            caption="../workflow/report/table_published_comparison.rst",
            category="Tables",
            labels={"table": COMPARISON},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table=COMPARISON),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table=COMPARISON),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table=COMPARISON)
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        published_as=plan.published_as(),
        definitions=plan.definitions(),
        values=file_sha256(PUBLISHED_VALUES),
        code=code_hash(
            "tending.stages.synthesis.published_comparison",
            script="published_comparison_table",
        ),
    message:
        "Table of the published medians beside this study's"
    script:
        "../workflow/scripts/published_comparison_table.py"


rule summary:
    input:
        tables=plan.table_files(TABLES),
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
