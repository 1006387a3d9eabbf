"""One way of imports: planning loads no torch, only scripts see snakemake, only store sees h5py."""

import ast
import importlib.util
import inspect
import subprocess
import sys
import typing
from pathlib import Path
from types import ModuleType

import pytest

import tending

LIBRARY = Path(tending.__file__).parent
SCRIPTS = sorted((LIBRARY.parent / "scripts").glob("*.py"))
FILES = sorted(LIBRARY.rglob("*.py"))
PLANNING = ["paths", "provenance", "plan", "config", "run_lock", "turns", "checkpoints.local"]
HEAVY = {"torch", "transformers", "matplotlib", "pandas", "scipy", "h5py"}

every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def name(file: Path) -> str:
    return file.relative_to(LIBRARY).as_posix()


def imported(file: Path) -> set[str]:
    """Top-level and dotted names that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports are not seen by code_hash"
            found |= {str(node.module), *(f"{node.module}.{a.name}" for a in node.names)}
    return found


def importers(package: str) -> set[str]:
    return {
        name(file)
        for file in FILES
        if any(i == package or i.startswith(f"{package}.") for i in imported(file))
    }


@pytest.mark.parametrize("module", PLANNING)
def test_planning_a_study_loads_nothing_heavy(module: str) -> None:
    """Snakemake reads the workflow in every job: seconds here are seconds a thousand times."""
    code = f"import sys, tending.{module}; print(*{{m.split('.')[0] for m in sys.modules}})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "tending" in loaded
    assert not HEAVY & set(loaded)


def test_reading_the_families_and_sources_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from tending import found\n"
        "from tending.families import family\n"
        "from tending.checkpoints import source\n"
        "[family(n) for n in found.names('tending.families')]\n"
        "[source(n) for n in found.names('tending.checkpoints')]\n"
        "print(*{m.split('.')[0] for m in sys.modules})\n"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not HEAVY & set(loaded)


def test_nothing_in_the_library_imports_snakemake() -> None:
    assert importers("snakemake") == set()


def test_only_the_store_imports_h5py() -> None:
    assert importers("h5py") == {"store.py"}


def test_metrics_import_numbers_only() -> None:
    allowed = {"math", "numpy", "torch", "collections", "dataclasses", "typing", "tending"}
    allowed |= {"functools", "warnings", "scipy", "skdim", "sklearn"}
    for file in FILES:
        if name(file).startswith("metrics/"):
            inside = {i for i in imported(file) if i.startswith("tending")}
            assert {i.split(".")[0] for i in imported(file)} <= allowed, file
            assert all(i.startswith("tending.metrics") for i in inside), file


def test_families_hold_no_mathematics() -> None:
    for file in FILES:
        if name(file).startswith("families/"):
            assert not {"numpy", "torch", "math"} & imported(file), file


def test_figures_see_tables_only() -> None:
    for file in FILES:
        if name(file).startswith("figures/"):
            outside = {"torch", "transformers", "h5py", "tending.store", "tending.activations"}
            assert not outside & imported(file), file


def test_the_library_does_not_import_its_scripts() -> None:
    assert not importers("scripts") and not importers("workflow")


def loaded(script: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"script_{script.stem}", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) > 10


@every_script
def test_a_script_has_a_typed_main_and_needs_no_snakemake(script: Path) -> None:
    main = loaded(script).main
    hints = typing.get_type_hints(main)
    assert set(hints) == {*inspect.signature(main).parameters, "return"}
    assert hints["return"] is type(None)


@every_script
def test_the_snakemake_object_is_used_under_the_guard_only(script: Path) -> None:
    tree = ast.parse(script.read_text("utf-8"))
    guard = tree.body[-1]
    assert isinstance(guard, ast.If)
    assert ast.unparse(guard.test) == "__name__ == '__main__'"
    for node in tree.body[:-1]:
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        assert "snakemake" not in names


@every_script
def test_a_script_runs_as_a_job(script: Path) -> None:
    """Its work is inside job.running: logged, on its threads, ended with its run."""
    guard = ast.parse(script.read_text("utf-8")).body[-1]
    assert isinstance(guard, ast.If)
    (job,) = guard.body
    assert isinstance(job, ast.With)
    assert ast.unparse(job.items[0]) == "running(snakemake.log[0], snakemake.threads)"
