"""The library without a study: the page that documents it runs, and names are what they say."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

import tending
from tending.core import plugins
from tending.metrics.similarity.cka import linear_cka

REPOSITORY = Path(__file__).parents[2]
KINDS = ("similarity", "spectrum", "representation")


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two checkpoints of one tiny model, where the page has them."""
    for seed, step in enumerate((256, 1024)):
        tiny.save(tiny.model("gpt_neox", seed=seed), tmp_path / f"checkpoints/step{step}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_runs(checkpoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (REPOSITORY / "docs/library.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    exec(compile("\n".join(blocks), "docs/library.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed.startswith("gpt_neox ")
    assert re.search(r"^-?\d\.\d{3} \[-?\d\.\d{3}, -?\d\.\d{3}\], by chance", printed, re.MULTILINE)


def test_capture_is_the_workflows_own(checkpoints: Path) -> None:
    tokens = np.arange(24).reshape(4, 6)
    arrays = tending.capture("checkpoints/step256", tokens, device="cpu")
    assert arrays["mlp_out"].shape == (3, 4, 16)
    every = tending.capture("checkpoints/step256", tokens, position="all", device="cpu")
    last = every["mlp_out"].reshape(3, 4, 6, 16)[:, :, -1]
    np.testing.assert_allclose(arrays["mlp_out"], last, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_metric_is_found_by_its_name(kind: str) -> None:
    package = f"tending.metrics.{kind}"
    for name in plugins.names(package):
        metric = plugins.load(package, name, "metric").METRIC
        assert getattr(tending, name) is (
            metric.compare if kind == "similarity" else metric.compute
        )


def test_no_metric_has_the_name_of_another_or_of_a_module() -> None:
    names = [name for kind in KINDS for name in plugins.names(f"tending.metrics.{kind}")]
    modules = {path.stem for path in Path(tending.__file__).parent.iterdir()}
    assert len(set(names)) == len(names)
    assert not modules & {*names, "open_checkpoint", "capture", "estimate"}


def test_metrics_are_plain_functions() -> None:
    assert tending.cka is linear_cka
    x = np.random.default_rng(0).normal(size=(20, 3))
    assert tending.cka(x, 2 * x + 1) == pytest.approx(1)
    assert tending.estimate("cka", x, x).value == pytest.approx(1)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"'ckaa'.*docs/library\.md"):
        tending.ckaa  # noqa: B018
    with pytest.raises(ImportError, match="ckaa"):
        from tending import ckaa  # noqa: F401


def listed(what: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tending", what], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_the_command_lists_every_metric_with_its_laws() -> None:
    lines = listed("metrics")
    for kind in KINDS:
        for name in plugins.names(f"tending.metrics.{kind}"):
            assert sum(line.split()[:1] == [name] for line in lines) == 1
    cka = next(line for line in lines if line.split()[:1] == ["cka"])
    assert "0 to 1" in cka
    assert cka.endswith("rotation, scaling, translation")
