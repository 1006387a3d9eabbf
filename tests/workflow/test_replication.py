"""The published definitions, the comparison with the paper and `snakemake verify`, run for real.

The model here is a toy of the embedded suite whose folders are named as the paper's steps: its
numbers are far from the paper's, and only the plumbing is tested.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from studies import Run, Workplace

from tending.core import store, tables
from tending.stages.synthesis import verification

STEPS = {13000: 0, 23000: 2, 143000: 6}  # the paper's step: the toy's
Finished = tuple[Workplace, Run]
Copied = Callable[..., Workplace]


def datasets(path: Path) -> set[str]:
    found: set[str] = set()
    with h5py.File(path) as file:
        file.visit(found.add)
    return found


def checks(workplace: Workplace) -> list[verification.Check]:
    return verification.read(workplace.results / "tables/verification.parquet")


def test_nothing_is_published_unless_asked_for(finished: Finished) -> None:
    results = finished[0].results
    for path in results.rglob("*.h5"):
        assert not any("published" in name for name in datasets(path)), path
    for path in (results / "tables").glob("*.parquet"):
        assert set(tables.read(path)["definition"]) == {"correct"}, path
    names = [path.name for path in results.rglob("*")]
    assert not any("published" in name or "verif" in name for name in names)


def test_asking_for_it_measures_again_and_trains_nothing(copied: Copied) -> None:
    workplace = copied().configure(definitions=["correct", "published"])
    planned = workplace.planned()
    assert planned["activations"] == planned["spectra"] == planned["convergence"] == 6
    assert not {"train", "checkpoint", "corpus", "loss"} & set(planned)


@pytest.fixture(scope="module")
def replicated(
    finished: Finished, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workplace, Run]:
    """A study by both definitions of a toy that claims to be the paper's 70M."""
    workplace = Workplace(tmp_path_factory.mktemp("replicated"))
    suite = workplace.folder / "suite"
    for step, own in STEPS.items():
        shutil.copytree(finished[0].results / f"training/a/step{own}", suite / f"step{step}")
    tokens = store.read_arrays(finished[0].results / "corpus/tokens.h5").arrays["tokens"]
    np.save(workplace.folder / "tokens.npy", tokens)
    model = {"name": "toy", "source": "local", "path": f"{suite}/step{{step}}"}
    workplace.configure(
        models=[{**model, "published_as": "70M"}],
        corpus={"source": "tokens", "path": str(workplace.folder / "tokens.npy"), "sequences": 24},
        steps=list(STEPS),
        definitions=["correct", "published"],
        figures=["published_medians"],
    )
    return workplace, workplace.finish()


def test_both_definitions_are_in_the_files_and_tables(replicated: tuple[Workplace, Run]) -> None:
    results = replicated[0].results
    correct = {"attention_ov", "attention_ov_heads", "mlp_out"}
    extra = {"attention_ov__published", "attention_ov_heads__published", "mlp_out__published"}
    assert datasets(results / "spectra/toy/step13000.h5") == correct | extra
    found = datasets(results / "activations/toy/step13000.h5")
    assert found == correct | {"attention_ov__published", "held_out_loss"}
    values = store.read_arrays(results / "spectra/toy/step13000.h5").arrays
    assert values["attention_ov__published"].shape == values["mlp_out__published"].shape == (2, 4)
    ranks = tables.read(results / "tables/effective_rank.parquet")
    counts = ranks.groupby(["component", "definition"])["n"].agg(lambda n: sorted(set(n)))
    assert counts["mlp_out", "correct"] == [8] and counts["mlp_out", "published"] == [4]
    settled = tables.read(results / "tables/stabilisation.parquet")
    assert set(settled["definition"]) == {"correct", "published"}


def test_the_study_stands_beside_the_paper(replicated: tuple[Workplace, Run]) -> None:
    workplace, done = replicated
    assert done.jobs["published_comparison_table"] == done.jobs["figure_published_medians"] == 1
    frame = tables.read(workplace.results / "tables/published_comparison.parquet")
    assert set(frame["step"]) <= set(STEPS) and set(frame["model"]) == {"toy"}
    wide = frame.pivot_table(
        index=["step", "component"], columns=["quantity", "definition"], values="value"
    )
    published = wide["cka_published", "published"].dropna()
    assert published.to_dict() == {(13000, "mlp_out"): 0.322}
    for definition in ("correct", "published"):
        gap = wide["cka_computed", definition] - wide["cka_published", "published"]
        np.testing.assert_allclose(gap.dropna(), wide["cka_difference", definition].dropna())
    page = (workplace.results / "report.html").read_text("utf-8")
    assert "published_medians.png" in page and "published_comparison.csv" in page
    assert "System Message" not in page


def test_a_model_that_is_not_the_papers_fails(replicated: tuple[Workplace, Run]) -> None:
    workplace = replicated[0]
    done = workplace.run("verify")
    assert done.returncode == 1
    found = checks(workplace)
    failed = verification.failed(found)
    assert failed and all(c.model == "toy" and c.what.startswith("PER") for c in failed)
    assert all(c.verdict == "pass" for c in found if c.step == 0 and c.computed is not None)
    assert any("CKA on 24 sequences" in c.remark for c in found)


def test_verify_reproduces_step_0_without_the_study(tmp_path: Path) -> None:
    """In a folder with nothing in it: only the table is made, and the terminal shows it."""
    workplace = Workplace(tmp_path).configure()
    done = workplace.finish("verify")
    assert done.jobs == {"verification": 1, "verify": 1}
    shown = [
        re.findall(r"(0\.\d{4}) +(0\.\d{4}) .* pass$", line)
        for line in done.output.splitlines()
        if "attention_ov, one head, random" in line or "mlp_out, whole layer, random" in line
    ]
    pairs = [(float(a), float(b)) for ((a, b),) in shown]
    heads = [0.967, 0.979, 0.984, 0.984, 0.992]
    assert [a for a, _ in pairs] == [value for head in heads for value in (head, 0.966)]
    assert all(abs(a - b) <= 0.002 for a, b in pairs)
    assert "16 pass, 0 fail; all of it in results/tiny/tables/verification.csv" in done.output
    assert {c.verdict for c in checks(workplace)} == {"pass"}


def test_a_wrong_published_number_fails_and_keeps_the_table(copied: Copied) -> None:
    workplace: Any = copied(with_library=True)
    library = workplace.repository / "workflow/tending"
    values = library / "study/data/published_values.csv"
    text = values.read_text("utf-8")
    right = "step0,70M,0,attention_ov,head,,per_weight,correct,0.967,"
    assert right in text
    values.write_text(text.replace(right, right.replace("0.967", "0.867")), "utf-8")
    code = (library / "stages/synthesis/verification.py").read_text("utf-8")
    small = re.sub(r'\n    "(160M|410M|1.4B|2.8B)": .*', "", code)  # one size will do
    (library / "stages/synthesis/verification.py").write_text(small, "utf-8")
    done = workplace.run("verify")
    assert done.returncode == 1
    assert "3 pass, 1 fail" in done.output
    assert "1 of 4 published numbers are not reproduced: PER of attention_ov, one h" in done.output
    assert [c.published for c in verification.failed(checks(workplace))] == [0.867]
    assert (workplace.results / "tables/verification.csv").exists()
