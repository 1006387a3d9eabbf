"""Every path of a study, spelled once.

Patterns are relative to the working directory and carry Snakemake's wildcards: `{study}`,
`{model}` and `{step}`, or `{group}` of models. Standard library only, so that planning a large
study stays quick.
"""

from pathlib import PurePosixPath

from tending.core import plugins

WORKFLOW = plugins.library().parent  # scripts, schemas and captions, in a checkout
CHECKOUT = WORKFLOW.parent

STUDY = "results/{study}"
CONFIG = STUDY + "/config.json"

EMBEDDED_CORPUS = STUDY + "/corpus/embedded.h5"
EMBEDDED_TOKENIZER = STUDY + "/corpus/tokenizer.json"
CORPUS_REVISION = STUDY + "/corpus/revision.json"
TOKENS = STUDY + "/corpus/tokens.h5"

TRAINING = STUDY + "/training/{model}"
TRAINING_MANIFEST = TRAINING + "/manifest.json"
TRAINING_LOG = TRAINING + "/log.csv"
TRAINED_CHECKPOINT = TRAINING + "/step{step}"

REVISIONS = STUDY + "/revisions.json"
HUB_TOKENIZER = STUDY + "/corpus/{model}.tokenizer.json"
WEIGHTS = STUDY + "/weights/{model}/step{step}"
WEIGHTS_AWAITED = STUDY + "/weights/.awaited.json"
WEIGHTS_RUN = STUDY + "/weights/.run.json"
WEIGHTS_LOCK = STUDY + "/weights/.locks/{model}.step{step}.lock"
WEIGHTS_SHELF_LOCK = STUDY + "/weights/.locks/shelf.lock"

CHECKPOINT = STUDY + "/checkpoints/{model}/step{step}.json"
ACTIVATIONS = STUDY + "/activations/{model}/step{step}.h5"
SPECTRA = STUDY + "/spectra/{model}/step{step}.h5"
CONVERGENCE = STUDY + "/convergence/{model}/step{step}.h5"
REPRESENTATION = STUDY + "/representation/{model}/step{step}.h5"
TRAJECTORY = STUDY + "/trajectory/{model}.h5"
BETWEEN = STUDY + "/between/{group}/step{step}.h5"
BATCHES = STUDY + "/batches/{order}/step{step}.h5"
BATCHES_REVISION = STUDY + "/batches/revision.json"
GRADIENTS = STUDY + "/gradients/{model}/step{step}.h5"
SAMPLE_SIZE = STUDY + "/sample_size/{model}.parquet"
REFERENCE = STUDY + "/reference/{model}.h5"
DIVERGENCE = STUDY + "/divergence/{model}/step{step}.h5"

WEIGHT_PRODUCTS = (SPECTRA, ACTIVATIONS)  # derived from a checkpoint's weights in every study
ASKED_WEIGHT_PRODUCTS = (GRADIENTS, REFERENCE, DIVERGENCE)  # and only in some

TABLE = STUDY + "/tables/{table}"
TABLE_CSV = TABLE + ".csv"
TABLE_PARQUET = TABLE + ".parquet"
SUMMARY = STUDY + "/tables/summary.html"
FIGURE_PDF = STUDY + "/figures/{figure}.pdf"
FIGURE_PNG = STUDY + "/figures/{figure}.png"
REPORT = STUDY + "/report.html"


def log(product: str) -> str:
    """Return the log file of the job that writes `product` (a pattern of this module)."""
    return _beside(product, "logs", ".log")


def benchmark(product: str) -> str:
    """Return the benchmark file (time, memory, CPU load) of the job that writes `product`."""
    return _beside(product, "benchmarks", ".tsv")


def _beside(product: str, folder: str, suffix: str) -> str:
    inner = PurePosixPath(product).relative_to(STUDY)
    return str(PurePosixPath(STUDY) / folder / inner.with_suffix(suffix))
