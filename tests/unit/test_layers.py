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
PLANNING = ["core.paths", "core.provenance", "run.plan", "run.config", "run.run_lock"]
PLANNING += ["run.priorities", "checkpoints.local"]
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


# From the top of the house down: a room imports from its own floor's room and from floors below.
FLOORS = (
    {"notebook", "__main__"},
    {"report"},
    {"figures", "run"},
    {"tables"},
    {"stages"},
    {"study"},
    {"checkpoints", "corpus"},
    {"hub"},
    {"models"},
    {"components"},
    {"families"},
    {"metrics"},
    {"core"},
)
PLUG_INS = ("components", "corpus", "checkpoints", "families", "figures", "metrics", "tables")


def test_every_room_has_a_floor_and_says_what_belongs_in_it() -> None:
    rooms = {p.name for p in LIBRARY.iterdir() if p.is_dir() and p.name != "__pycache__"}
    modules = {p.stem for p in LIBRARY.glob("*.py")} - {"__init__"}
    assert rooms | modules == set().union(*FLOORS)
    for package in LIBRARY.rglob("__init__.py"):
        tree = ast.parse(package.read_text("utf-8"))
        assert ast.get_docstring(tree), package
        if package.parent != LIBRARY and not name(package).startswith(PLUG_INS):
            assert len(tree.body) == 1, f"{package} is more than a docstring: planning imports it"


@pytest.mark.parametrize("file", FILES, ids=name)
def test_imports_run_downwards(file: Path) -> None:
    """Between rooms; a room of two on one floor does not know the other. `core` knows none."""

    def floor(room: str) -> int:
        return next(i for i, rooms in enumerate(FLOORS) if room in rooms)

    own = name(file).split("/")[0].removesuffix(".py")
    rooms = {i.split(".")[1] for i in imported(file) if i.startswith("tending.")} - {own}
    rooms &= set().union(*FLOORS)
    above = {room for room in rooms if own != "__init__" and floor(room) <= floor(own)}
    assert not above, f"{name(file)} imports from {above}; see FLOORS"


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
        "from tending.core import plugins\n"
        "from tending.families import family\n"
        "from tending.checkpoints import source\n"
        "[family(n) for n in plugins.names('tending.families')]\n"
        "[source(n) for n in plugins.names('tending.checkpoints')]\n"
        "print(*{m.split('.')[0] for m in sys.modules})\n"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not HEAVY & set(loaded)


def test_nothing_in_the_library_imports_snakemake() -> None:
    assert importers("snakemake") == set()


def test_only_the_store_imports_h5py() -> None:
    assert importers("h5py") == {"core/store.py"}


TYPES = ("tending.core.arrays", "tending.core.aliases")


def test_metrics_import_numbers_only() -> None:
    allowed = {"math", "numpy", "torch", "collections", "dataclasses", "typing", "tending"}
    allowed |= {"functools", "itertools", "warnings", "logging", "scipy", "skdim", "sklearn"}
    for file in FILES:
        if name(file).startswith("metrics/"):
            inside = {i for i in imported(file) if i.startswith("tending")}
            assert {i.split(".")[0] for i in imported(file)} <= allowed, file
            assert all(i.startswith(("tending.metrics", *TYPES)) for i in inside), file


def test_families_hold_no_mathematics() -> None:
    for file in FILES:
        if name(file).startswith("families/"):
            assert not {"numpy", "torch", "math"} & imported(file), file


def test_figures_see_tables_only() -> None:
    for file in FILES:
        if name(file).startswith("figures/"):
            outside = {
                "torch",
                "transformers",
                "h5py",
                "tending.core.store",
                "tending.stages.activations.activations",
            }
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
