"""What a run would fetch, keep and take, from what it would make."""

from pathlib import Path
from typing import Any

import pytest

from tending.hub import pins
from tending.hub.pins import File, Pins, Revision
from tending.run import forecast

SHAPES = {
    "model_type": "gpt_neox",
    "hidden_size": 8,
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "intermediate_size": 32,
    "vocab_size": 100,
    "max_position_embeddings": 64,
}
MODEL: dict[str, Any] = {"name": "m", "source": "hub", "repository": "org/m"}
CONFIG: dict[str, Any] = {
    "study": "s",
    "models": [MODEL],
    "corpus": {"sequences": 10},
    "held_out_loss": {"sequences": 0},
    "extraction": {"position": "last"},
    "definitions": ["correct"],
    "divergence": {"positions": 4},
    "keep_checkpoints": False,
}
FILES = [
    "results/s/checkpoints/m/step0.json",
    "results/s/checkpoints/m/step8.json",
    "results/s/activations/m/step0.h5",
    "results/s/activations/m/step8.h5",
    "results/s/reference/m.h5",
    "results/s/convergence/m/step4.h5",
    "results/s/tables/loss.csv",
    "results/s/tables/loss.parquet",
    "results/s/report.html",
]


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study of which three steps are pinned; a step's weights are 1 GB more than the last's."""
    monkeypatch.chdir(tmp_path)
    files = {
        s: {"model.safetensors": File(10**9 * (s + 1), "a"), "pytorch_model.bin": File(7, "b")}
        for s in (0, 4, 8)
    }
    revisions = {s: Revision(f"step{s}", f"{s:040x}", own) for s, own in files.items()}
    existing = {s: f"step{s}" for s in revisions}
    known = Pins("org/m", pins.naming(MODEL), existing, SHAPES, revisions)
    pins.write({"m": known}, Path("results/s/revisions.json"))


def said(files: list[str] = FILES, live: int = 2, **changes: Any) -> str:
    return "\n".join(forecast.lines({**CONFIG, **changes}, files, live))


def test_two_formats_of_a_table_are_one_job() -> None:
    jobs = forecast.to_do(FILES)
    assert len(jobs) == 8
    assert ("tables", "loss", "tables/loss") in jobs and ("report", "report", "report") in jobs
    assert ("activations", "m", "activations/m/step8") in jobs


def test_a_training_and_the_embedded_corpus_are_one_job_each() -> None:
    files = ["training/m/manifest.json", "training/m/log.csv", "corpus/embedded.h5"]
    jobs = forecast.to_do([f"results/s/{f}" for f in [*files, "corpus/tokenizer.json"]])
    assert [stage for stage, _, _ in jobs] == ["training", "corpus"]


def test_what_is_fetched_is_what_something_is_made_of() -> None:
    """Step 4's score is made of activations that are there: its weights are not needed."""
    assert forecast.downloads(CONFIG, forecast.to_do(FILES)) == {"m": [10**9, 9 * 10**9]}


def test_weights_that_are_there_are_not_fetched() -> None:
    Path("results/s/weights/m/step8").mkdir(parents=True)
    assert forecast.downloads(CONFIG, forecast.to_do(FILES)) == {"m": [10**9]}


def test_the_live_set_is_of_the_largest() -> None:
    assert forecast.largest_live({"a": [1, 5], "b": [3]}, 2) == 8
    assert forecast.largest_live({"a": [1]}, 4) == 1
    assert "Largest live set: 9.0 GB, the 1 largest" in said(live=1)
    assert "All of them are kept: 10.0 GB" in said(keep_checkpoints=True)


def test_results_are_sized_by_shapes_or_by_those_that_are_there() -> None:
    shapes = 4 * 10 * 3 * 3 * 8
    assert forecast._size(CONFIG, "activations", "m") == shapes
    assert forecast._size(CONFIG, "reference", "m") == 4 * 10 * 4 * 100
    assert forecast._size(CONFIG, "gradients", "m") is None
    there = Path("results/s/activations/m/step4.h5")
    there.parent.mkdir(parents=True)
    there.write_bytes(b"12345")
    assert forecast._size(CONFIG, "activations", "m") == 5


def test_time_is_that_of_jobs_that_ran() -> None:
    assert "No time can be estimated yet: no job of this study has run." in said()
    for step, seconds in ((0, 1800), (4, 5400)):
        file = Path(f"results/s/benchmarks/activations/m/step{step}.tsv")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\th:m:s\n{seconds}\t-\n")
    assert forecast.seconds("s", "activations", "m") == 3600
    assert "Time: 2.0 h for 2 jobs; 6 not measured yet." in said()


def test_a_finished_study() -> None:
    assert said([]) == "The study s: everything exists, a run would do nothing."


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (99, "99 s"),
        (120, "2 min"),
        (5999, "100 min"),
        (7200, "2.0 h"),
        (4e7, "11,111.1 h"),
    ],
)
def test_times_are_said_as_people_do(seconds: float, said: str) -> None:
    assert forecast.duration(seconds) == said
