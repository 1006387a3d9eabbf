rule representation:
    input:
        activations=plan.path(paths.ACTIVATIONS),
    output:
        # An updated file keeps the numbers of metrics that have not changed.
        measured=update(plan.path(paths.REPRESENTATION)),
    log:
        plan.path(paths.log(paths.REPRESENTATION)),
    benchmark:
        plan.path(paths.benchmark(paths.REPRESENTATION))
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("representation"),
        runtime=plan.needs.runtime("representation"),
    params:
        metrics=representation_config.codes(config),
        code=code_hash(
            "tending.stages.representation.representations", script="representation"
        ),
    message:
        "Representations of {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/representation.py"
