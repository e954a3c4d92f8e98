"""dtype, Size, device and format objects, compared with the oracle."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch

from flambeau import devices, dtypes, formats
from flambeau.size import Size

NAMES = sorted(dtypes.BY_NAME)
ORACLE_NAMES = sorted(
    {repr(v).removeprefix("torch.") for v in vars(torch).values() if isinstance(v, torch.dtype)}
)
TENSOR_NAMES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]


def outcome(function):
    """What a call gives: the text of its result, or the class and text of its error."""
    try:
        return repr(function())
    except Exception as error:
        return type(error).__name__, str(error)


def both(name):
    return getattr(dtypes, name), getattr(torch, name)


def test_every_name_and_alias_of_the_oracle_exists():
    assert NAMES == ORACLE_NAMES
    for alias, value in vars(torch).items():
        if isinstance(value, torch.dtype):
            assert repr(getattr(dtypes, alias)) == repr(value), alias


@pytest.mark.parametrize("name", NAMES)
def test_attributes(name):
    ours, theirs = both(name)
    assert repr(ours) == str(ours) == repr(theirs)
    for attribute in ("itemsize", "is_floating_point", "is_complex", "is_signed", "abbr"):
        assert outcome(lambda a=attribute: getattr(ours, a)) == outcome(
            lambda a=attribute: getattr(theirs, a)
        ), attribute
    for method in ("to_real", "to_complex"):
        assert outcome(getattr(ours, method)) == outcome(getattr(theirs, method)), method
    assert pickle.loads(pickle.dumps(ours)) is ours
    assert copy.copy(ours) is copy.deepcopy(ours) is ours
    if ours.numpy is not None:
        assert ours.numpy.itemsize == ours.itemsize
        assert dtypes.from_numpy_dtype(ours.numpy) is ours


# Here PyTorch fails with an internal assertion or a C-level message.
NO_TEXT = {
    repr(getattr(torch, name)).removeprefix("torch.")
    for name in ["float4_e2m1fn_x2", *(f"int{bits}" for bits in range(1, 8))]
}


@pytest.mark.parametrize("kind", ["finfo", "iinfo"])
@pytest.mark.parametrize("name", NAMES)
def test_limits(name, kind):
    ours, theirs = both(name)
    expected = outcome(lambda: getattr(torch, kind)(theirs))
    found = outcome(lambda: getattr(dtypes, kind)(ours))
    if name in NO_TEXT and kind == "finfo" and isinstance(expected, tuple):
        assert isinstance(found, tuple)
        return
    assert found == expected
    if isinstance(expected, tuple):
        return
    ours, theirs = getattr(dtypes, kind)(ours), getattr(torch, kind)(theirs)
    for attribute in dir(theirs):
        if not attribute.startswith("_"):
            assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    assert ours == getattr(dtypes, kind)(dtypes.BY_NAME[name])


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.finfo(),
        lambda t: t.finfo("x"),
        lambda t: t.iinfo(3),
        lambda t: t.dtype("float32"),
        lambda t: t.promote_types(t.float32, 3),
        lambda t: t.promote_types(None, t.int32),
        lambda t: t.can_cast(t.float32, 3),
        lambda t: t.set_default_dtype(t.int64),
        lambda t: t.set_default_dtype("float32"),
        lambda t: t.set_default_dtype(t.complex64),
        lambda t: t.set_default_dtype(t.float8_e4m3fn),
    ],
)
def test_errors(call):
    assert outcome(lambda: call(dtypes)) == outcome(lambda: call(torch))


def test_promote_types_all_pairs():
    for a, b in itertools.product(NAMES, repeat=2):
        expected = outcome(
            lambda a=a, b=b: torch.promote_types(getattr(torch, a), getattr(torch, b))
        )
        found = outcome(
            lambda a=a, b=b: dtypes.promote_types(getattr(dtypes, a), getattr(dtypes, b))
        )
        if "INTERNAL ASSERT" in expected[1]:
            assert found[0] == "RuntimeError", (a, b)
        else:
            assert found == expected, (a, b)


def test_can_cast_all_pairs():
    for a, b in itertools.product(NAMES, repeat=2):
        expected = torch.can_cast(getattr(torch, a), getattr(torch, b))
        assert dtypes.can_cast(getattr(dtypes, a), getattr(dtypes, b)) == expected, (a, b)


OPERANDS = [(name, rank) for name in TENSOR_NAMES for rank in (1, 0)]
OPERANDS += [(kind, None) for kind in (bool, int, float, complex)]


def operand_pair(name, rank):
    """An operand as a key of RESULT and as the oracle's operand."""
    if rank is None:
        return name, name(1)
    ours, theirs = both(name)
    return (ours if rank else ours.zero_dim), torch.empty((2,) * rank, dtype=theirs)


@pytest.fixture
def restore_default_dtype():
    yield
    dtypes.set_default_dtype(dtypes.float32)
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("default", ["float32", "float64", "bfloat16"])
def test_result_dtype_all_pairs(default, restore_default_dtype):
    for module in (dtypes, torch):
        module.set_default_dtype(getattr(module, default))
    assert repr(dtypes.get_default_dtype()) == repr(torch.get_default_dtype())
    for a, b in itertools.product(OPERANDS, repeat=2):
        (ours_a, theirs_a), (ours_b, theirs_b) = operand_pair(*a), operand_pair(*b)
        expected = torch.result_type(theirs_a, theirs_b)
        assert repr(dtypes.result_dtype(ours_a, ours_b)) == repr(expected), (a, b)


def test_result_dtype_of_three_operands():
    found = dtypes.result_dtype(dtypes.int64, dtypes.float16.zero_dim, float)
    theirs = torch.where(
        torch.ones(2, dtype=torch.bool),
        torch.addcmul(
            torch.ones(2, dtype=torch.float16), torch.ones((), dtype=torch.float64), torch.ones(2)
        ),
        1.0,
    )
    ours = dtypes.result_dtype(dtypes.float16, dtypes.float64.zero_dim, dtypes.float32)
    assert found is dtypes.float16
    assert repr(ours) == repr(theirs.dtype)


def test_numpy_numbers_promote_as_python_numbers():
    assert dtypes.result_dtype(dtypes.float16, np.float64) is dtypes.float16
    assert dtypes.result_dtype(dtypes.bool, np.int8) is dtypes.int64
    with pytest.raises(TypeError):
        dtypes.result_dtype(dtypes.float32, str)


@pytest.mark.parametrize("numpy_type", ["U1", "O", "M8[s]", "g", ">i4"])
def test_numpy_types_without_a_dtype(numpy_type):
    array = np.zeros(1, numpy_type)
    assert outcome(lambda: dtypes.from_numpy_dtype(array.dtype)) == outcome(
        lambda: torch.from_numpy(array)
    )


# --- Size ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda S: S(),
        lambda S: S(3),
        lambda S: S([2.0]),
        lambda S: S([1, "a"]),
        lambda S: S([True]),
        lambda S: S(iter([1, 2])),
        lambda S: S([np.int64(3)]),
        lambda S: S([2, 3, 4])[1:],
        lambda S: S([2, 3, 4])[0],
        lambda S: S([2, 3]) + (1,),
        lambda S: (1,) + S([2, 3]),
        lambda S: S([2, 3]) + S([1]),
        lambda S: S([2, 3]) + ("a",),
        lambda S: (1.5,) + S([2, 3]),
        lambda S: S([2, 3]) + [1],
        lambda S: S([2, 3]) + 1,
        lambda S: S([2, 3]) * 2,
        lambda S: 2 * S([2, 3]),
        lambda S: S([2, 3]).numel(),
        lambda S: S([]).numel(),
        lambda S: str(S([2, 3])),
        lambda S: S([2, 3]) == (2, 3),
        lambda S: hash(S([2, 3])) == hash((2, 3)),
        lambda S: pickle.loads(pickle.dumps(S([2, 3]))),
        lambda S: copy.deepcopy(S([2, 3])),
        lambda S: S([2, 3]) + np.array([1, 2]),
    ],
)
def test_size(call):
    assert outcome(lambda: call(Size)) == outcome(lambda: call(torch.Size))


# --- device -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", devices.TYPES)
@pytest.mark.filterwarnings("ignore:'mkldnn' is no longer used")
def test_device_types(kind):
    assert repr(devices.device(kind)) == repr(torch.device(kind))


@pytest.mark.parametrize(
    "call",
    [
        lambda D: D("cpu"),
        lambda D: D("cuda", 1),
        lambda D: D("cuda:1"),
        lambda D: D(type="cuda", index=1),
        lambda D: D(type="cuda"),
        lambda D: D(device="cpu"),
        lambda D: D("cpu", None),
        lambda D: D("cpu:0"),
        lambda D: D(D("cuda:1")),
        lambda D: str(D("cuda", 1)),
        lambda D: str(D("cpu")),
        lambda D: D("cpu") == D("cpu", 0),
        lambda D: D("cuda:1") == D("cuda", 1),
        lambda D: D("cpu") == "cpu",
        lambda D: D("cpu") != D("meta"),
        lambda D: hash(D("cpu")) == hash(D("cpu")),
        lambda D: pickle.loads(pickle.dumps(D("cuda:1"))),
        lambda D: copy.deepcopy(D("cuda:1")),
        lambda D: (D("cuda:3").type, D("cuda:3").index, D("cpu").index),
        lambda D: D(0),
        lambda D: D(-1),
        lambda D: D("foo"),
        lambda D: D("CUDA"),
        lambda D: D("cuda:-1"),
        lambda D: D("cuda:x"),
        lambda D: D("cuda:01"),
        lambda D: D("cuda:"),
        lambda D: D(":1"),
        lambda D: D(""),
        lambda D: D("a b"),
        lambda D: D("cuda1"),
        lambda D: D("cuda:1:2"),
        lambda D: D("cuda:1", 1),
        lambda D: D("cpu", "x"),
        lambda D: D("cpu", 1.0),
        lambda D: D("cpu", -1),
        lambda D: D(),
        lambda D: D(None),
        lambda D: D(1.0),
        lambda D: D(True),
        lambda D: D(index=1),
        lambda D: D(type=3),
        lambda D: setattr(D("cpu"), "type", "x"),
        lambda D: D("cpu")(abs),
    ],
)
def test_device(call):
    assert outcome(lambda: call(devices.device)) == outcome(lambda: call(torch.device))


def test_default_device_and_context():
    for module in (devices, torch):
        seen = [module.get_default_device()]
        module.set_default_device("cpu:0")
        seen.append(module.get_default_device())
        with module.device("meta") as inside:
            seen += [inside, module.get_default_device()]
            with module.device("cuda:1"):
                seen.append(module.get_default_device())
            seen.append(module.get_default_device())
        seen.append(module.get_default_device())
        module.set_default_device(None)
        seen.append(module.get_default_device())
        if module is devices:
            ours = seen
    assert repr(ours) == repr(seen)


def test_accelerator_index_names_the_accelerator():
    devices.set_accelerator_type("cuda")
    try:
        assert devices.device(1) == devices.device("cuda", 1)
    finally:
        devices.set_accelerator_type(None)


# --- layouts and memory formats -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, value in vars(torch).items()
        if isinstance(value, (torch.layout, torch.memory_format, torch.qscheme))
    ],
)
def test_formats(name):
    ours, theirs = getattr(formats, name), getattr(torch, name)
    assert repr(ours) == str(ours) == repr(theirs)
    assert type(ours).__name__ == type(theirs).__name__
    assert pickle.loads(pickle.dumps(ours)) is copy.deepcopy(ours) is copy.copy(ours) is ours


@pytest.mark.parametrize("kind", ["layout", "memory_format"])
def test_formats_cannot_be_made(kind):
    assert outcome(getattr(formats, kind)) == outcome(getattr(torch, kind))
