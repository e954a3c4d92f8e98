"""`permute_copy` and the others: values, memory, nodes, gradients and `out=`."""

import pytest

from tests.parity.lockstep import lockstep

CALLS = {
    "alias_copy": (),
    "as_strided_copy": ((2,), (2,)),
    "detach_copy": (),
    "diagonal_copy": (),
    "expand_copy": ((4, 2, 3),),
    "narrow_copy": (0, 0, 1),
    "permute_copy": ((1, 0),),
    "select_copy": (1, 1),
    "slice_copy": (1, 0, 3, 2),
    "split_copy": (2, 1),
    "split_with_sizes_copy": ((1, 1),),
    "squeeze_copy": (),
    "t_copy": (),
    "transpose_copy": (0, 1),
    "unbind_copy": (),
    "unfold_copy": (1, 2, 1),
    "unsqueeze_copy": (0,),
    "view_as_real_copy": (),
    "view_copy": ((3, 2),),
}


def arguments(t, name):
    dtype = t.complex64 if name == "view_as_real_copy" else t.float32
    x = t.arange(6.0).view(2, 3).to(dtype).requires_grad_()
    return x, CALLS[name]


@pytest.mark.parametrize("name", CALLS)
@lockstep
def test_copies(t, name):
    x, rest = arguments(t, name)
    result = getattr(t, name)(x, *rest)
    pieces = list(result) if isinstance(result, (tuple, list)) else [result]
    facts = [
        type(result).__name__,
        pieces[0]._is_view(),
        [type(p.grad_fn).__name__ for p in pieces],
    ]
    if name == "detach_copy":
        return pieces, facts[:2]
    sum((p * p).sum().abs() for p in pieces).backward()
    with t.no_grad():
        x.zero_()
    return pieces, facts, x.grad


@pytest.mark.parametrize("name", ["permute_copy", "unbind_copy", "view_copy"])
@lockstep
def test_out(t, name):
    x, rest = arguments(t, name)
    x = x.detach()
    found = getattr(t, name)(x, *rest)
    out = [t.empty_like(p) for p in found] if isinstance(found, tuple) else t.empty_like(found)
    getattr(t, name)(x, *rest, out=out)
    return out


@lockstep
def test_method(t):
    return t.arange(6.0).narrow_copy(0, 1, 3)
