"""The pages of the API reference, one per public package, written into docs/api before a build.

A new metric, component or family is on its page without being listed. Modules with an underscore
are private and left out.
"""

import importlib
import inspect
import pkgutil
import shutil
from pathlib import Path

from docstrings import markup
from sphinx.application import Sphinx

WHOLE = ("tending.components", "tending.families")
EACH = ("tending.metrics", "tending.stages")  # one page for each package in them
CHOSEN = {"tending.core": ("steps", "store", "tables")}
NOTEBOOK = ("open_checkpoint", "capture", "estimate")
INTRODUCTION = """\
The public packages of the library, from their docstrings. In a notebook, start with :doc:`tending`;
:doc:`/library` is a tour. A parenthesis such as (sequences, d) after a name is an array's shape.
Modules and functions that begin with an underscore are private.

"""


def write(app: Sphinx) -> None:
    """Write every page, and remove those of packages that are gone."""
    folder = Path(app.srcdir) / "api"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    pages = {"tending": notebook()}
    pages |= {package: page(package, modules(package)) for package in WHOLE}
    pages |= {package: page(package, chosen) for package, chosen in CHOSEN.items()}
    for parent in EACH:
        for name in modules(parent):
            package = f"{parent}.{name}"
            pages[package] = page(package, modules(package))
    pages["index"] = index(list(pages))
    for name, text in pages.items():
        (folder / f"{name}.rst").write_text(text, "utf-8")


def index(packages: list[str]) -> str:
    """The first page: every package with the first line of its docstring."""
    text = heading("API reference", "=") + INTRODUCTION
    for package in packages:
        first = (inspect.getdoc(importlib.import_module(package)) or "").partition("\n")[0]
        text += f"* :doc:`{package}`: {markup(first, set(), set())}\n"
    return text + "\n.. toctree::\n   :hidden:\n\n" + "".join(f"   {name}\n" for name in packages)


def modules(package: str) -> list[str]:
    """Names of the public modules in a package, sorted; none of a module that is a file."""
    places = getattr(importlib.import_module(package), "__path__", [])
    found = pkgutil.iter_modules(places)
    return sorted(module.name for module in found if not module.name.startswith("_"))


def page(package: str, names: list[str] | tuple[str, ...]) -> str:
    """A package and its modules."""
    text = heading(package, "=") + module(package)
    for name in names:
        text += heading(name, "-") + module(f"{package}.{name}")
    return text


def notebook() -> str:
    """The names that `tending` itself has for a notebook."""
    text = heading("tending", "=") + ".. automodule:: tending\n\n"
    text += "".join(f".. autofunction:: tending.{name}\n\n" for name in NOTEBOOK)
    return text + ".. autoclass:: tending.notebook.OpenCheckpoint\n   :members:\n"


def module(name: str) -> str:
    """All that is documented in a module."""
    return f".. automodule:: {name}\n   :members:\n\n"


def heading(text: str, line: str) -> str:
    """A title, underlined."""
    return f"{text}\n{line * len(text)}\n\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for any."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
