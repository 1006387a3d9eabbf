# A workflow of its own: the Snakefile runs it before it plans, when the study has a step on the
# hub that is not pinned yet. It never runs in a study's own graph.
from tending.run import config as study
from tending.core import paths


rule revisions:
    output:
        # Updated: what was pinned stays pinned.
        pins=update(paths.REVISIONS.replace("{study}", config["study"])),
    log:
        paths.log(paths.REVISIONS).replace("{study}", config["study"]),
    benchmark:
        paths.benchmark(paths.REVISIONS).replace("{study}", config["study"])
    conda:
        "../envs/tending.yaml"
    message:
        "Resolving the study's revisions on the hub"
    script:
        "../workflow/scripts/revisions.py"
