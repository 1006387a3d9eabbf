#!/usr/bin/env bash
# Biases of attention keys are rounding noise after training with Adam.
#
# torch 2.13.0, transformers 5.23.0. A number added to a key adds
# the same number to all scores of a query, and the softmax cancels it. So the loss does not depend on
# the biases of keys in dimensions that no rotary embedding turns (three quarters of each head in
# GPT-NeoX and Pythia, all of them in GPT-2 and OPT), and their gradient is zero but for rounding. Adam
# divides a gradient by its size, which makes steps of full length of it.
#
# Seen: the same seed and batches, with the rows of every batch in another order, which changes sums by
# rounding alone. After 40 steps every parameter agrees to 1e-6 of its root mean square, except these
# biases, which differ by about as much as they are, in sign too. A distance between two checkpoints
# that includes them, or a hash, sees a difference that training does not determine.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON'
import sys

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

HEADS, D_HEAD, ROTATED, STEPS = 2, 16, 4, 40


def trained(backwards: bool) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=64, hidden_size=HEADS * D_HEAD, num_hidden_layers=2, num_attention_heads=HEADS,
        intermediate_size=128, max_position_embeddings=32,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
    )
    model = GPTNeoXForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95))
    rows = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        batch = torch.randint(0, 64, (8, 32), generator=rows)
        batch = batch.flip(0) if backwards else batch
        optimizer.zero_grad()
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
    return {name: value.detach() for name, value in model.named_parameters()}


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).pow(2).mean().sqrt() / a.pow(2).mean().sqrt())


one, other = trained(False), trained(True)
free, determined = [], []
for name in one:
    if name.endswith("query_key_value.bias"):
        keys = [p[name].view(HEADS, 3, D_HEAD)[:, 1, ROTATED:] for p in (one, other)]
        free.append(difference(*keys))
    else:
        determined.append(difference(one[name], other[name]))
print(f"biases of keys that are not rotated: relative difference {min(free):.2f} to {max(free):.2f}")
print(f"all other parameters: at most {max(determined):.1e}")
sys.exit(not (min(free) > 0.3 and max(determined) < 1e-4))
PYTHON
