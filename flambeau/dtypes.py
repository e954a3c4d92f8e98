"""dtype objects, type promotion, the default dtype, `finfo` and `iinfo`."""

from __future__ import annotations

import builtins

import ml_dtypes
import numpy as np

BY_NAME: dict[str, dtype] = {}
BY_NUMPY: dict[np.dtype, dtype] = {}


class dtype:
    """The element type of a tensor. There is one object per type: compare with `is` or `==`.

    Attributes:
        itemsize: bytes per element.
        is_floating_point, is_complex: the category.
        numpy: the NumPy dtype that holds it, or None where tensors of it cannot be made.
        zero_dim: stands for a zero-dimensional operand of this type in `RESULT`'s keys.
    """

    __slots__ = (
        "_name",
        "_scalar_name",
        "_signed",
        "abbr",
        "is_complex",
        "is_floating_point",
        "itemsize",
        "numpy",
        "zero_dim",
    )

    _name: str
    _scalar_name: str
    _signed: builtins.bool | None
    abbr: str
    is_complex: builtins.bool
    is_floating_point: builtins.bool
    itemsize: builtins.int
    numpy: np.dtype | None
    zero_dim: ZeroDim

    def __init__(self, *args, **kwargs):
        raise TypeError("cannot create 'torch.dtype' instances")

    @property
    def is_signed(self) -> builtins.bool:
        """Whether values below zero can be held."""
        if self._signed is None:
            if self._name.startswith("bits"):
                raise RuntimeError("Bits types are undefined")
            raise RuntimeError("isSignedType not supported for quantized types")
        return self._signed

    def to_real(self) -> dtype:
        """The type of a complex number's parts; any other type itself."""
        return _REAL_OF.get(self, self)

    def to_complex(self) -> dtype:
        """The complex type whose parts have this type."""
        if self.is_complex:
            return self
        if self not in _COMPLEX_OF:
            raise RuntimeError(f"Unknown Complex ScalarType for {self._scalar_name}")
        return _COMPLEX_OF[self]

    def __repr__(self):
        return f"torch.{self._name}"

    def __reduce__(self):
        return _dtype_named, (self._name,)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


class ZeroDim:
    """A zero-dimensional operand of type `dtype`: it promotes less than one with dimensions."""

    __slots__ = ("dtype",)

    def __init__(self, of: dtype):
        self.dtype = of

    def __repr__(self):
        return f"ZeroDim({self.dtype})"


def _dtype_named(name: str) -> dtype:
    return BY_NAME[name]


def _define(
    name, scalar_name, abbr, itemsize, *, holder=None, signed: builtins.bool | None = True
) -> dtype:
    """Make the one object for a type; `holder` is the NumPy scalar type of its elements."""
    new = object.__new__(dtype)
    new._name = name
    new._scalar_name = scalar_name
    new._signed = signed
    new.abbr = abbr
    new.itemsize = itemsize
    new.is_complex = name.startswith("complex")
    new.is_floating_point = name.startswith(("float", "bfloat"))
    new.numpy = None if holder is None else np.dtype(holder)
    new.zero_dim = ZeroDim(new)
    BY_NAME[name] = new
    if new.numpy is not None:
        BY_NUMPY[new.numpy] = new
    return new


# Builtins that the module's own names hide from here on.
_bool, _int, _float, _complex = bool, int, float, complex

bool = _define("bool", "Bool", "b8", 1, holder=np.bool_, signed=False)
uint8 = _define("uint8", "Byte", "u8", 1, holder=np.uint8, signed=False)
uint16 = _define("uint16", "UInt16", "u16", 2, holder=np.uint16, signed=False)
uint32 = _define("uint32", "UInt32", "u32", 4, holder=np.uint32, signed=False)
uint64 = _define("uint64", "UInt64", "u64", 8, holder=np.uint64, signed=False)
int8 = _define("int8", "Char", "i8", 1, holder=np.int8)
int16 = short = _define("int16", "Short", "i16", 2, holder=np.int16)
int32 = int = _define("int32", "Int", "i32", 4, holder=np.int32)
int64 = long = _define("int64", "Long", "i64", 8, holder=np.int64)
float16 = half = _define("float16", "Half", "f16", 2, holder=np.float16)
bfloat16 = _define("bfloat16", "BFloat16", "bf16", 2, holder=ml_dtypes.bfloat16)
float32 = float = _define("float32", "Float", "f32", 4, holder=np.float32)
float64 = double = _define("float64", "Double", "f64", 8, holder=np.float64)
complex32 = chalf = _define("complex32", "ComplexHalf", "c32", 4)
complex64 = cfloat = _define("complex64", "ComplexFloat", "c64", 8, holder=np.complex64)
complex128 = cdouble = _define("complex128", "ComplexDouble", "c128", 16, holder=np.complex128)
float8_e4m3fn = _define(
    "float8_e4m3fn", "Float8_e4m3fn", "f8e4m3fn", 1, holder=ml_dtypes.float8_e4m3fn
)
float8_e4m3fnuz = _define(
    "float8_e4m3fnuz", "Float8_e4m3fnuz", "f8e4m3fnuz", 1, holder=ml_dtypes.float8_e4m3fnuz
)
float8_e5m2 = _define("float8_e5m2", "Float8_e5m2", "f8e5m2", 1, holder=ml_dtypes.float8_e5m2)
float8_e5m2fnuz = _define(
    "float8_e5m2fnuz", "Float8_e5m2fnuz", "f8e5m2fnuz", 1, holder=ml_dtypes.float8_e5m2fnuz
)
float8_e8m0fnu = _define(
    "float8_e8m0fnu",
    "Float8_e8m0fnu",
    "f8e8m0fnu",
    1,
    holder=ml_dtypes.float8_e8m0fnu,
    signed=False,
)

# Names only: no tensor of these types can be made.
float4_e2m1fn_x2 = _define("float4_e2m1fn_x2", "Float4_e2m1fn_x2", "f4e2m1fnx2", 1)
int1, int2, int3, int4, int5, int6, int7 = (
    _define(f"int{bits}", f"Int{bits}", f"int{bits}", 1) for bits in range(1, 8)
)
uint1, uint2, uint3, uint4, uint5, uint6, uint7 = (
    _define(f"uint{bits}", f"UInt{bits}", f"uint{bits}", 1, signed=False) for bits in range(1, 8)
)
bit = uint1
bits1x8 = _define("bits1x8", "Bits1x8", "b1x8", 1, signed=None)
bits2x4 = _define("bits2x4", "Bits2x4", "b2x4", 1, signed=None)
bits4x2 = _define("bits4x2", "Bits4x2", "b4x2", 1, signed=None)
bits8 = _define("bits8", "Bits8", "b8x1", 1, signed=None)
bits16 = _define("bits16", "Bits16", "b16x1", 2, signed=None)
qint8 = _define("qint8", "QInt8", "qint8", 1, signed=None)
quint8 = _define("quint8", "QUInt8", "quint8", 1, signed=None)
qint32 = _define("qint32", "QInt32", "qint32", 4, signed=None)
quint4x2 = _define("quint4x2", "QUInt4x2", "quint4x2", 1, signed=None)
quint2x4 = _define("quint2x4", "QUInt2x4", "quint2x4", 1, signed=None)

_COMPLEX_OF = {
    float16: complex32,
    bfloat16: complex64,
    float32: complex64,
    float64: complex128,
}
_REAL_OF = {complex32: float16, complex64: float32, complex128: float64}


def from_numpy_dtype(numpy_dtype: np.dtype) -> dtype:
    """The dtype of arrays of `numpy_dtype`.

    Raises:
        TypeError: no dtype holds such elements.
        ValueError: the elements' bytes are in the other order than this machine's.
    """
    found = BY_NUMPY.get(numpy_dtype)
    if found is None:
        given = np.dtype(numpy_dtype)
        if given.newbyteorder("=") in BY_NUMPY:
            raise ValueError(
                "given numpy array has byte order different from the native byte order. "
                "Conversion between byte orders is currently not supported."
            )
        raise TypeError(
            f"can't convert np.ndarray of type {given.type.__module__}.{given.type.__name__}. "
            "The only supported types are: float64, float32, float16, complex64, complex128, "
            "int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool."
        )
    return found


# --- promotion ----------------------------------------------------------------------------------

_INTEGER_LADDER = (bool, uint8, int8, int16, int32, int64)
_FLOAT_LADDER = (float16, float32, float64)
_FLOAT8 = (float8_e4m3fn, float8_e4m3fnuz, float8_e5m2, float8_e5m2fnuz, float8_e8m0fnu)


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type that holds the values of both.

    Raises:
        RuntimeError: the pair has no common type (float8, quantised and wide unsigned types).

    >>> promote_types(int32, float16)
    torch.float16
    """
    for position, given in ((1, type1), (2, type2)):
        if not isinstance(given, dtype):
            raise TypeError(
                f"promote_types(): argument 'type{position}' (position {position}) must be "
                f"torch.dtype, not {type(given).__name__}"
            )
    return _PROMOTED[type1, type2]


def _promote(a: dtype, b: dtype) -> dtype:
    if a is b:
        return a
    names = f"{a._scalar_name} and {b._scalar_name}"
    if any("q" in d._name for d in (a, b)):
        raise RuntimeError(
            "promoteTypes with quantized numbers is not handled yet; figure out what the correct "
            f"rules should be, offending types: {a._scalar_name} {b._scalar_name}"
        )
    if any(d._name.startswith("bits") for d in (a, b)):
        raise RuntimeError(f"Promotion from {names} is unsupported.")
    if a in _FLOAT8 or b in _FLOAT8:
        raise RuntimeError(
            f"Promotion for Float8 Types is not supported, attempted to promote {names}"
        )
    for one, other in ((a, b), (b, a)):
        if one._name.startswith("uint") and one is not uint8:
            if other.is_floating_point:
                return other
            raise RuntimeError(
                "Promotion for uint16, uint32, uint64 types is not supported, attempted to "
                f"promote {names}"
            )
    if any(d.numpy is None and d is not complex32 for d in (a, b)):
        raise RuntimeError(f"Promotion for {names} is not supported.")
    if a.is_complex or b.is_complex:
        parts = [d.to_real() for d in (a, b) if d.is_complex or d.is_floating_point]
        return _promote(parts[0], parts[-1]).to_complex()
    if a.is_floating_point or b.is_floating_point:
        floats = [d for d in (a, b) if d.is_floating_point]
        if len(floats) == 2 and bfloat16 in floats:
            return float64 if float64 in floats else float32
        return floats[0] if len(floats) == 1 else max(floats, key=_FLOAT_LADDER.index)
    if {a, b} == {uint8, int8}:
        return int16
    return max(a, b, key=_INTEGER_LADDER.index)


class _Promoted(dict):
    """`promote_types` as a table that fills itself: (a, b) -> common type."""

    def __missing__(self, pair):
        self[pair] = common = _promote(*pair)
        return common


_PROMOTED = _Promoted()


def can_cast(from_: dtype, to: dtype) -> builtins.bool:
    """Whether an in-place operation may store results of type `from_` in a tensor of type `to`.

    >>> can_cast(float64, float32), can_cast(float32, int64)
    (True, False)
    """
    for position, name, given in ((1, "from_", from_), (2, "to", to)):
        if not isinstance(given, dtype):
            raise TypeError(
                f"can_cast(): argument '{name}' (position {position}) must be torch.dtype, not "
                f"{type(given).__name__}"
            )
    if from_.is_complex and not to.is_complex:
        return False
    if from_.is_floating_point and to.numpy is not None and to.numpy.kind in "iu":
        return False
    return not (to is bool and from_ is not bool)


# --- the default dtype --------------------------------------------------------------------------

_default_dtype = float32


def get_default_dtype() -> dtype:
    """The dtype of tensors made from Python floats."""
    return _default_dtype


def get_default_complex_dtype() -> dtype:
    """The dtype that Python complex numbers bring: its parts have the default dtype."""
    return _default_dtype.to_complex()


def set_default_dtype(d: dtype, /) -> None:
    """Make `d`, a floating-point type, the dtype of tensors made from Python floats."""
    global _default_dtype
    if not isinstance(d, dtype):
        raise TypeError(
            "invalid dtype object: only floating-point types are supported as the default type"
        )
    if not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    if d not in _COMPLEX_OF:
        raise TypeError(f"couldn't find storage object {d._scalar_name}Storage")
    _default_dtype = d
    RESULT.clear()


# --- promotion of an operator's operands --------------------------------------------------------


def dtype_of_python_scalar(kind: type) -> dtype:
    """The dtype that a Python number of type `kind` brings to a promotion."""
    if issubclass(kind, (_bool, np.bool_)):
        return bool
    if issubclass(kind, (_int, np.integer)):
        return int64
    if issubclass(kind, (_float, np.floating)):
        return _default_dtype
    if issubclass(kind, (_complex, np.complexfloating)):
        return get_default_complex_dtype()
    raise TypeError(f"a number or a tensor was expected, not {kind.__name__}")


def _combine(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """What operands of a higher rank (`higher`) make of ones of a lower: the higher rank's type
    wins unless the lower one's category (bool < integer < float < complex) is above its own."""
    if higher is None or lower is None:
        return higher or lower
    if higher.is_complex:
        return higher
    if higher.is_floating_point:
        return higher.to_complex() if lower.is_complex else higher
    if higher is bool or lower.is_floating_point or lower.is_complex:
        return promote_types(higher, lower)
    return higher


class _Result(dict):
    """The result type of an operator's operands, as a table that fills itself.

    A key is a tuple with one entry per operand: `dtype` for a tensor with dimensions,
    `dtype.zero_dim` for a zero-dimensional one, the Python type for a number.
    """

    def __missing__(self, operands):
        ranks: list[dtype | None] = [None, None, None]
        for operand in operands:
            if isinstance(operand, dtype):
                rank, brought = 0, operand
            elif isinstance(operand, ZeroDim):
                rank, brought = 1, operand.dtype
            else:
                rank, brought = 2, dtype_of_python_scalar(operand)
            before = ranks[rank]
            ranks[rank] = brought if before is None else promote_types(before, brought)
        result = _combine(ranks[0], _combine(ranks[1], ranks[2]))
        if result is None:
            raise RuntimeError("at least one operand is needed to find a result type")
        self[operands] = result
        return result


RESULT = _Result()


def result_dtype(*operands: dtype | ZeroDim | type) -> dtype:
    """The type to which an operator's operands are promoted (`RESULT` explains their form).

    >>> result_dtype(int64, float)
    torch.float32
    >>> result_dtype(float16, float64.zero_dim)
    torch.float16
    """
    return RESULT[operands]


# --- limits -------------------------------------------------------------------------------------

_DECIMAL_DIGITS = {float16: 3, bfloat16: 2, float32: 6, float64: 15}


class finfo:
    """The numerical limits of a floating-point type (of a complex type: of its parts).

    >>> finfo(float32).eps
    1.1920928955078125e-07
    """

    __slots__ = ("bits", "dtype", "eps", "max", "min", "resolution", "smallest_normal", "tiny")

    def __init__(self, type: dtype | None = None):
        given = get_default_dtype() if type is None else type
        if not isinstance(given, dtype):
            raise TypeError(
                "finfo(): argument 'type' (position 1) must be torch.dtype, not "
                f"{given.__class__.__name__}"
            )
        real = given.to_real()
        if not real.is_floating_point:
            raise TypeError(
                "torch.finfo() requires a floating point input type. "
                "Use torch.iinfo to handle 'torch.finfo'"
            )
        if real.numpy is None:
            raise NotImplementedError(f"torch.finfo({real})")
        limits = ml_dtypes.finfo(real.numpy)
        self.bits = real.itemsize * 8
        self.dtype = real._name
        # PyTorch gives float8_e5m2fnuz half the distance from 1 to its successor.
        self.eps = 0.125 if real is float8_e5m2fnuz else _float(limits.eps)
        self.max = _float(limits.max)
        self.min = _float(limits.min)
        self.smallest_normal = self.tiny = _float(limits.smallest_normal)
        self.resolution = _float(f"1e-{_DECIMAL_DIGITS.get(real, 0)}")

    def __eq__(self, other):
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __hash__(self):
        return hash(self.dtype)

    def __repr__(self):
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """The numerical limits of an integer type.

    >>> iinfo(int8).max
    127
    """

    __slots__ = ("bits", "dtype", "max", "min")

    def __init__(self, type: dtype):
        if not isinstance(type, dtype):
            raise TypeError(
                "iinfo(): argument 'type' (position 1) must be torch.dtype, not "
                f"{type.__class__.__name__}"
            )
        if type is bool:
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if "q" in type._name:
            raise NotImplementedError(f"\"dtype\" not implemented for '{type._scalar_name}'")
        if type.numpy is None or type.numpy.kind not in "iu":
            raise TypeError(
                "torch.iinfo() requires an integer input type. "
                "Use torch.finfo to handle 'torch.iinfo'"
            )
        limits = np.iinfo(type.numpy)
        self.bits = limits.bits
        self.dtype = type._name
        self.max = _int(limits.max)
        self.min = _int(limits.min)

    def __eq__(self, other):
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __hash__(self):
        return hash(self.dtype)

    def __repr__(self):
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


__all__ = [
    "bfloat16",
    "bit",
    "bits1x8",
    "bits2x4",
    "bits4x2",
    "bits8",
    "bits16",
    "bool",
    "can_cast",
    "cdouble",
    "cfloat",
    "chalf",
    "complex32",
    "complex64",
    "complex128",
    "double",
    "dtype",
    "finfo",
    "float",
    "float4_e2m1fn_x2",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "half",
    "iinfo",
    "int",
    "int1",
    "int2",
    "int3",
    "int4",
    "int5",
    "int6",
    "int7",
    "int8",
    "int16",
    "int32",
    "int64",
    "long",
    "promote_types",
    "qint8",
    "qint32",
    "quint2x4",
    "quint4x2",
    "quint8",
    "set_default_dtype",
    "short",
    "uint1",
    "uint2",
    "uint3",
    "uint4",
    "uint5",
    "uint6",
    "uint7",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]
