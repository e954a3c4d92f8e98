"""Switches, facts and handles of tensors against the oracle."""

import warnings

import numpy as np
import pytest
import torch

import flambeau

# Evaluated with `t` as either library, `x` a 2 x 3 tensor, `g` one that requires grad.
CASES = """
t.detach(g).requires_grad, t.detach(g)
t.detach_(g * 2).grad_fn
t.detach(1)
x.as_subclass(P)
g.as_subclass(P), g.as_subclass(P).grad_fn.name()
x.as_subclass(int)
x.pin_memory()
x.is_pinned()
x.to_dense() is x
t.result_type(x, 1), t.result_type(1, 2.0), t.result_type(x.long(), t.tensor(1.0))
t.typename(x), t.typename(1), t.typename(x.long()), t.typename(int)
t.is_inference(x), t.is_distributed(x), t.is_storage(x)
x.clone().apply_(lambda v: v + 1)
g.apply_(abs)
t.ones(2).map_(t.zeros(2), lambda a, b: a - b)
t.ones(2).map2_(t.zeros(2), t.ones(2), lambda a, b, c: a - b + c)
x.is_set_to(x.view(2, 3)), x.is_set_to(x.clone()), x.is_set_to(x[:1])
x.name, x.volatile, x.dim_order(), x.t().dim_order(), x.dense_dim(), x.sparse_dim()
x.layout, x.nbytes, x.itemsize, x.element_size(), x.nelement(), x.ndimension()
x.is_cuda, x.is_cpu, x.is_meta, x.is_sparse, x.is_quantized, x.is_nested, x.is_mkldnn
x.get_device(), t.get_device(x)
t.is_floating_point(x), t.is_complex(x), x.is_signed(), t.is_floating_point(x.long())
t.is_floating_point(1)
t.is_nonzero(x)
t.numel([1])
x.data_ptr() == x.view(-1).data_ptr(), x.data_ptr() == x.clone().data_ptr()
x[1].data_ptr() - x.data_ptr()
x.is_same_size(x), x.is_same_size(x.t())
x.resolve_conj() is x, x.resolve_neg() is x, x.is_conj(), x.is_neg()
t.ones(2, 3).resize_(2, 2), t.ones(2, 3).resize_(3, 3).shape, t.ones(6).resize_as_(x).shape
t.arange(6.0).resize_(4)[:2], t.arange(3.0).resize_((5,))[:3], x.resize_(2, 3) is x
t.arange(12.0).view(3, 4)[1:].resize_(2, 2), x[:, 1:].resize_(2), x.t().resize_(2, 2)
g.resize_(3)
t.ones(2).resize_(-1)
t.ones(2).set_(x), t.ones(2).set_(x).data_ptr() == x.data_ptr(), t.ones(2).set_().shape
t.ones(2).set_(x.long())
t.use_deterministic_algorithms("x")
t.set_deterministic_debug_mode("x")
t.set_deterministic_debug_mode(5)
t.set_float32_matmul_precision("x")
t.set_num_threads(0)
""".strip().splitlines()


def outcome(library, case):
    class P(library.Tensor):
        pass

    names = {"t": library, "P": P, "x": library.arange(6.0).reshape(2, 3)}
    names["g"] = library.ones(2, requires_grad=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = repr(eval(case, names))
        except Exception as error:
            return type(error), str(error)
    return result, [(w.category, str(w.message).split(" (Triggered")[0]) for w in caught]


@pytest.mark.parametrize("case", CASES)
def test_against_the_oracle(case):
    assert outcome(flambeau, case) == outcome(torch, case)


def test_determinism():
    seen = []
    for t in (flambeau, torch):
        modes = []
        for change in (
            lambda t=t: t.use_deterministic_algorithms(True),
            lambda t=t: t.set_deterministic_debug_mode("warn"),
            lambda t=t: t.set_deterministic_debug_mode(2),
            lambda t=t: t.use_deterministic_algorithms(True, warn_only=True),
            lambda t=t: t.use_deterministic_algorithms(False),
        ):
            change()
            modes.append(
                (
                    t.get_deterministic_debug_mode(),
                    t.are_deterministic_algorithms_enabled(),
                    t.is_deterministic_algorithms_warn_only_enabled(),
                )
            )
        seen.append(modes)
    assert seen[0] == seen[1]


def test_matmul_precision():
    assert flambeau.get_float32_matmul_precision() == "highest"
    flambeau.set_float32_matmul_precision("high")
    try:
        assert flambeau.get_float32_matmul_precision() == "high"
    finally:
        flambeau.set_float32_matmul_precision("highest")


def test_default_tensor_type():
    with pytest.warns(UserWarning, match="deprecated as of PyTorch 2.1"):
        flambeau.set_default_tensor_type(flambeau.DoubleTensor)
    try:
        assert flambeau.get_default_dtype() is flambeau.float64
        with pytest.warns(UserWarning), pytest.raises(TypeError, match="only floating-point"):
            flambeau.set_default_tensor_type("torch.LongTensor")
    finally:
        flambeau.set_default_dtype(flambeau.float32)


def test_threads_are_remembered():
    before = flambeau.get_num_threads()
    flambeau.set_num_threads(3)
    assert flambeau.get_num_threads() == 3
    flambeau.set_num_threads(before)


def test_gradients_through_a_subclass():
    class Picture(flambeau.Tensor):
        pass

    x = flambeau.ones(2, requires_grad=True)
    (x.as_subclass(Picture) * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3, 3])


def test_resize_shares_the_storage():
    x = flambeau.arange(6.0)
    row = x.view(2, 3)
    x.resize_(2)
    x[0] = 9
    assert row[0, 0].item() == 9
    assert x.resize_(6).tolist() == [9, 1, 2, 3, 4, 5]
    with pytest.raises(NotImplementedError, match="others see"):
        x.resize_(10)
    del row
    assert x.resize_(8).tolist()[:6] == [9, 1, 2, 3, 4, 5]
