"""Singular values equal dense SVDs, and step 0 of Pythia follows from its shapes."""

import numpy as np
import pytest
import tiny
from dense_products import Matrix, dense_heads

from tending.components._weights import circuit_spectrum, head_spectra
from tending.families import Attention
from tending.metrics.algebra.singular_values import singular_values
from tending.metrics.spectrum.effective_rank import effective_rank
from tending.metrics.spectrum.proportional_effective_rank import proportional_effective_rank
from tending.stages.spectra.weight_spectra import weight_spectra

# d, heads, d_head, PER of one OV head at step 0, as published, to 0.001
PYTHIA = {
    "70m": (512, 8, 64, 0.967),
    "160m": (768, 12, 64, 0.979),
    "410m": (1024, 16, 64, 0.984),
}


def per(s: Matrix) -> Matrix:
    return np.asarray(proportional_effective_rank(s))


def gaussian_attention(d: int, heads: int, d_head: int, seed: int = 0) -> Attention:
    rng = np.random.default_rng(seed)
    value = rng.normal(size=(heads, d_head, d)).astype(np.float32)
    output = rng.normal(size=(heads, d, d_head)).astype(np.float32)
    return Attention(value=value, value_bias=None, output=output, output_bias=None)


def test_heads_equal_a_dense_svd() -> None:
    attention = gaussian_attention(48, 4, 12)
    ours = head_spectra(attention)
    assert ours.shape == (4, 12) and ours.dtype == np.float64
    for s, product in zip(ours, dense_heads(attention), strict=True):
        dense = np.linalg.svd(product, compute_uv=False)
        assert s == pytest.approx(dense[:12], rel=1e-9)
        assert dense[12:].max() < 1e-12 * dense[0]  # the rank is at most d_head
        assert per(s) == pytest.approx(per(dense[:12]), rel=1e-6)


def test_whole_layer_equals_a_dense_svd_of_the_sum() -> None:
    attention = gaussian_attention(48, 4, 12)
    dense = np.linalg.svd(np.sum(dense_heads(attention), axis=0), compute_uv=False)
    ours = circuit_spectrum(attention)
    assert ours.shape == (48,)
    assert ours == pytest.approx(dense, rel=1e-6, abs=1e-7 * dense[0])
    assert per(ours) == pytest.approx(per(dense), rel=1e-6)


@pytest.mark.parametrize(("heads", "value_heads", "d_head"), [(8, 2, 4), (6, 3, 2), (4, 4, 4)])
def test_shared_values_are_merged_without_changing_the_product(
    heads: int, value_heads: int, d_head: int
) -> None:
    """Grouped-query attention: rank (value heads) d_head, the rest of the d values being zero."""
    rng, d = np.random.default_rng(3), 20
    value = np.repeat(rng.standard_normal((value_heads, d_head, d)), heads // value_heads, axis=0)
    output = rng.standard_normal((heads, d, d_head))
    found = circuit_spectrum(Attention(value, None, output, None, value_heads=value_heads))
    dense = np.linalg.svd(np.einsum("hdk,hke->de", output, value), compute_uv=False)
    assert found.shape == (d,)
    np.testing.assert_allclose(found, dense, rtol=0, atol=1e-12 * dense[0])
    assert np.count_nonzero(found) == min(d, value_heads * d_head)


@pytest.mark.parametrize("shape", [(30, 30), (20, 50), (50, 20), (1, 7), (7, 1)])
def test_singular_values_equal_a_dense_svd(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    dense = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
    ours = singular_values(matrix)
    assert ours == pytest.approx(dense, abs=1e-7 * dense[0])
    assert np.all(np.diff(ours) <= 0)
    assert per(ours) == pytest.approx(per(dense), rel=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 8, 32])
def test_a_collapsed_matrix_has_the_effective_rank_of_its_svd(rank: int) -> None:
    """Low rank is what the study is after: zeros must not count, not even a little."""
    rng = np.random.default_rng(rank)
    matrix = rng.normal(size=(256, rank)) @ rng.normal(size=(rank, 256))
    dense = effective_rank(np.linalg.svd(matrix, compute_uv=False))
    # 1e-8 of the largest for each of 256 zeros, weighed by ln(1e8): 256 * 1e-8 * 18 < 5e-5
    assert float(effective_rank(singular_values(matrix))) == pytest.approx(float(dense), rel=5e-5)


def test_zeros_give_zeros() -> None:
    assert np.array_equal(singular_values(np.zeros((3, 5))), np.zeros(3))


@pytest.mark.parametrize(("d", "heads", "d_head", "published"), PYTHIA.values(), ids=PYTHIA.keys())
def test_published_rank_of_a_head_at_step_0(
    d: int, heads: int, d_head: int, published: float
) -> None:
    spectra = head_spectra(gaussian_attention(d, 2, d_head))
    assert per(spectra) == pytest.approx(np.full(2, published), abs=0.002)


@pytest.mark.parametrize("d", [size[0] for size in PYTHIA.values()], ids=PYTHIA.keys())
def test_published_rank_of_the_down_projection_at_step_0(d: int) -> None:
    matrix = np.random.default_rng(d).normal(size=(d, 4 * d)).astype(np.float32)
    assert per(singular_values(matrix)) == pytest.approx(0.966, abs=0.002)


def test_rank_of_a_whole_gaussian_layer() -> None:
    spectrum = circuit_spectrum(gaussian_attention(512, 8, 64))
    assert per(spectrum) == pytest.approx(0.668, abs=0.003)


@pytest.mark.parametrize("name", tiny.MODELS)
def test_every_layer_of_a_family_equals_dense_svds(name: str) -> None:
    model = tiny.model(name)
    weights = {k: v.detach().numpy() for k, v in model.base_model.named_parameters()}
    kind, config = tiny.kind(model), model.config.to_dict()
    sizes = kind.architecture(config)
    spectra = weight_spectra(kind, weights, config)
    assert spectra["attention_ov_heads"].shape == (sizes.layers, sizes.heads, sizes.d_head)
    assert spectra["attention_ov"].shape == (sizes.layers, sizes.d_model)
    for layer in range(sizes.layers):
        heads = dense_heads(kind.attention(weights, config, layer))
        expected = {
            "attention_ov": np.sum(heads, axis=0),
            "mlp_out": np.asarray(kind.mlp_out(weights, layer)),
        }
        for component, matrix in expected.items():
            dense = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
            assert spectra[component][layer] == pytest.approx(dense, abs=1e-6 * dense[0])
        for head, product in enumerate(heads):
            dense = np.linalg.svd(product, compute_uv=False)[: sizes.d_head]
            ours = spectra["attention_ov_heads"][layer, head]
            assert ours == pytest.approx(dense, abs=1e-6 * dense[0])
