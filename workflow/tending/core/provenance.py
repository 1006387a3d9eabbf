"""Provenance of results: hashes of the library's code, versions, hashes of files.

`code_hash` goes into the `params` of a rule, because Snakemake notices a changed script but not a
changed library. The hash depends on the operations of the code, not on how or where they are
written (see `syntax`), and follows imports inside the library, so that it changes with any
dependency.
"""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tending.core import paths, plugins
from tending.core.syntax import Source

PACKAGE = "tending"
SCRIPTS = paths.WORKFLOW / "scripts"
LIBRARIES = ("h5py", "numpy", "safetensors", "torch", "transformers")


def code_hash(*modules: str, script: str = "") -> str:
    """Hash the code of `modules` (dotted names) and of all library modules they import.

    script: name of the script in workflow/scripts that calls them; it is hashed too, but its
    imports are not followed.
    """
    # a package with nothing but a docstring contributes no code
    hashes = sorted({_module_hash(module) for module in followed(*modules)} - {text_sha256("")})
    if script:
        read = Source((SCRIPTS / f"{script}.py").read_text("utf-8"), _is_module)
        hashes.append(_hash(read))
    return text_sha256("\n".join(hashes))[:16]


def followed(*modules: str) -> set[str]:
    """Return `modules` and all library modules that they import, directly or indirectly."""
    seen: set[str] = set()
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo += _source(module).imported
    return seen


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """Return the sha256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def versions(packages: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """Return the installed versions of `packages`, without those that are not installed."""
    found_versions = {}
    for package in packages:
        try:
            found_versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return found_versions


def library_version() -> str:
    """Return the version of tending itself."""
    return versions((PACKAGE,)).get(PACKAGE, "not installed")


@cache
def _module_hash(module: str) -> str:
    return _hash(_source(module))


def _hash(source: Source) -> str:
    """Hash one module, with every other module's name replaced by that module's own hash."""
    return text_sha256(source.text({n: _own_hash(m) for n, m in source.aliases.items()}))


@cache
def _own_hash(module: str) -> str:
    """Hash one module with all others treated as the same, because imports may be circular."""
    source = _source(module)
    return text_sha256(source.text(dict.fromkeys(source.aliases, "module")))


@cache
def _source(module: str) -> Source:
    return Source(plugins.source(module).read_text("utf-8"), _is_module)


def _is_module(name: str) -> bool:
    return name.split(".")[0] == PACKAGE and plugins.source(name).exists()
