"""Links of the pages to files that are not pages, which a code host resolves by their path.

A link is relative to the file that it stands in. The front page is README.md, so its links start
at the repository's root. A link to a page stays one, and a link to a folder with an index.md is one
to that page. Any other file becomes a download, any other folder plain text. A link to nothing is
left alone, and Sphinx warns of it.
"""

import os
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

FRONT_PAGE = "index"
BEFORE_DOWNLOADS_ARE_COLLECTED = 100


def resolve_links(app: Sphinx, page: nodes.document) -> None:
    """Replace the links that MyST could not resolve inside docs/."""
    docs = Path(app.srcdir).resolve()
    name = app.env.current_document.docname
    folder = docs.parent if name == FRONT_PAGE else (docs / name).parent
    for link in list(page.findall(addnodes.pending_xref)):
        if link["reftype"] != "myst" or link["reftarget"] in app.env.found_docs:
            continue
        # MyST has made a page's name, relative to docs/, of a link to Markdown outside docs/.
        start, ending = (docs, ".md") if link["refdomain"] == "doc" else (folder, "")
        path, _, anchor = link["reftarget"].partition("#")
        target = (start / f"{path}{ending}").resolve()
        if path and target.exists():
            link.replace_self(replacement(link, target, anchor, docs, app))


def replacement(
    link: addnodes.pending_xref, target: Path, anchor: str, docs: Path, app: Sphinx
) -> nodes.Element:
    """The link as one to a page or a download, or its text where it is neither."""
    inside = target / "index.md" if target.is_dir() else target
    common: dict[str, Any] = {"reftype": "myst", "refdoc": link["refdoc"], "refexplicit": True}
    page = app.env.path2doc(str(inside))
    if page in app.env.found_docs:
        found: nodes.Element = addnodes.pending_xref(
            refdomain="doc", reftarget=page, reftargetid=anchor or None, **common
        )
    elif target.is_file():
        at = os.path.relpath(target, docs)
        found = addnodes.download_reference(refdomain=None, reftarget=f"/{at}", **common)
    else:
        found = nodes.inline()
    found += link.children
    return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the pages as they are read."""
    app.connect("doctree-read", resolve_links, priority=BEFORE_DOWNLOADS_ARE_COLLECTED)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
