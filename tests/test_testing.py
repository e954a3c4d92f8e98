"""torch.testing against the oracle: verdicts and messages."""

import math

import numpy as np
import pytest
import torch

import flambeau

# Evaluated with `C` as assert_close, `t` as the library and `f` as its `tensor`.
CASES = """
C(f([1.,2]),f([1.,2.1]))
C(f([1.,2]),f([1.,2+1e-7]))
C(f([1.,2]),f([1.,2.1]).double())
C(f([1.,2]),f([1.,2,3]))
C(f(1.),f(2.))
C(f([1,2]),f([1,3]))
C(f(1),f(2))
C(f([True]),f([False]))
C(f([nan]),f([nan]))
C(f([nan]),f([nan]),equal_nan=True)
C(1,2)
C(1.,1.0000000001)
C(1.,1.1)
C(True,False)
C(1,1.)
C('a','a')
C(None,None)
C(None,1)
C([f(1.)],[f(2.)])
C({'a':f(1.)},{'a':f(2.)})
C({'a':1},{'b':1})
C([1],[1,2])
C((1,),[1])
C(f([1.]),[1.])
C(f([1.]),1.)
C(np.array([1.]),np.array([2.]))
C(f([1.]),np.array([1.],'f'))
C(f([1.,2]),f([1.,2.1]),rtol=.1)
C(f([1.,2]),f([1.,2.1]),rtol=.1,atol=0)
C(f([1.,2]),f([1.,2.1]),msg='hi')
C(f([1.,2]),f([1.,2.1]),msg=lambda m:'X'+m)
C(f([1.]),f([1.],dtype=t.float64),check_dtype=False)
C(f([1.]),f([1]),check_dtype=False)
C(f([1.],device='meta'),f([1.],device='meta'))
C(t.zeros(2,3),t.zeros(3,2).t())
C(t.zeros(2,3),t.zeros(3,2).t(),check_stride=True)
C(f([1.]),f([1.],device='meta'))
C(t.zeros(2,3)+1,t.zeros(2,3))
C(f([1.,2,3]),f([1.,0,0]))
C(f([1j]),f([2j]))
C(f([1.],dtype=t.float16),f([1.1],dtype=t.float16))
C(f([1.],dtype=t.bfloat16),f([1.02],dtype=t.bfloat16))
C(f([float('inf')]),f([1.]))
C(f([float('inf'),1]),f([float('inf'),2]))
C(1j,2j)
C(f([]),f([]))
C([[f(1.)]],[[f(2.)]])
C([1,'a'],[1,'b'])
C([f([1.]),f([2.])],[f([1.]),f([3.])])
C(f([[1.,2],[3,4]]),f([[1.,2],[3,5]]))
C(t.full((3,),2**40),t.full((3,),2**40+1))
C(f([1,2],dtype=t.uint8),f([3,2],dtype=t.uint8))
C({'a':[1.,f(2.)]},{'a':[1.,f(3.)]})
C(nan,nan)
C(1.,nan)
C(0.,0.1)
C(f(0.),f(.1))
C(f([0.]),f([0.1]))
""".strip().splitlines()


def outcome(library, case):
    names = {
        "C": library.testing.assert_close,
        "t": library,
        "f": library.tensor,
        "np": np,
        "nan": math.nan,
    }
    try:
        return eval(case, names)
    except Exception as error:
        kind = str(error).replace("flambeau.core.tensor.Tensor", "torch.Tensor")
        return type(error), kind


@pytest.mark.parametrize("case", CASES)
def test_assert_close(case):
    assert outcome(flambeau, case) == outcome(torch, case)


def test_subclasses():
    class Picture(flambeau.Tensor):
        pass

    picture = Picture(flambeau.ones(2))
    flambeau.testing.assert_close(picture, flambeau.ones(2))
    with pytest.raises(TypeError, match="No comparison pair"):
        flambeau.testing.assert_close(picture, flambeau.ones(2), allow_subclasses=False)


def test_assert_allclose():
    with pytest.warns(FutureWarning, match="deprecated since 1.12"):
        flambeau.testing.assert_allclose(flambeau.tensor([1.0]), [1.00005])
    with (
        pytest.warns(FutureWarning),
        pytest.raises(AssertionError, match=r"up to 0.0001 allowed"),
    ):
        flambeau.testing.assert_allclose(flambeau.tensor([1.0, 2.0]), [1.0, 2.1])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool", "complex64"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"low": 1, "high": 3},
        {"low": -5, "high": 300},
        {"noncontiguous": True},
        {"exclude_zero": True},
    ],
    ids=str,
)
def test_make_tensor_draws_the_oracle_s_numbers(dtype, options):
    made = []
    for library in (flambeau, torch):
        library.manual_seed(3)
        kind = getattr(library, dtype)
        made.append(library.testing.make_tensor((3, 4), dtype=kind, device="cpu", **options))
    ours, theirs = made
    assert ours.stride() == theirs.stride()
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)
