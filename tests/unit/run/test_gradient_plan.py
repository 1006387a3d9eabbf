"""What a study that asks for gradients consists of, and what it may not ask for."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from configs import config, problems

from tending.core import paths
from tending.run import config as study
from tending.run.plan import Plan

FIGURES = {"six_panels", "gradient_norm", "gradient_cosine"}
DATA = {"dataset": "org/pile", "column": "ids"}


def job(**wildcards: Any) -> SimpleNamespace:
    return SimpleNamespace(**wildcards)


def asking(**gradients: Any) -> dict[str, Any]:
    return config(lambda made: made.update(gradients=gradients))


def local(folder: Path, **model: Any) -> dict[str, Any]:
    """A model in folders, at steps 0 and 10."""
    for step in (0, 10):
        (folder / f"step{step}").mkdir(exist_ok=True)
        text = '{"model_type": "gpt_neox", "max_position_embeddings": 16}'
        (folder / f"step{step}/config.json").write_text(text)
    path = f"{folder}/step{{step}}"
    return {"name": "mine", "source": "local", "path": path, "steps": [0, 10], **model}


def of_folders(folder: Path, model: dict[str, Any] | None = None, **gradients: Any) -> Any:
    made = asking(**gradients)
    (folder / "text").write_text("text")
    made["corpus"] |= {"source": "text", "path": str(folder / "text")}
    made["models"] = [local(folder, **(model or {}))]
    return made


def test_without_the_key_there_is_nothing() -> None:
    planned = Plan(config())
    assert not planned.gradients.asked and planned.gradients.files() == []
    assert "gradients" not in planned.tables() and not FIGURES & set(planned.figures())
    assert planned.weight_patterns() == list(paths.WEIGHT_PRODUCTS)


def test_with_it_there_are_files_a_table_and_figures() -> None:
    planned = Plan(asking())
    assert planned.gradients.files() == planned.per_checkpoint(paths.GRADIENTS)
    assert "gradients" in planned.tables() and set(planned.figures()) >= FIGURES
    assert planned.weight_patterns() == [*paths.WEIGHT_PRODUCTS, paths.GRADIENTS]


def test_models_of_one_data_order_share_its_batches() -> None:
    made = asking()
    made["models"].append({**made["models"][0], "name": "three"})
    made["models"][2] = {**made["models"][2], "recipe": {**made["models"][0]["recipe"], "seed": 9}}
    planned = Plan(made).gradients
    files = [planned.batches(job(model=m, step="16")) for m in ("one", "two", "three")]
    assert files[0] == files[1] != files[2]
    assert len(planned.orders()) == 2
    told = json.loads(planned.request(job(order=planned.orders()[1], step="16")))
    assert told == {
        "source": "trained",
        "batch": 16,
        "sequence_length": 64,
        "seed": 9,
        "sequences": 128,
        "steps": [14, 15, 16, 17, 18],
    }


def test_a_step_that_is_added_changes_no_other_job() -> None:
    before, more = Plan(asking()), asking()
    more["steps"] = [0, 16, 32, 1024]
    after = Plan(more)
    assert set(after.gradients.files()) > set(before.gradients.files())
    (order,) = after.gradients.orders()
    assert before.gradients.orders() == [order]
    for step in ("0", "16", "1024"):
        asked = job(order=order, step=step)
        assert after.gradients.request(asked) == before.gradients.request(asked)
    last = json.loads(after.gradients.request(job(order=order, step="1024")))
    assert last["steps"] == [1022, 1023]


def test_held_out_batches_are_of_the_studys_tokens(tmp_path: Path) -> None:
    planned = Plan(of_folders(tmp_path)).gradients
    here = job(model="mine", step="10")
    assert planned.batches(here) == "results/small/corpus/tokens.h5"
    assert planned.parts(here) == [4, 128] and planned.orders() == []
    trained = Plan(asking(batches="held_out", held_out_batches=2)).gradients
    assert trained.parts(job(model="one", step="0")) == [2, 128]


def test_a_dataset_gives_models_in_folders_their_batches(tmp_path: Path) -> None:
    made = of_folders(tmp_path, {"training_steps": 11}, data={**DATA, "rows_per_step": 4})
    study.check(made)
    planned = Plan(made).gradients
    (order,) = planned.orders()
    batches = planned.batches(job(model="mine", step="10"))
    assert batches == f"results/small/batches/{order}/step10.h5"
    assert planned.source(job(order=order)) == "results/small/batches/revision.json"
    assert planned.revision(job()) == ["org/pile", "main"]
    told = json.loads(planned.request(job(order=order, step="10")))
    assert told["steps"] == [8, 9, 10] and told["sequences"] == told["rows_per_step"] == 4


def test_six_panels_need_a_component_with_all_three() -> None:
    assert "six_panels" not in Plan(asking(components=["attention_value"])).figures()
    assert "six_panels" in Plan(asking(components=["mlp_out"])).figures()


def test_cosines_need_two_batches_of_a_checkpoint() -> None:
    alone: list[dict[str, Any]] = [
        {"batches": "held_out", "held_out_batches": 1},
        {"window": 0},
    ]
    for gradients in alone:
        made = asking(**gradients)
        made["models"] = [model | {"steps": [0, 16]} for model in made["models"]]
        figures = Plan(made).figures()
        assert "gradient_cosine" not in figures and "gradient_norm" in figures
    assert "gradient_cosine" in Plan(asking(batches="held_out", held_out_batches=2)).figures()
    assert "gradient_cosine" in Plan(asking(window=1)).figures()


def test_pieces_that_change_no_number_are_no_params() -> None:
    """A smaller micro-batch computes nothing again."""
    one, other = Plan(asking()).gradients, Plan(asking(micro_batch=1, checkpointing=True)).gradients
    here, order = job(model="one", step="16"), job(order=one.orders()[0], step="16")
    assert one.components(here) == other.components(here)
    assert one.request(order) == other.request(order)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"components": ["nonsense"]}, "gradients: components: unknown component 'nonsense'"),
    ({"components": ["residual"]}, "residual has no gradients; those that do are attention_o"),
    ({"data": DATA}, "`data` means nothing for models that the workflow trains"),
    ({"window": 0}, r"one: no training batch is within 0 of step 1024, the last is that of step"),
    ({"batches": "held_out", "held_out_batches": 129}, "128 sequences cannot be divided into 129"),
]


@pytest.mark.parametrize(("gradients", "message"), WRONG)
def test_what_cannot_be_done_is_said_with_the_remedy(
    gradients: dict[str, Any], message: str
) -> None:
    assert message in "\n".join(problems(asking(**gradients)))


def test_training_batches_of_an_unknown_order_are_refused(tmp_path: Path) -> None:
    (text,) = problems(of_folders(tmp_path, batches="training"))
    assert text == (
        "gradients: mine: the order of its training data is not known; name a dataset whose rows "
        "are in that order in `gradients.data`, or set `gradients.batches` to held_out"
    )
    study.check(of_folders(tmp_path))  # auto takes held-out ones
    (text,) = problems(of_folders(tmp_path, data=DATA))
    assert "where its training data end is not known; give it `training_steps`" in text
    (text,) = problems(of_folders(tmp_path, batches="held_out", data=DATA))
    assert "`data` means nothing with `batches: held_out`" in text
    both = {**DATA, "step_column": "step", "rows_per_step": 3}
    (text,) = problems(of_folders(tmp_path, {"training_steps": 11}, data=both))
    assert "`rows_per_step` means nothing where `step_column` says the step" in text
