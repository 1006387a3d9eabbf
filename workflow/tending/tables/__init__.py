"""Tables of a study, one file per table: which files it reads, and the rows that it makes of them.

The file's name is the table's name. It declares, as literals that planning reads without importing
it (all but TITLE may be left out):

TITLE: what the rows hold, for people. FILES: products that it reads, by the names of
`StudyFiles.products`. TABLES: other tables that it reads; OPTIONAL: those that it reads where the
study has them. SETTINGS: what it takes from the config, by the names of `Plan.settings_of_tables`.
METRICS: keys of the config whose metrics' own code it runs. ASKED: the condition, a name of
`StudyFiles.conditions`, under which a study has the table; without it every study has.

`table` makes the rows. Its keyword arguments are FILES (lists of paths), `tables` (data frames by
name) if there are TABLES or OPTIONAL, and SETTINGS.

Belongs here: joining a stage's rows to one frame. Not here: computing a number (`stages`).
"""

from dataclasses import dataclass
from typing import Any

from tending.core import plugins

PACKAGE = "tending.tables"


@dataclass(frozen=True)
class Declared:
    """Literals that a table's file declares; see the head of this module."""

    title: str
    files: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    asked: str = ""


def names() -> list[str]:
    """Names of all tables, sorted."""
    return plugins.names(PACKAGE)


def declared(name: str) -> Declared:
    """Read a table's literals; ValueError with the known names if there is no such table."""
    plugins.require(PACKAGE, name, "table")
    literals: dict[str, Any] = plugins.literals(module(name))
    return Declared(**{key.lower(): value for key, value in literals.items()})


def module(name: str) -> str:
    """Dotted name of a table's file."""
    return f"{PACKAGE}.{name}"
