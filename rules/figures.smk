for figure in plan.figures():

    rule:
        name:
            f"figure_{figure}"
        input:
            tables=plan.figure_inputs(figure),
        output:
            png=report(
                plan.path(paths.FIGURE_PNG, figure=figure),
                caption=f"../workflow/report/{figure}.rst",
                category=plan.figure_text(figure, "CATEGORY"),
                labels={"figure": plan.figure_text(figure, "TITLE")},
            ),
            pdf=plan.path(paths.FIGURE_PDF, figure=figure),
        log:
            plan.path(paths.log(paths.FIGURE_PNG), figure=figure),
        benchmark:
            plan.path(paths.benchmark(paths.FIGURE_PNG), figure=figure)
        conda:
            "../envs/tending.yaml"
        resources:
            mem_mb=plan.needs.memory("figure"),
            runtime=plan.needs.runtime("figure"),
        params:
            figure=figure,
            options=plan.figure_options,
            code=code_hash(*plan.figure_modules(figure), script="figure"),
        message:
            f"Figure {figure}"
        script:
            "../workflow/scripts/figure.py"


rule study_config:
    output:
        config=plan.path(paths.CONFIG),
    log:
        plan.path(paths.log(paths.CONFIG)),
    benchmark:
        plan.path(paths.benchmark(paths.CONFIG))
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("small"),
        runtime=plan.needs.runtime("small"),
    params:
        settings=plan.settings,
    message:
        "Recording the study's settings"
    script:
        "../workflow/scripts/study_config.py"


rule report:
    input:
        config=plan.path(paths.CONFIG),
        results=plan.report_files(),
    output:
        html=plan.path(paths.REPORT),
    log:
        plan.path(paths.log(paths.REPORT)),
    benchmark:
        plan.path(paths.benchmark(paths.REPORT))
    conda:
        "../envs/tending.yaml"
    resources:
        mem_mb=plan.needs.memory("figure"),
        runtime=plan.needs.runtime("figure"),
    params:
        captions=plan.captions(),
    message:
        "Building the report"
    script:
        "../workflow/scripts/report.py"
