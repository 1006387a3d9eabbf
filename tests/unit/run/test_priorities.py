"""Checkpoints take turns: one is used up before more are fetched, and those begun go first."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tending.run.priorities import Turns


class Study:
    """Two models of two steps each."""

    study = "s"

    def per_checkpoint(self, pattern: str) -> list[str]:
        return [pattern.format(model=model, step=step) for model in "ab" for step in (0, 10)]


def of(model: str, step: int) -> SimpleNamespace:
    return SimpleNamespace(model=model, step=str(step))


def test_checkpoints_take_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    turns, order = Turns(Study()), [of("a", 0), of("a", 10), of("b", 0), of("b", 10), of("c", 0)]
    fetching = [turns.fetching(one) for one in order]
    using = [turns.using(one) for one in order]
    for priorities in (fetching, using):
        assert sorted(set(priorities), reverse=True) == priorities
    assert max(fetching) < 2 < 5 <= min(using) and max(using) < 6


@pytest.mark.parametrize("name", ["step10", "step10.incoming"])
def test_what_is_begun_goes_first(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results/s/weights/b", name).mkdir(parents=True)
    turns = Turns(Study())
    assert turns.fetching(of("b", 10)) > turns.fetching(of("a", 0))
