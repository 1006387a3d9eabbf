"""Train one model of the embedded suite, or take up a training that was cut off."""

import csv
import json
from pathlib import Path

from filelock import FileLock

from tending.checkpoints.trained import Recipe, schedule
from tending.core import atomic, store
from tending.core.progress import progress
from tending.models import checkpoint_record, lean_transformers
from tending.run.job import running
from tending.stages.training import training


def main(
    model: str, recipe: Recipe, corpus: Path, tokenizer: Path, manifest: Path, log: Path
) -> None:
    folder = manifest.parent
    read = store.read_arrays(corpus, ["train"])
    folder.mkdir(parents=True, exist_ok=True)
    lean_transformers.import_model_class(training.MODEL_TYPE)
    with (
        FileLock(folder / training.LOCK),
        progress(recipe.steps, "training steps") as advance,
    ):
        rows = training.train(
            recipe,
            read.arrays["train"],
            int(read.attributes["vocabulary"]),
            tokenizer,
            folder,
            read.attributes["corpus_sha256"],
            lambda done, loss: advance(done, loss=loss),
        )
    write_log(rows, log)
    checkpoints = [
        checkpoint_record.inspect(folder / f"step{s}", model, s, f"step{s}")
        for s in schedule(recipe)
    ]
    described = {
        "model": model,
        "recipe": recipe.as_dict(),
        "corpus_sha256": read.attributes["corpus_sha256"],
        "parameters": checkpoints[0].parameters,
        "weights_sha256": {c.step: c.weights_sha256 for c in checkpoints},
    }
    atomic.write_text(manifest, json.dumps(described, indent=2) + "\n")


def write_log(rows: list[list[float]], path: Path) -> None:
    with atomic.replacing(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(training.LOG_COLUMNS)
        writer.writerows(rows)


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        main(
            snakemake.wildcards.model,
            Recipe(**json.loads(snakemake.params.recipe)),
            Path(snakemake.input.corpus),
            Path(snakemake.input.tokenizer),
            Path(snakemake.output.manifest),
            Path(snakemake.output.log),
        )
