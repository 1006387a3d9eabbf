rule spectra:
    input:
        checkpoint=paths.CHECKPOINT,
    output:
        spectra=paths.SPECTRA,
    log:
        paths.log(paths.SPECTRA),
    benchmark:
        paths.benchmark(paths.SPECTRA)
    priority: 5  # what is fetched is used before more is fetched
    conda:
        "../envs/tending.yaml"
    params:
        definitions=plan.definitions(),
        family=plan.family_code,
        code=code_hash("tending.spectra", "tending.weights", script="spectra"),
    message:
        "Singular values of {wildcards.model} at step {wildcards.step}"
    script:
        "../workflow/scripts/spectra.py"
