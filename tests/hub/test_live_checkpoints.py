"""However many steps a study has, only so many downloaded checkpoints are on disk at a time."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults import Trickle
from live import Samples
from server import Hub
from studies import Workplace, copy_repository, edit
from suites import Shape, Suite

from tending.core import paths

STEPS = tuple(range(0, 400, 10))  # 40 of them
FEW = (0, 1, 2, 4)
USE = "        if missing:\n"  # in the script, where a checkpoint is in use
FAIL = "        if checkpoint.step in (0, 1):\n            raise ValueError('broken here')\n"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running


def prepare(hub: Hub, folder: Path, steps: tuple[int, ...], **changes: Any) -> Workplace:
    """A study of one tiny model on a hub, with changes at its top level."""
    suite = Suite(steps=steps, shape=Shape(d_model=8, layers=1, heads=2))
    suite.publish(hub, "org/m")
    (folder / "prose").mkdir()
    for name in ("one", "two", "three"):
        (folder / f"prose/{name}.txt").write_text(f"This is text {name} of some texts. " * 100)
    return configure(
        Workplace(folder, variables=hub.environment(folder / "home")), steps, **changes
    )


def configure(workplace: Workplace, steps: tuple[int, ...], **changes: Any) -> Workplace:
    model = {"name": "m", "source": "hub", "repository": "org/m", "steps": list(steps)}
    corpus = {"source": "text", "path": f"{workplace.folder}/prose"}
    corpus |= {"sequences": 24, "length": 16}
    return workplace.configure(models=[model], corpus=corpus, **changes)


def files(pattern: str, steps: tuple[int, ...]) -> list[str]:
    return [pattern.format(study="tiny", model="m", step=step) for step in steps]


def test_forty_steps_are_never_more_than_two_on_disk(hub: Hub, tmp_path: Path) -> None:
    """And one arrives while another is used, though there is but one core."""
    workplace = prepare(hub, tmp_path, STEPS)
    workplace.cores = 1
    wanted = files(paths.SPECTRA, STEPS)
    with Samples(workplace.results / "weights") as samples:
        done = workplace.finish(*wanted)
    assert done.jobs == {"fetch": 40, "spectra": 40}
    assert samples.most == 2, "no more than allowed, and as many as are"
    assert len(samples.seen) == 40 and samples.arriving > 0
    assert all((tmp_path / name).exists() for name in wanted)
    assert not (workplace.results / "weights").exists()
    assert len(hub.asked("/models/*/model.safetensors")) == 40, "each is downloaded once"


def test_weights_that_are_kept_are_not_bounded(hub: Hub, tmp_path: Path) -> None:
    workplace = prepare(hub, tmp_path, FEW, keep_checkpoints=True, live_checkpoints=1)
    workplace.finish(*files(paths.SPECTRA, FEW))
    assert sorted(files(paths.WEIGHTS, FEW)) == sorted(
        path.relative_to(tmp_path).as_posix()
        for path in (workplace.results / "weights").glob("[!.]*/*")
    )


def test_weights_that_are_fetched_again_are_bounded(hub: Hub, tmp_path: Path) -> None:
    """By the jobs that use them, which hold cores that the others wait for."""
    workplace = prepare(hub, tmp_path, FEW, live_checkpoints=1)
    wanted = files(paths.SPECTRA, FEW)
    workplace.finish(*wanted)
    configure(workplace, FEW, live_checkpoints=1, components=["mlp_out", "mlp_in"])
    with Samples(workplace.results / "weights") as samples:
        done = workplace.finish(*wanted)
    assert done.jobs == {"spectra": 4}
    assert samples.most == 1 and len(samples.seen) == 4


def test_one_checkpoint_at_a_time_is_enough_for_divergences(hub: Hub, tmp_path: Path) -> None:
    """Else others would wait for the reference, and it for their place or their core."""
    steps = FEW[:3]
    workplace = prepare(hub, tmp_path, steps, live_checkpoints=1, divergence={})
    workplace.cores = 1
    wanted = files(paths.DIVERGENCE, steps)
    with Samples(workplace.results / "weights") as samples:
        done = workplace.finish(*wanted)
    assert done.jobs["divergence"] == 3 and samples.most == 1
    assert len(hub.asked("/models/*/model.safetensors")) == 3, "each is downloaded once"


def test_a_job_that_fails_stops_neither_the_end_nor_the_others(hub: Hub, tmp_path: Path) -> None:
    """Fetches that wait for room end with the run; with --keep-going they get the room."""
    workplace = prepare(hub, tmp_path, FEW)
    repository = copy_repository(tmp_path.parent / f"{tmp_path.name}-library")
    edit(repository / "workflow/scripts/spectra.py", USE, FAIL + USE)
    broken = Workplace(tmp_path, repository, workplace.variables)
    wanted = files(paths.SPECTRA, FEW)
    with Samples(workplace.results / "weights") as samples:
        done = broken.run(*wanted)
        assert done.returncode == 1 and "broken here" in done.output
        done = broken.run(*wanted, "--keep-going")
        assert done.returncode == 1 and done.output.count("broken here") >= 2
    made = [step for step in FEW if Path(tmp_path, *files(paths.SPECTRA, (step,))).exists()]
    assert made == [2, 4]
    assert samples.most == 2
    assert workplace.finish(*wanted).jobs == {"spectra": 4}, "the script has changed"
    assert not (workplace.results / "weights").exists()


def start(workplace: Workplace, *targets: str) -> subprocess.Popen[str]:
    """A run in the background; its output goes to a file."""
    with (workplace.folder / "output.txt").open("w") as output:
        return subprocess.Popen(
            workplace.command(*targets),
            env=workplace.environment,
            stdout=output,
            stderr=output,
            text=True,
        )


def test_a_killed_run_goes_on_with_what_it_had_begun(hub: Hub, tmp_path: Path) -> None:
    """Also where others could be fetched first, and would wait for what waits for them."""
    workplace = prepare(hub, tmp_path, FEW, live_checkpoints=1)
    wanted = files(paths.SPECTRA, FEW)
    slow = hub.fail("/models/*/model.safetensors", Trickle(bytes_per_second=5_000))
    with Samples(workplace.results / "weights") as samples:
        process = start(workplace, *wanted)
        while hub.sent("/models/*/model.safetensors") < 5000:
            assert process.poll() is None, (tmp_path / "output.txt").read_text("utf-8")
        process.kill()
        process.wait()
        assert slow.left == 0
        (begun,) = hub.asked("/models/*/model.safetensors")
        assert workplace.finish(*wanted).jobs == {"fetch": 4, "spectra": 4}
    assert samples.most == 1 and len(samples.seen) == 4
    both = hub.asked(begun.path)
    assert both[0] is begun and len(both) == 2 and both[1].range, "the rest of it"


def test_a_run_that_is_to_end_does_not_wait_for_room(hub: Hub, tmp_path: Path) -> None:
    workplace = prepare(hub, tmp_path, FEW, live_checkpoints=1)
    wanted = files(paths.SPECTRA, FEW)
    hub.fail("/models/*/model.safetensors", Trickle(bytes_per_second=5_000))
    process = start(workplace, *wanted)
    logs = workplace.results / "logs/checkpoints/m"
    while not any("waits for room" in log.read_text("utf-8") for log in logs.glob("*.log")):
        assert process.poll() is None, (tmp_path / "output.txt").read_text("utf-8")
    process.terminate()
    assert process.wait(timeout=60) == 1
    output = (tmp_path / "output.txt").read_text("utf-8")
    assert output.count("is not fetched: the run is ending; run again to go on") == 1
    (fetched,) = (workplace.results / "checkpoints/m").glob("*.json")
    assert (workplace.results / "weights/m" / fetched.stem).exists(), "for the next run"
    with hub.untouched():
        step = int(fetched.stem.removeprefix("step"))
        workplace.finish(*files(paths.SPECTRA, (step,)))
