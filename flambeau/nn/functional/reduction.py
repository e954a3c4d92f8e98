"""The argument `reduction` of losses, and what came before it."""

from __future__ import annotations

import warnings
from typing import Any


def legacy_get_string(size_average: Any, reduce: Any, emit_warning: bool = True) -> str:
    """The `reduction` that the early arguments `size_average` and `reduce` mean."""
    average = size_average is None or bool(size_average)
    name = "none" if not (reduce is None or reduce) else "mean" if average else "sum"
    if emit_warning:
        warnings.warn(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{name}' instead.",
            UserWarning,
            stacklevel=4,
        )
    return name


def reduction_name(reduction: str, size_average: Any = None, reduce: Any = None) -> str:
    """The reduction that a loss is asked for; ValueError for an unknown one."""
    if size_average is not None or reduce is not None:
        return legacy_get_string(size_average, reduce)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction
