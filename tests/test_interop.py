"""The outside world: NumPy, DLPack, JAX, pickle, copy, and Python's own protocols."""

import array
import copy
import io
import pickle
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.parity.libraries import subject
from tests.parity.lockstep import error_of, lockstep

INTEGRAL = ("bool", "uint8", "int8", "int16", "int32", "int64")
NAMES = (*INTEGRAL, "float16", "bfloat16", "float32", "float64", "complex64", "complex128")
NUMPY = [name for name in NAMES if name != "bfloat16"]

# --- tensor() and friends ---

DATA = {
    "int": 3,
    "float": 2.5,
    "bool": True,
    "complex": 1 + 2j,
    "list": [1, 2, 3],
    "floats": [1.0, 2],
    "mixed_bool": [True, 2],
    "bools": [True, False],
    "complexes": [1, 2j],
    "nested": [[1, 2], [3, 4]],
    "tuple": ((1.5,), (2.5,)),
    "empty": [],
    "empty_nested": [[], []],
    "range": range(4),
    "huge": 2**62,
    "inf": float("inf"),
    "numpy": np.arange(6.0).reshape(2, 3),
    "numpy_float32": np.ones(2, dtype=np.float32),
    "numpy_transposed": np.arange(6).reshape(2, 3).T,
    "numpy_reversed": np.arange(3.0)[::-1],
    "numpy_scalar": np.float32(2.5),
    "numpy_scalars": [np.float64(1.0), np.int64(2)],
    "numpy_zero_dim": np.array(3),
    "list_of_arrays": [np.zeros(2), np.ones(2)],
    "bytes_array": array.array("f", [1.0, 2.0]),
    "big_endian": np.ones(2, dtype=">f4"),
    "uint16": np.ones(2, dtype=np.uint16),
}


@pytest.mark.parametrize("maker", ["tensor", "as_tensor", "asarray"])
@pytest.mark.parametrize("name", DATA)
@lockstep
def test_tensor_from(t, name, maker):
    try:
        return getattr(t, maker)(DATA[name])
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize("dtype", NAMES)
@lockstep
def test_tensor_with_a_dtype(t, dtype):
    d = getattr(t, dtype)
    return t.tensor([0, 1, 2], dtype=d), t.tensor([0.5, 1.5], dtype=d), t.tensor(True, dtype=d)


@lockstep
def test_tensor_from_zero_dim_tensors(t):
    return t.tensor([t.tensor(1.0), t.tensor(2.0)]), t.tensor([t.tensor(1), 2.5])


@lockstep
def test_tensor_from_a_tensor_warns(t):
    return t.tensor(t.ones(2)), t.as_tensor(t.ones(2), dtype=t.int64)


@lockstep
def test_legacy_constructors(t):
    return (
        t.Tensor([1, 2]),
        t.Tensor(2, 0),
        t.FloatTensor([1.5]),
        t.LongTensor([1, 2]),
        t.Tensor().shape,
        t.BoolTensor([True]),
        t.DoubleTensor(0),
    )


@lockstep
def test_empty_shapes(t):
    return (
        [
            x.shape
            for x in (
                t.empty(2, 3),
                t.empty((0,)),
                t.empty_like(t.ones(2, 3).t()),
                t.empty_strided((2, 3), (1, 2)),
                t.empty_permuted((2, 3), (1, 0)),
                t.ones(1).new_empty(4, 2),
                t.ones(1).new_empty_strided((2, 2), (1, 2)),
            )
        ],
        t.empty_strided((2, 3), (1, 2)).stride(),
        t.empty_permuted((2, 3), (1, 0)).stride(),
    )


@lockstep
def test_frombuffer(t):
    data = bytearray(np.arange(4, dtype=np.float32).tobytes())
    x = t.frombuffer(data, dtype=t.float32)
    x[0] = 9
    part = t.frombuffer(data, dtype=t.float32, count=2, offset=4)
    return x, part, np.frombuffer(data, dtype=np.float32).copy()


# --- NumPy ---


@pytest.mark.parametrize("name", NUMPY)
@lockstep
def test_numpy_round_trip(t, name):
    a = np.arange(4).astype(name)
    return t.from_numpy(a), t.from_numpy(a).numpy(), t.tensor(a).numpy().dtype == a.dtype


@lockstep
def test_numpy_shapes_and_strides(t):
    x = t.arange(12.0).view(3, 4)
    views = (x, x.t(), x[:, 1:3], x[::2], x[1, 2], x[:0], x[0].expand(2, 4), x.diagonal())
    return [(v.numpy().copy(), v.numpy().strides, v.numpy().shape) for v in views]


@lockstep
def test_numpy_errors(t):
    x = t.ones(2, requires_grad=True)
    return (
        error_of(x.numpy),
        error_of((x * 2).numpy),
        error_of(t.ones(2).bfloat16().numpy),
        x.numpy(force=True),
        x.detach().numpy(),
    )


@lockstep
def test_numpy_protocol(t):
    x = t.arange(3.0)
    return (
        np.asarray(x),
        np.array(x, dtype=np.int64),
        np.asarray(t.tensor(2)).shape,
        np.sum(np.asarray(x)),
        np.stack([x, x]),
        np.isnan(x.numpy()),
    )


@lockstep
def test_arithmetic_with_numpy(t):
    x, a = t.arange(3.0), np.arange(3, dtype=np.float32)
    return x + np.float32(2), x * np.int64(2), np.float64(2) * x, x + a, x > np.float32(1)


@lockstep
def test_numpy_scalars_as_arguments(t):
    n = np.int64(2)
    return (
        t.zeros(n, n).shape,
        t.arange(n),
        t.ones(4).view(n, n).shape,
        t.ones(2, 3).sum(np.int64(1)),
        t.full((n,), np.float32(1.5)),
        t.ones(3)[: np.int32(2)],
    )


@lockstep
def test_read_only_arrays_warn(t):
    a = np.arange(3.0)
    a.flags.writeable = False
    return t.from_numpy(a)


# --- DLPack and JAX ---


@lockstep
def test_dlpack_with_numpy(t):
    x = t.arange(6.0).view(2, 3)
    a = np.from_dlpack(x)
    y = t.from_dlpack(np.arange(3.0))
    z = t.utils.dlpack.from_dlpack(t.utils.dlpack.to_dlpack(x))
    return np.array(a), y, z, [int(n) for n in x.__dlpack_device__()]


@lockstep
def test_dlpack_refuses_gradients(t):
    return error_of(t.ones(2, requires_grad=True).__dlpack__)


@lockstep
def test_jax_arrays_come_and_go(t):
    x = t.from_dlpack(jnp.arange(3.0, dtype=jnp.float32))
    return x * 2, np.asarray(jnp.from_dlpack(t.arange(3.0)))


def test_jax_understands_tensors():
    t = subject().module
    if t.__name__ == "torch":
        pytest.skip("a promise of flambeau's, not of PyTorch's")
    x = t.arange(3.0)
    assert isinstance(jnp.asarray(x), jax.Array)
    assert np.array_equal(np.asarray(jnp.asarray(x)), [0, 1, 2])
    assert np.array_equal(t.tensor(jnp.ones(2, dtype=jnp.float32)).numpy(), [1, 1])


# --- pickle and copy ---


def through_pickle(value):
    return pickle.loads(pickle.dumps(value))


def through_file(t, value, **options):
    file = io.BytesIO()
    t.save(value, file)
    file.seek(0)
    return t.load(file, **options)


@pytest.mark.parametrize("name", NAMES)
@lockstep
def test_pickle(t, name):
    x = t.ones(2, 3).to(getattr(t, name))
    y = through_pickle(x)
    return y, y.t().is_contiguous(), through_pickle(x.t()).stride(), through_pickle(x[0])


@lockstep
def test_pickle_keeps_flags_and_ties(t):
    x = t.ones(3, requires_grad=True)
    base = t.zeros(2, 2)
    tied = through_pickle([base, base])
    y = through_pickle(x)
    plain = (t.float32, t.device("cpu"), t.Size([1, 2]), t.strided, t.contiguous_format)
    return y, y.is_leaf, tied[0] is tied[1], [through_pickle(p) == p for p in plain]


@lockstep
def test_save_and_load(t):
    x = t.arange(6.0).view(2, 3)
    state = {"x": x, "row": x[0], "n": 3, "list": [x.t(), None], "half": x.bfloat16()}
    back = through_file(t, state)
    back["row"].fill_(9)
    return back


@lockstep
def test_deepcopy_and_copy(t):
    x = t.arange(4.0, requires_grad=True)
    x.sum().backward()
    y = copy.deepcopy(x)
    base = t.zeros(2, 2)
    together = copy.deepcopy({"base": base, "row": base[0], "again": base})
    together["row"].fill_(3)
    shallow = copy.copy(base)
    shallow.fill_(5)
    return (
        y,
        y.grad,
        y.is_leaf,
        y is x,
        y.data_ptr() == x.data_ptr(),
        together["base"],
        together["again"] is together["base"],
        shallow is base,
        base,
        error_of(lambda: copy.deepcopy(x * 2)),
    )


@lockstep
def test_python_attributes_survive(t):
    x = t.ones(2)
    x.note = "hello"
    return copy.deepcopy(x).note, through_pickle(x).note, hasattr(x.clone(), "note")


# --- Python's protocols ---


@lockstep
def test_iteration_and_length(t):
    x = t.arange(6.0).view(3, 2)
    first, *_ = x
    first.fill_(7)
    return list(x), len(x), len(t.zeros(0, 3)), list(reversed(x)), [tuple(r) for r in x], x


@lockstep
def test_membership(t):
    x = t.tensor([1.0, 2.0])
    return 2 in x, 3.0 in x, t.tensor(1.0) in x, True in t.tensor([0, 1])


@lockstep
def test_hash_and_identity(t):
    x, y = t.ones(2), t.ones(2)
    return (
        hash(x) == hash(x),
        hash(x) == id(x),
        len({x, y, x}),
        {x: 1}[x],
        x in [y, x] if x is y else "ambiguous",
        weakref.ref(x)() is x,
    )


@lockstep
def test_equality_with_other_things(t):
    x = t.ones(2)
    return x is None, error_of(lambda: x == None)[0], error_of(lambda: x == "a")[0]  # noqa: E711


@lockstep
def test_conversion_to_numbers(t):
    x = t.tensor(2.7)
    return (
        float(x),
        int(x),
        bool(x),
        complex(x),
        [10, 20, 30][t.tensor(1)],
        round(float(t.tensor([[1.25]]))),
        t.tensor(3).item(),
        t.tensor([True]).item(),
        t.tensor(2j).item(),
        t.tensor([[1.5, 2.0]]).tolist(),
        t.tensor(5).tolist(),
        t.zeros(0, 2).tolist(),
        list(range(t.tensor(3))),
        f"{t.tensor(2.5):.2f}",
        f"{t.tensor(3):d}",
        f"{t.ones(2)}",
        t.tensor(3).__index__(),
        int(t.tensor(True)),
    )


@lockstep
def test_operators(t):
    x, y = t.tensor([5.0, -3.0]), t.tensor([2.0, 2.0])
    a, b = t.tensor([6, 3]), t.tensor([3, 5])
    return (
        *(x + y, x - y, x * y, x / y, x // y, x % y, x**2, -x, +x, abs(x), x @ y),
        *(2 + x, 2 - x, 2 * x, 2 / x, 7 // x, 7 % y, 2**x, divmod(5.0, 2.0)),
        *(a & b, a | b, a ^ b, ~a, a << 1, a >> 1, 1 & a, 1 | a, 1 ^ a, 2 << b, 100 >> b),
        *(x < y, x <= y, x > y, x >= y, x == y, x != y, x.__rsub__(2)),
    )


IN_PLACE_OPERATORS = {
    "+=": lambda x, y: x.__iadd__(y),
    "-=": lambda x, y: x.__isub__(y),
    "*=": lambda x, y: x.__imul__(y),
    "/=": lambda x, y: x.__itruediv__(y),
    "//=": lambda x, y: x.__ifloordiv__(y),
    "%=": lambda x, y: x.__imod__(y),
    "**=": lambda x, y: x.__ipow__(y),
    "&=": lambda x, y: x.__iand__(y),
    "|=": lambda x, y: x.__ior__(y),
    "^=": lambda x, y: x.__ixor__(y),
    "<<=": lambda x, y: x.__ilshift__(y),
    ">>=": lambda x, y: x.__irshift__(y),
}


@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("operator", IN_PLACE_OPERATORS)
@lockstep
def test_in_place_operators(t, operator, dtype):
    x = t.tensor([5, 3]).to(getattr(t, dtype))
    y = t.tensor([2, 1]).to(getattr(t, dtype))

    def write():
        return IN_PLACE_OPERATORS[operator](x, y)

    kind, text = error_of(write)
    return kind, text if kind != "TypeError" else "", x, x._version


@lockstep
def test_in_place_matmul_is_not_in_place(t):
    x = t.eye(2)
    before = x
    try:
        x @= t.ones(2, 2)
    except TypeError as error:
        return str(error)
    return x is before, x


@lockstep
def test_unpacking_size(t):
    x = t.zeros(2, 3)
    rows, columns = x.shape
    return (
        rows,
        columns,
        x.shape[-1],
        x.size(0),
        x.shape == (2, 3),
        x.shape + (4,),
        x.shape.numel(),
        str(x.shape),
        isinstance(x.shape, tuple),
        t.Size([1]) + t.Size([2]),
        x.size()[1:],
        x.ndim,
        x.nbytes,
        x.itemsize,
    )


@lockstep
def test_bytes_of_attributes(t):
    x = t.zeros(2, 3)
    return (
        x.is_cuda,
        x.is_sparse,
        x.is_quantized,
        x.is_meta,
        x.is_nested,
        x.layout == t.strided,
        str(x.device),
        x.get_device(),
        x.type(),
        x.is_floating_point(),
        x.is_signed(),
        x.is_pinned() if hasattr(x, "is_pinned") else False,
        x.is_shared() if hasattr(x, "is_shared") else False,
        t.is_tensor(x),
        isinstance(x, t.Tensor),
        isinstance(x, t.FloatTensor),
        isinstance(x, t.LongTensor),
    )


@lockstep
def test_subclass_of_tensor(t):
    class Marked(t.Tensor):
        pass

    x = t.ones(2).as_subclass(Marked)
    y = x * 2
    return isinstance(x, Marked), type(y).__name__, y.as_subclass(t.Tensor), type(x[0]).__name__


@lockstep
def test_meta_tensors(t):
    x = t.zeros(2, 3, device="meta")
    y = (x @ x.t()).sum(1)
    return y.shape, y.dtype, str(y.device), x.is_meta, error_of(y.tolist)[0]


@lockstep
def test_devices(t):
    return (
        t.device("cpu") == t.device("cpu"),
        t.device("cpu:0").index,
        t.device("cpu").index,
        t.device("cpu").type,
        repr(t.device("cpu", 0)),
        t.ones(1).to("cpu").device == t.device("cpu"),
        hash(t.device("cpu")) == hash(t.device("cpu")),
        t.get_default_device(),
        error_of(lambda: t.ones(2, device="cuda"))[0] != "no error" or t.cuda.is_available(),
    )


@lockstep
def test_generators(t):
    g = t.Generator().manual_seed(7)
    first = t.rand(3, generator=g)
    state = g.get_state()
    second = t.rand(3, generator=g)
    g.set_state(state)
    t.manual_seed(3)
    whole = t.get_rng_state()
    a = t.randn(2)
    t.set_rng_state(whole)
    return first, second, t.rand(3, generator=g), a, t.randn(2), g.initial_seed(), t.initial_seed()


@lockstep
def test_global_switches(t):
    was = t.are_deterministic_algorithms_enabled()
    t.use_deterministic_algorithms(True)
    now = t.are_deterministic_algorithms_enabled()
    t.use_deterministic_algorithms(was)
    t.set_float32_matmul_precision("high")
    precision = t.get_float32_matmul_precision()
    t.set_float32_matmul_precision("highest")
    return (
        was,
        now,
        precision,
        t.is_autocast_enabled("cpu"),
        t.get_autocast_dtype("cpu"),
        t.get_default_dtype(),
        error_of(lambda: t.set_float32_matmul_precision("some"))[0],
    )
