"""Attention whose scores a function of the user's changes (arXiv:2412.05496), in its eager form.

The functions get the indices of all scores at once, as tensors that broadcast to (B, H, Q, KV).
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

from ... import dtypes
from ...core.tensor import Tensor
from ...ops.registry import FUNCTIONS
from .block_mask import BlockMask, noop_mask, ordered_blocks

__all__ = [
    "AuxOutput",
    "AuxRequest",
    "BlockMask",
    "FlexKernelOptions",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]
_DEFAULT_SPARSE_BLOCK_SIZE = 128


class AuxRequest(NamedTuple):
    """What `flex_attention` is to return besides the result."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What `flex_attention` returned besides the result: (B, H, Q) each, or None.

    Attributes:
        lse: the log of the sum of the exponentials of each query's scores.
        max_scores: the largest score of each query.
    """

    lse: Tensor | None = None
    max_scores: Tensor | None = None


class FlexKernelOptions(TypedDict, total=False):
    """Options of the kernels of other devices; accepted and not used here."""

    num_warps: int
    num_stages: int
    BLOCK_M: int
    BLOCK_N: int
    BLOCK_M1: int
    BLOCK_N1: int
    BLOCK_M2: int
    BLOCK_N2: int
    PRESCALE_QK: bool
    ROWS_GUARANTEED_SAFE: bool
    BLOCKS_ARE_CONTIGUOUS: bool
    WRITE_DQ: bool
    FORCE_USE_FLEX_ATTENTION: bool
    USE_TMA: bool
    kpack: int
    matrix_instr_nonkdim: int
    waves_per_eu: int
    BACKEND: str


# Masks


def and_masks(*mask_mods: Callable[..., Any]) -> Callable[..., Any]:
    """The mask of the scores that all the masks keep.

    >>> from flambeau.nn.attention.flex_attention import and_masks, create_mask
    >>> past = lambda b, h, q, kv: q >= kv
    >>> near = lambda b, h, q, kv: q - kv < 2
    >>> create_mask(and_masks(past, near), None, None, 3, 3)[0, 0]
    tensor([[ True, False, False],
            [ True,  True, False],
            [False,  True,  True]])
    """
    _check_callable(mask_mods)

    def and_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Tensor:
        result = b.new_ones((), dtype=dtypes.bool)
        for mask in mask_mods:
            result = result & mask(b, h, q_idx, kv_idx)
        return result

    return and_mask


def or_masks(*mask_mods: Callable[..., Any]) -> Callable[..., Any]:
    """The mask of the scores that one of the masks keeps."""
    _check_callable(mask_mods)

    def or_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Tensor:
        result = b.new_zeros((), dtype=dtypes.bool)
        for mask in mask_mods:
            result = result | mask(b, h, q_idx, kv_idx)
        return result

    return or_mask


def _check_callable(mask_mods: Any) -> None:
    if not all(callable(mask) for mask in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")


def _places(batch: int, heads: int, queries: int, keys: int, device: Any) -> tuple[Any, ...]:
    """The indices of (B, H, Q, KV) scores, each along its own axis."""
    found = []
    for axis, size in enumerate((batch, heads, queries, keys)):
        shape = [1, 1, 1, 1]
        shape[axis] = size
        found.append(FUNCTIONS["arange"](size, device=device).reshape(shape))
    return tuple(found)


def _count_arguments(function: Callable[..., Any]) -> int:
    """How many positional arguments without a default a mask (4) or a score (5) function has."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    count = sum(p.kind in kinds and p.default is p.empty for p in found)
    if count not in (4, 5):
        raise AssertionError(f"Expected 4 or 5 positional args, got {count}")
    return count


def create_mask(
    mod_fn: Callable[..., Any],
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
) -> Tensor:
    """The mask (B, H, Q_LEN, KV_LEN) of a `mask_mod`, or of what a `score_mod` leaves finite.

    Args:
        mod_fn: mask_mod(b, h, q_idx, kv_idx) or score_mod(score, b, h, q_idx, kv_idx).
        B, H: None for 1.

    >>> from flambeau.nn.attention.flex_attention import create_mask
    >>> create_mask(lambda b, h, q, kv: q >= kv, None, None, 2, 3)
    tensor([[[[ True, False, False],
              [ True,  True, False]]]])
    """
    shape = (1 if B is None else B, 1 if H is None else H, Q_LEN, KV_LEN)
    places = _places(*shape, device)
    if _count_arguments(mod_fn) == 4:
        return mod_fn(*places).to(dtypes.bool).expand(shape)
    scores = mod_fn(FUNCTIONS["zeros"](shape, device=device), *places)
    return (scores != -math.inf).expand(shape)


def create_block_mask(
    mask_mod: Callable[..., Any],
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
    _compile: bool = False,
    separate_full_blocks: bool = True,
    compute_dq_write_order: bool = False,
    dq_kv_order: bool = True,
) -> BlockMask:
    """The blocks of a mask that are not empty.

    Args:
        mask_mod: mask_mod(b, h, q_idx, kv_idx), True where a score is kept.
        B, H: None where the mask is the same for all of them.
        BLOCK_SIZE: of queries and keys, or of both.
        separate_full_blocks: list the blocks without a hole apart.

    >>> from flambeau.nn.attention.flex_attention import create_block_mask
    >>> create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 256, 256).kv_num_blocks
    tensor([[[1, 1]]], dtype=torch.int32)
    """
    if _count_arguments(mask_mod) != 4:
        raise AssertionError(f"create-block_mask requires a mask_mod function! Got {mask_mod}")
    if compute_dq_write_order:
        raise NotImplementedError("flambeau.create_block_mask(compute_dq_write_order=True)")
    sizes = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    mask: Any = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    rows, columns = -(-Q_LEN // sizes[0]), -(-KV_LEN // sizes[1])
    pads = (0, columns * sizes[1] - KV_LEN, 0, rows * sizes[0] - Q_LEN)
    padded = FUNCTIONS["constant_pad_nd"](mask.to(dtypes.int32), pads)
    blocks = padded.reshape(*mask.shape[:2], rows, sizes[0], columns, sizes[1])
    count = blocks.sum((3, 5))
    full = count == sizes[0] * sizes[1]
    partial = (count > 0) & ~full if separate_full_blocks else count > 0
    return BlockMask.from_kv_blocks(
        *ordered_blocks(partial),
        *(ordered_blocks(full) if separate_full_blocks else (None, None)),
        BLOCK_SIZE=sizes,
        mask_mod=mask_mod,
        seq_lengths=(Q_LEN, KV_LEN),
    )


# Attention


def _check_inputs(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> None:
    if not query.ndim == key.ndim == value.ndim == 4:
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")
    if query.size(-1) != key.size(-1):
        raise ValueError(
            "Expect query and key/value to have the same embedding dimension but got "
            f"E={query.size(-1)} and E={key.size(-1)}."
        )
    queries, keys = query.size(1), key.size(1)
    if not enable_gqa and queries != keys:
        raise ValueError(
            "Expect query and key/value to have the same number of heads but got "
            f"Hq={queries} and Hkv={keys}. Try setting enable_gqa=True for GQA."
        )
    if enable_gqa and queries % keys:
        raise ValueError(
            "Expect number of query heads to be a multiple of kv heads for GQA but got "
            f"Hq={queries} and Hkv={keys}."
        )


def _check_block_mask(query: Tensor, key: Tensor, mask: BlockMask | None) -> None:
    if query.size(0) != key.size(0):
        if mask is None:
            raise ValueError(
                "Expect query and key/value to have the same batch size, or non-none block_mask, "
                f"but got block_mask=None, Bq={query.size(0)}, and Bkv={key.size(0)}."
            )
        if key.size(0) != 1:
            raise ValueError(
                f"Bq and Bkv must broadcast. Got Bq={query.size(0)} and Bkv={key.size(0)}"
            )
    if mask is None:
        return
    given, wanted = (query.size(-2), key.size(-2)), mask.shape[-2:]
    if given == wanted:
        return
    text = (
        f"block_mask was created for block_mask.shape={mask.shape} but got q_len={given[0]} and "
        f"kv_len={given[1]}. As the block mask was created for a "
    )
    if given[0] > wanted[0] or given[1] > wanted[1]:
        raise ValueError(
            text + "smaller length than you're using it for, you likely need to create a new block "
            "mask."
        )
    raise ValueError(
        text + "larger length than you're using it for, you can either 1. create a new block mask "
        "with the correct length, or 2. 'adjust' the existing block mask to the correct length by "
        "calling block_mask._adjust(q_len, kv_len). This essentially 'crops' the block mask to "
        "the upper left corner, which does not work for all mask_mods!"
    )


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: Callable[..., Any] | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: FlexKernelOptions | None = None,
    *,
    return_aux: AuxRequest | None = None,
) -> Any:
    """softmax(score_mod(query @ key^T * scale, ...)) @ value

    Args:
        query: (B, Hq, Q, E); key: (B, Hkv, KV, E); value: (B, Hkv, KV, Ev).
        score_mod: score_mod(score, b, h, q_idx, kv_idx), the new scores.
        block_mask: which scores count, from `create_block_mask`.
        scale: 1 / sqrt(E) by default.
        enable_gqa: groups of query heads share a head of keys and values.
        return_lse: return (result, lse), too.
        return_aux: return (result, AuxOutput) with what is asked for.

    Returns:
        (B, Hq, Q, Ev); a query that may look at nothing gets zeros.

    >>> from flambeau.nn.attention.flex_attention import flex_attention
    >>> q = torch.zeros(1, 1, 2, 4)
    >>> flex_attention(q, q, torch.ones(1, 1, 2, 1), score_mod=lambda s, b, h, i, j: s + j)
    tensor([[[[1.],
              [1.]]]])
    """
    _check_inputs(query, key, value, enable_gqa)
    _check_block_mask(query, key, block_mask)
    if return_lse and return_aux is not None:
        raise ValueError(
            "Cannot specify both return_lse and return_aux. return_lse is deprecated, please use "
            "return_aux=AuxRequest(lse=True) instead."
        )
    if return_lse:
        warnings.warn(
            "return_lse is deprecated and will be removed in v2.10. Please use "
            "return_aux=AuxRequest(lse=True) instead.",
            FutureWarning,
            stacklevel=2,
        )
    wide = dtypes.float64 if query.dtype is dtypes.float64 else dtypes.float32
    wide_inputs: Any = [x.to(wide) for x in (query, key, value)]  # type: ignore[attr-defined]
    q, k, v = wide_inputs
    if enable_gqa and q.shape[1] != k.shape[1]:
        groups = q.shape[1] // k.shape[1]
        k, v = (x.repeat_interleave(groups, dim=1) for x in (k, v))
    factor = 1 / math.sqrt(query.size(-1)) if scale is None else scale
    scores = (q @ k.transpose(-2, -1)) * factor
    batch, heads, queries, keys = scores.shape
    places = _places(batch, heads, queries, keys, query.device)
    if score_mod is not None:
        changed: Any = score_mod(scores, *places)
        scores = changed.to(wide).expand(scores.shape)
    if block_mask is not None:
        mask: Any = block_mask.mask_mod
        kept = mask(*places)
        scores = FUNCTIONS["where"](kept, scores, -math.inf)
    result = _mix(scores, v).to(query.dtype)
    if return_lse:
        return result, scores.logsumexp(-1)
    if return_aux is None:
        return result
    return result, AuxOutput(
        scores.logsumexp(-1) if return_aux.lse else None,
        scores.amax(-1) if return_aux.max_scores else None,
    )


def _mix(scores: Any, value: Any) -> Any:
    """softmax(scores) @ value; zeros where all scores of a row are -inf."""
    empty = (scores == -math.inf).all(-1, keepdim=True)
    finite = FUNCTIONS["where"](empty, 0.0, scores)
    shares = FUNCTIONS["where"](empty, 0.0, finite.softmax(-1))
    return shares @ value
