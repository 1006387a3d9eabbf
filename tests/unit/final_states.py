"""Final hidden states as transformers gives them."""

from typing import Any

from torch import nn

FINAL = ("norm", "final_layer_norm", "final_layernorm", "ln_f", "decoder.final_layer_norm")


def final(model: Any) -> Any:
    """Return the modules that follow a model's last block."""
    base = model.base_model
    modules = dict(base.named_modules())
    steps = [modules[n] for n in FINAL if modules.get(n) is not None]
    project = getattr(getattr(base, "decoder", None), "project_out", None)
    return nn.Sequential(*steps, *([project] if project is not None else []))
