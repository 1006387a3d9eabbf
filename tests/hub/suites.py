"""Small suites of training checkpoints on a hub, laid out as the published ones are.

Weights are GPT-NeoX's under the names that published checkpoints have, old buffers included; they
are random and drift with the step, so that representations do too. They need no transformers.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import ceil, log1p
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

if TYPE_CHECKING:
    from server import Hub

Layout = Literal["safetensors", "bin", "both", "safetensors shards", "bin shards"]
Weights = dict[str, npt.NDArray[Any]]

TOKENS_PER_STEP = 4_194_304
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"), ("Ġ", "a")]
SPECIAL = ["<|endoftext|>", "<|padding|>"]
VOCABULARY = 272  # a little more than the tokenizer has, as published models do
UNWANTED = (
    "README.md",
    "flax_model.msgpack",
    "onnx/model.onnx",
    "optimizer.pt",
    "tf_model.h5",
    "training_args.bin",
)


@dataclass(frozen=True)
class Shape:
    """The size of a tiny GPT-NeoX."""

    d_model: int = 16
    layers: int = 2
    heads: int = 4
    context: int = 64

    def of(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters by name."""
        d = self.d_model
        shapes: dict[str, tuple[int, ...]] = {"gpt_neox.embed_in.weight": (VOCABULARY, d)}
        for layer in range(self.layers):
            block = f"gpt_neox.layers.{layer}"
            for norm in ("input_layernorm", "post_attention_layernorm"):
                shapes |= {f"{block}.{norm}.weight": (d,), f"{block}.{norm}.bias": (d,)}
            for name, out, into in (
                ("attention.query_key_value", 3 * d, d),
                ("attention.dense", d, d),
                ("mlp.dense_h_to_4h", 4 * d, d),
                ("mlp.dense_4h_to_h", d, 4 * d),
            ):
                shapes |= {f"{block}.{name}.weight": (out, into), f"{block}.{name}.bias": (out,)}
        last = "gpt_neox.final_layer_norm"
        shapes |= {f"{last}.weight": (d,), f"{last}.bias": (d,)}
        return shapes | {"embed_out.weight": (VOCABULARY, d)}


@dataclass(frozen=True)
class Suite:
    """One model's training: which steps there are, under which names, and what is odd.

    `branch` is formatted with the step and the tokens seen, in billions, rounded up; `main` holds
    the last step. `same` names, for a step, the step whose weights it holds; `same_shard` the step
    of which only the first shard is taken.
    """

    steps: Sequence[int] = (0, 1, 2, 4)
    layout: Layout = "safetensors"
    branch: str = "step{step}"
    shape: Shape = field(default_factory=Shape)
    seed: int = 0
    dtype: str = "float16"
    same: Mapping[int, int] = field(default_factory=dict)
    same_shard: Mapping[int, int] = field(default_factory=dict)
    unwanted: Sequence[str] = UNWANTED

    def name(self, step: int) -> str:
        """The branch of a step."""
        return self.branch.format(step=step, tokens=ceil(step * TOKENS_PER_STEP / 1e9))

    def weights(self, step: int) -> Weights:
        """The parameters at a step: a start, and a way from it that slows down."""
        drawn = np.random.default_rng(self.seed)
        made: Weights = {}
        for name, shape in self.shape.of().items():
            start, way = drawn.standard_normal((2, *shape))
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            value = centre + 0.2 * start + 0.1 * log1p(self.same.get(step, step)) * way
            made[name] = value.astype(self.dtype)
        return made

    def buffers(self) -> Weights:
        """What published checkpoints carry besides the parameters."""
        made: Weights = {}
        for layer in range(self.shape.layers):
            block = f"gpt_neox.layers.{layer}.attention"
            mask = np.tril(np.ones((1, 1, self.shape.context, self.shape.context), bool))
            made |= {f"{block}.bias": mask, f"{block}.masked_bias": np.array(-1e9, "float32")}
            made[f"{block}.rotary_emb.inv_freq"] = np.ones(2, "float32")
        return made

    def files(self, step: int) -> dict[str, bytes]:
        """Every file of a step's branch."""
        whole = self.weights(step) | self.buffers()
        kinds = ("safetensors", "bin") if self.layout == "both" else (self.layout.split()[0],)
        written: dict[str, bytes] = {}
        for kind in kinds:
            if self.layout.endswith("shards"):
                other = self.same_shard.get(step)
                from_other = self.weights(other) | self.buffers() if other is not None else whole
                written |= shards(whole, kind, from_other)
            else:
                written[f"{STEMS[kind]}.{kind}"] = SAVE[kind](whole)
        noise = np.random.default_rng([self.seed, step])
        extra = {name: noise.bytes(5000 + len(name)) for name in self.unwanted}
        return {**written, **extra, **tokenizer(), "config.json": self.config()}

    def config(self) -> bytes:
        """config.json with the keys of a published one."""
        shape = self.shape
        told = {
            "architectures": ["GPTNeoXForCausalLM"],
            "bos_token_id": 0,
            "eos_token_id": 0,
            "hidden_act": "gelu",
            "hidden_size": shape.d_model,
            "initializer_range": 0.02,
            "intermediate_size": 4 * shape.d_model,
            "layer_norm_eps": 1e-05,
            "max_position_embeddings": shape.context,
            "model_type": "gpt_neox",
            "num_attention_heads": shape.heads,
            "num_hidden_layers": shape.layers,
            "rotary_emb_base": 10000,
            "rotary_pct": 0.25,
            "tie_word_embeddings": False,
            "torch_dtype": self.dtype,
            "transformers_version": "4.24.0",
            "use_cache": True,
            "use_parallel_residual": True,
            "vocab_size": VOCABULARY,
        }
        return json.dumps(told, indent=2).encode()

    def publish(self, hub: "Hub", name: str, gated: bool = False) -> dict[int, str]:
        """Put the suite on a hub; the commit of each step."""
        hub.add(name, gated=gated)
        made = {}
        for step in self.steps:
            files, branch = self.files(step), self.name(step)
            made[step] = hub.commit(name, files, branch, title=f"Add weights of {branch}")
        hub.commit(name, self.files(max(self.steps)), "main", title="Add the final weights")
        return made


def save_bin(weights: Weights) -> bytes:
    """What torch.save writes."""
    import torch

    written = io.BytesIO()
    torch.save({name: torch.from_numpy(value) for name, value in weights.items()}, written)
    return written.getvalue()


def save_safetensors(weights: Weights) -> bytes:
    written: bytes = save(weights, {"format": "pt"})
    return written


SAVE = {"safetensors": save_safetensors, "bin": save_bin}
STEMS = {"safetensors": "model", "bin": "pytorch_model"}


def shards(weights: Weights, kind: str, first: Weights) -> dict[str, bytes]:
    """Weights in two shards with their index, the first with the values of `first`."""
    names = sorted(weights)
    half = len(names) // 2
    parts = (names[:half], names[half:])
    home: dict[str, str] = {}
    written: dict[str, bytes] = {}
    for number, part in enumerate(parts, 1):
        file = f"{STEMS[kind]}-{number:05}-of-{len(parts):05}.{kind}"
        source = first if number == 1 else weights
        written[file] = SAVE[kind]({name: source[name] for name in part})
        home |= dict.fromkeys(part, file)
    size = sum(value.nbytes for value in weights.values())
    index = {"metadata": {"total_size": size}, "weight_map": home}
    written[f"{STEMS[kind]}.{kind}.index.json"] = json.dumps(index, indent=2).encode()
    return written


@cache
def tokenizer() -> dict[str, bytes]:
    """A byte-level tokenizer of all bytes and a few merges, in its usual files."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = [*SPECIAL, *letters, *(a + b for a, b in MERGES)]
    built = Tokenizer(models.BPE({entry: i for i, entry in enumerate(entries)}, MERGES))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.post_processor = processors.ByteLevel(trim_offsets=True)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    end = SPECIAL[0]
    named = {"bos_token": end, "eos_token": end, "unk_token": end}
    config = {**named, "add_prefix_space": False, "tokenizer_class": "GPTNeoXTokenizer"}
    return {
        "tokenizer.json": built.to_str(pretty=True).encode(),
        "tokenizer_config.json": json.dumps(config).encode(),
        "special_tokens_map.json": json.dumps(named).encode(),
    }
