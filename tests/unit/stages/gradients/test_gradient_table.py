"""Gradients as a file and as a table: what is kept, what is a mean, and how sure it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tending.core import plugins, tables
from tending.metrics.spectrum import effective_rank, marchenko_pastur
from tending.metrics.spectrum import proportional_effective_rank as per
from tending.stages.gradients import gradient_file, gradient_table
from tending.stages.gradients.gradients import BatchGradient

T_4, T_1 = 2.7764451051977987, 12.706204736432095  # 97.5 % quantiles of 4 and of 1 degrees
PLACE = tables.Where("s", "m", 100, 8, 0.5)
METRICS = {"effective_rank": effective_rank.METRIC, "proportional_effective_rank": per.METRIC}
ATTRIBUTES = {"study": "s", "model": "m", "parameters": 100, "step": 8}


def gradients(n: int, seed: int = 0) -> list[BatchGradient]:
    """Of n batches: two layers of two heads whose products have 6 values, and one matrix."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        spectra = {"attention_ov": rng.random((2, 8)), "attention_ov_heads": rng.random((2, 2, 6))}
        spectra["mlp_out"] = rng.random((2, 8))
        spectra = {k: -np.sort(-v) for k, v in spectra.items()}
        norms = {k: np.sqrt((v**2).sum(-1)) for k, v in spectra.items()}
        cosines = {k: rng.uniform(-1, 1, v.shape) for k, v in norms.items()} if i else {}
        made.append(BatchGradient(2.0 + i, spectra, norms, cosines, {"mlp_out": (8, 32)}))
    return made


def written(path: Path, n: int) -> gradient_file.Gradients:
    names = [f"training step {i}" for i in range(n)]
    gradient_file.write(path / "g.h5", names, gradients(n), ATTRIBUTES)
    return gradient_file.read(path / "g.h5")


def table(read: gradient_file.Gradients, metrics: Any = METRICS, **only: list[str]) -> Any:
    return tables.table(gradient_table.blocks(PLACE, read, metrics, only))


def test_a_file_gives_back_what_was_measured(tmp_path: Path) -> None:
    read, made = written(tmp_path, 3), gradients(3)
    assert read.batches == ["training step 0", "training step 1", "training step 2"]
    assert read.loss.tolist() == [2.0, 3.0, 4.0]
    assert read.shapes == {"mlp_out": (8, 32)}
    for name, values in read.spectra.items():
        assert np.array_equal(values, np.stack([one.spectra[name] for one in made]))
    for name, values in read.cosines.items():
        assert np.array_equal(values, np.stack([one.cosines[name] for one in made[1:]]))
    assert written(tmp_path, 1).cosines == {}


def test_nothing_is_written_of_a_gradient_that_is_not_finite(tmp_path: Path) -> None:
    def broken() -> Any:
        yield from gradients(1)
        raise FloatingPointError("training step 9: the model has a loss of nan")

    with pytest.raises(FloatingPointError, match=r"^m at step 8, training step 9: .* loss of nan"):
        gradient_file.write(tmp_path / "g.h5", ["a", "b"], broken(), ATTRIBUTES)
    assert not list(tmp_path.iterdir())


def test_a_value_is_the_mean_over_batches_with_students_interval(tmp_path: Path) -> None:
    rows = table(written(tmp_path, 5))
    made = gradients(5)
    head = rows[(rows["quantity"] == "proportional_effective_rank") & (rows["head"] == 1)]
    each = np.array([per.METRIC.compute(g.spectra["attention_ov_heads"])[1, 1] for g in made])
    one = head[head["layer"] == 1].iloc[0]
    half = T_4 * each.std(ddof=1) / np.sqrt(5)
    assert one["value"] == pytest.approx(each.mean(), rel=1e-12)
    assert one["low"] == pytest.approx(each.mean() - half, rel=1e-9)
    assert one["high"] == pytest.approx(min(each.mean() + half, 1.0), rel=1e-9)
    assert one["n"] == 5
    assert set(rows["quantity"]) == {*METRICS, "gradient_norm", "gradient_cosine", "gradient_loss"}
    cosines = rows[rows["quantity"] == "gradient_cosine"]
    assert set(cosines["n"]) == {4} and len(cosines) == 2 + 4 + 2


def test_no_interval_of_a_rank_passes_the_number_of_singular_values() -> None:
    """Of two batches, whose interval is 12.7 standard errors wide on either side."""
    spectra = np.array([[[1.0, 1.0, 1.0, 1.0]], [[1.0, 0.1, 0.0, 0.0]]])
    none = dict[str, Any]()
    norms = {"mlp_out": np.linalg.norm(spectra, axis=-1)}
    of = gradient_file.Gradients(
        np.ones(2), {"mlp_out": spectra}, norms, none, ["one", "two"], none, none
    )
    names = ["effective_rank", "participation_ratio", "stable_rank", "numerical_rank", "entropy"]
    package = "tending.metrics.spectrum"
    metrics = {name: plugins.load(package, name, "spectrum metric").METRIC for name in names}
    rows = table(of, metrics).set_index("quantity").loc[names].astype({"low": float, "high": float})
    assert list(rows["high"]) == pytest.approx([4, 4, 4, 4, np.log(4)])
    assert list(rows["low"]) == [1, 1, 1, 0, 0]


def test_the_loss_is_of_the_whole_model(tmp_path: Path) -> None:
    rows = table(written(tmp_path, 2))
    (loss,) = rows[rows["quantity"] == "gradient_loss"].to_dict("records")
    assert loss["value"] == 2.5
    assert loss["high"] == pytest.approx(2.5 + T_1 * 0.5)
    assert loss["low"] == 0.0  # no loss is below
    of_loss = rows[rows["quantity"] == "gradient_loss"]
    assert of_loss[["component", "layer", "head"]].isna().all().all()


def test_of_one_batch_there_is_no_interval(tmp_path: Path) -> None:
    rows = table(written(tmp_path, 1))
    assert rows[["low", "high"]].isna().all().all() and rows["value"].notna().all()
    assert "gradient_cosine" not in set(rows["quantity"])


def test_a_metric_of_one_matrix_is_of_plain_gradients_only(tmp_path: Path) -> None:
    metrics = {**METRICS, "marchenko_pastur": marchenko_pastur.METRIC}
    rows = table(written(tmp_path, 2), metrics, effective_rank=["mlp_out"])
    components = {q: set(own["component"]) for q, own in rows.groupby("quantity")}
    assert components["marchenko_pastur"] == components["effective_rank"] == {"mlp_out"}
    assert components["proportional_effective_rank"] == {"attention_ov", "mlp_out"}


@pytest.mark.parametrize("signal", [0.0, 0.3, 3.0])
def test_intervals_of_cosines_allow_for_shared_batches(signal: float) -> None:
    """Five batches with a common part: at least 95 % of intervals hold the mean cosine.

    Were pairs taken as independent, 90 % would where the common part is large.
    """
    rng = np.random.default_rng(1)
    batches = rng.standard_normal((5, 4000, 64)) + signal
    units = batches / np.linalg.norm(batches, axis=-1, keepdims=True)
    pooled = gradient_table.over_pairs((units[1:] * units[:-1]).sum(axis=-1))
    truth = pooled.value.mean()
    held = (pooled.low <= truth) & (truth <= pooled.high)
    assert held.mean() > 0.945
