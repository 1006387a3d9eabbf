"""Training of the embedded suite: small GPT-NeoX models with Pythia's architecture.

One thread trains one model. Data order, initial weights and every update depend on the recipe and
its seed alone, so the same recipe gives the same bytes on one machine, even after an interruption.
Another instruction set or number of threads rounds differently, and training amplifies that.
"""

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tending.checkpoints.trained import Recipe, schedule
from tending.core import atomic
from tending.corpus import Tokens
from tending.stages.training import data_order

if TYPE_CHECKING:  # imported at run time where needed: jobs import them in a special way
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

VERSION = 1  # increase it when a change alters the trained weights: the workflow then retrains
MODEL_TYPE = "gpt_neox"
LOCK = ".lock"  # held by the process that trains in a folder
LOG_COLUMNS = ("step", "training_loss", "learning_rate", "tokens_per_second")

Report = Callable[[int, float], object]


def configuration(recipe: Recipe, vocabulary: int) -> "GPTNeoXConfig":
    """Return the configuration of Pythia's architecture at the recipe's size."""
    from transformers import GPTNeoXConfig

    return GPTNeoXConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.d_model,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=4 * recipe.d_model,
        max_position_embeddings=recipe.sequence_length,
        hidden_act="gelu",
        hidden_dropout=0.0,
        attention_dropout=0.0,
        use_parallel_residual=True,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.25,
        },
    )


def initialise(model: "GPTNeoXForCausalLM", seed: int) -> None:
    """Initialise weights as Pythia does, with Gaussian small-init and wang-init.

    wang-init, for projections into the residual stream, has standard deviation 2 / (L sqrt(d))
    (Wang & Komatsuzaki, 2021); small-init, for all other matrices, sqrt(2 / (5 d)) (Nguyen &
    Salazar, 2019). Biases are 0, layer-norm weights 1.
    """
    d, layers = model.config.hidden_size, model.config.num_hidden_layers
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            into_residual = name.endswith(("attention.dense.weight", "dense_4h_to_h.weight"))
            std = 2 / (layers * math.sqrt(d)) if into_residual else math.sqrt(2 / (5 * d))
            torch.nn.init.normal_(parameter, std=std, generator=generator)
        else:
            torch.nn.init.constant_(parameter, 1.0 if "norm.weight" in name else 0.0)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Learning rate of update `step` (from 0): linear warm-up over 1 %, cosine to 0.1 x peak."""
    warm_up = max(1, round(0.01 * recipe.steps))
    if step < warm_up:
        return recipe.learning_rate * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, recipe.steps - warm_up)
    return recipe.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def batch(tokens: Tokens, recipe: Recipe, step: int) -> Tensor:
    """Return the rows of update `step`, (batch, sequence_length + 1); see `data_order.rows`."""
    order = {"batch": recipe.batch, "sequence_length": recipe.sequence_length, "seed": recipe.seed}
    return torch.from_numpy(data_order.rows(tokens, step, **order).astype(np.int64))


def part(tokens: Tokens, recipe: Recipe) -> Tokens:
    """Return the first `training_tokens` of a training stream, which the recipe trains on.

    Raises ValueError if the stream has fewer tokens than the recipe requests.
    """
    wanted = recipe.training_tokens
    if wanted is not None and wanted > tokens.size:
        raise ValueError(
            f"training_tokens {wanted}, but the corpus has {tokens.size} training tokens; "
            f"lower it, or leave it out to train on all of them"
        )
    return tokens[:wanted]


@dataclass
class _State:
    """A training run in progress: everything the next update depends on, and the log so far."""

    model: "GPTNeoXForCausalLM"
    optimizer: torch.optim.Optimizer
    step: int
    log: list[list[float]]


def train(
    recipe: Recipe,
    tokens: Tokens,
    vocabulary: int,
    tokenizer: Path,
    folder: Path,
    corpus_sha256: str,
    report: Report,
) -> list[list[float]]:
    """Train a model to the end of its recipe, saving checkpoints on its schedule.

    tokens: the training stream, identified by corpus_sha256. folder: checkpoints go to
    folder/step{N}; an interrupted training run of the same recipe and corpus resumes from its last
    checkpoint there. report(updates, loss) is called after every update, and at the start with the
    number of updates completed before. Returns the log, LOG_COLUMNS for each update. Raises
    FloatingPointError if the loss is not finite, ValueError if the stream is shorter than the
    recipe's training_tokens.
    """
    from transformers.utils import logging

    tokens = part(tokens, recipe)
    logging.disable_progress_bar()
    torch.use_deterministic_algorithms(True)
    folder.mkdir(parents=True, exist_ok=True)
    fingerprint = json.dumps([VERSION, recipe.as_dict(), corpus_sha256], sort_keys=True)
    state = _resume(recipe, vocabulary, folder, fingerprint)
    saved = set(schedule(recipe))
    if state.step == 0:
        _save(state, folder, tokenizer, fingerprint)
    else:
        report(state.step, state.log[-1][1])
    since, started = state.step, time.perf_counter()
    while state.step < recipe.steps:
        rate = learning_rate(recipe, state.step)
        loss = _update(state, batch(tokens, recipe, state.step), rate)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"loss {loss} at step {state.step}: lower the model's learning_rate "
                f"({recipe.learning_rate})"
            )
        state.step += 1
        seconds = time.perf_counter() - started
        speed = (state.step - since) * recipe.batch * recipe.sequence_length / seconds
        state.log.append([state.step, loss, rate, round(speed)])
        report(1, loss)
        if state.step in saved:
            _save(state, folder, tokenizer, fingerprint)
            since, started = state.step, time.perf_counter()
    return state.log


def _update(state: _State, rows: Tensor, rate: float) -> float:
    """Take one AdamW step on a batch; return the mean loss before it, in nats per token."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    logits = state.model(input_ids=rows[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    state.optimizer.step()
    return float(loss.detach())


def _optimizer(model: "GPTNeoXForCausalLM") -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim != 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": 0.1},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), eps=1e-8, fused=True)


def _resume(recipe: Recipe, vocabulary: int, folder: Path, fingerprint: str) -> _State:
    """Resume the training run in `folder` if it has this fingerprint, otherwise start a new one."""
    from transformers import GPTNeoXForCausalLM

    model = GPTNeoXForCausalLM(configuration(recipe, vocabulary))
    optimizer = _optimizer(model)
    stored = folder / "state.pt"
    if stored.exists():
        state = torch.load(stored, weights_only=True)
        before = [folder / f"step{s}" for s in schedule(recipe) if s <= state["step"]]
        if state["fingerprint"] == fingerprint and all(path.is_dir() for path in before):
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            return _State(model, optimizer, state["step"], state["log"])
    for old in folder.iterdir():  # from another recipe: none of its files may remain
        if old.is_dir():
            shutil.rmtree(old)
        elif old.name != LOCK:
            old.unlink()
    initialise(model, recipe.seed)
    return _State(model, optimizer, 0, [])


def _save(state: _State, folder: Path, tokenizer: Path, fingerprint: str) -> None:
    """Store the checkpoint in Hugging Face format, then the state to resume from.

    The state is written last: a training run killed in between resumes from the previous checkpoint
    and writes this one again, with the same bytes.
    """
    final, partial = folder / f"step{state.step}", folder / f".step{state.step}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    state.model.save_pretrained(partial)
    shutil.copyfile(tokenizer, partial / "tokenizer.json")
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    with atomic.replacing(folder / "state.pt") as path:
        torch.save(
            {
                "fingerprint": fingerprint,
                "model": state.model.state_dict(),
                "optimizer": state.optimizer.state_dict(),
                "step": state.step,
                "log": state.log,
            },
            path,
        )
