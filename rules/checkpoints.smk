rule train:
    input:
        corpus=paths.EMBEDDED_CORPUS,
        tokenizer=paths.EMBEDDED_TOKENIZER,
    output:
        manifest=paths.TRAINING_MANIFEST,
        log=paths.TRAINING_LOG,
    params:
        recipe=plan.recipe,
        version=module_version("tending.training"),
    log:
        paths.log(paths.TRAINING_MANIFEST),
    benchmark:
        paths.benchmark(paths.TRAINING_MANIFEST)
    priority: 10  # the longest jobs of a study
    conda:
        "../envs/tending.yaml"
    message:
        "Training {wildcards.model}"
    script:
        "../workflow/scripts/train.py"


rule checkpoint:
    input:
        plan.checkpoint_files,
    output:
        record=paths.CHECKPOINT,
    params:
        folder=plan.checkpoint_folder,
        revision=plan.revision,
        code=code_hash("tending.inspection"),
    log:
        paths.log(paths.CHECKPOINT),
    benchmark:
        paths.benchmark(paths.CHECKPOINT)
    conda:
        "../envs/tending.yaml"
    message:
        "Inspecting {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/checkpoint.py"
