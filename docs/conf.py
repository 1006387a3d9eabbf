"""The documentation site: `make docs` builds it from these pages and the library's docstrings.

The pages are plain Markdown that reads on a code host as it is. Three small extensions beside this
file bring them together: links to files outside docs/ (`links`), docstrings as the plain text that
they are (`docstrings`), and one API page per package (`api_pages`).
"""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_site"))

PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]

project = PROJECT["name"]
author = PROJECT["authors"][0]["name"]
copyright = author
version = release = PROJECT["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "api_pages", "docstrings", "links"]
exclude_patterns = ["_build", "_site"]

myst_heading_anchors = 4

add_module_names = False  # each page and section is named after its module
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
