"""Docstrings of the library as reStructuredText.

They are plain text: paragraphs, names in `backticks`, and lines that begin with the names of
arguments or fields. Everything that reStructuredText would take for markup is escaped, so that no
docstring has to be written with the site in mind.
"""

import inspect
import pkgutil
import re
from typing import Any

import numpy.typing as npt
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

import tending

NAMES = r"[A-Za-z_]\w*(?:, [A-Za-z_]\w*)*"
LABELLED = re.compile(rf"{NAMES}(?: = \w+)?: ")  # the start of a line about `x, y: `
PARTS = re.compile(r"(`[^`]+`|https?://[^\s)>,]+[^\s)>,.;:]|docs/[\w/-]+\.md)")
OBJECT = re.compile(r"[A-Za-z_][\w.]*\.?[A-Za-z_]\w*")
ARRAY = re.compile(r"~numpy\.ndarray\[tuple\[~typing\.Any, \.\.\.\], ~numpy\.dtype\[([\w.~]+)\]\]")
PACKAGES = {module.name for module in pkgutil.iter_modules(tending.__path__) if module.ispkg}
ARRAY_LIKE = stringify_annotation(npt.ArrayLike, "smart")


def render(app: Sphinx, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    """Rewrite a docstring in place; autodoc calls this for every one."""
    known = names_of(of)
    if what == "module":
        known |= set(re.findall(r"\b[A-Z][A-Z_]+\b", " ".join(lines)))
    pages = app.env.found_docs
    out: list[str] = []
    for paragraph in paragraphs(lines):
        out += [markup(paragraph, known, pages), ""]
    lines[:] = out


def paragraphs(lines: list[str]) -> list[str]:
    """The text of every paragraph; a line about arguments after a full stop begins another."""
    found: list[list[str]] = [[]]
    for line in lines:
        text = line.strip()
        begins = LABELLED.match(text) and found[-1] and found[-1][-1].endswith((".", ";", ":"))
        if not text or begins:
            found.append([])
        if text:
            found[-1].append(text)
    return [" ".join(part) for part in found if part]


def markup(paragraph: str, known: set[str], pages: set[str]) -> str:
    """One paragraph, with links to pages and objects, and names of arguments as code."""
    pieces = []
    for index, piece in enumerate(PARTS.split(paragraph)):
        if index % 2 == 0:
            pieces.append(with_arguments(piece, known, first=index == 0))
        elif piece.startswith("`"):
            pieces.append(code(piece[1:-1]))
        elif piece.startswith("docs/"):
            page = piece.removeprefix("docs/").removesuffix(".md")
            pieces.append(f":doc:`{piece} </{page}>`" if page in pages else escaped(piece))
        else:
            pieces.append(f"`{escaped(piece)} <{piece}>`__")
    # An escaped blank ends inline markup beside a letter and prints nothing.
    return "\\ ".join(pieces)


def with_arguments(text: str, known: set[str], first: bool) -> str:
    """Text with `x, y:` as code where a sentence begins with names of arguments."""
    before = r"(?:^|(?<=[.;] ))" if first else r"(?<=[.;] )"
    parts = re.split(rf"{before}({NAMES})(?=(?: = \w+)?: )", text)
    for index, part in enumerate(parts):
        names = part.split(", ")
        if index % 2 and known.issuperset(names):
            parts[index] = ", ".join(f"``{name}``" for name in names) + "\\ "
        else:
            parts[index] = escaped(part)
    return "".join(parts)


def code(text: str) -> str:
    """Code, and a link if it is the name of something documented."""
    if OBJECT.fullmatch(text):
        inside = text.partition(".")[0] in PACKAGES
        return f":py:obj:`{text} <tending.{text}>`" if inside else f":py:obj:`{text}`"
    return f"``{text}``" if text == text.strip() and "\\" not in text else escaped(text)


def escaped(text: str) -> str:
    """Text without any markup."""
    return re.sub(r"([^\w\s]|_)", r"\\\1", text)


def names_of(of: Any) -> set[str]:
    """Names of a function's arguments, or of a class's fields."""
    fields = set(getattr(of, "__annotations__", {}))
    try:
        return fields | set(inspect.signature(of).parameters)
    except (TypeError, ValueError):
        return fields


def shorten(
    app: Sphinx,
    what: str,
    name: str,
    of: Any,
    options: Any,
    arguments: str | None,
    returns: str | None,
) -> tuple[str, str] | None:
    """Types of arrays in a signature as they were written; None for what has no signature."""
    if arguments is None:
        return None
    if what == "class" and getattr(of, "_is_protocol", False):
        return "", ""  # nobody calls it
    return arrays(arguments), arrays(returns or "")


def arrays(signature: str) -> str:
    """`NDArray[float64]` and `ArrayLike` in place of what they stand for."""
    signature = signature.replace(ARRAY_LIKE, "ArrayLike").replace("<factory>", "...")
    return ARRAY.sub(r"NDArray[\1]", signature)


def skip(app: Sphinx, what: str, name: str, of: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out the fields that a named tuple documents by their number alone."""
    return True if (inspect.getdoc(of) or "").startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to autodoc."""
    app.connect("autodoc-process-docstring", render)
    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
