rule convergence:
    input:
        source=paths.ACTIVATIONS,
        reference=plan.reference_activations,
    output:
        # An updated file keeps the scores of metrics that have not changed.
        scores=update(paths.CONVERGENCE),
    log:
        paths.log(paths.CONVERGENCE),
    benchmark:
        paths.benchmark(paths.CONVERGENCE)
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("convergence"),
        runtime=plan.needs.runtime("convergence"),
    params:
        metrics=plan.metric_codes(study.SIMILARITY, config["similarity"]),
        code=code_hash("tending.comparison", script="convergence"),
    message:
        "Convergence of {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/convergence.py"
