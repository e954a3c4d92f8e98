"""Conversions of type and device, and the exchange with NumPy and JAX, against the oracle."""

import warnings

import jax
import numpy as np
import pytest
import torch

import flambeau

# Evaluated with `t` as either library and the tensors that `names` makes.
CASES = """
f.to(t.int64), f.to(t.float64), f.to(t.float16), f.to(t.bfloat16), f.to(t.bool), f.to(t.uint8)
n.to(t.int64), n.to(t.int8), n.to(t.int32), n.to(t.bool)
i.to(t.float32), i.to(t.float16), i.to(t.complex64), i.to(t.bool), i.to(t.int8), i.to(t.uint8)
c.to(t.complex128), c.to(t.bool)
c.to(t.float32)
f.to(t.float32) is f, f.to("cpu") is f, f.to(f) is f, f.to(t.float32, copy=True) is f
f.to("cpu", t.float64), f.to(device="cpu", dtype=t.int32), f.to(i)
f.to(t.float64, non_blocking=True), f.to("cpu", t.float64, True, True)
f.to("meta"), f.to("meta").dtype
f.to("meta").to("cpu")
f.to("cuda")
f.to("nothing")
f.to(None) is f
f.to(float), f.to(dtype=int), i.to("cpu", complex), b.to(bool) is b
i.copy_(c[:1]), f.copy_(f.double())
i.copy_(n), b.copy_(n[:2]), i.to(t.uint8).copy_(n)
float(c[1] * 1j)
int(c[1] * 1j)
f.to(t.float64, bad=1)
f.float() is f, f.double(), f.half(), f.bfloat16(), f.int(), f.long(), f.short(), f.char(), f.byte()
f.bool(), f.cfloat(), f.cdouble(), i.float(), b.int()
f.type(), i.type(), b.type(), f.half().type(), f.bfloat16().type(), c.type(), f.to("meta").type()
f.type(t.float64), f.type("torch.LongTensor"), f.type(t.IntTensor)
f.type("nonsense")
f.type_as(i), i.type_as(f), f.type_as(f) is f
f.cpu() is f
f.cuda()
g.to(t.float64), g.to(t.float32) is g, g.double().grad_fn.name(), g.half().grad_fn.name()
g.to(t.int64).requires_grad
w.to(memory_format=t.channels_last).stride(), w.to(memory_format=t.channels_last) is w
w.to(t.float64, memory_format=t.channels_last).stride(), w.double().stride()
w.to(memory_format=t.contiguous_format) is w
w.contiguous(memory_format=t.channels_last).double().stride()
w.permute(1, 0, 2, 3).double().stride(), w.permute(3, 1, 2, 0).long().stride()
w.half(memory_format=t.channels_last).stride()
f.numpy(), i.numpy(), b.numpy(), c.numpy(), f.half().numpy()
f.bfloat16().numpy()
g.numpy()
g.detach().numpy(), g.numpy(force=True)
f.to("meta").numpy()
np.asarray(f), np.asarray(f, dtype=np.float64)
np.add(f.numpy(), 1), np.sum(i.numpy())
f.tolist(), i.tolist(), b.tolist(), c.tolist(), f[0].tolist(), f.bfloat16().tolist()
f[0].item(), i[0].item(), b[0].item(), c[0].item()
f.item()
float(f[0]), int(f[1]), bool(f[0]), complex(c[0])
int(f)
float(f)
float(c[0])
list(f), [x.shape for x in w]
[10, 20, 30][i[0]]
[10, 20, 30][f[0]]
range(i[1])
f"{f[0]:.3f}", f"{i[1]:>4}", format(f[1], ".2e")
f"{f:.3f}"
round(f[0].item(), 1)
t.from_numpy(np.arange(3, dtype=np.int16)), t.as_tensor(np.float32([1, 2]))
t.from_dlpack(np.arange(3.0)), np.from_dlpack(f)
len(f), len(w)
len(f[0])
f.storage_offset(), f[1:].storage_offset()
"""
CASES = CASES.strip().splitlines()


def names(t):
    return {
        "t": t,
        "np": np,
        "f": t.tensor([1.5, -2.25, 3.0]),
        "n": t.tensor([1.9, -1.9, 100.5]),
        "i": t.tensor([1, 2, 200]),
        "b": t.tensor([True, False]),
        "c": t.tensor([1 + 0j, 2.5 + 0j]),
        "g": t.tensor([1.0, 2.0], requires_grad=True),
        "w": t.arange(120.0).reshape(2, 3, 4, 5),
    }


def outcome(library, case):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = repr(eval(case, names(library)))
        except Exception as error:
            return type(error), str(error)
    return result, [w.category for w in caught]


OTHER_WORDS = ("received an invalid combination of arguments", "unexpected keyword")


@pytest.mark.parametrize("case", CASES)
def test_against_the_oracle(case):
    torch.set_warn_always(True)
    try:
        expected = outcome(torch, case)
    finally:
        torch.set_warn_always(False)
    found = outcome(flambeau, case)
    if any(words in str(expected[1]) for words in OTHER_WORDS):
        assert found[0] is expected[0]
    else:
        assert found == expected


@pytest.mark.parametrize("source", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("target", ["int64", "int32", "int16", "int8", "uint8"])
def test_floats_that_do_not_fit(source, target):
    values = [np.nan, np.inf, -np.inf, 3e9, -3e9, 1e20, 300.7, -2.25, 7e4, -7e4, 128.5, 255.9, 256]
    ours, theirs = (
        t.tensor(values).to(getattr(t, source)).to(getattr(t, target)).tolist()
        for t in (flambeau, torch)
    )
    assert ours == theirs


@pytest.mark.parametrize("source", ["float32", "float64", "float16", "bfloat16", "int64", "uint8"])
@pytest.mark.parametrize("target", ["float32", "float64", "float16", "bfloat16", "int32", "bool"])
def test_gradients_come_back_in_the_source_s_type(source, target):
    results = []
    for t in (flambeau, torch):
        x = t.tensor([1.0, 2.0]).to(getattr(t, source))
        if not x.is_floating_point():
            return
        x.requires_grad_()
        y = x.to(getattr(t, target))
        if not y.is_floating_point():
            assert not y.requires_grad
            return
        (y * 3).sum().backward()
        results.append((str(x.grad.dtype), x.grad.tolist()))
    assert results[0] == results[1]


def test_numpy_shares_memory():
    x = flambeau.zeros(2, 3)
    view = x[0].numpy()
    view[1] = 5
    assert x[0, 1].item() == 5
    x[0, 2] = 7
    assert view[2] == 7


def test_from_numpy_shares_memory():
    array = np.zeros((2, 3), np.float32)
    x = flambeau.from_numpy(array)
    x[1, 1] = 4
    assert array[1, 1] == 4
    array[0, 0] = 2
    assert x.sum().item() == 6
    row = flambeau.from_numpy(array[0])
    row += 1
    assert array[0].tolist() == [3, 1, 1]


def test_from_numpy_of_a_view_that_nobody_else_holds():
    array = np.zeros((2, 3), np.float32)
    x = flambeau.from_numpy(array[1])
    x.fill_(3)
    assert array.tolist() == [[0, 0, 0], [3, 3, 3]]


def test_jax_arrays_come_and_go():
    x = flambeau.arange(3.0)
    array = x.jax()
    assert isinstance(array, jax.Array) and array.dtype == np.float32
    x.add_(1)
    assert array.tolist() == [0, 1, 2]
    assert flambeau.tensor(array * 2).tolist() == [0, 2, 4]
    assert flambeau.from_dlpack(array).tolist() == [0, 1, 2]
    assert jax.numpy.asarray(x.numpy()).tolist() == [1, 2, 3]


def test_torch_tensors_come_and_go():
    theirs = torch.arange(3.0)
    ours = flambeau.from_dlpack(theirs)
    assert ours.tolist() == [0, 1, 2]
    assert torch.from_dlpack(flambeau.arange(4.0)).tolist() == [0, 1, 2, 3]
