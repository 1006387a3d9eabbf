rule convergence:
    input:
        source=plan.path(paths.ACTIVATIONS),
        reference=plan.reference_activations,
    output:
        # An updated file keeps the scores of metrics that have not changed.
        scores=update(plan.path(paths.CONVERGENCE)),
    log:
        plan.path(paths.log(paths.CONVERGENCE)),
    benchmark:
        plan.path(paths.benchmark(paths.CONVERGENCE))
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("convergence"),
        runtime=plan.needs.runtime("convergence"),
    params:
        metrics=plan.metric_codes(study.SIMILARITY, config["similarity"]),
        code=code_hash("tending.stages.convergence.comparison", script="convergence"),
    message:
        "Convergence of {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/convergence.py"
