"""The project's own rules: formatting, types, lint, pins, layout."""

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import validate

from tending import tables
from tending.core import paths, plugins
from tending.run.config import FIGURES
from tending.run.plan import Plan
from tending.run.resources import Needs
from tending.study import metric_components

REVISIONS = ("--snakefile", "rules/revisions.smk", "--config", "study=any")
TABLES = tables.names()
REPOSITORY = Path(__file__).parents[1]
LIBRARY = REPOSITORY / "workflow/tending"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))


def run(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("snakefmt", "--check", "Snakefile", "rules"),
        ("mypy",),
        ("snakemake", "--lint", "--workflow-profile", "none"),
        ("snakemake", "--lint", "--workflow-profile", "none", *REVISIONS),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_code_is_clean(command: tuple[str, ...]) -> None:
    run(*command)


def pins() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normal(name): version for name, version in pairs}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned_within_its_range() -> None:
    from packaging.requirements import Requirement

    project = PROJECT["project"]
    pinned = pins()
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for line in project["dependencies"] + extras:
        requirement = Requirement(line)
        version = pinned[normal(requirement.name)]
        assert requirement.specifier.contains(version), f"{line} but pinned to {version}"


def test_the_conda_environment_has_the_pinned_dependencies() -> None:
    from packaging.requirements import Requirement

    environment = yaml.safe_load((REPOSITORY / "envs/tending.yaml").read_text("utf-8"))
    packages = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    wanted = [normal(Requirement(line).name) for line in PROJECT["project"]["dependencies"]]
    assert packages == [f"{name}=={pins()[name]}" for name in sorted(wanted)]


def test_every_rule_has_a_log_a_benchmark_and_a_script_of_its_name() -> None:
    text = "".join(p.read_text("utf-8") for p in (REPOSITORY / "rules").glob("*.smk"))
    rules = re.split(r"^ *rule(?: +\w+)?:", text, flags=re.MULTILINE)[1:]
    names = re.findall(r"^rule (\w+):", text, flags=re.MULTILINE)
    scripts = {p.stem for p in (REPOSITORY / "workflow/scripts").glob("*.py")}
    assert scripts == {*names, "figure", "table"}
    for rule in rules:
        for part in ("log:", "benchmark:", "conda:", "message:", "script:"):
            assert part in rule


def profile(name: str) -> dict[str, Any]:
    path = REPOSITORY / "profiles" / name / "config.yaml"
    return dict(yaml.safe_load(path.read_text("utf-8")))


def test_on_a_cluster_all_tables_and_figures_are_grouped() -> None:
    text = "".join(p.read_text("utf-8") for p in (REPOSITORY / "rules").glob("*.smk"))
    made = set(re.findall(r"^rule (summary|verification):", text, re.MULTILINE))
    made |= {f"{name}_table" for name in TABLES}
    figures = {f"figure_{name}" for name in plugins.names(FIGURES)}
    groups = profile("slurm")["groups"]
    of_models = {"checkpoint", "convergence", "representation", "between"}
    assert set(groups) == made | figures | of_models
    sizes = dict(line.split("=") for line in profile("slurm")["group-components"])
    assert set(sizes) == set(groups.values())


def test_on_a_cluster_what_takes_a_gpu_goes_where_gpus_are_and_alone() -> None:
    """A group would ask for as many GPUs as it has jobs, and may wait for them for ever."""
    text = "".join(p.read_text("utf-8") for p in (REPOSITORY / "rules").glob("*.smk"))
    rules = re.split(r"^rule (\w+):", text, flags=re.MULTILINE)
    on_gpu = {name for name, body in zip(rules[1::2], rules[2::2], strict=True) if "gpu=" in body}
    placed = profile("slurm")["set-resources"]
    assert {n for n, asked in placed.items() if asked["slurm_partition"] == "gpu"} == on_gpu
    assert not on_gpu & set(profile("slurm")["groups"])


def test_on_a_cluster_a_study_is_run_by_the_same_rules_as_elsewhere() -> None:
    here, there = profile("default"), profile("slurm")
    local = {"cores", "resources"}  # of one machine
    assert {key: there.get(key) for key in here if key not in local} == {
        key: value for key, value in here.items() if key not in local
    }


def test_every_rule_asks_for_memory_and_time() -> None:
    files = [p for p in (REPOSITORY / "rules").glob("*.smk") if p.name != "revisions.smk"]
    text = "".join(p.read_text("utf-8") for p in files)
    rules = re.split(r"^ *rule(?: +\w+)?:", text, flags=re.MULTILINE)[1:]
    for rule in rules:
        kinds = re.findall(r"(?:mem_mb|runtime)=plan\.needs\.\w+\(\"(\w+)\"\)", rule)
        assert len(kinds) == 2 and kinds[0] == kinds[1], rule
        assert hasattr(Needs, kinds[0]), kinds[0]


def test_every_figure_and_table_has_a_caption() -> None:
    captions = {p.stem for p in (REPOSITORY / "workflow/report").glob("*.rst")}
    tables = {f"table_{name}" for name in TABLES}
    assert captions == {*plugins.names(FIGURES), *tables, "summary", "workflow"}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_what_it_declares_and_stands_wherever_it_must(name: str) -> None:
    declared = tables.declared(name)
    made = inspect.signature(plugins.load(tables.PACKAGE, name, "table").table)
    read = ["tables"] if declared.tables or declared.optional else []
    assert set(made.parameters) == {*declared.files, *read, *declared.settings}
    plan = Plan(default())
    assert set(declared.files) <= set(plan.products()), "StudyFiles.products"
    assert set(declared.settings) <= set(plan.settings_of_tables()), "Plan.settings_of_tables"
    assert declared.asked in {"", *plan.conditions()}, "StudyFiles.conditions"
    assert {*declared.tables, *declared.optional} <= set(TABLES)
    page = (REPOSITORY / "docs/tables.md").read_text("utf-8")
    assert f"`{name}`" in page, f"docs/tables.md says nothing of the table {name}"
    assert f"{name}_table" in profile("slurm")["groups"], "profiles/slurm/config.yaml: groups"


@pytest.mark.parametrize("name", plugins.names("tending.components"))
def test_a_component_is_defined_in_the_docs(name: str) -> None:
    page = (REPOSITORY / "docs/definitions.md").read_text("utf-8")
    assert f"`{name}`" in page, f"docs/definitions.md says nothing of the component {name}"


def test_every_file_that_the_guide_names_exists() -> None:
    """docs/extending.md answers where things are; capitals stand for names to be chosen."""
    page = (REPOSITORY / "docs/extending.md").read_text("utf-8")
    named = set(re.findall(r"`([\w./-]+\.(?:py|yaml|md|csv|rst|smk))`", page))
    named = {n for n in named if not re.search(r"[A-Z]{4}|\*", n)}
    own = {str(p.relative_to(LIBRARY)) for p in LIBRARY.rglob("*") if p.is_file()}
    missing = {n for n in named if n not in own and not (REPOSITORY / n).exists()}
    assert len(named) > 30
    assert missing == {"attention_ov.py", "notebook.py", "__main__.py"} - own


def default() -> dict[str, Any]:
    """The default study with its defaults filled in."""
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text("utf-8"))
    validate(config, str(REPOSITORY / "workflow/schemas/config.schema.yaml"))
    metric_components.normalise(config)
    return dict(config)


def test_the_schema_describes_every_key() -> None:
    def undescribed(node: object, path: str) -> list[str]:
        if not isinstance(node, dict):
            return []
        missing = []
        for name, child in node.get("properties", {}).items():
            if "description" not in child:
                missing.append(f"{path}.{name}")
            missing += undescribed(child, f"{path}.{name}")
        return missing + undescribed(node.get("items"), f"{path}[]")

    path = REPOSITORY / "workflow/schemas/config.schema.yaml"
    assert undescribed(yaml.safe_load(path.read_text("utf-8")), "") == []


def test_every_path_is_below_the_study() -> None:
    patterns = {k: v for k, v in vars(paths).items() if k.isupper() and isinstance(v, str)}
    assert all(pattern.startswith(paths.STUDY) for pattern in patterns.values())
    assert len(set(patterns.values())) == len(patterns)


def test_the_citation_names_the_packages_version_and_licence() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    project = PROJECT["project"]
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert citation["authors"] == project["authors"]


def test_every_page_of_the_documentation_is_in_its_contents() -> None:
    docs = REPOSITORY / "docs"
    contents = re.findall(r"^[\w/-]+$", (docs / "index.md").read_text("utf-8"), re.MULTILINE)
    pages = {page.stem for page in docs.glob("*.md")} - {"index"}
    assert set(contents) == {*pages, "decisions/index", "api/index"}
