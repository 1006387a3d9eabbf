"""Linear layers by oneDNN: the same values, only where they are suitable, and only for a while."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
import torch
from torch import nn

from tending import onednn

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch was built without oneDNN"
)


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on an AMD processor, whatever this one is."""
    monkeypatch.setattr(onednn, "quicker", lambda: True)
    yield


class Counted:
    """The operation, and how often it was asked for."""

    def __init__(self) -> None:
        self.calls = 0
        self._operation = onednn._operation()

    def __call__(self, *given: object) -> object:
        self.calls += 1
        return self._operation(*given)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 96), (5, 96), (2, 300, 96), (0, 96)])
def test_the_values_are_those_of_the_layer(
    bias: bool, shape: tuple[int, ...], anywhere: None
) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(96, 40, bias=bias)
    x = torch.randn(*shape)
    with torch.inference_mode():
        expected = layer.double()(x.double())
        layer.float()
        with onednn.linear_layers(layer):
            found = layer(x)
    assert found.shape == expected.shape and found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_views_that_are_not_contiguous(anywhere: None) -> None:
    layer, x = nn.Linear(6, 4), torch.randn(6, 3, 5).permute(2, 1, 0)
    with torch.inference_mode(), onednn.linear_layers(layer):
        found = layer(x)
    torch.testing.assert_close(found, layer(x.contiguous()))


def test_a_models_layers_are_computed_so_and_are_their_own_again(
    anywhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = Counted()
    monkeypatch.setattr(onednn, "_operation", lambda: operation)
    model, ids = tiny.model("gpt_neox"), torch.arange(12)[None]
    layers = [m for m in model.modules() if type(m) is nn.Linear]
    with torch.inference_mode():
        plain = model(ids).logits
        with pytest.raises(ZeroDivisionError), onednn.linear_layers(model):
            torch.testing.assert_close(model(ids).logits, plain)
            assert operation.calls == len(layers) > 4
            raise ZeroDivisionError
        assert torch.equal(model(ids).logits, plain)
        assert operation.calls == len(layers)
    assert all("forward" not in vars(layer) for layer in layers)


def test_other_types_and_other_layers_are_left_alone(anywhere: None) -> None:
    class Scaled(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    replaced = nn.Linear(4, 4)
    own = replaced.forward = lambda x: x  # type: ignore[method-assign]
    others = [nn.Linear(4, 4).bfloat16(), nn.Linear(4, 4, device="meta"), Scaled(4, 4)]
    with onednn.linear_layers(*others, replaced):
        assert all("forward" not in vars(layer) for layer in others)
        assert replaced.forward is own
    assert replaced.forward is own


@pytest.mark.parametrize(
    ("text", "expected"), [("vendor_id: AuthenticAMD", True), ("vendor_id: GenuineIntel", False)]
)
def test_it_is_for_amd_alone(
    text: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(onednn, "PROCESSOR", tmp_path / "cpuinfo")
    assert onednn.quicker.__wrapped__() is expected
    monkeypatch.setattr(onednn, "PROCESSOR", tmp_path / "none")
    assert onednn.quicker.__wrapped__() is False
    layer = nn.Linear(4, 4)
    if not onednn.quicker():
        with onednn.linear_layers(layer):
            assert "forward" not in vars(layer)


def test_a_torch_without_the_operation_does_it_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise AttributeError("no such operation")

    monkeypatch.setattr(onednn, "_operation", missing)
    assert onednn.quicker.__wrapped__() is False
