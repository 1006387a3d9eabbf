"""Models with Pythia's shapes and random weights."""

from typing import Any

# d_model, layers, heads; the vocabulary has 50,304 rows, the MLP 4 d_model
PYTHIA = {"70m": (512, 6, 8), "160m": (768, 12, 12), "410m": (1024, 24, 16), "2.8b": (2560, 32, 32)}
VOCABULARY = 50304


def config(shape: str, layers: int | None = None, **changes: Any) -> Any:
    """Return the configuration of a shape; `layers`: number of layers, if not all."""
    from transformers import GPTNeoXConfig

    d_model, every, heads = PYTHIA[shape]
    given = {
        "hidden_size": d_model,
        "intermediate_size": 4 * d_model,
        "num_hidden_layers": every if layers is None else layers,
        "num_attention_heads": heads,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 2048,
        "bos_token_id": 0,
        "eos_token_id": 0,
        **changes,
    }
    return GPTNeoXConfig(**given)


def model(settings: Any, seed: int = 0, dtype: Any = None, device: Any = "cpu") -> Any:
    """Build a causal language model with random weights, in evaluation mode."""
    import torch
    from transformers import GPTNeoXForCausalLM

    torch.manual_seed(seed)
    with torch.device(device):
        built = GPTNeoXForCausalLM(settings)
    return built.to(dtype or torch.float32).eval()


def forward_flops(settings: Any, sequences: int, length: int, probed: int | None = None) -> float:
    """Count operations of the matrix products of all layers, without the output head.

    Causal attention needs half of its scores and of the products with them. probed: number of
    positions at which values and MLP of the last layer are needed, if not all.
    """
    d, layers = settings.hidden_size, settings.num_hidden_layers
    mlp = 2 * d * settings.intermediate_size
    whole = length * (4 * d * d + mlp + length * d)  # per layer, products of numbers
    last = whole if probed is None else probed * (d * d + mlp)
    return 2.0 * sequences * ((layers - 1) * whole + last)
