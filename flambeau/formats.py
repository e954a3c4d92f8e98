"""Layouts, memory formats and quantisation schemes: named constants without behaviour."""

from __future__ import annotations


class _Constant:
    """A named constant of which there is one object: copies and pickles are it, too."""

    __slots__ = ("_name",)

    _name: str
    _kind: str

    def __init__(self, *args, **kwargs):
        raise TypeError(f"cannot create 'torch.{self._kind}' instances")

    def __repr__(self):
        return f"torch.{self._name}"

    def __reduce__(self):
        return _constant_named, (self._name,)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


class layout(_Constant):
    """How a tensor's elements are held: dense (`strided`) or one of the sparse layouts."""

    __slots__ = ()
    _kind = "layout"


class memory_format(_Constant):
    """In what order of dimensions a dense tensor's elements lie."""

    __slots__ = ()
    _kind = "memory_format"


class qscheme(_Constant):
    """How a quantised tensor's integers map to real numbers (names only)."""

    __slots__ = ()
    _kind = "qscheme"


BY_NAME: dict[str, _Constant] = {}


def _constant_named(name: str) -> _Constant:
    return BY_NAME[name]


def _define(kind: type[_Constant], name: str):
    new = object.__new__(kind)
    new._name = name
    BY_NAME[name] = new
    return new


strided = _define(layout, "strided")
sparse_coo = _define(layout, "sparse_coo")
sparse_csr = _define(layout, "sparse_csr")
sparse_csc = _define(layout, "sparse_csc")
sparse_bsr = _define(layout, "sparse_bsr")
sparse_bsc = _define(layout, "sparse_bsc")
jagged = _define(layout, "jagged")
_mkldnn = _define(layout, "_mkldnn")

contiguous_format = legacy_contiguous_format = _define(memory_format, "contiguous_format")
channels_last = _define(memory_format, "channels_last")
channels_last_3d = _define(memory_format, "channels_last_3d")
preserve_format = _define(memory_format, "preserve_format")

per_tensor_affine = _define(qscheme, "per_tensor_affine")
per_channel_affine = _define(qscheme, "per_channel_affine")
per_tensor_symmetric = _define(qscheme, "per_tensor_symmetric")
per_channel_symmetric = _define(qscheme, "per_channel_symmetric")
per_channel_affine_float_qparams = _define(qscheme, "per_channel_affine_float_qparams")


__all__ = [
    "channels_last",
    "channels_last_3d",
    "contiguous_format",
    "jagged",
    "layout",
    "legacy_contiguous_format",
    "memory_format",
    "per_channel_affine",
    "per_channel_affine_float_qparams",
    "per_channel_symmetric",
    "per_tensor_affine",
    "per_tensor_symmetric",
    "preserve_format",
    "qscheme",
    "sparse_bsc",
    "sparse_bsr",
    "sparse_coo",
    "sparse_csc",
    "sparse_csr",
    "strided",
]
