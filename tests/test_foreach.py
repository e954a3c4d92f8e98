"""`torch._foreach_*` against the oracle."""

import pytest
import torch

import flambeau
from flambeau import _foreach

SECOND = ["2", "[1, 2.5]", "b", "t.tensor(2.0)"]
CASES = [f"t._foreach_{name}{suffix}(a)" for name in _foreach.UNARY for suffix in ("", "_")]
CASES += [
    f"t._foreach_{name}{suffix}(a, {second})"
    for name in _foreach.BINARY
    for suffix in ("", "_")
    for second in SECOND
    if "tensor" not in second or name in ("add", "mul", "div")
]
CASES += [
    f"t._foreach_{name}{suffix}(a, b, a{last})"
    for name in ("addcmul", "addcdiv")
    for suffix in ("", "_")
    for last in ("", ", 2", ", [2, 3]", ", t.tensor([2.0, 3.0])", ", value=0.5")
]
CASES += """
t._foreach_lerp(a, b, 0.25), t._foreach_lerp(a, b, [0.25, 0.5]), t._foreach_lerp(a, b, b)
t._foreach_lerp_(a, b, 0.25), a
t._foreach_norm(a), t._foreach_norm(a, 1), t._foreach_max(a), t._foreach_clone(a)
t._foreach_zero_(a), a
t._foreach_copy_(a, b), a
t._foreach_add(a, b, alpha=2), t._foreach_sub_(a, b, alpha=0.5), a
t._foreach_pow(2, a)
t._foreach_add([], 1)
t._foreach_add(a, [1])
t._foreach_add(a, b[:1])
t._foreach_add(tuple(a), 1)
t._foreach_add_(a, 1) == a
""".strip().splitlines()


def outcome(library, case):
    names = {"t": library}
    names["a"] = [library.tensor([0.5, 0.25]), library.tensor([[0.75], [0.125]])]
    names["b"] = [library.tensor([0.5, -2.0]), library.tensor([[1.5], [3.0]])]
    try:
        return repr(eval(case, names))
    except RuntimeError as error:
        return str(error)


@pytest.mark.parametrize("case", CASES)
def test_against_the_oracle(case):
    assert outcome(flambeau, case) == outcome(torch, case)


def test_gradients():
    x = flambeau.tensor([1.0, 2.0], requires_grad=True)
    flambeau._foreach_mul([x, x], [2, 3])[1].sum().backward()
    assert x.grad.tolist() == [3, 3]
    with pytest.raises(TypeError, match="must be tuple of Tensors"):
        flambeau._foreach_neg(x)
