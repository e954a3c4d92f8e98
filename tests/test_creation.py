"""Creation functions against the oracle: values, types, strides, warnings and errors."""

import warnings

import numpy as np
import pytest
import torch

import flambeau

# Each line is evaluated with `t` as either library, `x` a 2 x 3 tensor and `np` NumPy.
CASES = """
t.tensor(1)
t.tensor(1.)
t.tensor(True)
t.tensor(1j)
t.tensor([])
t.tensor([[]])
t.tensor([1,2.])
t.tensor([True,2])
t.tensor([True,1.5])
t.tensor([[1,2],[3]])
t.tensor([[1,2],3])
t.tensor([1,[2]])
t.tensor('a')
t.tensor(['a'])
t.tensor(None)
t.tensor([None])
t.tensor({})
t.tensor({1:2})
t.tensor(object())
t.tensor(2**63)
t.tensor(2**63-1)
t.tensor([2**64])
t.tensor(300,dtype=t.uint8)
t.tensor(-1,dtype=t.uint8)
t.tensor([300],dtype=t.int8)
t.tensor(1.7,dtype=t.int32)
t.tensor(1j,dtype=t.float32)
t.tensor(np.float64(1.5))
t.tensor([np.float64(1.5)])
t.tensor([np.float32(1.5)])
t.tensor([np.int32(1)])
t.tensor(np.int8(1))
t.tensor(np.arange(3))
t.tensor(np.arange(3.))
t.tensor([np.arange(3),np.arange(3)])
t.tensor([t.tensor(1),t.tensor(2)])
t.tensor([t.tensor(1.),t.tensor(2)])
t.tensor([t.tensor([1.,2.]),t.tensor([3.,4.])])
t.tensor([t.tensor([1.])])
t.tensor(x)
t.tensor(x.clone().requires_grad_())
t.tensor((1,2))
t.tensor(range(3))
t.tensor(x for x in [1])
t.tensor({1,2})
t.tensor([1,2],dtype=t.float16,requires_grad=True)
t.tensor([1],requires_grad=True)
t.tensor([1.],device='meta')
t.tensor([1.],dtype='float32')
t.tensor([1.],dtype=float)
t.tensor([1],dtype=int)
t.tensor()
t.tensor(1,2)
t.tensor([1.],pin_memory=True)
t.tensor(data=[1])
t.tensor([1.5,float('nan')],dtype=t.int64)
t.tensor(b'ab')
t.tensor(np.array([1.5],dtype='>f4'))
t.tensor(np.array(['a']))
t.tensor([[1,2],[3,4]],dtype=t.bool)
t.tensor([1.]*3,dtype=t.complex64)
t.tensor([[[1,2],[3,4]],[[1],[2]]])
t.tensor([[1,2],[3,4,5]])
t.tensor([1,2],names=('a',))
t.tensor(np.array(3))
t.tensor(np.bool_(True))
t.tensor([np.bool_(True)])
t.tensor(np.uint16([1]))
t.tensor(1e400)
t.tensor(1e300)
t.tensor(3.5,dtype=t.bool)
t.tensor([x,x])
t.tensor(np.float16(1.))
t.tensor(np.longdouble(1.))
t.tensor(2**40,dtype=t.int32)
t.tensor([2**40],dtype=t.int32)
t.tensor([1.5],dtype=t.float8_e4m3fn)
t.tensor([1]).new_tensor([1.5])
t.tensor([1]).new_full((2,),1.5)
t.tensor([True]).new_full((2,),5)
t.tensor([1,'a'])
t.tensor([1.,[2]])
t.tensor([[1],2.])
t.tensor([True,[2]])
t.tensor([-129],dtype=t.int8)
t.tensor([-255],dtype=t.uint8)
t.tensor([-256],dtype=t.uint8)
t.tensor([[1.,2],[3,'b']])
t.tensor([3000000000.],dtype=t.int32)
t.tensor([1,None])
t.tensor([[],[1]])
t.tensor([[],[]])
t.tensor([(),()])
t.tensor([[[]],[[]]])
t.tensor([1e300],dtype=t.float16)
t.tensor([1j],dtype=t.float32)
t.tensor([1.5],dtype=t.bool)
t.tensor(__import__('array').array('f',[1,2]))
t.tensor(memoryview(b'ab'))
t.tensor([2**63],dtype=t.uint64)
t.tensor(2**63,dtype=t.float64)
t.tensor([2**64],dtype=t.float32)
t.tensor([1,2,3],dtype=t.uint16)
t.as_tensor(x) is x
t.as_tensor(x,dtype=t.float64)
t.as_tensor([1,2])
t.as_tensor(np.arange(2))
t.as_tensor(1.)
t.as_tensor('a')
t.as_tensor(t.ones(2),dtype=int)
t.as_tensor(np.float32(2))
t.as_tensor([t.ones(2)])
t.asarray([1,2])
t.asarray(x) is x
t.asarray(x,copy=True) is x
t.asarray([1.],copy=False)
t.asarray(np.arange(2),copy=False)
t.asarray(np.arange(2),dtype=t.float32,copy=False)
t.asarray(5)
t.asarray(bytearray(b'abcd'))
t.asarray(x,requires_grad=True)
t.zeros(2,3)
t.zeros((2,3))
t.zeros([2,3])
t.zeros(())
t.zeros()
t.zeros(2,dtype=t.int32)
t.zeros(-1)
t.zeros(2.5)
t.zeros('a')
t.zeros(2,'a')
t.zeros((2,3),4)
t.zeros(t.tensor(3))
t.zeros(t.tensor(3),2)
t.zeros(np.int64(2))
t.zeros([t.tensor(2),3])
t.zeros(size=(2,))
t.zeros(2,out=t.empty(0,dtype=t.int64))
t.zeros(2,out=t.ones(3))
t.zeros(2,dtype=t.float32,out=t.empty(2,dtype=t.int64))
t.zeros(2,requires_grad=True)
t.zeros(2,dtype=t.int64,requires_grad=True)
t.zeros(2,layout=t.strided)
t.zeros(2,device='meta')
t.zeros(True)
t.zeros(0)
t.zeros(None)
t.zeros(2,pin_memory=True)
t.zeros(2,pin_memory=False)
t.zeros(2,dtype=float)
t.zeros(2,memory_format=t.channels_last)
t.zeros(2,3,names=('a','b'))
t.empty(2,3,4,5,memory_format=t.channels_last).stride()
t.empty(2,memory_format=t.channels_last)
t.empty(2,2,memory_format=t.preserve_format)
t.full((2,),1)
t.full((2,),1.)
t.full((2,),True)
t.full((2,),1j)
t.full((2,),t.tensor(3.))
t.full((2,),t.tensor([3.]))
t.full([2],t.tensor(3,dtype=t.int8))
t.full(2,1)
t.full((),1)
t.full((2,),1,dtype=t.float16)
t.full((2,),1.5,dtype=t.int64)
t.full((2,),2**70)
t.full((2,),300,dtype=t.uint8)
t.full((2,),1,out=t.empty(2))
t.full((2,),1.,requires_grad=True)
t.full((2,),'a')
t.full(size=(2,),fill_value=1)
t.full((2,),t.tensor(3.,requires_grad=True))
t.full((2,),-1,dtype=t.uint8)
t.full((2,),float('nan'),dtype=t.int32)
t.full((2,),1e300,dtype=t.float32)
t.full((2,),1e6,dtype=t.float16)
t.full((2,),1j,dtype=t.float32)
t.eye(2)
t.eye(2,3)
t.eye(3,2,dtype=t.int64)
t.eye(-1)
t.eye(2,-1)
t.eye(2.)
t.eye(0)
t.eye(2,dtype=t.bool)
t.eye(n=2,m=1)
t.arange(3)
t.arange(3.)
t.arange(1,4)
t.arange(1,4,2)
t.arange(0,1,.1)
t.arange(3,0,-1)
t.arange(3,0)
t.arange(0,3,-1)
t.arange(0,3,0)
t.arange(0,float('inf'))
t.arange(0,float('nan'))
t.arange(end=3)
t.arange(start=1,end=3)
t.arange(0,3,.5,dtype=t.int64)
t.arange(3,dtype=t.float16)
t.arange(5,dtype=t.bool)
t.arange(2,dtype=t.bool)
t.arange(t.tensor(3))
t.arange(t.tensor(3.))
t.arange(t.tensor([3]))
t.arange(3,requires_grad=True)
t.arange(3.,requires_grad=True)
t.arange(3,out=t.empty(0))
t.arange(0)
t.arange(-3)
t.arange(True)
t.arange(1,2.5)
t.arange('a')
t.arange()
t.arange(1,2,3,4)
t.arange(np.int64(3))
t.arange(np.float32(3))
t.arange(1.1,3.3,.7)
t.arange(0,0.3,0.1)
t.arange(3,dtype=t.complex64)
t.arange(2**40,2**40+3)
t.arange(0,10,3,dtype=t.bfloat16)
t.arange(1j)
t.arange(start=3)
t.arange(0,end=3)
t.arange(0,step=2,end=3)
t.range(0,3)
t.range(1,2,.5)
t.range(3)
t.range(0,3,dtype=t.int64)
t.range(1,0)
t.linspace(0,1,5)
t.linspace(0,1,1)
t.linspace(0,1,0)
t.linspace(0,1,-1)
t.linspace(0,1)
t.linspace(0,10,5,dtype=t.int64)
t.linspace(0,1,5,dtype=t.float64)
t.linspace(0,1j,3)
t.linspace(t.tensor(0.),t.tensor(1.),3)
t.linspace(t.tensor(0.),1,3)
t.linspace(t.tensor([0.]),1,3)
t.linspace(start=0,end=1,steps=2)
t.linspace(0,1,2.)
t.linspace(-3,3,7,dtype=t.float16)
t.linspace(1,2,4,out=t.empty(0))
t.linspace(0,1,3,requires_grad=True)
t.linspace(0.1,0.9,4,dtype=t.int32)
t.linspace(0,1,4,dtype=t.bool)
t.linspace(0,1j,3,dtype=t.float32)
t.logspace(0,2,3)
t.logspace(0,2,3,2)
t.logspace(0,2,3,base=2.5)
t.logspace(0,2,1)
t.logspace(0,2,0)
t.logspace(0,3,4,dtype=t.int64)
t.logspace(0,2,-1)
t.logspace(0,1j,2)
t.logspace(0,2,3,-2.)
t.zeros_like(x)
t.zeros_like(x.t())
t.zeros_like(x,dtype=t.int8)
t.zeros_like(x,memory_format=t.contiguous_format)
t.zeros_like(x.t(),memory_format=t.contiguous_format).stride()
t.zeros_like([1])
t.zeros_like(x,device='meta')
t.zeros_like(x.detach()[:,::2]).stride()
t.zeros_like(t.zeros(2,1,3).permute(2,0,1)).stride()
t.zeros_like(x,out=x)
t.ones_like(x.requires_grad_())
t.ones_like(x,requires_grad=True)
t.full_like(x,2)
t.full_like(x,2,dtype=t.int32)
t.full_like(t.tensor([1]),2.5)
t.full_like(t.tensor([True]),2)
t.full_like(x,t.tensor(2.))
t.full_like(x,1j)
t.empty_like(x.detach().expand(4,2,3)).stride()
x.new_zeros(2)
x.new_zeros(2,3)
x.new_zeros((2,3),dtype=t.int32)
x.new_ones(())
x.new_full((2,),3)
x.new_full((2,),3,dtype=t.int64)
x.new_empty(2).shape
x.new_empty_strided((2,3),(1,2)).stride()
x.new_tensor([1,2])
x.new_tensor(x)
x.new_tensor([1,2],dtype=t.int32)
x.new_tensor(1.,requires_grad=True)
x.new_zeros()
x.new(2,3).shape
x.new([1,2])
x.new_zeros(2,requires_grad=True)
x.new_zeros(size=(2,))
t.from_numpy(np.arange(3.))
t.from_numpy(np.float32(3))
t.from_numpy([1])
t.from_numpy(np.arange(3)[::-1])
t.from_numpy(np.array(1.5))
t.from_numpy(np.arange(6).reshape(2,3).T).stride()
t.from_numpy(np.array(['a']))
t.from_numpy(np.broadcast_to(np.arange(3),(2,3)))
t.frombuffer(bytearray(8),dtype=t.float32)
t.frombuffer(bytearray(8),dtype=t.int32,count=1,offset=4)
t.frombuffer(bytearray(7),dtype=t.int32)
t.frombuffer(bytearray(0),dtype=t.int32)
t.frombuffer(bytearray(8),dtype=t.int32,offset=9)
t.frombuffer(bytearray(8),dtype=t.int32,count=3)
t.frombuffer(bytearray(8))
t.frombuffer([1],dtype=t.int8)
t.frombuffer(bytearray(8),dtype=t.float32,requires_grad=True)
t.frombuffer(bytearray(8),dtype=t.int32,offset=-1)
t.frombuffer(bytearray(8),dtype=t.int32,count=0)
t.scalar_tensor(1)
t.scalar_tensor(1.5,dtype=t.int64)
t.scalar_tensor(True)
t.scalar_tensor(1j)
t.scalar_tensor(t.tensor(2))
t.complex(t.ones(2),t.zeros(2))
t.complex(t.ones(2),t.zeros(2,dtype=t.float64))
t.complex(t.ones(2,dtype=t.int32),t.zeros(2,dtype=t.int32))
t.complex(t.ones(2),t.zeros(2,1))
t.complex(t.ones(2),1.)
t.complex(t.ones(2,dtype=t.bfloat16),t.ones(2,dtype=t.bfloat16))
t.polar(t.ones(2),t.zeros(2))
t.polar(t.ones(2),t.zeros(2,dtype=t.float64))
t.empty_strided((2,3),(1,2)).stride()
t.empty_strided((2,3),(1,)).stride()
t.empty_strided((2,3),(0,1)).stride()
t.empty_strided((2,3),(5,1)).stride()
t.empty_strided((2,3),(-1,1)).stride()
t.empty_permuted((2,3,4),(1,0,2)).stride()
t.empty_permuted((2,3,4),(1,0)).stride()
t.empty_permuted((2,3,4),(0,0,1)).stride()
t.is_tensor(x)
t.numel(x)
t.numel([1])
""".strip().splitlines()

# Texts that list PyTorch's overloads, or that Python itself gives for a missing argument.
OTHER_WORDS = ("received an invalid combination of arguments", "missing 1 required")


def outcome(library, case):
    """Text, type, strides and warnings of the result, or class and text of the error."""
    x = library.arange(6.0).reshape(2, 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = eval(case, {"t": library, "x": x, "np": np})
        except Exception as error:
            return type(error), str(error)
    facts = [repr(result)]
    if isinstance(result, library.Tensor):
        facts += [str(result.dtype), result.stride(), result.requires_grad]
    return facts, {(w.category, str(w.message).split(" (Triggered")[0][:60]) for w in caught}


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


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int64"])
@pytest.mark.parametrize(
    "call",
    [
        lambda t, d: t.linspace(-3.3, 9.1, 101, dtype=d),
        lambda t, d: t.linspace(0, 1000, 77, dtype=d),
        lambda t, d: t.arange(-3, 50, 7, dtype=d),
        lambda t, d: t.logspace(-1, 3, 50, dtype=d),
        lambda t, d: t.eye(3, 4, dtype=d),
    ],
)
def test_values(call, dtype):
    ours, theirs = (call(t, getattr(t, dtype)) for t in (flambeau, torch))
    # Equal to the last digit, but for the powers of logspace.
    tolerance = {"float32": 1e-6, "float64": 1e-14}.get(dtype, 0)
    np.testing.assert_allclose(ours.tolist(), theirs.tolist(), rtol=tolerance)


def test_arange_agrees_to_the_last_digits():
    for bounds in ((0, 1000, 0.1), (-50, 50, 0.01), (1.1, 77.7, 0.3)):
        ours, theirs = (t.arange(*bounds).numpy() for t in (flambeau, torch))
        assert ours.shape == theirs.shape
        assert (ours != theirs).mean() < 1e-3
        np.testing.assert_allclose(ours, theirs, rtol=3e-7)


def test_as_tensor_and_frombuffer_share_memory():
    array = np.zeros(3, np.float32)
    flambeau.as_tensor(array)[0] = 5
    assert array[0] == 5
    buffer = bytearray(4)
    flambeau.frombuffer(buffer, dtype=flambeau.uint8)[1] = 7
    assert buffer[1] == 7
    array[1] = 2
    assert flambeau.from_dlpack(array)[1].item() == 2


def test_tensor_copies():
    array = np.zeros(3, np.float32)
    made = flambeau.tensor(array)
    array[0] = 1
    assert made[0].item() == 0


def test_read_only_buffers_warn():
    with pytest.warns(UserWarning, match="not writable"):
        made = flambeau.frombuffer(b"abcd", dtype=flambeau.uint8)
    assert made.tolist() == [97, 98, 99, 100]


def test_types_that_are_names_only():
    for name in ("complex32", "qint8", "int4"):
        with pytest.raises(NotImplementedError, match=name):
            flambeau.zeros(2, dtype=getattr(flambeau, name))
    with pytest.raises(NotImplementedError, match="sparse_coo"):
        flambeau.zeros(2, layout=flambeau.sparse_coo)


def test_default_device_and_dtype():
    with flambeau.device("meta"):
        assert flambeau.ones(10**9, 10**6).device.type == "meta"
    flambeau.set_default_dtype(flambeau.float64)
    try:
        assert flambeau.tensor([1.0]).dtype is flambeau.float64
        assert flambeau.zeros(1).dtype is flambeau.float64
    finally:
        flambeau.set_default_dtype(flambeau.float32)
