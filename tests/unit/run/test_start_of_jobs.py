"""What scripts import before they work: seconds of every job, so no more than they use."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny

SCRIPTS = Path(__file__).parents[3] / "workflow/scripts"
EXTRACTION = {"activations", "divergence", "gradients", "reference_distribution", "train"}
WITHOUT_TABLES = {"batches_revision", "between", "checkpoint", "convergence", "corpus"}
WITHOUT_TABLES |= {"corpus_revision", "embedded_corpus", "fetch", "gradient_batches", "report"}
WITHOUT_TABLES |= {"hub_tokenizer", "representation", "revisions", "spectra", "trajectory"}
FIGURES = {"figure"}
OTHERS = {*EXTRACTION, *WITHOUT_TABLES, *FIGURES, "plan"}  # the last dry-runs Snakemake itself
TABLES = {path.stem for path in SCRIPTS.glob("*.py")} - OTHERS

# What is used by a few jobs only is imported by these, inside functions.
LARGE = {"torch", "transformers", "pandas", "matplotlib", "sklearn", "sympy", "scipy.stats"}
LARGE |= {"scipy.optimize", "powerlaw", "huggingface_hub", "tokenizers", "snakemake"}
FORBIDDEN = {
    "extraction": (EXTRACTION, LARGE - {"torch"}),
    "without tables": (WITHOUT_TABLES, LARGE | {"jsonschema", "pyarrow"}),
    "figures": (FIGURES, LARGE - {"pandas", "matplotlib"}),
    "tables": (TABLES, LARGE - {"pandas", "scipy.stats", "scipy.optimize"}),
}


def imported(code: str, names: set[str]) -> list[str]:
    """Those of `names` that a fresh Python has imported after it ran some code."""
    code = f"import sys\n{code}\nprint(*[n for n in {sorted(names)} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("group", FORBIDDEN)
def test_scripts_import_no_more_than_they_need(group: str) -> None:
    scripts, names = FORBIDDEN[group]
    paths = [str(SCRIPTS / f"{name}.py") for name in sorted(scripts)]
    assert imported(f"import runpy\nfor path in {paths}: runpy.run_path(path)", names) == []


def test_spectra_of_bfloat16_weights_need_no_torch(tmp_path: Path) -> None:
    folder = tiny.save(tiny.model("gpt_neox").bfloat16(), tmp_path / "model")
    code = (
        "from pathlib import Path\nfrom tending.models import checkpoint_record\n"
        "from tending.families import family\n"
        "from tending.stages.spectra import weight_spectra as spectra\n"
        f"found = checkpoint_record.inspect(Path({str(folder)!r}), 'm', 0, 'r')\n"
        "spectra.weight_spectra(family('gpt_neox'), found.weights(), found.config)"
    )
    assert imported(code, LARGE) == []
