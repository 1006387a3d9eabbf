"""Things found by their file's name."""

import sys
from pathlib import Path

import pytest

from tending.core import plugins


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package whose modules fail when they are imported, but for one."""
    folder = tmp_path / "a_package" / "metrics"
    folder.mkdir(parents=True)
    for file in (tmp_path / "a_package" / "__init__.py", folder / "__init__.py"):
        file.write_text("")
    (folder / "good.py").write_text("TITLE = 'A title'\nSIZES = (1, 'two')\nMADE = str(1)\n")
    (folder / "broken.py").write_text("TITLE = 'Another'\nraise RuntimeError\n")
    (folder / "_private.py").write_text("")
    (folder / "notes.txt").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    return "a_package.metrics"


def test_names_are_sorted_and_public_and_import_nothing(package: str) -> None:
    assert plugins.names(package) == ["broken", "good"]
    assert "a_package" not in sys.modules


def test_a_module_is_loaded_by_its_name(package: str) -> None:
    assert plugins.load(package, "good", "metric").TITLE == "A title"


def test_an_error_in_a_module_is_its_own(package: str) -> None:
    with pytest.raises(RuntimeError):
        plugins.load(package, "broken", "metric")


@pytest.mark.parametrize("name", ["ckaa", "_private", "../good", "good.py", ""])
def test_an_unknown_name_lists_the_known_and_says_where_a_new_one_goes(
    package: str, name: str
) -> None:
    for ask in (plugins.require, plugins.load):
        with pytest.raises(ValueError) as caught:
            ask(package, name, "similarity metric")
        assert str(caught.value) == (
            f"unknown similarity metric {name!r}; available: broken, good (a new one would be "
            f"workflow/a_package/metrics/{name}.py)"
        )


def test_a_constant_is_read_without_importing(package: str) -> None:
    assert plugins.constant(f"{package}.broken", "TITLE") == "Another"
    assert plugins.constant(f"{package}.good", "SIZES") == (1, "two")


@pytest.mark.parametrize("name", ["MADE", "MISSING"])
def test_a_constant_that_is_no_literal_is_an_error(package: str, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        plugins.constant(f"{package}.good", name)


def test_the_file_of_a_module_or_package(package: str) -> None:
    assert plugins.source(f"{package}.good").name == "good.py"
    assert plugins.source(package).parts[-2:] == ("metrics", "__init__.py")
    assert plugins.source("a_package").parts[-2:] == ("a_package", "__init__.py")


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no package named 'no_such_package'"):
        plugins.names("no_such_package.metrics")
