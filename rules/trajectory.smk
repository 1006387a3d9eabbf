# Of all checkpoints of a model together: an added step computes this file of its model anew.
rule trajectory:
    input:
        activations=plan.trajectory_activations,
    output:
        trajectory=plan.path(paths.TRAJECTORY),
    log:
        plan.path(paths.log(paths.TRAJECTORY)),
    benchmark:
        plan.path(paths.benchmark(paths.TRAJECTORY))
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("trajectory"),
        runtime=plan.needs.runtime("trajectory"),
    params:
        metrics=plan.metric_codes(study.TRAJECTORY, config["trajectory"]),
        directions=lookup(within=config, dpath="subspace/directions"),
        code=code_hash("tending.stages.trajectory.trajectory", script="trajectory"),
    message:
        "Trajectory of {wildcards.model}"
    script:
        "../workflow/scripts/trajectory.py"
