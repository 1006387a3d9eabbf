rule train:
    input:
        corpus=paths.EMBEDDED_CORPUS,
        tokenizer=paths.EMBEDDED_TOKENIZER,
    output:
        manifest=paths.TRAINING_MANIFEST,
        log=paths.TRAINING_LOG,
    log:
        paths.log(paths.TRAINING_MANIFEST),
    benchmark:
        paths.benchmark(paths.TRAINING_MANIFEST)
    priority: 10  # the longest jobs of a study
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("training"),
        runtime=plan.needs.runtime("training"),
    params:
        recipe=plan.recipe,
        version=module_version("tending.training"),
    message:
        "Training {wildcards.model}"
    script:
        "../workflow/scripts/train.py"


rule checkpoint:
    input:
        plan.checkpoint_files,
    output:
        record=paths.CHECKPOINT,
    log:
        paths.log(paths.CHECKPOINT),
    benchmark:
        paths.benchmark(paths.CHECKPOINT)
    wildcard_constraints:
        model=plan.any_of(plan.local_models()),
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("inspection"),
        runtime=plan.needs.runtime("inspection"),
    params:
        folder=plan.checkpoint_folder,
        revision=plan.revision,
        version=module_version("tending.inspection"),
    message:
        "Inspecting {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/checkpoint.py"
