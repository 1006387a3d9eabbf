rule activations:
    input:
        checkpoint=plan.path(paths.CHECKPOINT),
        tokens=plan.path(paths.TOKENS),
    output:
        activations=plan.path(paths.ACTIVATIONS),
    log:
        plan.path(paths.log(paths.ACTIVATIONS)),
    benchmark:
        plan.path(paths.benchmark(paths.ACTIVATIONS))
    priority: turns.using
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("activations"),
        runtime=plan.needs.runtime("activations"),
        gpu=plan.gpus(),
    params:
        position=lookup(within=config, dpath="extraction/position"),
        batch_size=lookup(within=config, dpath="extraction/batch_size"),
        device=lookup(within=config, dpath="extraction/device"),
        dtype=lookup(within=config, dpath="extraction/dtype"),
        sequences=lookup(within=config, dpath="corpus/sequences"),
        loss_sequences=lookup(within=config, dpath="held_out_loss/sequences"),
        version=plan.extraction_version(),  # says too whether the published definition is asked for
    message:
        "Activations of {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/activations.py"
