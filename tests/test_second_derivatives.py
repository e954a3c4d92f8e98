"""Second derivatives of reductions, sorting, indexing and shape functions, against the oracle."""

import numpy as np
import pytest
import torch

import flambeau

VALUES = np.random.RandomState(0).standard_normal((3, 4))
ZEROS = np.where(np.abs(VALUES) < 0.5, 0.0, VALUES)

CALLS = """
x.sum(0) ** 2
x.mean() ** 3
x.nansum(1) ** 2
x.prod(1)
x.prod()
z.prod(1)
x.amax(1) ** 2
x.max(1).values ** 2
x.min() ** 3
x.aminmax(dim=0).min ** 2
x.var(1)
x.std(0)
torch.var_mean(x, 1)[0] * torch.var_mean(x, 1)[1]
torch.std_mean(x)[0] ** 2
x.logsumexp(1)
x.median() ** 2
x.median(1).values ** 2
x.mode(1).values ** 2
x.kthvalue(2, 1).values ** 2
x.quantile(0.3, 1) ** 2
x.cumsum(1) ** 2
x.cumprod(1)
z.cumprod(1)
x.cummax(1).values ** 2
x.logcumsumexp(1)
x.diff() ** 2
x.sort(1).values ** 2
x.topk(2).values ** 2
x.index_select(1, i) ** 2
x.index_add(1, i, x[:, :3]) ** 2
x.index_copy(1, i, x[:, :3] ** 2) ** 2
x.index_fill(1, i, 2.0) ** 2
x.index_reduce(1, i, x[:, :3], "mean") ** 2
x[i] ** 2
x[:, i] ** 2
x[m] ** 2
x.index_put((i,), x[:3] ** 2) ** 2
x.index_put((i,), x[:3] ** 2, accumulate=True) ** 2
x.gather(1, g) ** 2
x.scatter(1, g, x[:2, :3] ** 2) ** 2
x.scatter_add(1, g, x[:2, :3] ** 2) ** 2
x.scatter_reduce(1, g, x[:2, :3] ** 2, "prod")
z.scatter_reduce(1, g, x[:2, :3] ** 2, "prod")
x.scatter_reduce(1, g, x[:2, :3] ** 2, "mean") ** 2
x.masked_fill(m, 2.0) ** 2
x.masked_scatter(m, x ** 2) ** 2
x.masked_select(m) ** 2
torch.where(m, x ** 2, x ** 3)
x.take(i) ** 3
x.put(i, x[0, :3] ** 2) ** 2
torch.take_along_dim(x, g[:1], 1) ** 2
torch.cat([x, x ** 2], 1) ** 2
torch.stack([x, x ** 2]) ** 2
torch.block_diag(x, x ** 2) ** 2
x.flip(0) ** 2 * x
x.roll(1, 0) * x ** 2
x.rot90() ** 3
x.repeat(2, 1) ** 2 * 3
x.repeat_interleave(2, 0) ** 3
x.tril() ** 3
x.diag_embed() ** 3
torch.diag(x @ x.t()) ** 2
x.select_scatter(x[0] ** 2, 0, 1) ** 2
x.slice_scatter(x[:1] ** 2, 0, 1, 2) ** 2
x.diagonal_scatter(x[0, :3] ** 2) ** 2
torch.constant_pad_nd(x, (1, 2), 3.0) ** 3
"""


def derivatives(call, library):
    """First and second derivatives of the sum of `call`'s result."""
    leaves = [library.tensor(v, requires_grad=True) for v in (VALUES, ZEROS)]
    names = {
        "torch": library,
        "x": leaves[0],
        "z": leaves[1],
        "i": library.tensor([2, 0, 2] if "index_copy" not in call else [2, 0, 1]),
        "g": library.tensor([[0, 1, 1], [3, 0, 2]]),
        "m": library.tensor(VALUES > 0),
    }
    leaf = names["z" if call.startswith("z") else "x"]
    (first,) = library.autograd.grad(eval(call, names).sum(), leaf, create_graph=True)
    weights = library.tensor(np.cos(np.arange(12.0)).reshape(3, 4))
    second = None
    if first.requires_grad:
        (second,) = library.autograd.grad((first * weights).sum(), leaf, allow_unused=True)
    zero = np.zeros((3, 4))
    return first.detach().numpy(), zero if second is None else second.detach().numpy()


@pytest.mark.filterwarnings("ignore:index_reduce.. is in beta")
@pytest.mark.parametrize("call", CALLS.strip().splitlines())
def test_second_derivative(call):
    ours, theirs = derivatives(call, flambeau), derivatives(call, torch)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-9, atol=1e-11)
