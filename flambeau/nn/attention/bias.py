"""Causal masks of attention that is not square."""

from __future__ import annotations

import warnings
from enum import IntEnum
from typing import Any

import numpy as np

from ...core.device import tensor_from_host
from ...core.tensor import Tensor, alias

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(IntEnum):
    """Where the diagonal ends: in the upper left or in the lower right corner."""

    UPPER_LEFT = 1
    LOWER_RIGHT = 2


class CausalBias(Tensor):
    """A boolean mask (seq_len_q, seq_len_kv) for `scaled_dot_product_attention`.

    Attributes:
        variant: which corner the diagonal is tied to.
        seq_len_q, seq_len_kv: its sizes.
    """

    is_causal_bias = True
    variant: CausalVariant
    seq_len_q: int
    seq_len_kv: int

    def __new__(cls, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> Any:
        if not isinstance(variant, CausalVariant):
            raise AssertionError(f"variant must be CausalVariant, got {type(variant)}")
        if seq_len_q > seq_len_kv and variant is CausalVariant.LOWER_RIGHT:
            warnings.warn(
                "Lower right causal bias will produce NaNs in the output when seq_len_q > "
                "seq_len_kv!",
                UserWarning,
                stacklevel=3,
            )
        shift = seq_len_kv - seq_len_q if variant is CausalVariant.LOWER_RIGHT else 0
        allowed = np.tri(seq_len_q, seq_len_kv, shift, dtype=bool)
        bias: Any = alias(tensor_from_host(allowed), cls)
        bias.variant = variant
        bias.seq_len_q = seq_len_q
        bias.seq_len_kv = seq_len_kv
        return bias

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]
        return alias(self, Tensor).__repr__(**options)


def causal_upper_left(*size: int) -> CausalBias:
    """The mask whose diagonal starts in the upper left corner: i attends to j <= i.

    >>> from flambeau.nn.attention.bias import causal_upper_left
    >>> causal_upper_left(2, 3)
    tensor([[ True, False, False],
            [ True,  True, False]])
    """
    return _bias(CausalVariant.UPPER_LEFT, "causal_upper_left", size)


def causal_lower_right(*size: int) -> CausalBias:
    """The mask whose diagonal ends in the lower right corner: the last i attends to all j.

    >>> from flambeau.nn.attention.bias import causal_lower_right
    >>> causal_lower_right(2, 3)
    tensor([[ True,  True, False],
            [ True,  True,  True]])
    """
    return _bias(CausalVariant.LOWER_RIGHT, "causal_lower_right", size)


def _bias(variant: CausalVariant, name: str, size: tuple[int, ...]) -> CausalBias:
    if len(size) != 2:
        raise AssertionError(f"{name} only supports 2D tensors, got {len(size)}D")
    return CausalBias(variant, *size)
