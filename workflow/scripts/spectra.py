"""Singular values of one checkpoint's weights."""

import logging
from contextlib import nullcontext
from pathlib import Path

from tending import components
from tending.components._weights import ModelWeights, Shape
from tending.core import store
from tending.families import family, published_family
from tending.hub import fetching
from tending.metrics.algebra.singular_values import Spectrum
from tending.models import checkpoint_record, vocabulary
from tending.run.job import running
from tending.stages.spectra import spectrum_file, weight_spectra


def main(
    record: Path,
    definitions: list[str],
    codes: dict[str, str],
    code: str,
    tokens: int | None,
    study: str,
    keep: bool,
    output: Path,
) -> None:
    """codes: component -> hash of its code; code: of all else that singular values depend on.

    What `output` holds already is kept.
    """
    checkpoint, published = checkpoint_record.read(record), "published" in definitions
    made = spectrum_file.fingerprints(checkpoint, codes, code, tokens)
    arrays, shapes = spectrum_file.kept(output, made, published)
    missing = spectrum_file.missing(codes, arrays)
    logging.info("kept: %s; computing: %s", ", ".join(arrays) or "-", ", ".join(missing) or "-")
    with fetching.weights(checkpoint, study, keep) if missing else nullcontext():
        if missing:
            fresh, fresh_shapes = computed(checkpoint, missing, published, tokens)
            arrays, shapes = arrays | fresh, shapes | fresh_shapes
        said = spectrum_file.attributes(made, shapes, tokens)
        store.write_arrays(output, arrays, checkpoint_record.attributes(study, checkpoint) | said)


def computed(
    checkpoint: checkpoint_record.Checkpoint, names: list[str], published: bool, tokens: int | None
) -> tuple[dict[str, Spectrum], dict[str, Shape]]:
    """Singular values of the named components by dataset, and shapes of their matrices."""
    weights, config = checkpoint.weights(), checkpoint.config
    source = ModelWeights(family(checkpoint.family), weights, config, tokens)
    arrays, shapes = weight_spectra.component_spectra(source, names)
    if published:
        kind = published_family(checkpoint.family)
        cut = weight_spectra.published_spectra(kind, weights, config, arrays)
        arrays = arrays | store.as_published(cut)
    return arrays, shapes


def tokens_of(named: int | None, tokenizer: list[str], asked: list[str]) -> int | None:
    """How many tokens the model has, if a component asks: as named, or as its tokenizer says."""
    if not components.of_model(asked):
        return None
    return vocabulary.count(Path(tokenizer[0])) if named is None else named


if __name__ == "__main__":
    with running(snakemake.log[0], snakemake.threads):
        component_codes = dict(line.split() for line in snakemake.params.components)
        main(
            Path(snakemake.input.checkpoint),
            list(snakemake.params.definitions),
            component_codes,
            f"{snakemake.params.family} {snakemake.params.code}",
            tokens_of(
                snakemake.params.vocabulary,
                list(snakemake.input.get("tokenizer", [])),
                list(component_codes),
            ),
            snakemake.config["study"],
            snakemake.config["keep_checkpoints"],
            Path(snakemake.output.spectra),
        )
