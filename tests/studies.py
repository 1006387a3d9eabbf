"""Studies run for real: Snakemake in a process of its own, in a folder of its own."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

REPOSITORY = Path(__file__).parents[1]
FIGURES = ["cka_by_step", "rank_by_step"]
RECIPE = {"d_model": 8, "layers": 2, "heads": 2, "learning_rate": 0.01}
RECIPE |= {"steps": 6, "batch": 2, "sequence_length": 16, "save_every": 3}


def study(**changes: Any) -> dict[str, Any]:
    """A two-model, three-step study of the embedded corpus, with changes at its top level."""
    return {
        "study": "tiny",
        "corpus": {"source": "embedded", "sequences": 24, "length": 16},
        "models": [
            {"name": "a", "source": "trained", "recipe": RECIPE},
            {"name": "b", "source": "trained", "recipe": {**RECIPE, "layers": 1, "seed": 1}},
        ],
        "steps": [0, 2, 6],
        "extraction": {"device": "cpu"},
        "held_out_loss": {"sequences": 8},
        "figures": FIGURES,
        **changes,
    }


@dataclass
class Run:
    """One finished call of Snakemake."""

    returncode: int
    output: str
    jobs: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.jobs = Counter(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", self.output))
        del self.jobs["all"]


@dataclass
class Workplace:
    """A folder with a study in it, and the checkout that runs it."""

    folder: Path
    repository: Path = REPOSITORY
    variables: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    cores: int = 2

    @property
    def results(self) -> Path:
        return self.folder / "results" / "tiny"

    def configure(self, **changes: Any) -> "Workplace":
        (self.folder / "study.yaml").write_text(yaml.safe_dump(study(**changes), sort_keys=False))
        return self

    def command(self, *options: str) -> list[str]:
        # Targets come first: --configfile and --resources take every word that follows.
        command = [sys.executable, "-m", "snakemake", *options, "--snakefile"]
        command += [str(self.repository / "Snakefile"), "--directory", str(self.folder)]
        command += ["--configfile", str(self.folder / "study.yaml")]
        return [*command, "--cores", str(self.cores), "--resources", "gpu=1"]

    @property
    def environment(self) -> dict[str, str]:
        # The checkout's own library comes before the installed one.
        return {**self.variables, "PYTHONPATH": str(self.repository / "workflow")}

    def run(self, *options: str) -> Run:
        """Run to the end; the output is both streams."""
        done = subprocess.run(
            self.command(*options),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        return Run(done.returncode, done.stdout)

    def finish(self, *options: str) -> Run:
        """Run to the end, which must be a good one."""
        done = self.run(*options)
        assert done.returncode == 0, done.output
        return done

    def planned(self) -> Counter[str]:
        """Jobs of a dry run, by rule."""
        done = self.finish("--dry-run")
        table = re.findall(r"^(\w+) +(\d+)$", done.output, re.MULTILINE)
        return Counter({rule: int(n) for rule, n in table if rule not in ("total", "all")})

    def start(self) -> subprocess.Popen[str]:
        """Run in the background; its output goes to a file."""
        with (self.folder / "output.txt").open("a") as output:
            return subprocess.Popen(
                self.command(), env=self.environment, stdout=output, stderr=output, text=True
            )

    def copy(self, to: Path, *, with_library: bool = False) -> "Workplace":
        """The same study elsewhere, with times kept; with its own library, to change it."""
        shutil.copytree(self.folder, to, symlinks=True)
        if not with_library:
            return Workplace(to, self.repository, self.variables)
        repository = copy_repository(to.parent / f"{to.name}-repository", self.repository)
        return Workplace(to, repository, self.variables)


def copy_repository(to: Path, checkout: Path = REPOSITORY) -> Path:
    """The files of a checkout that a run needs."""
    for name in ("Snakefile", "config.yaml", "rules", "envs", "profiles", "workflow"):
        source = checkout / name
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=ignore)
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / name)
    return to


def edit(path: Path, old: str, new: str) -> None:
    """Replace some text in a file, which must hold it."""
    text = path.read_text("utf-8")
    assert text.count(old) >= 1, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new), "utf-8")


def contents(results: Path) -> dict[str, Any]:
    """Everything a study computed, by file, without what tells the time or the machine's speed."""
    skipped = {"logs", "benchmarks"}
    found: dict[str, Any] = {}
    for path in sorted(p for p in results.rglob("*") if p.is_file()):
        name = path.relative_to(results).as_posix()
        if name.split("/")[0] in skipped or path.name in ("report.html", "state.pt"):
            continue
        found[name] = _content(path)
    return found


def _content(path: Path) -> Any:
    if path.suffix == ".h5":
        return _hdf5(path)
    if path.name in ("log.csv", "training.csv"):
        rows = list(csv.DictReader(path.open()))
        return [
            {k: v for k, v in row.items() if k != "tokens_per_second"}
            for row in rows
            if row.get("quantity") != "tokens_per_second"
        ]
    if path.name == "training.parquet":
        return "as the CSV"
    if path.name == "config.json":
        return json.loads(path.read_text())
    return path.read_bytes()


def _hdf5(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def visit(name: str, node: h5py.Dataset | h5py.Group) -> None:
        if isinstance(node, h5py.Dataset):
            values = np.asarray(node[()])
            found[name] = (values.dtype.str, values.shape, values.tobytes())
        found.update({f"{name}@{k}": str(v) for k, v in node.attrs.items()})

    with h5py.File(path) as file:
        visit("", file)
        file.visititems(visit)
    return {k: v for k, v in found.items() if not k.endswith("created")}
