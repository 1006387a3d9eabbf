"""Splitting projections into heads, for layouts that several families share."""

from dataclasses import replace
from typing import Any

from tending.families import Attention, QueryKey, Weights

Part = tuple[Any, Any | None]


def fused(weights: Weights, module: str, output: str, heads: int) -> Attention:
    """Return value and output maps of a layer with one `module` for query, key and value."""
    value, bias = _interleaved(weights, module, heads, part=2)
    return _attention(weights, value, bias, output, heads)


def fused_query_key(weights: Weights, module: str, heads: int) -> QueryKey:
    """Return query and key maps of such a layer."""
    query, key = (_interleaved(weights, module, heads, part) for part in (0, 1))
    return QueryKey(*query, *key)


def separate(
    weights: Weights, value: str, output: str, heads: int, value_heads: int | None = None
) -> Attention:
    """Return the maps of a layer whose modules `value` and `output` hold W_V and W_O alone.

    W_V's rows and W_O's columns are [head, d_head]. With fewer value heads than heads
    (grouped-query attention), head h uses value head h // (heads / value_heads).
    """
    value_heads = value_heads or heads
    rows, bias = _rows(weights, value, heads, value_heads)
    return replace(_attention(weights, rows, bias, output, heads), value_heads=value_heads)


def separate_query_key(
    weights: Weights, query: str, key: str, heads: int, key_heads: int | None = None
) -> QueryKey:
    """Return the maps of a layer whose modules `query` and `key` hold W_Q and W_K alone.

    Rows are [head, d_head]; key heads are shared as value heads are.
    """
    of_key = _rows(weights, key, heads, key_heads or heads)
    return QueryKey(*_rows(weights, query, heads, heads), *of_key)


def _interleaved(weights: Weights, module: str, heads: int, part: int) -> Part:
    """Return query (0), key (1) or value (2) of a fused projection, with its bias.

    The part has shape (heads, d_head, d_model). Rows of the projection are [head, (query, key,
    value), d_head]: each head's value rows follow its own query and key rows. Splitting the matrix
    into thirds gives the same shapes, but mixes queries, keys and values of the last heads.
    """
    rows = weights[f"{module}.weight"]
    bias = weights.get(f"{module}.bias")
    d_head, d_model = rows.shape[0] // (3 * heads), rows.shape[1]
    return (
        rows.reshape(heads, 3, d_head, d_model)[:, part],
        None if bias is None else bias.reshape(heads, 3, d_head)[:, part],
    )


def _rows(weights: Weights, module: str, heads: int, distinct: int) -> Part:
    """Return a projection's rows and bias by head, of which `distinct` are distinct."""
    rows = weights[f"{module}.weight"]
    bias = weights.get(f"{module}.bias")
    d_head, d_model = rows.shape[0] // distinct, rows.shape[1]
    return (
        _shared(rows.reshape(distinct, d_head, d_model), heads),
        None if bias is None else _shared(bias.reshape(distinct, d_head), heads),
    )


def _attention(weights: Weights, value: Any, bias: Any, output: str, heads: int) -> Attention:
    return Attention(
        value=value,
        value_bias=bias,
        output=columns(weights[f"{output}.weight"], heads),
        output_bias=weights.get(f"{output}.bias"),
    )


def columns(matrix: Any, heads: int) -> Any:
    """Reshape W_O, (d_model, heads * d_head), to (heads, d_model, d_head)."""
    return matrix.reshape(matrix.shape[0], heads, matrix.shape[1] // heads).swapaxes(0, 1)


def _shared(values: Any, heads: int) -> Any:
    """Repeat shared values for every head: (value heads, ...) -> (heads, ...)."""
    if len(values) == heads:
        return values
    return values[[head // (heads // len(values)) for head in range(heads)]]
