"""Products by oneDNN: the same values, only where they are suitable, and only for a while."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from tending.models import onednn
from tending.stages.activations import activations
from tending.stages.activations.activations import Extraction

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch was built without oneDNN"
)


class Counted:
    """The operation, and how often it was asked for."""

    def __init__(self) -> None:
        self.calls = 0
        self._operation = onednn._operation()

    def __call__(self, *given: object) -> object:
        self.calls += 1
        return self._operation(*given)


@pytest.fixture
def operation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    """As on an AMD processor with few threads, whatever this one is."""
    counted = Counted()
    monkeypatch.setattr(onednn, "quicker", lambda: True)
    monkeypatch.setattr(onednn, "_operation", lambda: counted)
    monkeypatch.setattr(onednn, "THREADS", torch.get_num_threads())
    yield counted


def close(found: Any, expected: Any) -> None:
    """Equal up to the rounding of float32."""
    assert found.shape == expected.shape and found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 96), (5, 96), (2, 300, 96), (0, 96)])
def test_the_values_are_those_of_the_layer(
    bias: bool, shape: tuple[int, ...], operation: Counted
) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(96, 40, bias=bias)
    x = torch.randn(*shape)
    with torch.inference_mode():
        expected = layer.double()(x.double())
        layer.float()
        with onednn.products():
            found = layer(x)
    close(found, expected)
    assert operation.calls == 1


def test_the_values_are_those_of_gpt_2s_layers(operation: Counted) -> None:
    torch.manual_seed(0)
    layer, x = Conv1D(40, 96), torch.randn(2, 7, 96)
    nn.init.normal_(layer.bias)
    with torch.inference_mode(), onednn.products():
        found = layer(x)
    assert operation.calls == 1
    close(found, layer.double()(x.double()))


def test_views_that_are_not_contiguous(operation: Counted) -> None:
    layer, x = nn.Linear(6, 4), torch.randn(6, 3, 5).permute(2, 1, 0)
    with torch.inference_mode(), onednn.products():
        found = layer(x)
        gaps = functional.linear(x, torch.ones(4, 12)[:, ::2])
    assert operation.calls == 1  # a weight with gaps is not for it
    close(gaps, x.sum(-1, keepdim=True).expand(5, 3, 4))
    close(found, layer(x.contiguous()))


@pytest.mark.parametrize("key_heads", [4, 2, 1])
@pytest.mark.parametrize("length", [onednn.LONG, onednn.LONG + 77])
def test_attention_in_parts_is_causal_attention(
    key_heads: int, length: int, operation: Counted
) -> None:
    """From the definition, in float64: softmax over the tokens up to each one."""
    torch.manual_seed(0)
    q = torch.randn(2, length, 4, 16).transpose(1, 2)
    k, v = (torch.randn(2, key_heads, length, 3 * 16)[..., 16:32] for _ in range(2))
    wide = [x.double().repeat_interleave(4 // x.shape[1], dim=1) for x in (q, k, v)]
    scores = wide[0] @ wide[1].transpose(2, 3) * 0.3
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    expected = scores.masked_fill(later, -torch.inf).softmax(-1) @ wide[2]
    given = {"is_causal": True, "scale": 0.3, "enable_gqa": key_heads < 4}
    with torch.inference_mode(), onednn.products():
        close(functional.scaled_dot_product_attention(q, k, v, **given), expected)
        assert operation.calls == 2 * 4 * 2 * -(-length // onednn.QUERIES)
        own = functional.scaled_dot_product_attention(*(x.float() for x in wide), is_causal=True)
        usual = (wide[0] @ wide[1].transpose(2, 3) / 4).masked_fill(later, -torch.inf)
        close(own, usual.softmax(-1) @ wide[2])


def test_other_attention_is_torchs_own(operation: Counted) -> None:
    q, short = torch.randn(1, 2, onednn.LONG, 8), torch.randn(1, 2, onednn.LONG - 1, 8)
    mask = torch.ones(onednn.LONG, onednn.LONG, dtype=torch.bool)
    attend = functional.scaled_dot_product_attention
    with torch.inference_mode(), onednn.products():
        for x, others in (
            (q, {}),
            (q, {"attn_mask": mask}),
            (q.double(), {"is_causal": True}),
            (short, {"is_causal": True}),
        ):
            assert attend(x, x, x, **others).shape == x.shape
        assert attend(q[:, :, :1], q, q, is_causal=True).shape == (1, 2, 1, 8)
        assert operation.calls == 0


@pytest.mark.parametrize("name", ["gpt_neox", "llama", "gpt2", "qwen3"])
def test_a_models_activations_are_the_same_without(
    name: str, operation: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onednn, "LONG", 8)
    model, tokens = tiny.model(name), tiny.tokens(3, 12)

    def captured() -> dict[str, Any]:
        asked = Extraction(sequences=3, loss_sequences=3)
        return activations.capture(model, tokens, asked, lambda _: None, print).arrays

    found = captured()
    layers = model.config.num_hidden_layers
    assert operation.calls >= layers * (2 * 3 * model.config.num_attention_heads + 4)
    monkeypatch.setattr(onednn, "quicker", lambda: False)
    operation.calls = 0
    for array, plain in zip(found.values(), captured().values(), strict=True):
        np.testing.assert_allclose(array, plain, rtol=2e-5, atol=2e-5)
    assert operation.calls == 0


def test_it_ends_with_its_block(operation: Counted) -> None:
    layer, x = nn.Linear(6, 4), torch.randn(3, 6)
    with torch.inference_mode():
        with pytest.raises(ZeroDivisionError), onednn.products():
            layer(x)
            raise ZeroDivisionError
        layer(x)
    assert operation.calls == 1


def test_other_types_and_passes_with_gradients_are_left_alone(operation: Counted) -> None:
    layer, x = nn.Linear(4, 4), torch.randn(2, 4)
    with onednn.products():
        layer(x).sum().backward()
        with torch.inference_mode():
            nn.Linear(4, 4).bfloat16()(x.bfloat16())
            nn.Linear(4, 4, device="meta")(x.to("meta"))
    assert layer.weight.grad is not None
    assert operation.calls == 0


@pytest.mark.parametrize(
    ("vendor", "capability", "mkl", "expected"),
    [
        ("AuthenticAMD", "AVX512", True, True),
        ("HygonGenuine", "AVX512", True, True),
        ("AuthenticAMD", "AVX2", True, False),  # MKL's AVX2 kernels serve every vendor
        ("AuthenticAMD", "DEFAULT", True, False),
        ("AuthenticAMD", "AVX512", False, False),  # this torch multiplies by another library
        ("GenuineIntel", "AVX512", True, False),
        ("GenuineIntel", "AVX2", True, False),
    ],
)
def test_it_is_for_processors_whose_avx_512_mkl_leaves_unused(
    vendor: str,
    capability: str,
    mkl: bool,
    expected: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "cpuinfo").write_text(f"vendor_id\t: {vendor}\n")
    monkeypatch.setattr(onednn, "PROCESSOR", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    assert onednn.quicker.__wrapped__() is expected
    monkeypatch.setattr(onednn, "PROCESSOR", tmp_path / "none")
    assert onednn.quicker.__wrapped__() is False


def test_elsewhere_torch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()
    monkeypatch.setattr(onednn, "_operation", lambda: counted)
    monkeypatch.setattr(onednn, "quicker", lambda: False)
    with torch.inference_mode(), onednn.products():
        nn.Linear(4, 4)(torch.ones(2, 4))
    assert counted.calls == 0


def test_a_torch_without_the_operation_does_it_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise AttributeError("no such operation")

    (tmp_path / "cpuinfo").write_text("vendor_id\t: AuthenticAMD\n")
    monkeypatch.setattr(onednn, "PROCESSOR", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    assert onednn.quicker.__wrapped__() is True
    monkeypatch.setattr(onednn, "_operation", missing)
    assert onednn.quicker.__wrapped__() is False
