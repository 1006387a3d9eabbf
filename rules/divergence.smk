# Downloaded weights stay until their divergence is taken, for which the reference must be there: it
# is fetched before the others, or theirs would pile up.
if plan.divergence.asked:

    use rule fetch as fetch_reference with:
        wildcard_constraints:
            model=plan.any_of(plan.remote_models()),
            step=plan.any_of(plan.divergence.reference_steps()),
        priority: 30

    ruleorder: fetch_reference > fetch

    localrules:
        fetch_reference,


# The reference's logits are kept, one file per model, and every step of it is compared with them.
rule reference_distribution:
    input:
        checkpoint=plan.divergence.reference_record,
        tokens=plan.path(paths.TOKENS),
        tokenizer=plan.divergence.tokenizer,
    output:
        reference=plan.path(paths.REFERENCE),
    log:
        plan.path(paths.log(paths.REFERENCE)),
    benchmark:
        plan.path(paths.benchmark(paths.REFERENCE))
    priority: 8  # every other step of the model waits for it, with its weights
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("divergence"),
        runtime=plan.needs.runtime("divergence"),
        gpu=plan.gpus(),
    params:
        sequences=plan.divergence.sequences,
        positions=plan.divergence.positions,
        vocabulary=plan.divergence.vocabulary,
        batch_size=lookup(within=config, dpath="extraction/batch_size"),
        device=lookup(within=config, dpath="extraction/device"),
        dtype=lookup(within=config, dpath="extraction/dtype"),
        version=plan.divergence.version(),
    message:
        "Predictions of {wildcards.model} at the reference step"
    script:
        "../workflow/scripts/reference_distribution.py"


rule divergence:
    input:
        checkpoint=plan.path(paths.CHECKPOINT),
        reference_checkpoint=plan.divergence.reference_record,
        reference=plan.path(paths.REFERENCE),
        tokens=plan.path(paths.TOKENS),
    output:
        divergence=plan.path(paths.DIVERGENCE),
    log:
        plan.path(paths.log(paths.DIVERGENCE)),
    benchmark:
        plan.path(paths.benchmark(paths.DIVERGENCE))
    priority: turns.using
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("divergence"),
        runtime=plan.needs.runtime("divergence"),
        gpu=plan.gpus(),
    params:
        sequences=plan.divergence.sequences,
        positions=plan.divergence.positions,
        batch_size=lookup(within=config, dpath="extraction/batch_size"),
        device=lookup(within=config, dpath="extraction/device"),
        dtype=lookup(within=config, dpath="extraction/dtype"),
        version=plan.divergence.version(),
    message:
        "Divergence of {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/divergence.py"
