"""A hash of the library's code changes with what is computed, and with nothing else."""

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import tending
from tending.core import plugins, provenance, syntax

LIBRARY = Path(tending.__file__).parent
CKA = "metrics/similarity/cka.py"
COMMON = "metrics/similarity/__init__.py"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the whole library, which code_hash is made to read in its place."""
    root = tmp_path / "tending"
    shutil.copytree(LIBRARY, root, ignore=shutil.ignore_patterns("__pycache__"))
    folder = plugins._folder

    def in_the_copy(package: str) -> Path:
        return root / folder(package).relative_to(LIBRARY)

    monkeypatch.setattr(plugins, "_folder", in_the_copy)
    forget()
    yield root
    forget()


def forget() -> None:
    """Clear the caches of files that were read."""
    for read in (provenance._module_hash, provenance._own_hash, provenance._source):
        read.cache_clear()


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}; change the test"
    file.write_text(text.replace(old, new))
    forget()


def hash_of(*modules: str) -> str:
    return provenance.code_hash(*modules)


CKA_HASH = ("tending.metrics.similarity.cka",)


def test_a_script_is_hashed_with_what_it_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_script(text: str) -> str:
        (tmp_path / "one.py").write_text(text)
        return provenance.code_hash(*CKA_HASH, script="one")

    monkeypatch.setattr(provenance, "SCRIPTS", tmp_path)
    before = with_script('"""A script."""\nrows = 1\n')
    assert before != hash_of(*CKA_HASH)
    assert with_script('"""Another."""\n\nrows = 1  # a comment\n') == before
    assert with_script('"""A script."""\nrows = 2\n') != before


def test_the_copy_has_the_hash_of_the_library(copy: Path) -> None:
    of_the_copy = hash_of(*CKA_HASH)
    assert plugins.source(CKA_HASH[0]).is_relative_to(copy)
    shutil.rmtree(copy / "figures")
    assert hash_of(*CKA_HASH) == of_the_copy
    assert len(of_the_copy) == 16


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import math\n", "import math  # a comment\n"),
        ("import math\n", "\n\n# a comment\nimport math\n"),
        ('"""Linear CKA, the paper', '"""Another docstring, the paper'),
        ("(Kornblith et al., 2019)", "(another source)"),
        ("ts(Aligned(x, y, least=2))", "ts(\n        Aligned(x, y, least=2),\n    )"),
        ('label="Linear CKA"', "label='Linear CKA'"),
    ],
)
def test_comments_docstrings_and_formatting_cost_nothing(copy: Path, old: str, new: str) -> None:
    before = hash_of(*CKA_HASH)
    edit(copy / CKA, old, new)
    assert hash_of(*CKA_HASH) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("inner.xy /", "inner.xy *"),
        ("ts(Aligned(x, y, least=2", "ts(Aligned(x, y, least=3"),
        ("bounds=(0, 1)", "bounds=(0, 2)"),
    ],
)
def test_a_change_of_arithmetic_is_seen(copy: Path, old: str, new: str) -> None:
    before = hash_of(*CKA_HASH)
    edit(copy / CKA, old, new)
    assert hash_of(*CKA_HASH) != before


def test_a_change_in_an_imported_module_is_seen(copy: Path) -> None:
    before = {
        name: hash_of(name)
        for name in ("tending.stages.convergence.comparison", *CKA_HASH, "tending.core.tables")
    }
    edit(copy / COMMON, "x -= x.mean(axis=0)", "x -= x.min(axis=0)")
    after = {name: hash_of(name) for name in before}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"tending.stages.convergence.comparison", *CKA_HASH}


def test_a_change_two_imports_away_is_seen(copy: Path) -> None:
    """weight_spectra imports families, which imports plugins."""
    before = hash_of("tending.stages.spectra.weight_spectra")
    edit(copy / "core/plugins.py", 'glob("*.py")', 'glob("*.PY")')
    assert hash_of("tending.stages.spectra.weight_spectra") != before


def test_a_change_in_what_families_share_is_seen_by_those_that_share_it(copy: Path) -> None:
    """`plan.family_code` is this hash: spectra follow the layout of their own family."""
    names = ("gpt_neox", "bloom", "llama", "gemma3_text", "opt", "phi", "gpt2")
    before = {name: hash_of(f"tending.families.{name}") for name in names}
    edit(copy / "families/_llama_layout.py", 'f"layers.{layer}.mlp.down_proj"', '"another"')
    changed = {n for n in names if hash_of(f"tending.families.{n}") != before[n]}
    assert changed == {"llama", "gemma3_text"}
    edit(copy / "families/_heads.py", "head // (heads", "head % (heads")
    changed = {n for n in names if hash_of(f"tending.families.{n}") != before[n]}
    assert changed == set(names) - {"gpt2"}


def test_an_import_inside_a_function_is_followed(copy: Path) -> None:
    edit(copy / CKA, "    inner = in", "    from tending.core import atomic\n\n    inner = in")
    before = hash_of(*CKA_HASH)
    mkdir = "path.parent.mkdir(parents="
    edit(copy / "core/atomic.py", f"{mkdir}True", f"{mkdir}False")
    assert hash_of(*CKA_HASH) != before


def test_a_metric_does_not_depend_on_another(copy: Path) -> None:
    before = hash_of(*CKA_HASH)
    edit(copy / "metrics/similarity/cka_debiased.py", "LEAST = 4", "LEAST = 5")
    assert hash_of(*CKA_HASH) == before


def test_several_modules_in_any_order(copy: Path) -> None:
    names = ["tending.stages.spectra.weight_spectra", "tending.families.gpt_neox"]
    assert hash_of(*names) == hash_of(*reversed(names)) == hash_of(*names, *names)
    assert hash_of(*names) != hash_of(names[0])


# Tidying up


FIGURE, COMPARED = "tending.figures.six_panels", "tending.stages.convergence.comparison"
SPECTRA = "tending.stages.spectra.spectrum_table"
ROOTS = (
    *CKA_HASH,
    FIGURE,
    COMPARED,
    "tending.components.qk",
    SPECTRA,
)


def roots() -> dict[str, str]:
    """Hashes of some modules from all over the library, by module."""
    return {name: hash_of(name) for name in ROOTS}


def moved(copy: Path, old: str, new: str, users: Sequence[str]) -> None:
    """Move a file of the copy; in its users, replace the name of the module by the new one."""
    (copy / new).parent.mkdir(exist_ok=True)
    ((copy / new).parent / "__init__.py").touch()
    (copy / old).rename(copy / new)
    (package, _, name), (other, _, renamed) = (
        f"tending.{path.removesuffix('.py').replace('/', '.')}".rpartition(".")
        for path in (old, new)
    )

    def parted(line: re.Match[str]) -> str:
        names = line[1].split(", ")
        if name not in names:
            return line[0]
        rest = ", ".join(n for n in names if n != name)
        kept = f"from {package} import {rest}\n" if rest else ""
        return f"{kept}from {other} import {renamed}\n"

    for user in users:
        text = (copy / user).read_text()
        text = text.replace(f"from {package}.{name} import", f"from {other}.{renamed} import")
        text = re.sub(rf"from {package} import ([\w, ]+)\n", parted, text)
        text = re.sub(rf"(?<![\w.]){name}\.(?=\w)", f"{renamed}.", text)
        assert text != (copy / user).read_text()
        (copy / user).write_text(text)
    forget()


def test_a_module_that_moves_or_is_renamed_costs_nothing(copy: Path) -> None:
    before = roots()
    old, user = "metrics/algebra/eigenvalues.py", "metrics/algebra/singular_values.py"
    moved(copy, old, "solvers/eigenvalues.py", [user])
    assert roots() == before
    moved(copy, "solvers/eigenvalues.py", "solvers/symmetric.py", [user])
    assert roots() == before
    users = [
        str(file.relative_to(copy))
        for file in copy.rglob("*.py")
        if re.search(r"statistics(\.means import| import .*\bmeans\b)", file.read_text())
    ]
    pooled = ("tending.stages.seeds.group_tables", "tending.figures.effects")
    hashes = {name: hash_of(name) for name in pooled}
    # used as `means.mean(...)`
    moved(copy, "metrics/statistics/means.py", "solvers/averaging.py", users)
    assert len(users) > 2 and {name: hash_of(name) for name in pooled} == hashes
    edit(copy / "solvers/symmetric.py", "LARGE = 2304", "LARGE = 2305")
    changed = {name for name, of in roots().items() if of != before[name]}
    assert changed == {"tending.components.qk", SPECTRA}  # two imports away


@pytest.mark.parametrize("module", ["tending.stages.spectra.weight_spectra", FIGURE, COMPARED])
def test_imports_for_types_annotations_and_the_order_of_imports_cost_nothing(
    copy: Path, module: str
) -> None:
    before = roots()
    file = plugins.source(module)
    text = file.read_text().replace('"""\n\n', '"""\n\nfrom typing import TYPE_CHECKING as T\n', 1)
    begin = text.index("from tending")
    types = "if T:\n    from tending.stages.training.training import Recipe\n\n"
    types = types.replace("if T", "if TYPE_CHECKING").replace("as T", "")
    text = text[:begin] + text[begin:] + "\n\nfrom typing import TYPE_CHECKING\n" + types
    file.write_text(text.replace("-> str:", "-> 'Recipe':").replace("x: Array", "x: object"))
    forget()
    assert roots() == before


def test_what_a_name_is_imported_from_is_part_of_the_code(copy: Path) -> None:
    """Two modules with the same names: which one is called decides the numbers."""
    one, two, user = copy / "one.py", copy / "two.py", copy / "user.py"
    one.write_text("def f() -> int:\n    return 1\n")
    two.write_text("def f() -> int:\n    return 2\n")
    user.write_text("from tending import one, two\n\nx = one.f() - 2 * two.f()\n")
    before = hash_of("tending.user")
    edit(user, "one.f() - 2 * two.f()", "two.f() - 2 * one.f()")
    assert hash_of("tending.user") != before


def test_a_name_of_a_function_is_not_the_module_of_that_name(copy: Path) -> None:
    """`one` is a module at the top and an argument inside; only the former may be renamed."""
    (copy / "one.py").write_text("x = 1\n")
    user = copy / "user.py"
    user.write_text("from tending import one\n\ny = one.x\n\ndef f(one):\n    return one.x\n")
    before = hash_of("tending.user")
    (copy / "one.py").rename(copy / "other.py")
    user.write_text("from tending import other\n\ny = other.x\n\ndef f(one):\n    return one.x\n")
    forget()
    assert hash_of("tending.user") == before
    edit(user, "return one.x", "return other.x")
    assert hash_of("tending.user") != before


@pytest.mark.parametrize(
    ("package", "file"),
    [
        ("metrics/similarity", "cka"),
        ("metrics/spectrum", "stable_rank"),
        ("figures", "six_panels"),
        ("families", "llama"),
        ("components", "qk"),
    ],
)
def test_a_change_of_a_plug_in_is_seen(copy: Path, package: str, file: str) -> None:
    module = f"tending.{package.replace('/', '.')}.{file}"
    before = hash_of(module)
    path = copy / package / f"{file}.py"
    path.write_text(path.read_text() + "\n\nNEW = 1\n")
    forget()
    assert hash_of(module) != before


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x = 1", "x = 1.0", False),
        ("x = 1", "x = True", False),
        ("x = None", "x = ''", False),
        ("def f(): pass", "def f(): ...", False),
        ("from numpy import sum as s\ns()", "from numpy import prod as s\ns()", False),
        ("import numpy\nnumpy.sum()", "import numpy\n\n\nnumpy.sum()", True),
        ("import a\nimport b\nx = a, b", "import b\nimport a\nx = a, b", True),
        ("def f(x: int) -> int:\n    return x", "def f(x):\n    return x", True),
        ("class A:\n    x: int = 1", "class A:\n    x: float = 1", True),
        ("class A:\n    x: int = 1", "class A:\n    x: ClassVar[int] = 1", False),
        ("if TYPE_CHECKING:\n    x = 1\nelse:\n    x = 2", "x = 2", True),
        ("if typing.TYPE_CHECKING:\n    import a\nx = 2", "x = 2", True),
        ('def f():\n    """It."""\n    return 1', "def f():\n    return 1", True),
        ("def f():\n    1\n    return 1", "def f():\n    return 1", False),
        ("f'{x}'", "f'{x!r}'", False),
        ("x = a or b", "x = a and b", False),
        ("x[1:]", "x[:1]", False),
        ("[a for a in b]", "[b for a in b]", False),
    ],
)
def test_text_of_a_source(one: str, other: str, same: bool) -> None:
    texts = [syntax.Source(text, lambda _: False).text({}) for text in (one, other)]
    assert (texts[0] == texts[1]) is same


def test_every_module_of_the_library_can_be_hashed() -> None:
    modules = [
        ".".join(["tending", *file.relative_to(LIBRARY).with_suffix("").parts])
        for file in LIBRARY.rglob("*.py")
        if file.name != "__init__.py"
    ]
    assert len({hash_of(module) for module in modules}) == len(modules)


def test_hashes_of_files_and_texts(tmp_path: Path) -> None:
    text = "\u03c4 \u2265 0.9"
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert provenance.file_sha256(tmp_path / "a.txt") == expected
    assert provenance.text_sha256(text) == expected


def test_versions_leave_out_what_is_not_installed() -> None:
    versions = provenance.versions(("numpy", "no-such-package"))
    assert list(versions) == ["numpy"]
    assert provenance.library_version() == provenance.versions(("tending",))["tending"]


# Rules


RULES = "".join(p.read_text("utf-8") for p in sorted((LIBRARY.parents[1] / "rules").glob("*.smk")))
HASHED = {
    script: re.findall(r'"(tending[\w.]+)"', modules)
    for modules, script in re.findall(r'code_hash\(([^()]*?)script="(\w+)"', RULES)
}
FORMATS = ("_file", "_files", "_config")  # layouts and settings: they compute nothing
COMPUTING = ("tending.stages.", "tending.metrics.", "tending.report.", "tending.components._")


@pytest.mark.parametrize("script", HASHED)
def test_a_rule_hashes_every_computation_that_its_script_calls(script: str) -> None:
    """A module that the script imports and the hash does not cover could change unseen."""
    text = (provenance.SCRIPTS / f"{script}.py").read_text("utf-8")
    called = set(syntax.Source(text, provenance._is_module).imported)
    called = {m for m in called if m.startswith(COMPUTING) and not m.endswith(FORMATS)}
    called = {m for m in called if found_file(m)}
    if script in ("table", "figure"):  # which also hash the file that the table or figure is
        called = {m for m in called if not m.startswith("tending.figures")}
    assert called <= provenance.followed(*HASHED[script]), script


def found_file(module: str) -> bool:
    """Whether a module is a file, not a room."""
    return plugins.source(module).name != "__init__.py"


def test_the_rules_that_hash_their_code_are_found() -> None:
    assert len(HASHED) > 7 and "spectra" in HASHED
