"""What produced a number: hashes of the library's code, versions, hashes of files.

`code_hash` goes into the `params` of a rule, because Snakemake sees a changed script but not a
changed library. It hashes the syntax tree without docstrings, so comments and formatting cost
nothing, and it follows imports inside the library, so a change anywhere below is seen.
"""

import ast
import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tending import found

PACKAGE = "tending"
SCRIPTS = Path(__file__).parents[1] / "scripts"
LIBRARIES = ("h5py", "numpy", "safetensors", "torch", "transformers")


def code_hash(*modules: str, script: str = "") -> str:
    """Hash of the code of `modules` (dotted names) and of all library modules they import.

    script: name of the script in workflow/scripts that calls them, hashed too but not followed.
    """
    seen: set[str] = set()
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo += _imports(module)
    lines = [f"{m} {_module_hash(m)}" for m in sorted(seen)]
    if script:
        text = (SCRIPTS / f"{script}.py").read_text("utf-8")
        lines.append(f"{script}.py {_tree_hash(ast.parse(text))}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """sha256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def versions(packages: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """Installed versions of `packages`; a package that is not installed is left out."""
    found_versions = {}
    for package in packages:
        try:
            found_versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return found_versions


def library_version() -> str:
    """The version of tending itself."""
    return versions((PACKAGE,)).get(PACKAGE, "not installed")


@cache
def _module_hash(module: str) -> str:
    return _tree_hash(_tree(module))


def _tree_hash(tree: ast.Module) -> str:
    return text_sha256(ast.dump(_without_docstrings(tree)))


@cache
def _imports(module: str) -> list[str]:
    """Library modules that `module` imports anywhere in its text, also inside functions."""
    modules: list[str] = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            candidates = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        else:
            continue
        modules += [
            c for c in candidates if c.split(".")[0] == PACKAGE and found.source(c).exists()
        ]
    return modules


def _tree(module: str) -> ast.Module:
    return ast.parse(found.source(module).read_text("utf-8"))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree
