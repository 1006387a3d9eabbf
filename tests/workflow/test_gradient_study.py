"""A study that asks for gradients: what it computes, and that nothing else is computed again."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
from studies import FIGURES, RECIPE, Workplace
from torch.nn.functional import cross_entropy
from transformers import GPTNeoXForCausalLM

from tending.checkpoints.trained import Recipe
from tending.core import store
from tending.stages.gradients import gradient_file
from tending.stages.training import training

ASKED = {"gradients": {"sequences": 2}, "figures": [*FIGURES, "six_panels"]}
OWN = {"gradients": 6, "gradient_batches": 6, "gradients_table": 1, "figure_six_panels": 1}
OWN |= {"outcome_association_table": 1}  # gradients are among what it sets beside the loss
OWN |= {"study_config": 1, "report": 1}


def test_gradients_are_computed_by_themselves(copied: Callable[..., Workplace]) -> None:
    workplace = copied().configure(**ASKED)
    assert workplace.planned() == Counter(OWN)
    jobs = workplace.finish("results/tiny/gradients/a/step6.h5").jobs
    assert jobs == Counter(["gradients", "gradient_batches"])

    read = gradient_file.read(workplace.results / "gradients/a/step6.h5")
    assert read.batches == ["training step 4", "training step 5"]  # the last ones that there are
    stream = store.read_arrays(workplace.results / "corpus/embedded.h5", ["train"]).arrays["train"]
    recipe = Recipe(**{**RECIPE, "seed": 0})  # type: ignore[arg-type]
    model = GPTNeoXForCausalLM.from_pretrained(workplace.results / "training/a/step6")
    for i, step in enumerate((4, 5)):
        rows = training.batch(stream, recipe, step)
        logits = model(input_ids=rows[:, :-1]).logits
        loss = cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        weight = model.gpt_neox.layers[1].mlp.dense_4h_to_h.weight
        (gradient,) = torch.autograd.grad(loss, weight)
        np.testing.assert_allclose(read.loss[i], loss.item(), rtol=1e-5)
        values = np.linalg.svd(gradient.double().numpy(), compute_uv=False)
        found = read.spectra["mlp_out"][i, 1]
        np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-6 * values[0])  # float32

    workplace.configure(**ASKED, steps=[0, 1, 2, 6])
    planned = workplace.planned()
    assert planned["activations"] == planned["spectra"] == 2
    assert planned["gradients"] == 5 + 2 and planned["gradient_batches"] == 5 + 2
