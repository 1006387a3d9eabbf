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
