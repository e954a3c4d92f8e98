"""`Size`: the shape of a tensor."""

from __future__ import annotations

import math
import operator


class Size(tuple):
    """A tuple of ints; slices and sums of it are Sizes, too.

    >>> Size([2, 3])[:1] + (4,)
    torch.Size([2, 4])
    """

    __slots__ = ()

    def __new__(cls, sizes=(), /):
        made = tuple.__new__(cls, sizes)
        for position, item in enumerate(made):
            if type(item) is not int:
                return tuple.__new__(cls, _as_ints(made, position))
        return made

    def numel(self) -> int:
        """The number of elements of a tensor of this size."""
        return math.prod(self)

    def __getitem__(self, key, /):
        found = tuple.__getitem__(self, key)
        return _trusted(found) if type(key) is slice else found

    def __add__(self, other, /):
        if not isinstance(other, tuple):
            if hasattr(other, "__array_ufunc__"):
                return NotImplemented
            raise TypeError(
                f"can only concatenate tuple (not {type(other).__name__}) to torch.Size"
            )
        return Size(tuple.__add__(self, other))

    def __radd__(self, other, /):
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple.__add__(other, self))

    def __mul__(self, count, /):
        product = tuple.__mul__(self, count)
        return product if product is NotImplemented else _trusted(product)

    __rmul__ = __mul__

    def __repr__(self):
        return f"torch.Size([{', '.join(map(str, self))}])"

    def __reduce__(self):
        return Size, (tuple(self),)


def _trusted(ints: tuple) -> Size:
    """A Size of values that are ints already."""
    return tuple.__new__(Size, ints)


def _as_ints(items: tuple, position: int) -> list[int]:
    """The items as ints, those before `position` being ints already."""
    converted = list(items[:position])
    for item in items[position:]:
        try:
            converted.append(int(operator.index(item)))
        except TypeError:
            raise TypeError(
                f"torch.Size() takes an iterable of 'int' (item {position} is "
                f"'{type(item).__name__}')"
            ) from None
        position += 1
    return converted
