# Batches of training data are files of their own: models of the same data order share them, and
# reading them from the hub is no work for a GPU.
rule batches_revision:
    output:
        # As `corpus_revision`: what is pinned stays pinned.
        pin=update(plan.path(paths.BATCHES_REVISION)),
    log:
        plan.path(paths.log(paths.BATCHES_REVISION)),
    benchmark:
        plan.path(paths.benchmark(paths.BATCHES_REVISION))
    localrule: True
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("small"),
        runtime=plan.needs.runtime("small"),
    params:
        wanted=plan.gradients.revision,
    message:
        "Pinning the revision of the training data"
    script:
        "../workflow/scripts/batches_revision.py"


rule gradient_batches:
    input:
        source=plan.gradients.source,
    output:
        batches=plan.path(paths.BATCHES),
    log:
        plan.path(paths.log(paths.BATCHES)),
    benchmark:
        plan.path(paths.benchmark(paths.BATCHES))
    wildcard_constraints:
        order=plan.any_of(plan.gradients.orders()),
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("corpus"),
        runtime=plan.needs.runtime("corpus"),
    params:
        asked=plan.gradients.request,
        context=plan.context,
        version=module_version("tending.stages.gradients.gradient_batches"),
    message:
        "Batches of {wildcards.order} around step {wildcards.step}"
    script:
        "../workflow/scripts/gradient_batches.py"


rule gradients:
    input:
        checkpoint=plan.path(paths.CHECKPOINT),
        batches=plan.gradients.batches,
    output:
        gradients=plan.path(paths.GRADIENTS),
    log:
        plan.path(paths.log(paths.GRADIENTS)),
    benchmark:
        plan.path(paths.benchmark(paths.GRADIENTS))
    priority: turns.using
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("gradients"),
        runtime=plan.needs.runtime("gradients"),
        gpu=plan.gpus(),
    params:
        parts=plan.gradients.parts,
        components=plan.gradients.components,
        device=lookup(within=config, dpath="extraction/device"),
        dtype=lookup(within=config, dpath="extraction/dtype"),
        version=module_version("tending.stages.gradients.gradients"),
    message:
        "Gradients of {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/gradients.py"
