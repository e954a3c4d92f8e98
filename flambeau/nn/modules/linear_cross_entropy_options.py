"""How `linear_cross_entropy` takes its batch apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ... import dtypes

_TYPES = (dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64)


@dataclass(frozen=True)
class LinearCrossEntropyOptions:
    """The batch is worked off in parts, so that all the logits never exist at once.

    Attributes:
        allow_retain_graph: backward may run again; it may here in any case.
        batch_chunk_size: the rows of a part; None for a size by `chunking_method`.
        chunking_method: 'aspect_ratio:n', parts whose logits hold at most about n times as many
            elements as the input; 'auto', n = 2; None, the whole batch.
        acc_policy: 'accurate', 'balanced', 'compact' or 'auto', which are the same here.
        acc_dtype: None, the inputs' own type, or float32 for 16-bit floats.

    Example::

        >>> nn.LinearCrossEntropyOptions(batch_chunk_size=128).batch_chunk_size
        128
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: Literal["accurate", "balanced", "compact", "auto"] = "auto"
    acc_dtype: Any = None

    def __post_init__(self) -> None:
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {size}")
        if self.acc_policy not in ("accurate", "balanced", "compact", "auto"):
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        if self.chunking_method is not None and not self._known_method():
            raise ValueError(f"invalid chunking_method: {self.chunking_method!r}")
        if self.acc_dtype is not None and self.acc_dtype not in _TYPES:
            raise ValueError(
                "acc_dtype must be one of {None, torch.float16, torch.bfloat16, torch.float32, "
                f"torch.float64}}, got {self.acc_dtype}. Pass acc_dtype=None to let the op pick "
                "automatically."
            )

    def _known_method(self) -> bool:
        method, _, number = str(self.chunking_method).partition(":")
        if method == "aspect_ratio":
            return not number or (number.isdecimal() and int(number) > 0)
        return method == "auto" and not number
