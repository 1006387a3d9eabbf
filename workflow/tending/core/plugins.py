"""Plug-ins found by name: metrics, families, sources and figures are one file each.

The file's name is the name in the config and the value in the tables, so there is no registry to
maintain. Nothing is imported until it is used: names and literal constants are read from the
source files, which keeps planning a study free of torch and matplotlib.
"""

import ast
import importlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

# Plug-in packages whose names jobs need without importing the config's checks.
SIMILARITY = "tending.metrics.similarity"
SPECTRUM = "tending.metrics.spectrum"
TRAJECTORY = "tending.metrics.trajectory"
FIGURES = "tending.figures"


def names(package: str) -> list[str]:
    """Return the sorted names of the public modules in `package` (a dotted name)."""
    folder = _folder(package)
    return list(_names(folder, folder.stat().st_mtime_ns)) if folder.exists() else []


def require(package: str, name: str, kind: str) -> str:
    """Return `name` if `package` has such a module; else raise ValueError with the known names."""
    known = names(package)
    if name not in known:
        place = "/".join(["workflow", *package.split("."), f"{name}.py"])
        raise ValueError(
            f"unknown {kind} {name!r}; available: {', '.join(known)} (a new one would be {place})"
        )
    return name


def load(package: str, name: str, kind: str) -> ModuleType:
    """Import the module `name` of `package`; raise ValueError with the known names if missing."""
    return importlib.import_module(f"{package}.{require(package, name, kind)}")


def constant(module: str, name: str) -> object:
    """Return the literal assigned to `name` at the top of `module`, without importing it."""
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == name for t in node.targets
        ):
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                break
    raise ValueError(f"{module} has no literal {name} at its top level")


def constant_or(module: str, name: str, default: object) -> object:
    """Return the literal as `constant` does, or `default` if the module has none."""
    try:
        return constant(module, name)
    except ValueError:
        return default


def literals(module: str) -> dict[str, Any]:
    """Return the literals assigned to upper-case names at the top of `module`, unimported."""
    found: dict[str, Any] = {}
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.isupper():
                found[name] = ast.literal_eval(node.value)
    return found


def argument(module: str, name: str, keyword: str, default: object) -> object:
    """Return the literal passed as `keyword` in the call assigned to `name`, or the default."""
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            named = any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
            for given in node.value.keywords if named else []:
                if given.arg == keyword:
                    return ast.literal_eval(given.value)
    return default


def tree(module: str) -> ast.Module:
    """Return the syntax tree of `module`, cached until its file changes.

    The tree is shared: do not modify it. Planning reads the same few files thousands of times.
    """
    file = source(module)
    return _tree(file, file.stat().st_mtime_ns)


def source(module: str) -> Path:
    """Return the file of `module`, without importing it or (for a submodule) its siblings."""
    package, _, leaf = module.rpartition(".")
    if not package:
        return _folder(module) / "__init__.py"
    folder = _folder(package)
    file = folder / f"{leaf}.py"
    return file if file.exists() else folder / leaf / "__init__.py"


@cache
def _tree(file: Path, changed: int) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


@cache
def _names(folder: Path, changed: int) -> tuple[str, ...]:
    """List public modules; cached by the folder's mtime, which changes as files come and go."""
    return tuple(sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")))


def library() -> Path:
    """Return the library's folder, without importing any of it."""
    return _folder(SIMILARITY.partition(".")[0])


def _folder(package: str) -> Path:
    root, *rest = package.split(".")
    spec = find_spec(root)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"no package named {root!r}")
    return Path(spec.submodule_search_locations[0]).joinpath(*rest)
