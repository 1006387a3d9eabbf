"""Which revision of a repository is which step."""

from typing import Any

import pytest

from tending.checkpoints import hub


def model(**changes: Any) -> dict[str, Any]:
    return {"name": "m", "source": "hub", "repository": "org/m", **changes}


@pytest.mark.parametrize(
    ("changes", "names", "expected"),
    [
        ({}, ["main", "step0", "step16", "step1000"], {0: "step0", 16: "step16", 1000: "step1000"}),
        ({}, ["step007", "step8-old", "xstep9", "step"], {}),
        ({"revision": "step-{step}"}, ["step-5", "step5"], {5: "step-5"}),
        (
            {"revision": "stage1-step{step}-tokens*B"},
            ["stage1-step1000-tokens3B", "stage2-step1000-tokens9B", "stage1-step5-tokens1B"],
            {1000: "stage1-step1000-tokens3B", 5: "stage1-step5-tokens1B"},
        ),
        ({"revision": "*{step}"}, ["a12", "a13"], {12: "a12", 13: "a13"}),
        ({"revision": "v1.{step}"}, ["v1.3", "v113"], {3: "v1.3"}),
        (
            {"revision": "ckpt_{index:03d}", "index_steps": "1000..3000 by 1000"},
            ["ckpt_000", "ckpt_002", "ckpt_003", "ckpt_1"],
            {1000: "ckpt_000", 3000: "ckpt_002"},
        ),
        ({"revision": "c{index}", "index_steps": [0, 7]}, ["c0", "c1"], {0: "c0", 7: "c1"}),
        ({"revision": {0: "init", 9: "f" * 40}}, ["init"], {0: "init", 9: "f" * 40}),
    ],
)
def test_steps_of_names(changes: Any, names: list[str], expected: dict[int, str]) -> None:
    assert hub.by_step(model(**changes), names) == expected


def test_two_revisions_of_one_step() -> None:
    naming = model(revision="*step{step}-*")
    names = ["stage1-step5-tokens1B", "stage2-step5-tokens1B"]
    with pytest.raises(ValueError, match=r"step 5 is ambiguous: .*both match"):
        hub.by_step(naming, names)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"revision": "a{step}b*"}, ""),
        ({"revision": "c{index:03d}", "index_steps": [0]}, ""),
        ({"revision": {0: "a"}, "training_steps": 9}, ""),
        ({"revision": {0: "a"}}, "does not say where the training ends; give `training_steps`"),
        ({"revision": "c{index}", "index_steps": "all"}, "`index_steps` must name its steps"),
        ({"revision": {"zero": "a"}}, "`revision` maps step 'zero', which is not a number"),
        ({"revision": "step"}, "'step' must hold one {step} or {index}"),
        ({"revision": "{step}{step}"}, "must hold one {step} or {index}"),
        ({"revision": "{stp}{step}"}, "must hold one {step} or {index}"),
        ({"revision": "c{index}"}, "give the step of each in `index_steps`"),
        ({"index_steps": [0]}, "`index_steps` means nothing without {index}"),
    ],
)
def test_a_naming_that_names_nothing(changes: Any, problem: str) -> None:
    found = hub.naming_problem(model(**changes))
    assert problem in found and bool(problem) == bool(found)
