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


rule trajectory_table:
    input:
        trajectories=plan.trajectory_files(),
    output:
        csv=report(
            plan.path(paths.TABLE_CSV, table="trajectory"),
            caption="../workflow/report/table_trajectory.rst",
            category="Tables",
            labels={"table": "trajectory"},
        ),
        parquet=plan.path(paths.TABLE_PARQUET, table="trajectory"),
    log:
        plan.path(paths.log(paths.TABLE_CSV), table="trajectory"),
    benchmark:
        plan.path(paths.benchmark(paths.TABLE_CSV), table="trajectory")
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("table"),
        runtime=plan.needs.runtime("table"),
    params:
        metrics=plan.metric_codes(study.TRAJECTORY, config["trajectory"]),
        references=plan.reference_steps(),
        training_steps=plan.training_steps(),
        code=code_hash(
            "tending.stages.trajectory.trajectory_tables", script="trajectory_table"
        ),
    message:
        "Table of trajectories"
    script:
        "../workflow/scripts/trajectory_table.py"
