"""A hash of the library's code changes with what is computed, and with nothing else."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tending
from tending import found, provenance

LIBRARY = Path(tending.__file__).parent
CKA = "metrics/similarity/cka.py"
COMMON = "metrics/similarity/__init__.py"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the whole library, which code_hash is made to read in its place."""
    root = tmp_path / "tending"
    shutil.copytree(LIBRARY, root, ignore=shutil.ignore_patterns("__pycache__"))
    folder = found._folder

    def in_the_copy(package: str) -> Path:
        return root / folder(package).relative_to(LIBRARY)

    monkeypatch.setattr(found, "_folder", in_the_copy)
    forget()
    yield root
    forget()


def forget() -> None:
    """What was read of a file is remembered as long as the process lives."""
    provenance._module_hash.cache_clear()
    provenance._imports.cache_clear()


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
    before = {name: hash_of(name) for name in ("tending.comparison", *CKA_HASH, "tending.tables")}
    edit(copy / COMMON, "x -= x.mean(axis=0)", "x -= x.min(axis=0)")
    after = {name: hash_of(name) for name in before}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"tending.comparison", *CKA_HASH}


def test_a_change_two_imports_away_is_seen(copy: Path) -> None:
    """spectra imports families, which imports found."""
    before = hash_of("tending.spectra")
    edit(copy / "found.py", 'glob("*.py")', 'glob("*.PY")')
    assert hash_of("tending.spectra") != before


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
    edit(copy / CKA, "    inner = in", "    from tending import atomic\n\n    inner = in")
    before = hash_of(*CKA_HASH)
    edit(copy / "atomic.py", "path.parent.mkdir(parents=True", "path.parent.mkdir(parents=False")
    assert hash_of(*CKA_HASH) != before


def test_a_metric_does_not_depend_on_another(copy: Path) -> None:
    before = hash_of(*CKA_HASH)
    edit(copy / "metrics/similarity/cka_debiased.py", "LEAST = 4", "LEAST = 5")
    assert hash_of(*CKA_HASH) == before


def test_several_modules_in_any_order(copy: Path) -> None:
    names = ["tending.spectra", "tending.families.gpt_neox"]
    assert hash_of(*names) == hash_of(*reversed(names)) == hash_of(*names, *names)
    assert hash_of(*names) != hash_of(names[0])


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
