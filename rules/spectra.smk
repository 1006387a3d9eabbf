rule spectra:
    input:
        checkpoint=plan.path(paths.CHECKPOINT),
        tokenizer=plan.vocabulary_file,
    output:
        # An updated file keeps the components that have not changed.
        spectra=update(plan.path(paths.SPECTRA)),
    log:
        plan.path(paths.log(paths.SPECTRA)),
    benchmark:
        plan.path(paths.benchmark(paths.SPECTRA))
    priority: turns.using
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("spectra"),
        runtime=plan.needs.runtime("spectra"),
    params:
        definitions=plan.definitions(),
        components=plan.metric_codes(components.PACKAGE, plan.weighed()),
        vocabulary=plan.vocabulary,
        family=plan.family_code,
        code=code_hash(
            "tending.models.weights",
            "tending.models.vocabulary",
            "tending.stages.spectra.weight_spectra",
            script="spectra",
        ),
    message:
        "Singular values of {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/spectra.py"
