"""Scores on the first n sequences."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tending.core import plugins, store, tables
from tending.metrics.statistics.uncertainty import estimate
from tending.stages.convergence import sample_size
from tending.stages.convergence.sample_size import score_blocks
from tending.study.row_limits import SIMILARITY

PLACE = tables.Where("small", "one", 1000, 16, 0.5)
SEQUENCES, WIDTH = 64, 12


def metric(name: str) -> Any:
    return plugins.load(SIMILARITY, name, "similarity metric").METRIC


METRICS = {name: metric(name) for name in ("cka", "cka_debiased")}


def written(path: Path, seed: int, positions: int = 1, **more: Any) -> Path:
    rng, rows = np.random.default_rng(seed), SEQUENCES * positions
    made = {
        "attention_ov": rng.normal(size=(2, rows, WIDTH)),
        "attention_ov_heads": rng.normal(size=(2, 3, rows, 4)),
        "attention_ov__published": rng.normal(size=(2, rows, WIDTH)),
        "embedding": rng.normal(size=(rows, WIDTH)),
        "held_out_loss": rng.normal(size=SEQUENCES),
        **more,
    }
    arrays = {n: a.astype(np.float32) for n, a in made.items()}
    store.write_arrays(path, arrays, {"sequences": SEQUENCES})
    return path


def blocks(
    folder: Path,
    sizes: list[int],
    warn: Any = pytest.fail,
    only: dict[str, list[str]] | None = None,
    **asked: Any,
) -> pd.DataFrame:
    one, other = written(folder / "a.h5", 0, **asked), written(folder / "b.h5", 1, **asked)
    with store.Reader(one) as here, store.Reader(other) as there:
        return tables.table(score_blocks(here, there, METRICS, sizes, PLACE, warn, only or {}))


def test_every_layer_metric_and_size_has_its_own_score_with_interval_and_null(
    tmp_path: Path,
) -> None:
    table = blocks(tmp_path, [16, 32, 64])
    assert len(table) == 3 * 2 * 3 * 3  # layers and the embedding, metrics, sizes, quantities
    with store.Reader(tmp_path / "a.h5") as here, store.Reader(tmp_path / "b.h5") as there:
        x, y = here.matrix("attention_ov", (1,))[:32], there.matrix("attention_ov", (1,))[:32]
    expected = estimate(METRICS["cka"], x, y)
    at = table[(table["component"] == "attention_ov") & (table["layer"] == 1) & (table["n"] == 32)]
    by_quantity = at.set_index("quantity")
    row = by_quantity.loc["cka"]
    assert tuple(row[["value", "low", "high"]]) == (expected.value, expected.low, expected.high)
    assert by_quantity.loc["cka_standard_error", "value"] == expected.error
    null = by_quantity.loc["cka_null"]
    assert (null["value"], null["high"]) == (expected.null_mean, expected.null_high)
    assert set(table["definition"]) == {"correct"} and table["head"].isna().all()


def test_what_a_model_has_once_has_no_layer(tmp_path: Path) -> None:
    table = blocks(tmp_path, [16])
    assert table[table["component"] == "embedding"]["layer"].isna().all()
    assert table[table["component"] == "attention_ov"]["layer"].notna().all()


def test_biased_scores_of_noise_fall_with_n_and_debiased_ones_stay_at_0(tmp_path: Path) -> None:
    """For white Gaussians the biased score is about d / (n + d)."""
    table = blocks(tmp_path, [16, 64])
    means = table.groupby(["quantity", "n"])["value"].mean()
    assert means["cka", 16] > means["cka", 64] + 0.15
    assert means["cka", 64] == pytest.approx(WIDTH / (SEQUENCES + WIDTH), abs=0.05)
    assert abs(means["cka_debiased", 64]) < 0.1


@pytest.mark.parametrize("positions", [1, 3])
def test_n_counts_sequences_not_rows(tmp_path: Path, positions: int) -> None:
    table = blocks(tmp_path, [16], positions=positions)
    assert set(table["n"]) == {16}
    with store.Reader(tmp_path / "a.h5") as here, store.Reader(tmp_path / "b.h5") as there:
        x, y = (f.matrix("embedding", ())[: 16 * positions] for f in (here, there))
    row = table[(table["component"] == "embedding") & (table["quantity"] == "cka")].iloc[0]
    assert row["value"] == pytest.approx(METRICS["cka"].compare(x, y), abs=1e-12)


def test_many_rows_are_read_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = blocks(tmp_path, [16, 64])
    monkeypatch.setattr(sample_size, "ROWS_AT_ONCE", 20)
    monkeypatch.setattr(store, "BLOCK_BYTES", 10 * WIDTH * 4)
    parts = blocks(tmp_path, [16, 64])
    np.testing.assert_allclose(parts["value"], whole["value"], atol=1e-9)


def test_a_score_that_is_not_defined_is_left_out_and_named(tmp_path: Path) -> None:
    warnings: list[str] = []
    constant = np.ones((2, SEQUENCES, WIDTH))
    table = blocks(tmp_path, [16], warnings.append, mlp_out=constant)
    assert not (table["component"] == "mlp_out").any()
    assert len(warnings) == 4
    assert warnings[0].startswith("cka of mlp_out (0,) with n = 16 is not defined: ")


def test_a_restricted_metric_has_no_rows_of_other_components(tmp_path: Path) -> None:
    frame = blocks(tmp_path, [8], only={"cka": ["embedding"]})
    found = {(q, c) for q, c in zip(frame["quantity"], frame["component"], strict=True)}
    assert {c for q, c in found if q == "cka"} == {"embedding"}
    assert len({c for q, c in found if q == "cka_debiased"}) > 1
