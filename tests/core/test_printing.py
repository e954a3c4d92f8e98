"""The text of tensors, compared with the oracle's `repr`."""

import math

import hypothesis
import hypothesis.strategies as st
import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis.extra import numpy as arrays

from flambeau import dtypes
from flambeau.core import printing
from flambeau.devices import device


@pytest.fixture(autouse=True)
def restore_options():
    yield
    printing.set_printoptions(profile="default")
    torch.set_printoptions(profile="default")


def set_both(**options):
    printing.set_printoptions(profile="default")
    torch.set_printoptions(profile="default")
    printing.set_printoptions(**options)
    torch.set_printoptions(**options)


def our_repr(tensor, **changes):
    """Our text for a tensor of the oracle."""
    found = {
        "dtype": getattr(dtypes, repr(tensor.dtype).removeprefix("torch.")),
        "shape": tuple(tensor.shape),
        "device": device(str(tensor.device)),
        "grad_fn": None if tensor.grad_fn is None else tensor.grad_fn.name(),
        "requires_grad": tensor.requires_grad,
    }
    return printing.assembled_repr(as_array(tensor), **(found | changes))


def as_array(tensor):
    if tensor.is_meta:
        return None
    tensor = tensor.detach()
    if tensor.dtype is torch.bfloat16:
        return tensor.float().numpy().astype(ml_dtypes.bfloat16)
    return tensor.numpy()


nan, inf = math.nan, math.inf
t = torch.tensor
TABLE = [
    t([]),
    t([], dtype=torch.int64),
    t([], requires_grad=True),
    torch.zeros(0, 3),
    torch.zeros(2, 0, 3, dtype=torch.int32),
    torch.zeros(2000, 0),
    t(1.0),
    t(1.5),
    t(True),
    t(nan),
    t(1 + 2j),
    t(3, dtype=torch.int16),
    t(2.5, requires_grad=True),
    t([1.5, 2]),
    t([0.0, -0.0]),
    t([1e-5, 1.0]),
    t([1e-4]),
    t([1e-4], dtype=torch.float64),
    t([1e5, 1.0]),
    t([1000.0, 1]),
    t([1001.0, 1]),
    t([0.5, 500.0]),
    t([0.5, 500.1]),
    t([1e8]),
    t([1.1e8]),
    t([99999.5]),
    t([1e-45]),
    t([nan, 1.0]),
    t([inf, 1.5]),
    t([-inf, nan]),
    t([1, -20, 300]),
    t([True, False]),
    t([1 + 2j, 3.5 - 4j]),
    t([complex(nan, inf), complex(1, -0.0)]),
    t([12345.5 + 1j, 2 - 300.25j]),
    t([[1.5 + 1j] * 8]),
    t([1.5], dtype=torch.float16),
    t([1.5, 3e38], dtype=torch.bfloat16),
    t([1.0], dtype=torch.float64),
    t([1], dtype=torch.uint8),
    t([1.0], requires_grad=True),
    t([1.0], requires_grad=True) * 2,
    torch.arange(30.0),
    torch.arange(12.0, dtype=torch.float64),
    torch.arange(13.0, dtype=torch.float64),
    torch.arange(1000),
    torch.arange(1001.0),
    torch.arange(2000).reshape(40, 50),
    torch.zeros(1001, 1),
    torch.zeros(2, 2, 251),
    torch.zeros(7, 7, 7, 7),
    torch.arange(1200) * 1j,
    torch.zeros(2, 2, 2),
    torch.zeros(2, 2, device="meta"),
    torch.zeros(0, device="meta", dtype=torch.float16),
    torch.ones(3, device="meta", requires_grad=True),
]


@pytest.mark.parametrize("number", range(len(TABLE)))
def test_table(number):
    assert our_repr(TABLE[number]) == repr(TABLE[number])


OPTIONS = [
    {"sci_mode": True},
    {"sci_mode": False},
    {"precision": 2},
    {"precision": 0},
    {"linewidth": 40},
    {"threshold": 5, "edgeitems": 1},
    {"profile": "short"},
    {"profile": "full"},
    {"profile": "short", "precision": 6},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options(options):
    set_both(**options)
    values = np.array([[1.5, 200000.25, -3.0], [1e-7, 0.0, nan]], np.float32)
    for array in (values, values[0], np.round(values), np.arange(12), values + 1j * values[::-1]):
        assert our_repr(torch.tensor(array)) == repr(torch.tensor(array))


def test_get_printoptions_and_context():
    set_both(precision=2, linewidth=33)
    assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
    with printing.printoptions(precision=1):
        assert printing.tensor_text(np.array([1.25])) == "[1.2]"
    assert printing.tensor_text(np.array([1.25])) == "[1.25]"


def test_prefix_of_a_subclass():
    class Picture(torch.Tensor):
        pass

    picture = torch.arange(40.0).reshape(2, 20).as_subclass(Picture)
    assert our_repr(picture, prefix="Picture(") == repr(picture)


DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
    torch.complex64,
]


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(data=st.data())
def test_random_arrays(data):
    draw = data.draw
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9))
    if dtype.is_complex:
        elements = st.complex_numbers(width=64)
        array = draw(arrays.arrays(np.complex64, shape, elements=elements))
    elif dtype.is_floating_point:
        steps = st.integers(-20, 20).map(lambda n: n / draw(st.sampled_from([1, 4])))
        array = draw(arrays.arrays(np.float32, shape, elements=st.floats(width=32) | steps))
    else:
        array = draw(arrays.arrays(np.int32, shape, elements=st.integers(0, 200)))
    with np.errstate(over="ignore"):
        tensor = torch.from_numpy(array).to(dtype)
    if (dtype.is_floating_point or dtype.is_complex) and draw(st.booleans()):
        tensor = tensor.requires_grad_() * 1 if draw(st.booleans()) else tensor.requires_grad_()
    set_both(
        precision=draw(st.sampled_from([None, 0, 2, 8])),
        threshold=draw(st.sampled_from([None, 0, 10])),
        edgeitems=draw(st.sampled_from([None, 1, 2])),
        linewidth=draw(st.sampled_from([None, 20, 40, 120])),
        sci_mode=draw(st.sampled_from([None, True, False])),
    )
    assert our_repr(tensor) == repr(tensor)
