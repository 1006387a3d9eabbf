"""How projections are cut into heads, for the layouts that several families share."""

from typing import Any

from tending.families import Attention, Weights


def fused(weights: Weights, module: str, output: str, heads: int) -> Attention:
    """Maps of a layer with one `module` for query, key and value, interleaved per head.

    The fused projection's rows are [head, (query, key, value), d_head]: each head's value rows
    follow its own query and key rows. Cutting the matrix into thirds has the same shapes and
    mixes queries, keys and values of the last heads.
    """
    rows = weights[f"{module}.weight"]
    bias = weights.get(f"{module}.bias")
    d_head, d_model = rows.shape[0] // (3 * heads), rows.shape[1]
    return Attention(
        value=rows.reshape(heads, 3, d_head, d_model)[:, 2],
        value_bias=None if bias is None else bias.reshape(heads, 3, d_head)[:, 2],
        output=columns(weights[f"{output}.weight"], heads),
        output_bias=weights.get(f"{output}.bias"),
    )


def separate(
    weights: Weights, value: str, output: str, heads: int, value_heads: int | None = None
) -> Attention:
    """Maps of a layer whose modules `value` and `output` hold W_V and W_O alone.

    W_V's rows and W_O's columns are [head, d_head]. With fewer value heads than heads
    (grouped-query attention), head h uses value head h // (heads / value_heads).
    """
    value_heads = value_heads or heads
    rows = weights[f"{value}.weight"]
    bias = weights.get(f"{value}.bias")
    d_head, d_model = rows.shape[0] // value_heads, rows.shape[1]
    return Attention(
        value=_shared(rows.reshape(value_heads, d_head, d_model), heads),
        value_bias=None if bias is None else _shared(bias.reshape(value_heads, d_head), heads),
        output=columns(weights[f"{output}.weight"], heads),
        output_bias=weights.get(f"{output}.bias"),
        value_heads=value_heads,
    )


def columns(matrix: Any, heads: int) -> Any:
    """W_O, (d_model, heads * d_head), as (heads, d_model, d_head)."""
    return matrix.reshape(matrix.shape[0], heads, matrix.shape[1] // heads).swapaxes(0, 1)


def _shared(values: Any, heads: int) -> Any:
    """What every head uses: (value heads, ...) -> (heads, ...)."""
    if len(values) == heads:
        return values
    return values[[head // (heads // len(values)) for head in range(heads)]]
