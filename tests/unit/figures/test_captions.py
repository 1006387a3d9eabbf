"""Captions: rendered as the report does, short, and each fact in one of them."""

import re
from collections import defaultdict
from collections.abc import Mapping
from html import unescape
from typing import Any

import pytest
from fabricated import CAPTIONS, CONFIG, _render

TRAINED: dict[str, Any] = {**CONFIG}
HUB: dict[str, Any] = {
    **TRAINED,
    "corpus": {"source": "hub", "dataset": "org/rows", "batch": {"step": 9}, "sequences": 512},
    "note": "",
    "reference": 1000,
    "similarity": ["cka"],
    "models": TRAINED["models"][1:],
}
REPLICATION = {
    **HUB,
    "definitions": ["correct", "published"],
    "models": [{"name": "p_", "source": "hub", "repository": "org/p", "published_as": "70M"}],
}
SEEDED: dict[str, Any] = {
    **TRAINED,
    "models": [
        {
            "name": f"d{d}-s{s}",
            "source": "trained",
            "group": f"d{d}",
            "recipe": {"d_model": d, "layers": 2, "learning_rate": 0.32 / d},
        }
        for d in (32, 64)
        for s in range(7)
    ],
}
EVERYTHING = {
    **SEEDED,
    "components": ["attention_ov", "mlp_out", "qk", "residual", "embedding"],
    "definitions": ["correct", "published"],
    "divergence": {"positions": [7, -1]},
    "evaluations": ["scores.csv"],
    "extraction": {"position": [15, -1]},
    "representation": ["anisotropy"],
    "sample_sizes": [128, 512],
    "trajectory": ["drift", "checkpoint_map", "layer_map", "subspace_overlap"],
}
LITTLE = {
    **HUB,
    "divergence": {"positions": "all"},
    "gradients": {**TRAINED["gradients"], "batches": "held_out"},
    "held_out_loss": {"sequences": 0},
    "spectrum": ["stable_rank"],
    "trajectory": [],
}
STUDIES: dict[str, Mapping[str, Any]] = {
    "trained": TRAINED,
    "hub": HUB,
    "replication": REPLICATION,
    "seeds": SEEDED,
    "everything": EVERYTHING,
    "little": LITTLE,
}
DEMONSTRATION = "demonstration of the instrument"
SEEN, NOT_TO_CONCLUDE = 35, 30  # words
OWN = 12  # words; a longer sentence stands in one caption

every_study = pytest.mark.parametrize("study", STUDIES)
every_caption = pytest.mark.parametrize("caption", sorted(p.name for p in CAPTIONS.glob("*.rst")))


def _paragraphs(caption: str, config: Mapping[str, Any]) -> list[str]:
    """The text of every paragraph and list item of a caption, without its markup."""
    page, _ = _render(CAPTIONS / caption, config)
    blocks = re.split(r"</(?:p|li|h\d)>", page.split("<main", 1)[1].split(">", 1)[1])
    plain = (" ".join(unescape(re.sub(r"<[^>]+>", "", block)).split()) for block in blocks)
    return [text for text in plain if text]


@every_study
@every_caption
def test_captions_render_without_warnings(caption: str, study: str) -> None:
    _, warnings = _render(CAPTIONS / caption, STUDIES[study])
    assert warnings == ""
    text = " ".join(_paragraphs(caption, STUDIES[study]))
    assert not [markup for markup in ("{{", "{%", "**", "``", "  ") if markup in text]


@every_study
@every_caption
def test_captions_say_first_what_is_seen_and_then_what_not_to_conclude(
    caption: str, study: str
) -> None:
    seen, limits, *_ = _paragraphs(caption, STUDIES[study])
    label, _, conclusion = limits.partition(". ")
    assert label == "Not to conclude"
    assert 5 <= len(seen.split()) <= SEEN, seen
    assert 5 <= len(conclusion.split()) <= NOT_TO_CONCLUDE, conclusion


@every_caption
def test_a_tag_at_the_end_of_a_line_does_not_join_paragraphs(caption: str) -> None:
    """Snakemake's Jinja drops the line break after a tag, and with it one of two."""
    lines = (CAPTIONS / caption).read_text("utf-8").splitlines()
    for line, blank, after in zip(lines, lines[1:], lines[2:], strict=False):
        joined = line.endswith("%}") and not blank and after and not after.startswith("{%")
        assert not (joined and re.sub(r"\{%.*?%\}", "", line)), line


@every_study
def test_a_long_sentence_stands_in_one_caption(study: str) -> None:
    homes: dict[str, set[str]] = defaultdict(set)
    for caption in sorted(p.name for p in CAPTIONS.glob("*.rst")):
        for paragraph in _paragraphs(caption, STUDIES[study]):
            for sentence in re.split(r"(?<=[.!?:;])\s+", paragraph):
                homes[sentence.casefold()].add(caption)
    shared = {s: names for s, names in homes.items() if len(names) > 1 and len(s.split()) > OWN}
    assert not shared


@every_caption
def test_captions_refer_to_tables_that_have_one(caption: str) -> None:
    text = (CAPTIONS / caption).read_text("utf-8")
    for names in re.findall(r"[Tt]ables? ((?:``\w+``(?:, | and )?)+)", text):
        for name in re.findall(r"\w+", names.replace(" and ", " ")):
            assert (CAPTIONS / f"table_{name}.rst").exists(), name


@pytest.mark.parametrize("caption", ["training_loss.rst", "table_loss.rst"])
def test_captions_of_the_loss_name_its_own_sequences(caption: str) -> None:
    page, _ = _render(CAPTIONS / caption, TRAINED)
    assert "96 sequences" in page and "512" not in page


def test_captions_name_the_reference_step() -> None:
    last, other = (_render(CAPTIONS / "cka_by_step.rst", c)[0] for c in (TRAINED, HUB))
    assert "the reference step (the last)" in last
    assert "the reference step (step 1000)" in other


def test_batches_of_models_whose_data_has_no_known_order_are_held_out() -> None:
    mixed, hub, trained = (
        " ".join(_paragraphs("table_gradients.rst", config)) for config in (TRAINED, HUB, SEEDED)
    )
    assert "Batches of the models trained here are the training batches" in mixed
    assert "Those of other models are fixed" in mixed
    assert "Batches are fixed" in hub and "training batches of the steps" not in hub
    assert "Batches are the training batches" in trained and "fixed" not in trained


def test_front_page_says_what_a_trained_suite_is_worth() -> None:
    trained, _ = _render(CAPTIONS / "workflow.rst", TRAINED)
    hub, _ = _render(CAPTIONS / "workflow.rst", HUB)
    assert DEMONSTRATION in " ".join(trained.split())
    assert DEMONSTRATION not in hub
    assert "Second paragraph" in trained and "neox-d32" in trained


def test_front_page_says_whether_size_and_learning_rate_can_be_told_apart() -> None:
    page = " ".join(_render(CAPTIONS / "workflow.rst", SEEDED)[0].split())
    assert "cannot be told apart" in page and "draw the first model of every group alone" in page
    models = [{**m, "recipe": {**m["recipe"]}} for m in SEEDED["models"]]
    models[0]["recipe"]["learning_rate"] = 0.005
    page = " ".join(_render(CAPTIONS / "workflow.rst", {**SEEDED, "models": models})[0].split())
    assert "cannot be told apart" not in page and "at several learning rates" in page
    page, _ = _render(CAPTIONS / "workflow.rst", TRAINED)
    assert "first model of every group" not in page and "other seeds" in page
