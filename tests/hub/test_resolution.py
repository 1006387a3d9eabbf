"""Which commits and files the revisions of a study are, asked of a hub."""

import json
import logging
from math import inf
from pathlib import Path
from typing import Any

import pytest
from faults import Status
from server import Hub
from suites import Suite

from tending.core.steps import Spec
from tending.hub import duplicate_audit, fetching, pins
from tending.hub.client import HubError
from tending.hub.pins import Pins
from tending.hub.weight_shelf import Entry
from tending.models import checkpoint_record
from tending.run.resolution import resolve

REPOSITORY = "org/model"


def model(**changes: Any) -> dict[str, Any]:
    return {"name": "m", "source": "hub", "repository": REPOSITORY, **changes}


def resolved(asked: Spec, before: Pins | None = None, **changes: Any) -> Pins:
    return resolve([model(**changes)], {"m": asked}, {"m": before} if before else {})["m"]


def commits(found: Pins) -> dict[int, str]:
    return {step: revision.commit for step, revision in found.revisions.items()}


# Names


@pytest.mark.parametrize(
    ("branch", "changes"),
    [
        ("step{step}", {}),
        ("stage1-step{step}-tokens{tokens}B", {"revision": "stage1-step{step}-tokens*B"}),
        ("step{step:06d}", {"revision": "step{step:06d}"}),
    ],
)
def test_steps_are_found_by_their_names(here: Hub, branch: str, changes: Any) -> None:
    suite = Suite(steps=(0, 1, 1000), branch=branch)
    published = suite.publish(here, REPOSITORY)
    found = resolved([0, 1000], **changes)
    assert found.existing == {step: suite.name(step) for step in (0, 1, 1000)}
    assert commits(found) == {step: published[step] for step in (0, 1000)}
    assert found.config["model_type"] == "gpt_neox" and found.main is not None
    files = found.revisions[0].files
    assert set(files) == {"config.json", "tokenizer.json", "model.safetensors"}
    stored = here.repository(REPOSITORY).commits[published[0]].files["model.safetensors"]
    assert (files["model.safetensors"].size, files["model.safetensors"].sha256) == (
        stored.size,
        stored.sha256,
    )
    assert here.sent(f"/models/{REPOSITORY}/*") == 0
    assert len(here.asked("*/refs")) == 1


def test_steps_are_found_by_a_table_of_indices(here: Hub) -> None:
    published = Suite(steps=(0, 1, 2), branch="ckpt_{step:03d}").publish(here, REPOSITORY)
    changes = {"revision": "ckpt_{index:03d}", "index_steps": [0, 500, "1000..3000 by 1000"]}
    found = resolved("all", **changes)
    assert commits(found) == {0: published[0], 500: published[1], 1000: published[2]}


def test_steps_are_named_one_by_one_even_by_commit(here: Hub) -> None:
    published = Suite(steps=(0, 1, 2)).publish(here, REPOSITORY)
    here.delete(REPOSITORY, "step1")  # only its commit is left
    here.tag(REPOSITORY, "v0", published[0])
    naming = {"0": "v0", "5": published[1], "9": "main"}
    found = resolved([0, 5, 9], revision=naming)
    main = here.repository(REPOSITORY).branches["main"]
    assert commits(found) == {0: published[0], 5: published[1], 9: main}
    with pytest.raises(HubError, match=r"m: the revision 'stp7' of step 7 does not exist in org/"):
        resolved([0, 7], revision={**naming, "7": "stp7"})
    with pytest.raises(HubError, match=f"org/model, {'e' * 40}: the hub has no such revision"):
        resolved([0, 7], revision={**naming, "7": "e" * 40})


def test_a_branch_comes_before_a_tag_of_its_name(here: Hub) -> None:
    published = Suite(steps=(0, 1)).publish(here, REPOSITORY)
    here.tag(REPOSITORY, "step0", published[1])
    here.tag(REPOSITORY, "step4", published[1])
    assert commits(resolved("all")) == {0: published[0], 1: published[1], 4: published[1]}


def test_two_revisions_of_one_step(here: Hub) -> None:
    Suite(branch="stage1-step{step}").publish(here, REPOSITORY)
    here.commit(REPOSITORY, {}, "stage2-step4")
    with pytest.raises(HubError, match=r"m: org/model: step 4 is ambiguous: 'stage1-step4' and"):
        resolved([0], revision="*-step{step}")
    assert len(here.requests) == 1


def test_a_repository_in_which_nothing_has_such_a_name(here: Hub) -> None:
    Suite().publish(here, REPOSITORY)
    message = r"m: no revision of org/model matches 's\{step\}'; it has 5: main, step0, step1, "
    with pytest.raises(HubError, match=message):
        resolved("all", revision="s{step}")


def test_all_that_does_not_exist_is_in_one_error(here: Hub) -> None:
    Suite(steps=(0, 1, 2, 4, 8)).publish(here, REPOSITORY)
    Suite(steps=(0, 3), seed=1).publish(here, "org/other")
    models = [model(), model(name="n", repository="org/other")]
    with pytest.raises(HubError) as error:
        resolve(models, {"m": [0, 3, 9], "n": [0, 4]}, {})
    assert str(error.value).splitlines() == [
        "steps that are not on the hub:",
        "m: step 3 does not exist in org/model; the nearest that do are 0, 1, 2, 4",
        "m: step 9 does not exist in org/model; the nearest that do are 1, 2, 4, 8",
        "n: step 4 does not exist in org/other; the nearest that do are 0, 3",
    ]
    assert {r.path for r in here.requests} == {
        f"/api/models/{name}/refs" for name in (REPOSITORY, "org/other")
    }


def test_ranges_and_all_are_of_what_exists(here: Hub) -> None:
    Suite(steps=(0, 1, 2, 4, 8)).publish(here, REPOSITORY)
    assert list(resolved([0, "2..7"]).revisions) == [0, 2, 4]
    assert list(resolved("all").revisions) == [0, 1, 2, 4, 8]


# What is there


def test_a_revision_without_a_checkpoint(here: Hub) -> None:
    Suite(steps=(0, 1)).publish(here, REPOSITORY)
    here.commit(REPOSITORY, {"notes.txt": b"soon"}, "step2")
    message = r"org/model, step2: holds no checkpoint .*, only .gitattributes, notes.txt; leave"
    with pytest.raises(HubError, match=message):
        resolved("all")
    assert here.sent(f"/models/{REPOSITORY}/*") == 0


def test_main_may_hold_no_checkpoint(here: Hub) -> None:
    Suite(steps=(0, 1)).publish(here, REPOSITORY)
    here.commit(REPOSITORY, {"README.md": b"See the branches."}, "main", fresh=True)
    assert resolved("all").main is None


def test_an_unknown_family_is_named_before_any_weights(here: Hub) -> None:
    Suite(steps=(0, 1)).publish(here, REPOSITORY)
    here.commit(REPOSITORY, {"config.json": b'{"model_type": "mamba"}'}, "step1")
    message = r"m: org/model: unknown model family 'mamba'; available: bloom, .*gpt_neox"
    with pytest.raises(HubError, match=message):
        resolved("all")
    assert here.sent(f"/models/{REPOSITORY}/*") == 0


def test_a_repository_that_is_not_there(here: Hub) -> None:
    with pytest.raises(HubError, match=r"^org/model, its refs: not found, or private"):
        resolved([0])
    here.stop()
    with pytest.raises(HubError, match=r"^org/model, its refs: no answer from .*check the network"):
        resolved([0])


def test_listing_is_patient(here: Hub, waits: list[float]) -> None:
    Suite(steps=(0, 1)).publish(here, REPOSITORY)
    here.fail("/api/models/*/refs", Status(429, retry_after=2))
    here.fail("/api/models/*/revision/*", Status(502), times=2)
    assert list(resolved("all").revisions) == [0, 1]
    assert len(waits) == 3 and max(waits) >= 2
    here.fail("/api/models/*/revision/*", Status(500), times=inf)
    with pytest.raises(HubError, match=r"^org/model, step[01]: the hub still fails after 6 att"):
        resolved("all")


# Pins


def test_a_pin_outlives_its_branch_with_a_warning(
    here: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    published = Suite(steps=(0, 1)).publish(here, REPOSITORY)
    first = resolved([0])
    moved = here.commit(REPOSITORY, Suite().files(7), "step0")
    caplog.set_level(logging.WARNING)
    second = resolved([0, 1], first)
    assert commits(second) == published and second.revisions[0] == first.revisions[0]
    assert f"m: step0 of org/model was pinned at {published[0][:10]} and is now at" in caplog.text
    assert moved[:10] in caplog.text and "step1" not in caplog.text
    here.delete(REPOSITORY, "step0")
    assert commits(resolved([1], second)) == published
    assert "is now at nothing" in caplog.text


def test_a_step_that_is_added_is_all_that_is_asked_for(here: Hub) -> None:
    Suite(steps=(0, 1, 2)).publish(here, REPOSITORY)
    first = resolved([0, 2])
    before = len(here.requests)
    Suite(steps=(0, 1, 2, 4)).publish(here, REPOSITORY)  # more steps than at the first time
    second = resolved([0, 2, 4], first)
    assert list(second.revisions) == [0, 2, 4] and 4 in second.existing
    assert [r.path for r in here.requests[before:]] == [
        f"/api/models/{REPOSITORY}/refs",
        f"/api/models/{REPOSITORY}/revision/{second.revisions[4].commit}",
        f"/api/models/{REPOSITORY}/revision/main",
    ]
    assert second.config == first.config


def test_a_suite_that_grows_makes_no_duplicate_of_its_old_end(here: Hub) -> None:
    """main was step 2 when it was pinned, and is step 4 now."""
    Suite(steps=(0, 1, 2)).publish(here, REPOSITORY)
    first = resolved([0, 2])
    Suite(steps=(0, 1, 2, 4)).publish(here, REPOSITORY)
    second = resolved([0, 2, 4], first)
    assert not duplicate_audit.mistaken_steps(duplicate_audit.listing("m", first, [0, 2], last=2))
    assert not duplicate_audit.mistaken_steps(
        duplicate_audit.listing("m", second, [0, 2, 4], last=4)
    )


def test_a_range_without_steps_says_what_there_is(here: Hub) -> None:
    Suite(steps=(0, 1, 8)).publish(here, REPOSITORY)
    message = r"m: `steps` '2..7' names none of the existing steps, 0 to 8 \(org/model\)"
    with pytest.raises(HubError, match=message):
        resolved("2..7")


def test_pins_survive_their_file(here: Hub) -> None:
    Suite(steps=(0, 1), layout="bin shards").publish(here, REPOSITORY)
    found = resolved("all")
    pins.write({"m": found}, Path("pins.json"))
    assert pins.read(Path("pins.json")) == {"m": found}


# Code in a repository


def test_code_that_comes_with_a_model_never_runs(here: Hub, tmp_path: Path) -> None:
    """config.json asks for it in every way there is, and transformers loads the model."""
    from tending.models import loading

    suite, trace = Suite(steps=(0, 1)), tmp_path / "it ran"
    suite.publish(here, REPOSITORY)
    code = f"open({str(trace)!r}, 'w').close()\nclass Own: pass\n".encode()
    names = ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer")
    asks = {"auto_map": dict.fromkeys(names, "own.Own"), "trust_remote_code": True}
    config = json.dumps({**json.loads(suite.config()), **asks}).encode()
    here.commit(REPOSITORY, {"config.json": config, "own.py": code}, "step1")
    revision = resolved([1]).revisions[1]
    record = fetching.arrived(REPOSITORY, revision, Entry("s", "m", 1), lambda _: None)
    assert not here.asked("*.py") and not list(Path("results").rglob("*.py"))
    (Path(record.folder) / "own.py").write_bytes(code)  # even where it is
    loaded = loading.load_model(Path(record.folder), "float32", loading.choose_device("cpu"))
    assert type(loaded).__name__ == "GPTNeoXForCausalLM"
    assert not trace.exists()
    assert checkpoint_record.inspect(Path(record.folder), "m", 1, "step1").family == "gpt_neox"
