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
