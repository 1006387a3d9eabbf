"""The GPU's benchmark, on the CPU: that it is known to work when there is a GPU."""

import csv
from pathlib import Path

import pytest

from bench import gpu

SMALL = ["--shapes", "tiny", "--sequences", "6", "--length", "9", "--repetitions", "1"]


def test_every_dtype_is_measured_and_agrees_with_the_cpu(tmp_path: Path) -> None:
    lines = gpu.main(["--device", "cpu", "--output", str(tmp_path), *SMALL])
    exact, rounded = lines
    assert (exact.dtype, rounded.dtype) == ("float32", "bfloat16")
    assert exact.error_mlp_out < 1e-5 and exact.error_attention_ov < 1e-5
    assert 1e-4 < rounded.error_mlp_out < 0.1 and 1e-4 < rounded.error_attention_ov < 0.1
    assert exact.lowest_cka == pytest.approx(1.0, abs=1e-6) and rounded.lowest_cka > 0.9
    assert all(line.sequences_per_second > 0 and line.share > 0 for line in lines)
    with (tmp_path / "gpu.csv").open() as file:
        assert [row["dtype"] for row in csv.DictReader(file)] == ["float32", "bfloat16"]


def test_a_device_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"cuda:99.*--device cpu --shapes tiny"):
        gpu.main(["--device", "cuda:99", "--output", str(tmp_path), *SMALL])
