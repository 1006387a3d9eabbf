rule embedded_corpus:
    output:
        corpus=plan.path(paths.EMBEDDED_CORPUS),
        tokenizer=plan.path(paths.EMBEDDED_TOKENIZER),
    log:
        plan.path(paths.log(paths.EMBEDDED_CORPUS)),
    benchmark:
        plan.path(paths.benchmark(paths.EMBEDDED_CORPUS))
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("corpus"),
        runtime=plan.needs.runtime("corpus"),
    params:
        packages=embedded_packages(),
        version=module_version("tending.corpus"),
    message:
        "Collecting the embedded corpus and training its tokenizer"
    script:
        "../workflow/scripts/embedded_corpus.py"


rule corpus_revision:
    output:
        # An updated file keeps the commit of a revision it holds already: a rerun, even a forced
        # one, reads the same bytes. Deleting the file pins anew. Code changes do neither.
        pin=update(plan.path(paths.CORPUS_REVISION)),
    log:
        plan.path(paths.log(paths.CORPUS_REVISION)),
    benchmark:
        plan.path(paths.benchmark(paths.CORPUS_REVISION))
    localrule: True
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("small"),
        runtime=plan.needs.runtime("small"),
    params:
        wanted=plan.corpus_revision,
    message:
        "Pinning the dataset's revision"
    script:
        "../workflow/scripts/corpus_revision.py"


rule corpus:
    input:
        sources=plan.corpus_files,
        tokenizer=plan.tokenizer_file,
    output:
        tokens=plan.path(paths.TOKENS),
    log:
        plan.path(paths.log(paths.TOKENS)),
    benchmark:
        plan.path(paths.benchmark(paths.TOKENS))
    priority: 20  # everything else waits for it, and it is short
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("corpus"),
        runtime=plan.needs.runtime("corpus"),
    params:
        source=lookup(within=config, dpath="corpus/source"),
        length=lookup(within=config, dpath="corpus/length", default=None),
        seed=lookup(within=config, dpath="corpus/seed"),
        source_keys=plan.corpus_keys,
        sequences=plan.rows(),
        context=plan.context,
        version=module_version("tending.corpus"),
    message:
        "Choosing the probe sequences"
    script:
        "../workflow/scripts/corpus.py"
