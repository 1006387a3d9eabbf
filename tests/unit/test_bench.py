"""The benchmark's own working, on rows that take no time."""

import csv
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import figure, gpu, memory, run, shapes, table, worker, workflow
from bench.floor import Machine, floor
from bench.measure import Measured, Row, Side, Yardstick, installed, measured, peak_memory, selected
from bench.rows import spectra


def row(**changes: Any) -> Row:
    given: dict[str, Any] = {
        "work": "sum", "shape": "3", "ours": lambda: None, "other": lambda: None,
        "alternative": "loop", "flops": 4e9, "bytes": 1e9, "target": 2.0, "note": "a note",
    }  # fmt: skip
    return Row(**{**given, **changes})


def clockwork(seconds: dict[str, list[float]]) -> tuple[dict[str, Callable[[], None]], Any]:
    """Runs that take the given seconds, one after another, of a clock that stands otherwise."""
    time = [0.0]

    def runner(name: str) -> Callable[[], None]:
        def go() -> None:
            order.append(name)
            time[0] += seconds[name].pop(0)

        return go

    order: list[str] = []
    runs = {name: runner(name) for name in seconds}
    return runs, (order, lambda: time[0])


def test_sides_take_turns_and_the_median_counts() -> None:
    runs, (order, now) = clockwork(
        {
            "ours": [9, 1, 5, 2],
            "other": [9, 10, 30, 20],
            "stick": [9, *(8, 2, 8, 8, 8), *(8, 8, 8, 8, 4), *(3, 8, 8, 8, 8)],
        }
    )
    stick = Yardstick(runs["stick"], 6.0)
    asked = row(ours=runs["ours"], other=runs["other"])
    found = measured(asked, (stick,), now, repetitions=3, budget=1e6)
    sides = ["ours", "other"]  # the first of each is not timed
    assert order == [*sides, "stick", *(3 * [*sides, *(5 * ["stick"])])]
    assert found.other is not None
    assert (found.ours.seconds, found.other.seconds, found.rates) == (2, 20, (2.0,))
    assert found.repetitions == 3


def test_a_part_of_the_alternative_counts_as_often_as_there_are_such_parts() -> None:
    runs, (_, now) = clockwork({"ours": [9, 2], "other": [9, 3]})
    asked = row(ours=runs["ours"], other=runs["other"], times=34.0)
    found = measured(asked, (), now, repetitions=1, budget=1e6)
    assert found.other is not None and found.other.seconds == 3 * 34


def test_eigenvalue_problems_count_in_the_floor_as_long_as_a_library_takes() -> None:
    runs, (_, now) = clockwork({"ours": [9, 8], "solve": [9, 1]})
    asked = row(ours=runs["ours"], other=None, solve=runs["solve"], solve_flops=1e9)
    found = measured(asked, (), now, repetitions=1, budget=1e6)
    record = worker.record(asked, replace(found, rates=(1e9, 1e9)), 1)
    assert (record["floor_s"], record["times_floor"]) == (4.0, 2.0)
    assert (record["solved_floor_s"], record["times_solved_floor"]) == (3.0 + 1.0, 2.0)
    without = worker.record(asked, replace(found, rates=(1e9, 1e9), solve=math.nan), 1)
    assert math.isnan(float(str(without["times_solved_floor"])))


def test_the_eigenvalue_problems_are_those_of_the_stage() -> None:
    source = spectra.checkpoint(64, 4, layers=2)
    found = [np.asarray(x) for x in spectra.solve(source, 2, threads=1)()]
    ours, _ = spectra.component_spectra(source, spectra.COMPONENTS)
    for layer in range(2):
        heads, whole, mlp = found[layer], *found[2 + 2 * layer : 4 + 2 * layer]
        np.testing.assert_allclose(heads, ours["attention_ov_heads"][layer], rtol=1e-6)
        np.testing.assert_allclose(np.sqrt(mlp)[::-1], ours["mlp_out"][layer], rtol=1e-6)
        squares = ours["attention_ov"][layer][:32] ** 2
        np.testing.assert_allclose(whole[::-1][:32], squares, rtol=1e-6)


def test_three_rounds_are_made_however_small_the_budget() -> None:
    found = measured(row(other=None), (), lambda: 0.0, repetitions=5, budget=0.0)
    assert found.repetitions == 3 and found.other is None


def test_peak_memory_is_that_of_the_run_above_its_inputs() -> None:
    inputs = np.ones(2**22)  # 32 MiB that do not count
    assert 60 <= peak_memory(lambda: [inputs + i for i in range(2)]) < 80
    assert peak_memory(lambda: None) < 5


def test_the_floor_is_the_larger_of_arithmetic_and_bandwidth() -> None:
    assert floor(100, 10, (50, 10)) == 2
    assert floor(100, 100, (50, 10)) == 10


def test_the_machines_rates_are_plausible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.floor.SIZE", 64)
    monkeypatch.setattr("bench.floor.COPIED", 2**16)
    machine = Machine()
    for precision in ("float32", "float64", "bfloat16"):
        product, copy = machine.yardsticks(precision)
        product.run()
        copy.run()
        assert (product.amount, copy.amount) == (2 * 64**3, 2**17)
        assert machine.yardsticks(precision)[0] is product  # chosen once


def records() -> list[dict[str, object]]:
    found = Measured(Side(2.0, 30.0), Side(6.0, 90.0), (4e9, 2e9), 5)
    first = worker.record(row(), found, 1)
    alone = Measured(Side(3.0, math.nan), None, (8e9, 2e9), 5)
    second = worker.record(row(shape="4", other=None, target=None, note=""), alone, 2)
    return [first, second]


def test_a_record_is_in_times_of_ours_and_of_the_floor() -> None:
    first, second = records()
    assert (first["ratio"], first["floor_s"], first["times_floor"]) == (3.0, 1.0, 2.0)
    assert first["rate_share"] == 0.5
    assert (second["other_s"], second["ratio"], second["floor_s"]) == (None, None, 0.5)


def test_the_table_is_printed_written_and_drawn(tmp_path: Path) -> None:
    text = table.text(records())
    assert "sum, 3: a note" in text and "float64, 1 thread: 4 Gflop/s, 2.0 GB/s" in text
    assert "nan" not in text and "None" not in text
    table.write(records(), tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        first, second = csv.DictReader(file)
    assert (float(first["ratio"]), second["ratio"], second["ours_mib"]) == (3.0, "", "")
    figure.draw(records(), "a machine", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_rows_are_chosen_by_their_text() -> None:
    rows = [row(), row(work="product")]
    assert [r.work for r in selected(iter(rows), "prod")] == ["product"]
    assert len(list(selected(iter(rows), ""))) == 2


def test_large_rows_come_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        @staticmethod
        def rows(threads: int) -> Iterator[Row]:
            yield row(shape=f"{threads}")

        @staticmethod
        def large_rows(threads: int) -> Iterator[Row]:
            yield row(shape="large")

    monkeypatch.setattr("importlib.import_module", lambda name: Module)
    assert [r.shape for r in worker.rows(["any"], 2, False, "")] == ["2"]
    assert [r.shape for r in worker.rows(["any"], 2, True, "")] == ["2", "large"]


def test_what_is_not_installed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert installed("numpy")
    assert not installed("no_such_package")
    assert "left out: no_such_package is not installed" in capsys.readouterr().err


def test_lines_of_a_worker_are_records(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    def done(command: list[str], env: dict[str, str], **_: object) -> Any:
        assert env["OMP_NUM_THREADS"] == env["OPENBLAS_NUM_THREADS"] == "2"
        assert command[3:] == ["spectra", "--threads", "2", "--only", "x"]
        lines = "".join(json.dumps(record) + "\n" for record in ({"a": 1}, {"a": 2}))
        return subprocess.CompletedProcess(command, 0, stdout=lines)

    monkeypatch.setattr(subprocess, "run", done)
    assert run.measured(2, ["spectra"], ["--only", "x"]) == [{"a": 1}, {"a": 2}]


def test_operations_of_a_forward_pass() -> None:
    settings = shapes.config("70m", layers=2)
    d, length = 512, 100
    products = 12 * d * d * length + length * length * d
    assert shapes.forward_flops(settings, 3, length) == 2 * 3 * 2 * products
    last = 1 * 9 * d * d
    assert shapes.forward_flops(settings, 3, length, probed=1) == 2 * 3 * (products + last)


def test_a_studys_time_is_divided_without_rest(tmp_path: Path) -> None:
    for product, wall, done in (("figures/drift", 3.0, 1.5), ("spectra/m/step0", 2.0, 1.9)):
        for folder, suffix, text in (
            ("benchmarks", ".tsv", f"s\th:m:s\n{wall}\t0:00:03\n"),
            ("logs", ".log", f"12:00:00 INFO kept\n12:00:00 INFO done in {done} s\n"),
        ):
            file = (tmp_path / folder / product).with_suffix(suffix)
            file.parent.mkdir(parents=True)
            file.write_text(text)
    (tmp_path / "benchmarks/broken.tsv").write_text("s\n1.0\n")  # a job that did not end
    done = workflow.jobs(tmp_path)
    assert [(job.script, job.wall, job.compute) for job in done] == [
        ("figure", 3.0, 1.5),
        ("spectra", 2.0, 1.9),
    ]
    stages = workflow.by_stage(done, {"figure": 1.0, "spectra": 0.5}, {})
    assert stages.loc["figures", ["imports", "start"]].tolist() == [1.0, 0.5]
    assert stages.loc["spectra", "imports"] == pytest.approx(0.1)  # the job took no more
    text = workflow.told(stages, wall=4.0, cores=2)
    assert "compute and imports: 4 s (3 and 1)" in text
    assert "in all 1.78 times" in text


def test_imports_that_jobs_make_as_they_go_are_no_compute() -> None:
    done = [workflow.Job("spectra", "spectra", 3.0, 2.0), workflow.Job("other", "", 1.0, 1.0)]
    records = [{"script": "spectra", "wall": wall, "snakemake": 0.5} for wall in (1.7, 1.9)]
    later = workflow.later_seconds(records, heads := {"spectra": 0.8, "": 0.0})
    assert later == {"spectra": pytest.approx(0.5)}
    stages = workflow.by_stage(done, heads, later)
    spectra = stages.loc["spectra", ["compute", "imports", "start"]]
    assert spectra.tolist() == pytest.approx([1.5, 1.3, 0.2])
    assert stages.loc["other", "compute"] == 1.0


def test_the_script_of_a_product_is_known() -> None:
    products = {
        "training/d32/manifest": "train",
        "tables/loss": "table",
        "tables/summary": "summary",
        "corpus/tokens": "corpus",
        "activations/m/step3": "activations",
        "reference/m": "reference_distribution",
        "other/x": "",
    }
    assert {p: workflow.script_of(Path(p)) for p in products} == products


@pytest.mark.parametrize("name", memory.STAGES)
def test_a_stage_must_hold_its_weights_or_what_it_reads(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "SEQUENCES", 2)
    monkeypatch.setattr(memory, "ROWS", 60)
    settings = gpu.tiny()
    memory.save(settings, tmp_path)
    weights = 4 * sum(p.numel() for p in shapes.model(settings).parameters())
    probed = 2 * 2 * 4 * (64 + 64 + 64)  # layers, sequences: OV, its heads, MLP
    layer = 2 * 60 * 64 * 4  # layers, rows
    expected = {
        "activations": weights + probed,
        "held-out loss": weights + probed + 2 * 8,
        "reference": weights + 2 * 8 * 256 * 4,  # logits
        "divergence": weights + 2 * 2 * 8 * 8,  # both directions
        "gradients": weights + 2 * 2 * 4 * 8 * 64 * 64,
        "spectra": weights,
        "convergence": 2 * 3 * layer,
        "representation": 3 * layer,
        "trajectory": memory.STEPS * 2 * layer,
    }
    found = memory.STAGES[name](tmp_path)
    if name == "gradients":  # and what torch keeps of the first pass: the MLP's inner values alone
        assert found >= expected[name] + 2 * memory.LENGTH * 4 * 64 * 4
    else:
        assert found == pytest.approx(expected[name])
