"""Attention: the plain one, and with projections and several heads."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from ... import dtypes
from ...core.tensor import Tensor
from ...ops.attention import attention_with_weights, scaled_dot_product_attention
from ...ops.linear import linear
from ...ops.pixels import pad
from ...ops.registry import FUNCTIONS

_MASKS = ("key_padding_mask", "attn_mask")

_Split = tuple[int, int]  # N and heads

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]


def _check_axes(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None,
    attn_mask: Tensor | None,
    num_heads: int,
) -> bool:
    """Whether there is a batch; AssertionError where the numbers of axes do not fit."""
    if query.dim() not in (2, 3):
        raise AssertionError(
            "query should be unbatched 2D or batched 3D tensor but received "
            f"{query.dim()}-D query tensor"
        )
    batched = query.dim() == 3
    word, axes = ("batched (3-D)", 3) if batched else ("unbatched (2-D)", 2)
    if (key.dim(), value.dim()) != (axes, axes):
        raise AssertionError(
            f"For {word} `query`, expected `key` and `value` to be {axes}-D but found "
            f"{key.dim()}-D and {value.dim()}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.dim() != axes - 1:
        raise AssertionError(
            f"For {word} `query`, expected `key_padding_mask` to be `None` or {axes - 1}-D but "
            f"found {key_padding_mask.dim()}-D tensor instead"
        )
    if attn_mask is not None:
        if attn_mask.dim() not in (2, 3):
            raise AssertionError(
                f"For {word} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
                f"{attn_mask.dim()}-D tensor instead"
            )
        expected = (num_heads, query._dims()[0], key._dims()[0])
        if not batched and attn_mask.dim() == 3 and attn_mask._dims() != expected:
            raise AssertionError(
                f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}"
            )
    return batched


def added_mask(mask: Tensor | None, name: str, dtype: dtypes.dtype) -> Tensor | None:
    """A mask to add to the scores: -inf where a boolean one is True."""
    if mask is None:
        return None
    if mask.dtype is not dtypes.bool and not mask.dtype.is_floating_point:
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if mask.dtype is not dtypes.bool:
        return mask
    zeros = FUNCTIONS["zeros_like"](mask, dtype=dtype)
    return zeros.masked_fill_(mask, float("-inf"))


def warn_of_mixed_masks(
    mask: Tensor | None, other: Tensor | None, names: tuple[str, str] = _MASKS
) -> None:
    """Masks of two types are on their way out."""
    if mask is not None and other is not None and mask.dtype is not other.dtype:
        warnings.warn(
            f"Support for mismatched {names[0]} and {names[1]} is deprecated. Use same type "
            "for both instead.",
            UserWarning,
            stacklevel=4,
        )


def _projected(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None
) -> list[Tensor]:
    """The projections by one weight, (3 * E, E); one product where all three are the same."""
    if query is key is value:
        return list(linear(query, weight, bias).chunk(3, -1))  # type: ignore[attr-defined]
    weights = weight.chunk(3)  # type: ignore[attr-defined]
    return _separately(query, key, value, weights, _thirds(bias))


def _thirds(bias: Tensor | None) -> Sequence[Tensor | None]:
    return (None,) * 3 if bias is None else bias.chunk(3)  # type: ignore[attr-defined]


def _separately(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor | None],
) -> list[Tensor]:
    three = zip((query, key, value), weights, biases, strict=True)
    return [linear(x, weight, bias) for x, weight, bias in three]


def _static(given: Tensor, name: str, rows: int, width: int) -> Tensor:
    if given._dims()[0] != rows:
        raise AssertionError(f"expecting {name}.size(0) of {rows}, but got {given._dims()[0]}")
    if given._dims()[2] != width:
        raise AssertionError(f"expecting {name}.size(2) of {width}, but got {given._dims()[2]}")
    return given


def _lengthened(mask: Tensor | None) -> Tensor | None:
    """A mask with one more key to attend to."""
    return None if mask is None else pad(mask, (0, 1))


def _check_attn_mask(mask: Tensor, batch_heads: int, length: int, source: int) -> Tensor:
    expected = (length, source) if mask.dim() == 2 else (batch_heads, length, source)
    if mask._dims() != expected:
        raise RuntimeError(
            f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should be {expected}."
        )
    return mask.unsqueeze(0) if mask.dim() == 2 else mask  # type: ignore[attr-defined]


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of several heads over projections of query, key and value.

    Args:
        embed_dim_to_check: E, the features of query.
        in_proj_weight, in_proj_bias: (3 * E, E) and (3 * E,), the projections one below the other;
            or, with `use_separate_proj_weight`, only the bias, and q_, k_, v_proj_weight.
        bias_k, bias_v: (1, 1, E), one more key and value.
        add_zero_attn: one more key and value, of zeros.
        key_padding_mask: (N, S); True (or -inf, to be added): no one attends to this key.
        attn_mask: (L, S) or (N * num_heads, L, S); True: do not attend; or numbers to add.
        is_causal: says that `attn_mask` is the causal one.
        need_weights: also return the weights, averaged over heads if `average_attn_weights`.

    Shape:
        query (L, N, E), key (S, N, Ek), value (S, N, Ev), all without N if there is no batch; the
        result is as query, weights (N, L, S) or (N, num_heads, L, S).

    Source: Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762.
    """
    batched = _check_axes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = _with_batch(query, key, value)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)  # type: ignore[attr-defined]
    padding, mask, is_causal = _masks(query, key_padding_mask, attn_mask, is_causal, need_weights)
    head = _check_widths(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    if use_separate_proj_weight:
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
        q, k, v = _separately(query, key, value, _given(weights), _thirds(in_proj_bias))
    else:
        if in_proj_weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        q, k, v = _projected(query, key, value, in_proj_weight, in_proj_bias)

    length, batch, width = query._dims()
    rows = batch * num_heads
    if mask is not None:
        mask = _check_attn_mask(mask, rows, length, key._dims()[0])
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise AssertionError("bias cannot be added to static key or value.")
        k = FUNCTIONS["cat"]([k, bias_k.repeat(1, batch, 1)])  # type: ignore[attr-defined]
        v = FUNCTIONS["cat"]([v, bias_v.repeat(1, batch, 1)])  # type: ignore[attr-defined]
        mask, padding = _lengthened(mask), _lengthened(padding)
    q = _in_heads(q, rows, head)
    k = _in_heads(k, rows, head) if static_k is None else _static(static_k, "static_k", rows, head)
    v = _in_heads(v, rows, head) if static_v is None else _static(static_v, "static_v", rows, head)
    if add_zero_attn:
        nothing = FUNCTIONS["zeros"]((rows, 1, head), dtype=k.dtype, device=k.device)
        k, v = FUNCTIONS["cat"]([k, nothing], 1), FUNCTIONS["cat"]([v, nothing], 1)
        mask, padding = _lengthened(mask), _lengthened(padding)
    if padding is not None:
        mask = _with_padding(mask, padding, batch, num_heads, k._dims()[1])

    p, split = dropout_p if training else 0.0, (batch, num_heads)
    found = None
    if need_weights:
        made, found = _with_weights(q, k, v, mask, p, split, average_attn_weights)
        found = found if batched else found.squeeze(0)  # type: ignore[attr-defined]
    else:
        made = _without_weights(q, k, v, mask, p, split, is_causal)
    made = linear(made.reshape(length * batch, width), out_proj_weight, out_proj_bias)  # type: ignore[attr-defined]
    made = made.view(length, batch, made._dims()[1])  # type: ignore[attr-defined]
    return (made if batched else made.squeeze(1)), found


def _with_batch(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three with a batch of one; what was one tensor stays one."""
    q = query.unsqueeze(1)  # type: ignore[attr-defined]
    k = q if key is query else key.unsqueeze(1)  # type: ignore[attr-defined]
    return q, k, k if value is key else value.unsqueeze(1)  # type: ignore[attr-defined]


def _masks(
    query: Tensor,
    padding: Tensor | None,
    mask: Tensor | None,
    is_causal: bool,
    need_weights: bool,
) -> tuple[Tensor | None, Tensor | None, bool]:
    """The masks as numbers to add; the causal one is dropped where the hint can replace it."""
    warn_of_mixed_masks(padding, mask)
    padding = added_mask(padding, "key_padding_mask", query.dtype)
    if is_causal and mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and padding is None and not need_weights:
        return padding, None, True
    return padding, added_mask(mask, "attn_mask", query.dtype), False


def _check_widths(
    query: Tensor, key: Tensor, value: Tensor, expected: int, num_heads: int, separate: bool
) -> int:
    """Features a head; AssertionError where the sizes do not fit."""
    width = query._dims()[2]
    if width != expected:
        raise AssertionError(f"was expecting embedding dimension of {expected}, but got {width}")
    head = width // num_heads
    if head * num_heads != width:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    if separate and key._dims()[:2] != value._dims()[:2]:
        raise AssertionError(
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
        )
    if not separate and key._dims() != value._dims():
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
    return head


def _given(weights: Sequence[Tensor | None]) -> list[Tensor]:
    """The weights, of which none may be missing."""
    found = []
    for letter, weight in zip("qkv", weights, strict=True):
        if weight is None:
            raise AssertionError(
                f"use_separate_proj_weight is True but {letter}_proj_weight is None"
            )
        found.append(weight)
    return found


def _in_heads(x: Tensor, rows: int, head: int) -> Tensor:
    """(L, N, E) to (N * heads, L, E / heads)."""
    return x.reshape(x._dims()[0], rows, head).transpose(0, 1)  # type: ignore[attr-defined]


def _with_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float, split: _Split, average: bool
) -> tuple[Tensor, Tensor]:
    """The result (L, N * heads, E / heads), and the weights."""
    made, weights = attention_with_weights(q, k, v, mask, p)
    weights = weights.view(*split, *weights._dims()[1:])  # type: ignore[attr-defined]
    weights = weights.mean(1) if average else weights
    return made.transpose(0, 1), weights  # type: ignore[attr-defined]


def _without_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float, split: _Split, is_causal: bool
) -> Tensor:
    """The result (L, N, heads, E / heads)."""
    q, k, v = (x.reshape(*split, *x._dims()[1:]) for x in (q, k, v))  # type: ignore[attr-defined]
    mask = _per_head(mask, split)
    made = scaled_dot_product_attention(q, k, v, mask, p, is_causal)
    return made.permute(2, 0, 1, 3)  # type: ignore[attr-defined]


def _with_padding(
    mask: Tensor | None, padding: Tensor, batch: int, heads: int, source: int
) -> Tensor:
    """Both masks in one, (N * heads, L or 1, S)."""
    if padding._dims() != (batch, source):
        at = 0 if padding._dims()[0] != batch else 1
        raise AssertionError(
            f"Expected key_padded_mask.shape[{at}] to be {(batch, source)[at]}, but got "
            f"{padding._dims()[at]}"
        )
    padding = padding.view(batch, 1, 1, source)  # type: ignore[attr-defined]
    padding = padding.expand(-1, heads, -1, -1).reshape(batch * heads, 1, source)  # type: ignore[attr-defined]
    return padding if mask is None else mask + padding


def _per_head(mask: Tensor | None, split: _Split) -> Tensor | None:
    """(N * heads, L, S) to (N, heads, L, S), (1, L, S) to (1, 1, L, S)."""
    if mask is None:
        return None
    if mask._dims()[0] == 1:
        return mask.unsqueeze(0)  # type: ignore[attr-defined]
    return mask.view(*split, *mask._dims()[1:])  # type: ignore[attr-defined]
