"""Which tensors a node keeps: writing to one of those before `backward` raises, to others not.

PyTorch's own choice per operation is visible to users (a GAN's or an RNN's in-place update raises
or not), so it is compared operation by operation.
"""

import pytest

from tests.parity.libraries import subject
from tests.parity.lockstep import lockstep

UNARY = {
    "neg": lambda t, x: -x,
    "exp": lambda t, x: x.exp(),
    "log": lambda t, x: x.log(),
    "sqrt": lambda t, x: x.sqrt(),
    "sin": lambda t, x: x.sin(),
    "tanh": lambda t, x: x.tanh(),
    "sigmoid": lambda t, x: x.sigmoid(),
    "relu": lambda t, x: x.relu(),
    "abs": lambda t, x: x.abs(),
    "square": lambda t, x: x.square(),
    "pow": lambda t, x: x**3,
    "reciprocal": lambda t, x: x.reciprocal(),
    "rsqrt": lambda t, x: x.rsqrt(),
    "clamp": lambda t, x: x.clamp(0.2, 0.8),
    "sum": lambda t, x: x.sum(),
    "mean": lambda t, x: x.mean(0),
    "prod": lambda t, x: x.prod(0),
    "var": lambda t, x: x.var(0),
    "std": lambda t, x: x.std(0),
    "softmax": lambda t, x: x.softmax(-1),
    "log_softmax": lambda t, x: x.log_softmax(-1),
    "logsumexp": lambda t, x: x.logsumexp(-1),
    "cumsum": lambda t, x: x.cumsum(0),
    "norm": lambda t, x: x.norm(),
    "t": lambda t, x: x.t() * 1,
    "reshape": lambda t, x: x.reshape(-1) * 1,
    "flip": lambda t, x: x.flip(0),
    "tril": lambda t, x: x.tril(),
    "add number": lambda t, x: x + 1,
    "mul number": lambda t, x: x * 2,
    "div number": lambda t, x: x / 2,
    "clone": lambda t, x: x.clone(),
    "to": lambda t, x: x.double(),
    "select": lambda t, x: x[0] * 1,
    "cat": lambda t, x: t.cat([x, x]),
    "max dim": lambda t, x: x.max(0).values,
    "amax": lambda t, x: x.amax(0),
    "gather": lambda t, x: x.gather(0, t.zeros(1, 3, dtype=t.int64)),
    "masked_fill": lambda t, x: x.masked_fill(t.eye(3, dtype=t.bool), 0.0),
    "index": lambda t, x: x[t.tensor([0, 2])],
    "erf": lambda t, x: x.erf(),
    "expm1": lambda t, x: x.expm1(),
    "log1p": lambda t, x: x.log1p(),
}
BINARY = {
    "add": lambda t, x, y: x + y,
    "sub": lambda t, x, y: x - y,
    "mul": lambda t, x, y: x * y,
    "div": lambda t, x, y: x / y,
    "pow": lambda t, x, y: x**y,
    "matmul": lambda t, x, y: x @ y,
    "maximum": lambda t, x, y: t.maximum(x, y),
    "where": lambda t, x, y: t.where(t.eye(3, dtype=t.bool), x, y),
    "lerp": lambda t, x, y: t.lerp(x, y, 0.5),
    "addcmul": lambda t, x, y: t.addcmul(x, x, y),
    "atan2": lambda t, x, y: t.atan2(x, y),
    "hypot": lambda t, x, y: t.hypot(x, y),
}


def outcome(make, written):
    """Whether `backward` raises after a write to one of the tensors."""
    tensors, result = make()
    target = result if written == "output" else tensors[written]
    try:
        target.detach().add_(1)
        result.sum().backward()
    except RuntimeError as error:
        return str(error).split(":")[0]
    return "ran"


def leaves(t, count, grads):
    made = []
    for i in range(count):
        values = t.tensor([[0.3, 0.6, 0.9], [0.2, 0.5, 0.7], [0.1, 0.4, 0.8]]) + 0.05 * i
        made.append(values.requires_grad_() if grads[i] else values)
    return made


# PyTorch saves more here than the derivative reads (gather: only the shape of its input; prod and
# pow: the result, to divide by the input). Ours do not need it, so the write is harmless.
SAVES_LESS = {"gather": 0, "prod": "output"}


@pytest.mark.parametrize(("name", "written"), SAVES_LESS.items())
def test_writes_that_only_pytorch_refuses(name, written):
    t = subject().module
    tensors = leaves(t, 1, [True])
    wanted = t.autograd.grad(UNARY[name](t, *tensors).sum(), tensors)[0]
    result = UNARY[name](t, *tensors)
    (tensors[0] if written == 0 else result).detach().add_(1)
    result.sum().backward()
    assert tensors[0].grad.equal(wanted)


@pytest.mark.parametrize("name", [n for n in UNARY if n not in SAVES_LESS])
@lockstep
def test_unary(t, name):
    def make():
        tensors = leaves(t, 1, [True])
        return tensors, UNARY[name](t, *tensors)

    return [outcome(make, written) for written in (0, "output")]


@pytest.mark.parametrize("grads", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("name", BINARY)
@lockstep
def test_binary(t, name, grads):
    def make():
        tensors = leaves(t, 2, grads)
        return tensors, BINARY[name](t, *tensors)

    kept = (0, 1) if name == "pow" else (0, 1, "output")
    return [outcome(make, written) for written in kept]
