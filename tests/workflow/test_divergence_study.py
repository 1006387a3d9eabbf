"""Divergences in a study: what is computed when they, or a step, are added."""

from collections import Counter
from collections.abc import Callable

import h5py
from studies import Workplace

Copied = Callable[..., Workplace]
AGGREGATES = {"divergence_table": 1, "study_config": 1, "report": 1}


def test_adding_it_then_a_step_then_another_reference(copied: Copied) -> None:
    workplace = copied().configure(divergence={"sequences": 16})
    # The predictions of both models' references, and of every step; nothing else runs again.
    own = {"reference_distribution": 2, "divergence": 6}
    assert workplace.planned() == Counter({**own, **AGGREGATES})
    done = workplace.finish("results/tiny/divergence/b/step6.h5")
    assert done.jobs == {"reference_distribution": 1, "divergence": 1}
    with h5py.File(workplace.results / "divergence/b/step6.h5") as file:
        assert not file["kl_to_reference"][()].any(), "the reference itself"
        assert file["kl_to_reference"].shape == (16, 8)
    workplace.configure(divergence={"sequences": 16}, steps=[0, 1, 2, 6])
    planned = workplace.planned()
    assert planned["divergence"] == 7 and planned["reference_distribution"] == 1
    assert planned["checkpoint"] == planned["activations"] == planned["spectra"] == 2
    assert not {"train", "corpus"} & set(planned)
    # Another reference compares everything anew, and does nothing else.
    workplace.configure(divergence={"sequences": 16}, reference=2)
    planned = workplace.planned()
    assert planned["reference_distribution"] == 2 and planned["divergence"] == 6
    assert planned["convergence"] == 6
    assert not {"activations", "spectra", "checkpoint", "train", "corpus"} & set(planned)
