"""`permute_copy`, `view_copy`, ...: what the views of these names show, in memory of its own."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from ..core.execute import Op
from ..core.op import apply
from ..core.tensor import Tensor
from .elementwise import without_derivative
from .registry import FUNCTIONS, declare

# The function that copies, the view that it copies (a function, or a method of tensors), and the
# name of its node, which the tape of PyTorch shows.
COPIES = {
    "alias_copy": ("", "AliasBackward0_copy"),
    "as_strided_copy": ("as_strided", "AsStridedBackward0_copy"),
    "diagonal_copy": ("diagonal", "DiagonalBackward0_copy"),
    "expand_copy": ("expand", "ExpandBackward0_copy"),
    "narrow_copy": ("narrow", "NarrowCopyBackward0"),
    "permute_copy": ("permute", "PermuteBackward0_copy"),
    "select_copy": ("select", "SelectBackward0_copy"),
    "split_copy": ("split", "SplitBackward0_copy"),
    "split_with_sizes_copy": ("split_with_sizes", "SplitWithSizesBackward0_copy"),
    "squeeze_copy": ("squeeze", "SqueezeBackward0_copy"),
    "t_copy": ("t", "TBackward0_copy"),
    "transpose_copy": ("transpose", "TransposeBackward0_copy"),
    "unbind_copy": ("unbind", "UnbindBackward0_copy"),
    "unfold_copy": ("unfold", "UnfoldBackward0_copy"),
    "unsqueeze_copy": ("unsqueeze", "UnsqueezeBackward0_copy"),
    "view_as_complex_copy": ("view_as_complex", "ViewAsComplexBackward0_copy"),
    "view_as_real_copy": ("view_as_real", "ViewAsRealBackward0_copy"),
    "view_copy": ("view", "ViewBackward0_copy"),
}


def _same(x: Any) -> Any:
    return x


COPY = Op(_same, name="Copy")


def _fresh(x: Tensor, label: str) -> Tensor:
    """The elements of `x` in row-major order."""
    return apply(COPY, (x,), label=label)


def _declare_copy(name: str, view_name: str, label: str) -> None:
    view = FUNCTIONS.get(view_name) or getattr(Tensor, view_name, _same)

    @functools.wraps(view)
    def copying(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        seen = view(input, *args, **kwargs)
        if isinstance(seen, Tensor):
            return _fresh(seen, label)
        return tuple([_fresh(x, label) for x in seen])

    signature = inspect.signature(view)
    parameters = list(signature.parameters.values())
    parameters[0] = parameters[0].replace(name="input", annotation=Tensor)
    copying.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    copying.__name__ = copying.__qualname__ = name
    copying.__doc__ = f"What `{view_name or 'alias'}` shows, in memory of its own."
    declare(name=name, method=name == "narrow_copy", out=True)(copying)


for _name, (_view, _label) in COPIES.items():
    _declare_copy(_name, _view, _label)


@declare(method=False, out=True)
def detach_copy(input: Tensor) -> Tensor:
    """A copy of the elements; its derivative is not defined."""
    result = _fresh(input.detach(), "")
    without_derivative(result, (input,), "detach_copy")
    return result


@declare(method=False, out=True)
def slice_copy(
    input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """The slice start:end:step of axis `dim`, in memory of its own."""
    index = (slice(None),) * (dim % max(input.dim(), 1)) + (slice(start, end, step),)
    return _fresh(input[index], "SliceBackward0_copy")
