"""The worked example of docs/add-a-family.md: its file passes the laws of every family."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

LAWS = (
    "families/test_families",
    "components/test_components",
    "models/test_checkpoint_record",
    "stages/activations/test_activations",
    "stages/spectra/test_weight_spectra",
    "stages/gradients/test_gradients",
)
REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs/add-a-family.md").read_text("utf-8")
FAMILY, CONFIG, VARIANT = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
NAME = "starcoder2"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the library and its tests, with what the page adds."""
    kept = shutil.ignore_patterns("__pycache__", Path(__file__).name)
    for folder in ("workflow/tending", "workflow/scripts", "tests/unit"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=kept)
    (tmp_path / f"workflow/tending/families/{NAME}.py").write_text(FAMILY)
    models = tmp_path / "tests/unit/tiny.py"
    text = models.read_text()
    for table, entry in (("CONFIGS", CONFIG), ("VARIANTS", VARIANT)):
        opening = f"{table}: dict[str, dict[str, Any]] = {{\n"
        assert text.count(opening) == 1
        text = text.replace(opening, opening + entry)
    models.write_text(text)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder / "workflow")}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_family_of_the_page_is_new() -> None:
    assert NAME not in tiny.FAMILIES
    assert f"families/{NAME}.py" in PAGE


def test_the_family_of_the_page_passes_every_law(copy: Path) -> None:
    files = [f"tests/unit/{name}.py" for name in LAWS]
    output = run(copy, "pytest", "-q", "-p", "no:cacheprovider", "-k", NAME, *files)
    passed = re.search(r"(\d+) passed", output)
    assert passed and int(passed[1]) > 40, output  # the laws, for the family and its variant


def test_the_family_of_the_page_reads_as_the_others(copy: Path) -> None:
    file = f"workflow/tending/families/{NAME}.py"
    shutil.copy(REPOSITORY / "pyproject.toml", copy)
    run(copy, "ruff", "check", file)
    run(copy, "ruff", "format", "--check", file)
    run(copy, "mypy", file)
