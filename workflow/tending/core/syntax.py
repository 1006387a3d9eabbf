"""The text of a module's source to be hashed: everything that can change a number.

Left out: comments, formatting, docstrings, annotations, `if TYPE_CHECKING:` blocks, the order of
imports, and the names and places of the library's own modules. So moving or renaming a module, or
improving its types, leaves the text as it is; changing a constant or an operation never does.
"""

import ast
from collections.abc import Callable, Iterator, Mapping

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = (*FUNCTIONS, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# annotations by which a dataclass marks entries that are not ordinary fields
MARKERS = ("ClassVar", "InitVar", "KW_ONLY")


class Source:
    """One module's source, read once.

    library: returns whether a dotted name is a module of the library.
    imported: library modules that it imports anywhere, also inside functions, but not for types
    alone. aliases: names bound to library modules in it -> the module.
    """

    def __init__(self, text: str, library: Callable[[str], bool]) -> None:
        self.imported: list[str] = []
        self.aliases: dict[str, str] = {}
        self._brought: dict[str, str] = {}  # other imported names -> their origin
        self._tree = ast.parse(text)
        for node in _at_runtime(self._tree):
            if isinstance(node, ast.Import):
                self._note_modules(node, library)
            elif isinstance(node, ast.ImportFrom):
                self._note_names(node, library)

    def text(self, stand_ins: Mapping[str, str]) -> str:
        """Return the text to hash, with `stand_ins` for the names in `aliases`; "" if empty."""
        body = _text(self._tree, stand_ins, frozenset())
        names = {node.id for node in _at_runtime(self._tree) if isinstance(node, ast.Name)}
        brought = sorted(
            f"{name}={origin}" for name, origin in self._brought.items() if name in names
        )
        return "\n".join([*brought, body]) if body or brought else ""

    def _note_modules(self, node: ast.Import, library: Callable[[str], bool]) -> None:
        for alias in node.names:
            if library(alias.name):
                self.imported.append(alias.name)
            name = alias.asname or alias.name.partition(".")[0]
            if library(alias.name) and alias.asname:
                self.aliases[name] = alias.name
            else:
                self._brought[name] = alias.name if alias.asname else name

    def _note_names(self, node: ast.ImportFrom, library: Callable[[str], bool]) -> None:
        package = "." * node.level + (node.module or "")
        own = library(package)
        if own:
            self.imported.append(package)
        for alias in node.names:
            whole, name = f"{package}.{alias.name}", alias.asname or alias.name
            if own and library(whole):
                self.imported.append(whole)
                self.aliases[name] = whole
            else:  # one of the library's own names counts, but not the module it is in
                self._brought[name] = alias.name if own else whole


def _at_runtime(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every node of a tree except types and docstrings."""
    yield tree
    for _, children in _fields(tree):
        for child in children:
            if isinstance(child, ast.AST):
                yield from _at_runtime(child)


def _text(node: object, stand_ins: Mapping[str, str], local: frozenset[str]) -> str:
    """Render a node and all below it as text; local: names bound inside the function."""
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, SCOPES):
        local |= _assigned(node)
    parts = []
    for name, children in _fields(node):
        if isinstance(node, ast.Name) and name == "id" and node.id not in local:
            parts.append(stand_ins.get(node.id, node.id))
            continue
        found = [_text(child, stand_ins, local) for child in children if not _is_import(child)]
        if found:
            parts.append(f"{name}={','.join(found)}")
    return f"{type(node).__name__}({';'.join(parts)})" if parts or _tells(node) else ""


def _tells(node: ast.AST) -> bool:
    """Whether a node without fields has a meaning: `pass` and `Load()` do, an empty module not."""
    return not isinstance(node, ast.Module)


def _fields(node: ast.AST) -> Iterator[tuple[str, list[object]]]:
    """Yield the fields that affect a node's behaviour, each as a list, without empty ones."""
    for name, value in ast.iter_fields(node):
        children: list[object] = list(value) if isinstance(value, list) else [value]
        if name in ("annotation", "returns") and not _marker(value):
            continue
        if name in ("type_comment", "kind"):
            continue
        if value is None and not isinstance(node, ast.Constant):
            continue
        if name == "body" and isinstance(node, DOCUMENTED) and children and _is_docstring(children):
            children = children[1:]
        yield name, [kept for child in children for kept in _without_types(child)]


def _without_types(child: object) -> list[object]:
    """Return the statement, or the runtime branch of one meant for type checkers."""
    if isinstance(child, ast.If) and _last_name(child.test) == "TYPE_CHECKING":
        return [kept for other in child.orelse for kept in _without_types(other)]
    return [child]


def _assigned(scope: ast.AST) -> frozenset[str]:
    """Return the names that a function or comprehension binds, as arguments or by assignment."""
    nodes = list(ast.walk(scope))
    arguments = {n.arg for n in nodes if isinstance(n, ast.arg)}
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return frozenset(arguments | stored)


def _is_import(node: object) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _is_docstring(body: list[object]) -> bool:
    first = body[0]
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
        return False
    return isinstance(first.value.value, str)


def _marker(annotation: object) -> bool:
    base = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return _last_name(base) in MARKERS


def _last_name(node: object) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None
