rule train:
    input:
        corpus=plan.path(paths.EMBEDDED_CORPUS),
        tokenizer=plan.path(paths.EMBEDDED_TOKENIZER),
    output:
        manifest=plan.path(paths.TRAINING_MANIFEST),
        log=plan.path(paths.TRAINING_LOG),
    log:
        plan.path(paths.log(paths.TRAINING_MANIFEST)),
    benchmark:
        plan.path(paths.benchmark(paths.TRAINING_MANIFEST))
    priority: 10  # the longest jobs of a study
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("training"),
        runtime=plan.needs.runtime("training"),
    params:
        recipe=plan.recipe,
        version=module_version("tending.stages.training.training"),
    message:
        "Training {wildcards.model}"
    script:
        "../workflow/scripts/train.py"


rule checkpoint:
    input:
        plan.checkpoint_files,
    output:
        record=plan.path(paths.CHECKPOINT),
    log:
        plan.path(paths.log(paths.CHECKPOINT)),
    benchmark:
        plan.path(paths.benchmark(paths.CHECKPOINT))
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
        version=module_version("tending.models.checkpoint_record"),
    message:
        "Inspecting {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/checkpoint.py"
