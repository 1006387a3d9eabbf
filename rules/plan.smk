# A target: says what a run of the study would fetch, make and keep, and does nothing else.
rule plan:
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="plan"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="plan")
    localrule: True
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("small"),
        runtime=plan.needs.runtime("small"),
    params:
        snakefile=f"{workflow.basedir}/Snakefile",
        gpus=workflow.global_resources.get("gpu").value or 1,
    message:
        "Estimating what a run would take"
    script:
        "../workflow/scripts/plan.py"
