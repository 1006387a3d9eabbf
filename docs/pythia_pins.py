"""Write what is known of the Pythia models without the hub: studies/pythia.pins.json.

Usage: python docs/pythia_pins.py

It names no commits, because only the hub knows them. Sizes of files follow from the shapes: two
bytes a parameter, and one for each entry of the attention masks that these checkpoints carry. A
revision may hold its weights in other formats or in shards.
"""

import json
from math import prod
from pathlib import Path
from typing import Any

from tending.families import gpt_neox
from tending.hub import pins

FILE = Path(__file__).parents[1] / "studies/pythia.pins.json"
NOTE = (
    "Known without the hub: steps, shapes, and sizes of weights in bytes, estimated from the "
    "shapes. No commits: a run asks the hub for them. Made by docs/pythia_pins.py."
)
CONTEXT = 2048
SIZES = {  # layers, d_model, heads, vocabulary
    "14m": (6, 128, 4, 50304),
    "31m": (6, 256, 8, 50304),
    "70m": (6, 512, 8, 50304),
    "160m": (12, 768, 12, 50304),
    "410m": (24, 1024, 16, 50304),
    "1b": (16, 2048, 8, 50304),
    "1.4b": (24, 2048, 16, 50304),
    "2.8b": (32, 2560, 32, 50304),
    "6.9b": (32, 4096, 32, 50432),
    "12b": (36, 5120, 40, 50688),
}


def config(layers: int, d_model: int, heads: int, vocabulary: int) -> dict[str, Any]:
    """What config.json of such a model says of its shapes."""
    return {
        "model_type": "gpt_neox",
        "hidden_size": d_model,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * d_model,
        "vocab_size": vocabulary,
        "max_position_embeddings": CONTEXT,
        "rotary_pct": 0.25,
        "use_parallel_residual": True,
        "tie_word_embeddings": False,
    }


def weights(shapes: dict[str, Any]) -> int:
    """Bytes of the weights: the base model's, the head's (as large as the embedding), masks."""
    parameters = sum(prod(shape) for shape in gpt_neox.shapes(shapes).values())
    head = shapes["vocab_size"] * shapes["hidden_size"]
    return int(2 * (parameters + head) + shapes["num_hidden_layers"] * CONTEXT**2)


def known(name: str) -> dict[str, Any]:
    """What is known of the deduplicated model of one size."""
    shapes = config(*SIZES[name])
    return {
        "repository": f"EleutherAI/pythia-{name}-deduped",
        "naming": pins.naming({}),
        "steps": "pythia",
        "config": shapes,
        "files": {
            "config.json": 600,
            "tokenizer.json": 2_100_000,
            "model.safetensors": weights(shapes),
        },
    }


if __name__ == "__main__":
    models = {name: known(name) for name in SIZES}
    content = {"schema_version": pins.SCHEMA_VERSION, "note": NOTE, "models": models}
    FILE.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
