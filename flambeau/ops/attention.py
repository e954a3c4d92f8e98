"""Scaled dot-product attention: checks, dropout masks and defaults over the kernel."""

from __future__ import annotations

import math
import threading
from enum import IntEnum
from typing import Any

import jax
import numpy as np

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.random import FLOAT32, FLOAT64
from ..core.tensor import Tensor
from ..errors import broadcast_shapes
from ..kernels import attention as kernels
from . import checks
from .autocast import autocast
from .generator import default_generator
from .random_fill import drawn

ATTENTION = Op(
    kernels.attention,
    name="UnsafeView",
    vjp=kernels.attention_vjp,
    forward=kernels.attention_forward,
)
ATTENTION_WITH_WEIGHTS = Op(
    kernels.attention_with_weights,
    name="Bmm",
    vjp=kernels.attention_with_weights_vjp,
    forward=kernels.attention_with_weights_forward,
)


class SDPBackend(IntEnum):
    """PyTorch's implementations of attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


class Choice(threading.local):
    """The implementations that the running thread allows, in PyTorch's order of preference."""

    enabled: tuple[SDPBackend, ...] = (
        SDPBackend.CUDNN_ATTENTION,
        SDPBackend.FLASH_ATTENTION,
        SDPBackend.EFFICIENT_ATTENTION,
        SDPBackend.MATH,
        SDPBackend.OVERRIDEABLE,
    )


choice = Choice()


def _fused(possible: bool) -> bool:
    """Whether PyTorch would take its fused implementation; raises where none is allowed."""
    flash = SDPBackend.FLASH_ATTENTION in choice.enabled
    if SDPBackend.MATH not in choice.enabled and not (flash and possible):
        if flash:
            raise RuntimeError("No available kernel.  Aborting execution.")
        raise RuntimeError(
            "No viable backend for scaled_dot_product_attention was found. This is likely due to "
            "turning off both the math kernel and the fused kernels."
        )
    return flash and possible


_FLASH = "ScaledDotProductFlashAttentionForCpuBackward0"
_C_NAMES = {
    "Float": "float",
    "Double": "double",
    "Long": "long int",
    "Int": "int",
    "Short": "short int",
    "Char": "signed char",
    "Byte": "unsigned char",
    "Bool": "bool",
}


def _c_name(x: Tensor) -> str:
    """How PyTorch's messages of this function name an element type."""
    name = scalar_type_name(x.dtype)
    return _C_NAMES.get(name, f"c10::{name}")


def _check(query: Tensor, key: Tensor, value: Tensor) -> None:
    three = (("query", query), ("key", key), ("value", value))
    for position, (name, x) in enumerate(three, 1):
        checks.tensor("scaled_dot_product_attention", x, name, position)
    if any(x.dtype is not query.dtype for _, x in three):
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{_c_name(query)} key.dtype: {_c_name(key)} and value.dtype: {_c_name(value)} instead."
        )
    if any(x.ndim < 2 for _, x in three):
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    if not query.dtype.is_floating_point:
        raise RuntimeError(f"expected scalar type Float but found {scalar_type_name(query.dtype)}")


def _check_sizes(query: Tensor, key: Tensor, value: Tensor) -> tuple[int, ...]:
    """The shape of the scores."""
    lead = broadcast_shapes(query._dims()[:-2], key._dims()[:-2])
    lead = broadcast_shapes(lead, value._dims()[:-2])
    count, (length, width) = math.prod(lead), key._dims()[-2:]
    if width != query._dims()[-1]:
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{count}, {query._dims()[-1]}] but got: [{count}, {width}]."
        )
    if value._dims()[-2] != length:
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{count}, {length}] but got: [{count}, {value._dims()[-2]}]."
        )
    return (*lead, query._dims()[-2], length)


def _check_mask(mask: Tensor, query: Tensor, shape: tuple[int, ...]) -> None:
    narrow = query.dtype in (dtypes.float16, dtypes.bfloat16)
    allowed = (dtypes.bool, query.dtype, *([dtypes.float32] if narrow else []))
    if mask.dtype not in allowed:
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {_c_name(mask)} and  query.dtype: {_c_name(query)} instead."
        )
    together = tuple(broadcast_shapes(shape, mask._dims()))
    if together != shape:
        raise RuntimeError(
            f"output with shape {list(shape)} doesn't match the broadcast shape {list(together)}"
        )


def _dropout(shape: tuple[int, ...], p: float, x: Tensor) -> tuple[Any, Any]:
    """Which weights are kept, and the factor for them."""
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
    if p == 0:
        return None, None
    if p == 1:
        return np.zeros((), np.bool_), 0.0
    if x.device.type == "meta":
        keep = jax.ShapeDtypeStruct(shape, np.dtype(bool))
    else:
        sample = default_generator.bernoulli
        keep = drawn(lambda n, t: sample(n, 1 - p), shape, np.dtype(bool), None)
    wide = FLOAT64 if x._dtype_numpy() == FLOAT64 else FLOAT32
    one = wide.type(1)
    return keep, float((one / wide.type(1 - p)).astype(x._dtype_numpy()))


def _grouped(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Key and value with each head repeated for the group of query heads that it serves."""
    heads = query._dims()[-3]
    repeated = []
    for x in (key, value):
        own = x._dims()[-3]
        if not own or heads % own:
            raise RuntimeError(
                "Number of heads in key and value must divide the number of heads in "
            )
        same = own == heads
        repeated.append(x if same else x.repeat_interleave(heads // own, -3))  # type: ignore[attr-defined]
    return repeated[0], repeated[1]


@autocast("scaled_dot_product_attention")
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """dropout(softmax(scale * query @ key^T + mask)) @ value

    Args:
        attn_mask: broadcasts to (*, L, S); booleans (True: attend) or numbers to add.
        dropout_p: probability of dropout on the weights, also when nothing is being trained.
        is_causal: position i attends to the positions up to i.
        scale: 1 / sqrt(E) by default.
        enable_gqa: key and value have fewer heads, each for a group of query's.

    Shape:
        query (*, L, E), key (*, S, E), value (*, S, D); the result (*, L, D).

    Source: Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762.

    Example::

        >>> q = torch.ones(1, 2, 3, 4)
        >>> F.scaled_dot_product_attention(q, q, q, is_causal=True).shape
        torch.Size([1, 2, 3, 4])
    """
    _check(query, key, value)
    if type(is_causal) is not bool:
        raise TypeError(
            "scaled_dot_product_attention(): argument 'is_causal' must be bool, not "
            f"{type(is_causal).__name__}"
        )
    if enable_gqa:
        key, value = _grouped(query, key, value)
    shape = _check_sizes(query, key, value)
    flash = dropout_p == 0 and query.ndim == 4
    if attn_mask is not None:
        _check_mask(attn_mask, query, shape)
        flash = flash and not attn_mask.requires_grad
    flash = _fused(flash)
    if attn_mask is not None and is_causal:
        if getattr(attn_mask, "is_causal_bias", False):
            raise ValueError("CausalBias should not be used with causal=True")
        if not flash:
            raise RuntimeError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
                "is_causal=True"
            )
    if scale is None:
        scale = 1 / math.sqrt(query._dims()[-1]) if query._dims()[-1] else 1.0
    keep, factor = _dropout(shape, dropout_p, query)
    inputs = (query, key, value, attn_mask, keep, factor, float(scale))
    return apply(ATTENTION, inputs, (is_causal, True), _FLASH if flash else None)


@autocast("bmm")
def attention_with_weights(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout_p: float
) -> tuple[Tensor, Tensor]:
    """Attention whose weights are asked for, too: (result, weights after dropout).

    Shape: query (N, L, E), key (N, S, E), value (N, S, D), mask one to add, (N, L, S) or (1, L, S).
    """
    shape = _check_sizes(query, key, value)
    if mask is not None and mask.dtype is not query.dtype:
        raise RuntimeError(
            f"Input dtypes must be the same, got: input {_c_name(mask)}, batch1: "
            f"{_c_name(query)}, batch2: {_c_name(key)}"
        )
    keep, factor = _dropout(shape, dropout_p, query)
    scale = 1 / math.sqrt(query._dims()[-1])
    inputs = (query, key, value, mask, keep, factor, scale)
    return apply(ATTENTION_WITH_WEIGHTS, inputs, (False, False))
