"""Which scores are within their null: counted by hand."""

import numpy as np
import pytest

from tending.core import tables
from tending.core.tables import Columns, Where, layer_block
from tending.figures import Options
from tending.report.null_report import null_html, within_null
from tending.stages.convergence.score_rows import null_quantity

STEPS = (0, 8, 16, 64, 128)
OPTIONS = Options("s", ("cka",), ("entropy",), (0.9,), 0.2, 64, "last", ("small", "large"))
SCORES = {  # model -> scores of its layers at each step; the null's quantile is 0.3
    "large": [[0.1, 0.2, 0.1], [0.2, 0.3, 0.1], [0.4, 0.2, 0.5], [0.5, 0.4, 0.9], [1.0, 1.0, 1.0]],
    "small": [[0.31], [0.5], [0.6], [0.7], [1.0]],
}


def table(nulls: bool = True, **scores: list[list[float]]) -> object:
    blocks: list[Columns] = []
    for model, rows in (scores or SCORES).items():
        for step, values in zip(STEPS, rows, strict=True):
            place = Where("s", model, 2 if model == "large" else 1, step, step / 128)
            blocks.append(layer_block(place, "mlp_out", np.array(values), "cka", 64))
            null = layer_block(
                place, "mlp_out", np.full(len(values), 0.2), null_quantity("cka"), 64
            )
            blocks += [{**null, "high": np.full(len(values), 0.3)}] if nulls else []
    return tables.table(blocks)


def test_scores_at_or_below_the_quantile_are_counted_without_the_reference() -> None:
    frame = within_null(table(), OPTIONS)  # type: ignore[arg-type]
    assert frame["model"].tolist() == ["small", "large"]
    assert frame["cells"].tolist() == [4, 12] and frame["within"].tolist() == [0, 7]
    assert frame["where"].tolist() == ["", "steps 0 to 8: layers 0-2; step 16: layer 1"]


def test_many_stretches_are_cut_short() -> None:
    random = [[0.1 if i % 2 else 0.5, 0.5] for i in range(4)] + [[1.0, 1.0]]
    ragged = [[0.1, 0.5, 0.1], [0.5, 0.1, 0.1], [0.1, 0.1, 0.1], [0.5, 0.5, 0.1], [0.1, 0.5, 0.5]]
    (row,) = within_null(table(large=ragged), OPTIONS).to_dict("records")  # type: ignore[arg-type]
    assert row["cells"] == 15 and row["within"] == 9
    assert row["where"] == (
        "step 0: layers 0, 2; step 8: layers 1-2; step 16: layers 0-2; step 64: layer 2; "
        "others up to step 128"
    )
    (row,) = within_null(table(large=random), OPTIONS).to_dict("records")  # type: ignore[arg-type]
    assert row["where"] == "step 8: layer 0; step 64: layer 0"


def test_a_score_that_is_missing_is_neither() -> None:
    scores = [[0.1, np.nan], *([[0.5, np.nan]] * 3), [1.0, np.nan]]
    (row,) = within_null(table(large=scores), OPTIONS).to_dict("records")  # type: ignore[arg-type]
    assert (row["cells"], row["within"], row["where"]) == (4, 1, "step 0: layer 0")


def test_the_section_names_what_it_counts_and_is_left_out_without_nulls() -> None:
    page = null_html(table(), OPTIONS)  # type: ignore[arg-type]
    assert "<td>7 of 12</td><td>steps 0 to 8: layers 0-2; step 16: layer 1</td>" in page
    assert page.count("<tr>") == 3
    assert null_html(table(nulls=False), OPTIONS) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["<b>", "a&b"])
def test_names_are_escaped(name: str) -> None:
    assert name not in null_html(table(**{name: SCORES["small"]}), OPTIONS)  # type: ignore[arg-type]
