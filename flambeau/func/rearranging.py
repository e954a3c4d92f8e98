"""`rearrange`: axes by name, as in `b (h w) c -> b h w c`.

Source: Rogozhnikov, "Einops: clear and reliable tensor manipulations with Einstein-like notation",
2022.
"""

from __future__ import annotations

import keyword
import math
import re
from typing import Any

from ..core.tensor import Tensor
from ..ops.joining import stack

# The names that make up one axis, among which "..." stands for any number of axes; None for a
# "..." outside parentheses.
Group = tuple[str, ...]
_DOTS = "..."


class DimensionBindError(Exception):
    """The sizes of the axes do not fit the tensor."""


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """Permute, split and join axes.

    Args:
        tensor: a tensor, or a list of tensors, which is a leading axis.
        pattern: the axes before and after; names in parentheses make one axis, `...` stands for
            any number of axes, 1 or `()` for an axis of one.
        axes_lengths: sizes of named axes.

    Raises:
        ValueError: the pattern makes no sense.
        DimensionBindError: it does not fit the sizes.

    >>> import flambeau as torch
    >>> torch.func.rearrange(torch.zeros(2, 6, 3), "b (h w) c -> b c h w", h=2).shape
    torch.Size([2, 3, 2, 3])
    """
    if not isinstance(tensor, Tensor):
        if not isinstance(tensor, (tuple, list)):
            raise TypeError(
                "stack(): argument 'tensors' (position 1) must be tuple of Tensors, not "
                f"{type(tensor).__name__}"
            )
        tensor = stack(tensor)
    left, right = _parsed(pattern, axes_lengths)
    shape = tuple(tensor.shape)
    dots = tensor.dim() - len(left) + 1
    if None not in left:
        if tensor.dim() != len(left):
            raise ValueError(
                f"Number of dimensions in pattern ({len(left)}) must be equal to the number of "
                f"dimensions in the tensor ({tensor.dim()})"
            )
    elif dots < 0:
        raise ValueError(
            f"Number of dimensions in pattern ({len(left) - 1}) must be less than or equal to the "
            f"number of dimensions in the tensor ({tensor.dim()})"
        )
    hidden = tuple(f"...{i}" for i in range(dots))
    before = _without_dots(left, hidden)
    after = _without_dots(right, hidden)
    sizes = _sizes(before, shape, axes_lengths)
    names = [name for group in before for name in group]
    order = [names.index(name) for group in after for name in group]
    split = tensor.reshape([sizes[name] for name in names])
    joined = [math.prod(sizes[name] for name in group) for group in after]
    return split.permute(order).reshape(joined)


def _without_dots(groups: list[Group | None], hidden: Group) -> list[Group]:
    """The groups with the names that the ellipsis stands for in its place."""
    found: list[Group] = []
    for group in groups:
        if group is None:
            found += [(name,) for name in hidden]
        else:
            found.append(
                tuple([n for name in group for n in (hidden if name == _DOTS else (name,))])
            )
    return found


def _sizes(groups: list[Group], shape: tuple[int, ...], given: dict[str, int]) -> dict[str, int]:
    """The size of every name, of which one in a group may be left to be inferred."""
    sizes: dict[str, int] = {}
    order = [name for group in groups for name in group]
    for group, size in zip(groups, shape, strict=True):
        unknown = [name for name in group if name not in given]
        known = math.prod(given[name] for name in group if name in given)
        if len(group) == 1 and not unknown and given[group[0]] != size:
            raise DimensionBindError(
                f"Dimension sizes to do not match ({size} != {given[group[0]]}) when matching "
                f"dimension pack (d{order.index(group[0])},)"
            )
        if len(unknown) > 1:
            raise DimensionBindError(
                "cannot infer the sizes of two dimensions at once "
                + " and ".join(f"d{order.index(name)}" for name in unknown[:2])
            )
        if unknown and (known == 0 or size % known):
            shown = tuple([given.get(name, "?") for name in group])
            raise DimensionBindError(
                f"inferred dimension does not evenly fit into larger dimension: {size} vs {shown}"
            )
        if not unknown and known != size:
            raise DimensionBindError(
                f"Dimension sizes to do not match ({size} != {known}) when matching dimension pack "
                f"({', '.join(group)})"
            )
        sizes.update({name: given.get(name, size // max(known, 1)) for name in group})
    return sizes


# The pattern


def _parsed(pattern: str, lengths: dict[str, int]) -> tuple[list[Group | None], list[Group | None]]:
    sides = pattern.split("->")
    if len(sides) != 2:
        raise ValueError("Pattern must contain a single '->' separator")
    left, right = (_groups(side) for side in sides)
    names = [{n for group in side for n in group or () if n != _DOTS} for side in (left, right)]
    dots = [any(group is None or _DOTS in group for group in side) for side in (left, right)]
    if not dots[0] and dots[1]:
        raise ValueError(f"Ellipsis found in right side, but not left side of a pattern {pattern}")
    if any(group is not None and _DOTS in group for group in left):
        raise ValueError(f"Ellipsis is parenthesis in the left side is not allowed: {pattern}")
    only = names[0] ^ names[1]
    if only:
        raise ValueError(
            f"Identifiers only on one side of rearrange expression (should be on both): {only}"
        )
    unknown = lengths.keys() - names[0]
    if unknown:
        raise ValueError(f"Identifiers not found in rearrange expression: {unknown}")
    return left, right


def _groups(side: str) -> list[Group | None]:
    """The axes of one side of a pattern."""
    if "." in side:
        if "..." not in side:
            raise ValueError("Expression may contain dots only inside ellipsis (...)")
        if side.count("...") != 1 or side.count(".") != 3:
            raise ValueError(
                "Expression may contain dots only inside ellipsis (...); only one ellipsis for "
                "tensor "
            )
    groups: list[Group | None] = []
    names: set[str] = set()
    inner: list[str] | None = None
    for token in re.findall(r"\.\.\.|[()]|[^\s().]+", side):
        if token == "(":
            if inner is not None:
                raise ValueError(
                    "Axis composition is one-level (brackets inside brackets not allowed)"
                )
            inner = []
        elif token == ")":
            if inner is None:
                raise ValueError("Brackets are not balanced")
            groups.append(tuple(inner))
            inner = None
        elif token == "1":
            if inner is None:
                groups.append(())
        else:
            _check_name(token, names)
            if inner is None:
                groups.append(None if token == _DOTS else (token,))
            else:
                inner.append(token)
    if inner is not None:
        raise ValueError(f"Imbalanced parentheses in expression: '{side}'")
    return groups


def _check_name(name: str, names: set[str]) -> None:
    if name == _DOTS:
        return
    if name.isdecimal():
        raise ValueError("rearrange only supports unnamed axes of size 1")
    if name in names:
        raise ValueError(f"Indexing expression contains duplicate dimension '{name}'")
    reason = ""
    if not name.isidentifier():
        reason = "not a valid python identifier"
    elif name[0] == "_" or name[-1] == "_":
        reason = "axis name should should not start or end with underscore"
    elif keyword.iskeyword(name):
        reason = "a keyword of Python"
    if reason:
        raise ValueError(f"Invalid axis identifier: {name}\n{reason}")
    names.add(name)
