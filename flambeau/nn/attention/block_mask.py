"""Which blocks of an attention's scores are not masked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import dtypes
from ...core.tensor import Tensor
from ...ops.registry import FUNCTIONS

_TENSORS = (
    "kv_num_blocks",
    "kv_indices",
    "full_kv_num_blocks",
    "full_kv_indices",
    "q_num_blocks",
    "q_indices",
    "full_q_num_blocks",
    "full_q_indices",
    "dq_write_order",
    "dq_write_order_full",
    "dq_kv_order",
    "dq_kv_order_spt",
)


def noop_mask(batch: Any, head: Any, token_q: Any, token_kv: Any) -> Tensor:
    """A mask that keeps every score."""
    return batch.new_ones((), dtype=dtypes.bool)


def _sliced_mask_mod_error(batch: Any, head: Any, token_q: Any, token_kv: Any) -> Tensor:
    raise RuntimeError(
        "Cannot use mask_mod from a sliced BlockMask. When you slice a BlockMask using [], the "
        "mask_mod attribute is reset. You must set it from the original BlockMask's mask_mod.\n\n"
        "Incorrect usage:\n"
        "  base_mask = create_block_mask(my_mask_fn, ...)\n"
        "  sliced_mask = base_mask[:, :, block_idx]\n"
        "  sliced_mask.mask_mod = apply_offset(sliced_mask.mask_mod, offset)  # WRONG!\n\n"
        "Correct usage:\n"
        "  base_mask = create_block_mask(my_mask_fn, ...)\n"
        "  sliced_mask = base_mask[:, :, block_idx]\n"
        "  sliced_mask.mask_mod = apply_offset(base_mask.mask_mod, offset)  # Use base_mask!"
    )


def ordered_blocks(dense: Any) -> tuple[Any, Any]:
    """How many blocks (*, columns) of each row are set, and the columns with those first."""
    flags = dense.to(dtypes.int32)
    order = flags.argsort(dim=-1, descending=True, stable=True).to(dtypes.int32)
    return flags.sum(-1).to(dtypes.int32), order


def dense_blocks(count: Any, indices: Any) -> Any:
    """The inverse of `ordered_blocks`: 1 at the first `count` indices of each row."""
    columns = indices.shape[-1]
    used = FUNCTIONS["arange"](columns, device=indices.device) < count.unsqueeze(-1)
    zeros = FUNCTIONS["zeros"](indices.shape, dtype=dtypes.int32, device=indices.device)
    return zeros.scatter(-1, indices.to(dtypes.int64), used.to(dtypes.int32))


class BlockMask:
    """The blocks of a mask (B, H, Q, KV) that are not empty, row by row and column by column.

    Attributes:
        kv_num_blocks: (B, H, rows), how many blocks of each row are partly masked.
        kv_indices: (B, H, rows, columns), the columns, those blocks' first.
        full_kv_num_blocks, full_kv_indices: the same of blocks without a hole, or None.
        q_num_blocks, q_indices, full_q_num_blocks, full_q_indices: the same by columns.
        BLOCK_SIZE: (queries, keys) of a block.
        mask_mod: the mask of single scores.
        seq_lengths: (Q, KV).
    """

    seq_lengths: tuple[int, int]
    kv_num_blocks: Any
    kv_indices: Any
    full_kv_num_blocks: Any
    full_kv_indices: Any
    q_num_blocks: Any
    q_indices: Any
    full_q_num_blocks: Any
    full_q_indices: Any
    BLOCK_SIZE: tuple[int, int]
    mask_mod: Callable[..., Any]

    def __init__(
        self,
        seq_lengths: tuple[int, int],
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None,
        full_kv_indices: Tensor | None,
        q_num_blocks: Tensor | None,
        q_indices: Tensor | None,
        full_q_num_blocks: Tensor | None,
        full_q_indices: Tensor | None,
        BLOCK_SIZE: tuple[int, int] = (128, 128),
        mask_mod: Callable[..., Any] = noop_mask,
        *,
        dq_write_order: Tensor | None = None,
        dq_write_order_full: Tensor | None = None,
        dq_kv_order: Tensor | None = None,
        dq_kv_order_spt: bool | None = None,
    ) -> None:
        if kv_indices.ndim < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        pairs = {
            "full_kv_num_blocks and full_kv_indices": (full_kv_num_blocks, full_kv_indices),
            "q_num_blocks and q_indices": (q_num_blocks, q_indices),
            "full_q_num_blocks and full_q_indices": (full_q_num_blocks, full_q_indices),
        }
        for names, (count, indices) in pairs.items():
            if (count is None) != (indices is None):
                raise AssertionError(f"{names} must be both provided or omitted")
        self.seq_lengths = seq_lengths
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self.dq_write_order = dq_write_order
        self.dq_write_order_full = dq_write_order_full
        self.dq_kv_order = dq_kv_order
        self.dq_kv_order_spt = dq_kv_order_spt
        self.BLOCK_SIZE = BLOCK_SIZE
        self.mask_mod = mask_mod

    @classmethod
    def from_kv_blocks(
        cls,
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None = None,
        full_kv_indices: Tensor | None = None,
        BLOCK_SIZE: int | tuple[int, int] = 128,
        mask_mod: Callable[..., Any] | None = None,
        seq_lengths: tuple[int, int] | None = None,
        compute_q_blocks: bool = True,
        *,
        dq_write_order: Tensor | None = None,
        dq_write_order_full: Tensor | None = None,
        dq_kv_order: Any = None,
    ) -> BlockMask:
        """The mask from the blocks of its rows.

        Args:
            compute_q_blocks: list the blocks of the columns, too.
        """
        if kv_indices.ndim < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError(
                "full_kv_num_blocks and full_kv_indices must be both provided or omitted"
            )
        columns: list[Any] = [None, None, None, None]
        if compute_q_blocks:
            columns[:2] = _by_columns(kv_num_blocks, kv_indices)
            if full_kv_num_blocks is not None:
                columns[2:] = _by_columns(full_kv_num_blocks, full_kv_indices)
        sizes = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        if seq_lengths is None:
            rows, width = kv_indices.shape[-2:]
            seq_lengths = (rows * sizes[0], width * sizes[1])
        return cls(
            seq_lengths,
            kv_num_blocks,
            kv_indices,
            full_kv_num_blocks,
            full_kv_indices,
            *columns,
            BLOCK_SIZE=sizes,
            mask_mod=noop_mask if mask_mod is None else mask_mod,
            dq_write_order=dq_write_order,
            dq_write_order_full=dq_write_order_full,
            dq_kv_order=dq_kv_order if isinstance(dq_kv_order, Tensor) else None,
        )

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """The lengths, the tensors, the block sizes and the mask; pairs taken apart."""
        tensors = tuple(getattr(self, name) for name in _TENSORS)
        if flatten:
            return (*self.seq_lengths, *tensors, *self.BLOCK_SIZE, self.mask_mod)
        return (self.seq_lengths, *tensors, self.BLOCK_SIZE, self.mask_mod)

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, H, Q, KV)"""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """The number of scores."""
        return math.prod(self.shape)

    def sparsity(self) -> float:
        """The percentage of the scores that need not be computed."""
        computed = self.kv_num_blocks.sum().item()
        if self.full_kv_num_blocks is not None:
            computed += self.full_kv_num_blocks.sum().item()
        dense = self.numel() / (self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1])
        return 100 * (1 - computed / dense)

    def to_dense(self) -> Tensor:
        """1 for every block that is not empty: (B, H, rows, columns), int32."""
        dense = dense_blocks(self.kv_num_blocks, self.kv_indices)
        if self.full_kv_num_blocks is not None:
            dense = dense | dense_blocks(self.full_kv_num_blocks, self.full_kv_indices)
        return dense

    def to(self, device: Any) -> BlockMask:
        """The mask on another device."""
        moved: dict[str, Any] = {}
        for name in _TENSORS:
            value: Any = getattr(self, name)
            moved[name] = value.to(device) if isinstance(value, Tensor) else value
        return BlockMask(
            self.seq_lengths, **moved, BLOCK_SIZE=self.BLOCK_SIZE, mask_mod=self.mask_mod
        )

    def __getitem__(self, index: Any) -> BlockMask:
        """Some of the batch, heads and rows; the axes stay, and `mask_mod` must be set anew."""
        given = index if isinstance(index, tuple) else (index,)
        places = tuple(slice(i, i + 1 or None) if isinstance(i, int) else i for i in given)
        parts: Any = [None if t is None else t[places] for t in self._rows()]
        return BlockMask.from_kv_blocks(
            *parts,
            BLOCK_SIZE=self.BLOCK_SIZE,
            mask_mod=_sliced_mask_mod_error,
            seq_lengths=self.seq_lengths,
            compute_q_blocks=self.q_indices is not None,
        )

    def _rows(self) -> tuple[Any, ...]:
        return (
            self.kv_num_blocks,
            self.kv_indices,
            self.full_kv_num_blocks,
            self.full_kv_indices,
        )

    def _adjust(self, new_q_len: int, new_kv_len: int) -> BlockMask:
        """The upper left corner of the mask."""
        rows = -(-new_q_len // self.BLOCK_SIZE[0])
        columns = -(-new_kv_len // self.BLOCK_SIZE[1])
        parts: list[Any] = []
        for count, indices in zip(self._rows()[::2], self._rows()[1::2], strict=True):
            if count is None:
                parts += [None, None]
            else:
                parts += ordered_blocks(dense_blocks(count, indices)[..., :rows, :columns])
        return BlockMask.from_kv_blocks(
            *parts,
            BLOCK_SIZE=self.BLOCK_SIZE,
            mask_mod=self.mask_mod,
            seq_lengths=(new_q_len, new_kv_len),
            compute_q_blocks=self.q_indices is not None,
        )

    # Text

    def to_string(self, grid_size: Any = (20, 20), limit: int = 4) -> str:
        """A picture of each batch entry and head: full, partly full and empty cells of blocks.

        Args:
            grid_size: the cells of a picture, at most.
            limit: the number of pictures.
        """
        grid = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
        dense = self.to_dense()._host()
        pictures = []
        for place in np.ndindex(dense.shape[:-2]):
            if len(pictures) == limit:
                pictures.append(
                    "...\nTo print out more, set BlockMask.to_string(limit=N)\nYou can also index "
                    "(BlockMask[batch, head]) to choose a specific batch or head"
                )
                break
            pictures.append(f"{place}\n{_picture(dense[place], *grid)}")
        return "\n".join(pictures)

    def __str__(self) -> str:
        return (
            f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%, \n"
            f"{self.to_string().strip()}\n)"
        )

    def __repr__(self) -> str:
        lines = []
        for name in _TENSORS[:8]:
            value = getattr(self, name)
            lines.append(f"    {name}={None if value is None else value.shape},")
        mask_name = getattr(self.mask_mod, "__name__", self.mask_mod)
        lines += [
            f"    BLOCK_SIZE={self.BLOCK_SIZE},",
            f"    shape={self.shape},",
            f"    sparsity={self.sparsity():.2f}%,",
            f"    mask_mod={mask_name}",
        ]
        return "BlockMask(\n" + "\n".join(lines) + "\n)"


def _by_columns(count: Any, indices: Any) -> tuple[Any, Any]:
    return ordered_blocks(dense_blocks(count, indices).transpose(-2, -1))


def _picture(blocks: np.ndarray, rows: int, columns: int) -> str:
    """Two characters a cell: full, partly full, empty."""
    down, across = (max(1, -(-n // m)) for n, m in zip(blocks.shape, (rows, columns), strict=True))
    text = ""
    for top in range(0, blocks.shape[0], down):
        for left in range(0, blocks.shape[1], across):
            share = blocks[top : top + down, left : left + across].mean()
            text += ("██" if share == 1 else "░░") if share else "  "
        text += "\n"
    return text
