"""Attention: the plain one, and with projections and several heads."""

from __future__ import annotations

import warnings

from ... import dtypes
from ...core.tensor import Tensor
from ...ops.attention import attention_with_weights, scaled_dot_product_attention
from ...ops.linear import linear
from ...ops.pixels import pad
from ...ops.registry import FUNCTIONS

_MASKS = ("key_padding_mask", "attn_mask")

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
    biases = (None,) * 3 if bias is None else bias.chunk(3)  # type: ignore[attr-defined]
    return _separately(query, key, value, weights, biases)


def _separately(query: Tensor, key: Tensor, value: Tensor, weights, biases) -> list[Tensor]:
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
        same = query is key, key is value
        query = query.unsqueeze(1)  # type: ignore[attr-defined]
        key = query if same[0] else key.unsqueeze(1)  # type: ignore[attr-defined]
        value = key if same[1] else value.unsqueeze(1)  # type: ignore[attr-defined]
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)  # type: ignore[attr-defined]
    length, batch, width = query._dims()
    source = key._dims()[0]
    if key_padding_mask is not None:
        warn_of_mixed_masks(key_padding_mask, attn_mask)
    key_padding_mask = added_mask(key_padding_mask, "key_padding_mask", query.dtype)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and key_padding_mask is None and not need_weights:
        attn_mask = None
    else:
        attn_mask = added_mask(attn_mask, "attn_mask", query.dtype)
        is_causal = is_causal and key_padding_mask is None and not need_weights
    if width != embed_dim_to_check:
        raise AssertionError(
            f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}"
        )
    head = width // num_heads
    if head * num_heads != width:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    ours, other = key._dims(), value._dims()
    if (ours[:2] if use_separate_proj_weight else ours) != (
        other[:2] if use_separate_proj_weight else other
    ):
        if use_separate_proj_weight:
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]} do not match value's "
                f"{value.shape[:2]}"
            )
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")

    if use_separate_proj_weight:
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
        for name, weight in zip(names, weights, strict=True):
            if weight is None:
                raise AssertionError(f"use_separate_proj_weight is True but {name} is None")
        biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)  # type: ignore[attr-defined]
        q, k, v = _separately(query, key, value, weights, biases)
    else:
        if in_proj_weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        q, k, v = _projected(query, key, value, in_proj_weight, in_proj_bias)

    if attn_mask is not None:
        attn_mask = _check_attn_mask(attn_mask, batch * num_heads, length, source)
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise AssertionError("bias cannot be added to static key or value.")
        k = FUNCTIONS["cat"]([k, bias_k.repeat(1, batch, 1)])  # type: ignore[attr-defined]
        v = FUNCTIONS["cat"]([v, bias_v.repeat(1, batch, 1)])  # type: ignore[attr-defined]
        attn_mask, key_padding_mask = _lengthened(attn_mask), _lengthened(key_padding_mask)
    rows = batch * num_heads
    q = q.reshape(length, rows, head).transpose(0, 1)
    if static_k is not None:
        k = _static(static_k, "static_k", rows, head)
    else:
        k = k.reshape(k._dims()[0], rows, head).transpose(0, 1)
    if static_v is not None:
        v = _static(static_v, "static_v", rows, head)
    else:
        v = v.reshape(v._dims()[0], rows, head).transpose(0, 1)
    if add_zero_attn:
        nothing = FUNCTIONS["zeros"]((rows, 1, head), dtype=k.dtype, device=k.device)
        k, v = FUNCTIONS["cat"]([k, nothing], 1), FUNCTIONS["cat"]([v, nothing], 1)
        attn_mask, key_padding_mask = _lengthened(attn_mask), _lengthened(key_padding_mask)
    source = k._dims()[1]
    if key_padding_mask is not None:
        attn_mask = _with_padding(attn_mask, key_padding_mask, batch, num_heads, source)

    p = dropout_p if training else 0.0
    if need_weights:
        made, weights = attention_with_weights(q, k, v, attn_mask, p)
        weights = weights.view(batch, num_heads, length, source)  # type: ignore[attr-defined]
        if average_attn_weights:
            weights = weights.mean(1)
        weights = weights if batched else weights.squeeze(0)
        made = made.transpose(0, 1)  # type: ignore[attr-defined]
    else:
        four = [x.reshape(batch, num_heads, x._dims()[1], head) for x in (q, k, v)]
        made = scaled_dot_product_attention(
            *four, _per_head(attn_mask, batch, num_heads), p, is_causal
        )
        weights = None
        made = made.permute(2, 0, 1, 3)  # type: ignore[attr-defined]
    made = made.reshape(length * batch, width)
    made = linear(made, out_proj_weight, out_proj_bias)
    made = made.view(length, batch, made._dims()[1])  # type: ignore[attr-defined]
    return (made if batched else made.squeeze(1)), weights


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


def _per_head(mask: Tensor | None, batch: int, heads: int) -> Tensor | None:
    """(N * heads, L, S) to (N, heads, L, S), (1, L, S) to (1, 1, L, S)."""
    if mask is None:
        return None
    if mask._dims()[0] == 1:
        return mask.unsqueeze(0)  # type: ignore[attr-defined]
    return mask.view(batch, heads, *mask._dims()[1:])  # type: ignore[attr-defined]
