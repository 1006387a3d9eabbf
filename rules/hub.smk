# Weights are downloaded here, held in results/STUDY/weights while a stage needs them, then
# deleted. Stages depend on the record, so that they are not rerun when weights are fetched again.
# A job waits until there is room for its checkpoint. It takes no core from those it waits for.
rule fetch:
    output:
        record=plan.path(paths.CHECKPOINT),
    log:
        plan.path(paths.log(paths.CHECKPOINT)),
    benchmark:
        plan.path(paths.benchmark(paths.CHECKPOINT))
    wildcard_constraints:
        model=plan.any_of(plan.remote_models()),
    priority: turns.fetching
    conda:
        "../envs/tending.yaml"
    threads: 0
    resources:
        mem_mb=plan.needs.memory("fetching"),
        runtime=plan.needs.runtime("fetching"),
        download=1,
    params:
        repository=plan.repository,
        revision=plan.revision,
        commit=plan.commit,
        version=module_version("tending.models.checkpoint_record"),
    message:
        "Fetching {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/fetch.py"


rule hub_tokenizer:
    output:
        tokenizer=plan.path(paths.HUB_TOKENIZER),
    log:
        plan.path(paths.log(paths.HUB_TOKENIZER)),
    benchmark:
        plan.path(paths.benchmark(paths.HUB_TOKENIZER))
    wildcard_constraints:
        model=plan.any_of(plan.remote_models()),
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("small"),
        runtime=plan.needs.runtime("small"),
    params:
        repository=plan.repository,
        digest=plan.tokenizer_digest,
    message:
        "Fetching the tokenizer of {wildcards.model}"
    script:
        "../workflow/scripts/hub_tokenizer.py"
