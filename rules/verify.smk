rule verification:
    input:
        tables=plan.published_tables(),
    output:
        csv=plan.path(paths.TABLE_CSV, table="verification"),
        parquet=plan.path(paths.TABLE_PARQUET, table="verification"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="verification"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="verification")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        published_as=plan.published_as(),
        references=plan.references(),
        tokens=plan.other_tokens,
        sequences=lookup(within=config, dpath="corpus/sequences"),
        position=lookup(within=config, dpath="extraction/position"),
        values=file_sha256(PUBLISHED_VALUES),
        code=code_hash("tending.stages.synthesis.verification", script="verification"),
    message:
        "Comparing with the published values"
    script:
        "../workflow/scripts/verification.py"


# A target: fails when a published value is not reproduced, and leaves the table where it is.
rule verify:
    input:
        table=plan.path(paths.TABLE_PARQUET, table="verification"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="verify"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="verify")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("small"),
        runtime=plan.needs.runtime("small"),
    message:
        "Verifying the published values"
    script:
        "../workflow/scripts/verify.py"
