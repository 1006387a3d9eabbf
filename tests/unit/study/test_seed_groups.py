"""Groups of seeds in a config: what they share, their files, and what is refused."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from configs import Config, config, problems

from tending.run import config as study
from tending.run.plan import Plan

BASE = {"d_model": 16, "layers": 2, "heads": 2, "learning_rate": 0.01}


def seeds(edit: Callable[[Config], object] = lambda _: None) -> Config:
    """A group of three seeds, one of a single seed, and a model without a group."""

    def grouped(made: Config) -> None:
        places = [("a", 0), ("a", 1), ("a", 2), ("b", 0), (None, 0)]
        made["models"] = [
            {
                "name": f"{group}{seed}",
                "source": "trained",
                "recipe": {**BASE, "layers": 3 if group == "b" else 2, "seed": seed},
                **({"group": group} if group else {}),
            }
            for group, seed in places
        ]
        made["models"][-1]["recipe"]["layers"] = 1
        edit(made)

    return config(grouped)


def test_seeds_of_one_configuration_are_accepted() -> None:
    study.check(seeds())


def test_a_group_has_one_file_for_every_step_that_all_its_seeds_have() -> None:
    plan = Plan(seeds(lambda c: c["models"][1].update(steps=[0, 512, 1024])))
    assert plan.groups.between() == [f"results/small/between/a/step{s}.h5" for s in (0, 1024)]
    asked = plan.groups.activations(SimpleNamespace(group="a", step="1024"))
    assert asked == [f"results/small/activations/a{s}/step1024.h5" for s in range(3)]


def test_a_seed_or_a_step_that_is_added_adds_its_own_files() -> None:
    def more(made: Config) -> None:
        made["steps"].insert(1, 8)
        made["models"].append(
            {**made["models"][3], "name": "b1", "recipe": {**BASE, "layers": 3, "seed": 1}}
        )

    before, after = Plan(seeds()).groups.between(), Plan(seeds(more)).groups.between()
    new = ["a/step8", *(f"b/step{s}" for s in (0, 8, 16, 1024))]
    assert sorted(set(after) - set(before)) == sorted(f"results/small/between/{n}.h5" for n in new)


def test_tables_and_figures_of_groups_come_with_groups() -> None:
    assert {"groups", "effects"} <= set(Plan(seeds()).tables())
    assert {"seeds", "between_seeds", "effects"} <= set(Plan(seeds()).figures())
    plain = Plan(config())
    assert not {"groups", "effects"} & set(plain.tables())
    assert not {"seeds", "between_seeds", "effects"} & set(plain.figures())
    assert plain.groups.between() == []


def test_figures_are_told_of_groups_only_if_there_are_any() -> None:
    assert '"groups": {"a0": "a"' in Plan(seeds()).figure_options(None)
    assert "groups" not in Plan(config()).figure_options(None)


def test_learning_rates_are_the_recipes_or_as_models_say() -> None:
    assert Plan(seeds()).learning_rates() == dict.fromkeys(["a0", "a1", "a2", "b0", "None0"], 0.01)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (
            lambda made: made["models"][1]["recipe"].update(heads=4),
            "models: group a: a0 has heads 2, a1 has 4; seeds of one group differ in nothing but "
            "the seed, so put one in another group",
        ),
        (
            lambda made: made["models"][2]["recipe"].update(seed=1),
            "models: group a: a1 and a2 are the same training run; give each its own seed",
        ),
        (
            lambda made: (
                made["models"][2].update(steps=[1, 4, 1024]) or made.update(reference=1024)
            ),
            None,
        ),
        (
            lambda made: made["models"][2].update(steps=[0, 512]),
            "models: group a: a0 is compared with its step 1024, a2 is compared with its step "
            "512; set `reference`",
        ),
    ],
    ids=["recipe", "seed", "few steps in common", "ends"],
)
def test_what_are_no_seeds_is_refused(edit: Callable[[Any], object], problem: str | None) -> None:
    made = seeds(edit)
    if problem is None:
        study.check(made)
    else:
        assert problems(made) == [problem]


def test_models_without_a_common_step_are_refused() -> None:
    def apart(made: Config) -> None:
        for i, model in enumerate(made["models"][:3]):
            model["steps"] = [2**i, 1024]
        made["models"][2]["steps"] = [4, 512]

    listed = problems(seeds(apart))
    assert (
        "models: group a: its models have no step in common; give them the same `steps`" in listed
    )


def test_a_learning_rate_beside_a_recipe_is_refused() -> None:
    listed = problems(seeds(lambda made: made["models"][4].update(learning_rate=0.1)))
    assert listed == [
        "models: None0: `learning_rate` means nothing for the source trained; remove it or set "
        "another source"
    ]
