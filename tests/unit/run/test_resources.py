"""What jobs ask a scheduler for: it grows with what they work on, and lies above what they use."""

from types import SimpleNamespace
from typing import Any

import pytest
from studies import study

from tending.checkpoints import trained
from tending.run import resources
from tending.run.resources import Needs, Size, size_of

JOB = SimpleNamespace(model="m", group="g", order="o", step="1")
PER_MODEL = (
    *("training", "inspection", "fetching", "activations", "gradients", "divergence", "spectra"),
    *("representation", "convergence", "sample_size", "trajectory", "between"),
)
KINDS = ("small", "corpus", *PER_MODEL, "table", "figure")
PYTHIA = {
    **{"model_type": "gpt_neox", "max_position_embeddings": 2048},
    **{"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8},
    **{"intermediate_size": 2048, "vocab_size": 50304},
}
PYTHIA_12B = {
    **PYTHIA,
    **{"hidden_size": 5120, "num_hidden_layers": 36, "num_attention_heads": 40},
    **{"intermediate_size": 20480, "vocab_size": 50688},
}
RECIPE = {
    **{"d_model": 128, "layers": 4, "heads": 8, "learning_rate": 1e-3, "steps": 1024},
    **{"batch": 16, "sequence_length": 64, "save_every": 64, "seed": 0},
}


def asked(
    monkeypatch: pytest.MonkeyPatch,
    architecture: dict[str, Any] = PYTHIA,
    steps: int = 4,
    sequences: int = 128,
    **extraction: Any,
) -> Needs:
    """Of a study of one model that asks for everything."""
    recipe = {**RECIPE, "d_model": architecture["hidden_size"]}
    recipe["layers"] = architecture["num_hidden_layers"]
    monkeypatch.setattr(trained, "config", lambda *_: architecture)
    config = study(
        corpus={"source": "embedded", "sequences": sequences, "length": 64},
        models=[{"name": "m", "source": "trained", "recipe": recipe, "group": "g"}],
        extraction={"device": "cpu", "dtype": "float32", "batch_size": 64, "position": "last"}
        | extraction,
        components=["attention_ov", "mlp_out"],
        gradients={"window": 2, "held_out_batches": 4, "sequences": 128},
        divergence={"sequences": 128, "positions": 8},
        sample_sizes=[16, 32],
    )
    return Needs(config, {"m": list(range(steps))})


def test_the_parameters_of_pythia_are_counted() -> None:
    """70m and 12b as their model cards say: 70,426,624 and 11,846,072,320."""
    assert size_of(PYTHIA).parameters == 70_426_624
    assert size_of(PYTHIA_12B).parameters == 11_846_072_320


@pytest.mark.parametrize("kind", KINDS)
def test_an_attempt_asks_for_more_than_the_one_before(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = asked(monkeypatch)
    for ask in (needed.memory(kind), needed.runtime(kind)):
        assert [ask(JOB, n) for n in (1, 2, 3)] == [n * ask(JOB, 1) for n in (1, 2, 3)]


@pytest.mark.parametrize("kind", PER_MODEL)
def test_a_larger_model_needs_no_less(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = asked(monkeypatch)
    few = small.memory(kind)(JOB, 1), small.runtime(kind)(JOB, 1)
    large = asked(monkeypatch, PYTHIA_12B)
    many = large.memory(kind)(JOB, 1), large.runtime(kind)(JOB, 1)
    assert many[0] >= few[0] and many[1] >= few[1] and many != few


@pytest.mark.parametrize("kind", ["convergence", "activations", "trajectory"])
def test_more_sequences_need_more(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few = asked(monkeypatch, PYTHIA_12B, sequences=64).runtime(kind)(JOB, 1)
    assert asked(monkeypatch, PYTHIA_12B, sequences=65536).runtime(kind)(JOB, 1) > few


def test_a_longer_text_needs_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    few = asked(monkeypatch, sequences=64).memory("corpus")(JOB, 1)
    assert asked(monkeypatch, sequences=65536).memory("corpus")(JOB, 1) > few


@pytest.mark.parametrize("kind", ["table", "figure", "trajectory"])
def test_more_checkpoints_need_more(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few = asked(monkeypatch, PYTHIA_12B, steps=2).memory(kind)(JOB, 1)
    assert asked(monkeypatch, PYTHIA_12B, steps=154).memory(kind)(JOB, 1) > few


def test_probing_every_position_multiplies_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    one = asked(monkeypatch).memory("convergence")(JOB, 1)
    every = asked(monkeypatch, position="all").memory("convergence")(JOB, 1)
    assert every - resources.IMPORTS["plain"] > 60 * (one - resources.IMPORTS["plain"] - 1)


def test_on_a_gpu_the_host_holds_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """12b in float32 is 45,190 MB, and half of it in bfloat16."""
    weights = 4 * size_of(PYTHIA_12B).parameters / resources.MB
    on_gpu = asked(monkeypatch, PYTHIA_12B, device="auto").memory("activations")(JOB, 1)
    assert weights < on_gpu < 2 * weights
    assert asked(monkeypatch, PYTHIA_12B).memory("activations")(JOB, 1) > on_gpu
    half = asked(monkeypatch, PYTHIA_12B, device="auto", dtype="bfloat16").memory("activations")
    assert weights / 2 < half(JOB, 1) < 0.7 * on_gpu


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("activations", 574),
        ("gradients", 553),
        ("divergence", 538),
        ("training", 597),
        ("corpus", 587),
        ("convergence", 92),
        ("spectra", 95),
        ("trajectory", 114),
        ("inspection", 47),
        ("table", 301),
        ("figure", 320),
    ],
)
def test_more_is_asked_than_tiny_models_were_seen_to_use(
    kind: str, seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """seen: the largest `max_rss` in the benchmarks of the default study, in MB. Two Snakemakes,
    of some 150 MB each, stand around every job of a cluster."""
    tiny = {**PYTHIA, "hidden_size": 128, "num_attention_heads": 8, "vocab_size": 1024}
    tiny |= {"num_hidden_layers": 4, "intermediate_size": 512}
    assert asked(monkeypatch, tiny).memory(kind)(JOB, 1) > seen + 300


def test_a_model_is_sized_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan of ten thousand jobs asks for each."""
    needed, sized = asked(monkeypatch), []

    def counted(config: Any) -> Size:
        sized.append(config)
        return size_of(config)

    monkeypatch.setattr(resources, "size_of", counted)
    for kind in KINDS:
        for _ in range(5):
            needed.memory(kind)(JOB, 1)
            needed.runtime(kind)(JOB, 1)
    assert len(sized) == 1
