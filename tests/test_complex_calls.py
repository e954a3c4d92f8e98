"""Reductions, indexing and shape functions of complex tensors: values and gradients."""

import numpy as np
import pytest
import torch

import flambeau

RANDOM = np.random.RandomState(0)


def complex_normal(*shape):
    return (RANDOM.randn(*shape) + 1j * RANDOM.randn(*shape)).astype(np.complex64)


VALUES, WEIGHTS = complex_normal(3, 4), complex_normal(60)
MASK, PLACES = RANDOM.rand(3, 4) < 0.5, RANDOM.randint(0, 3, (3, 4))

CALLS = """
x.sum(0)
x.sum(dtype=torch.float32)
x.sum(dtype=torch.complex128)
x.mean()
x.prod(1)
(x * 0).prod()
x.cumsum(1)
x.cumprod(1)
x.logcumsumexp(1)
x.logsumexp(1)
x.var(1)
x.std()
torch.var_mean(x, 1)[1]
x.any(1)
x.diff()
x.index_select(0, i)
x.index_add(0, i, x[:2], alpha=2j)
x.index_fill(0, i, 1j)
x.gather(0, g)
x.scatter(0, g, x)
x.scatter(0, g, 1j)
x.scatter_add(0, g, x)
x.masked_fill(m, 2j)
x.masked_scatter(m, x)
torch.where(m, x, 1.5)
torch.where(m, x.real, 2j)
x[i]
x[m]
x.index_put((i,), x[:2], accumulate=True)
torch.cat([x, x.real])
torch.stack([x, x])
x.flip(0)
x.tril()
torch.diag(x[0])
x.take(i)
x.repeat(2, 1)
torch.constant_pad_nd(x, (1, 1), 1j)
torch.block_diag(x, x)
x.nonzero()
x.nansum()
x.nanmean()
x.scatter_reduce(0, g, x.detach(), "amax")
x.detach().unique()
torch.isin(x, x[0])
x.min()
x.max(0)
x.argsort()
x.kthvalue(1)
x.cummax(0)
x.mode()
"""


def outcome(call, library):
    x = library.tensor(VALUES, requires_grad=True)
    names = {
        "torch": library,
        "x": x,
        "m": library.tensor(MASK),
        "g": library.tensor(PLACES),
        "i": library.tensor([2, 0]),
    }
    try:
        result = eval(call, names)
    except (RuntimeError, NotImplementedError) as error:
        return type(error).__name__, str(error)
    if not result.requires_grad:
        return (result.numpy(),)
    weights = WEIGHTS[: result.numel()].reshape(tuple(result.shape))
    weights = weights if result.dtype.is_complex else weights.real.copy()
    result.backward(library.tensor(weights).to(result.dtype))
    return result.detach().resolve_conj().numpy(), x.grad.resolve_conj().numpy()


@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@pytest.mark.parametrize("call", CALLS.strip().splitlines())
def test_complex(call):
    ours, theirs = outcome(call, flambeau), outcome(call, torch)
    if isinstance(theirs[0], str):
        assert ours == theirs
        return
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5)
