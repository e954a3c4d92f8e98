"""The engine: `backward` and `grad`, their options and their errors.

Every test is one program run on both libraries, what it returns must agree; where it returns
gradients on their way, their strides are the engine's own affair (`strides=False`).
"""

import pytest

from tests.parity.lockstep import error_of, lockstep


def leaf(t, *values, dtype=None):
    return t.tensor(values or (1.0, 2.0, 3.0), dtype=dtype, requires_grad=True)


# --- backward ---


@lockstep
def test_backward_with_a_gradient(t):
    x = leaf(t)
    (x * x).backward(t.tensor([1.0, 10.0, 100.0]))
    return x.grad


@lockstep
def test_gradients_accumulate(t):
    x = leaf(t)
    for _ in range(3):
        (x**3).sum().backward()
    first = x.grad.clone()
    x.grad = None
    x.sum().backward()
    return first, x.grad


@lockstep
def test_accumulation_keeps_the_grad_object_without_create_graph(t):
    x = leaf(t)
    x.sum().backward()
    grad = x.grad
    (x * 2).sum().backward()
    return x.grad is grad, grad


@lockstep
def test_first_gradient_does_not_alias_the_given_one(t):
    x = leaf(t)
    given = t.ones(3)
    (x * 1).backward(given)
    given.mul_(50)
    x.grad.add_(1)
    return x.grad, given


@lockstep
def test_retain_graph(t):
    x = leaf(t)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad, error_of(y.backward)


@lockstep
def test_second_backward_without_saved_tensors_is_allowed(t):
    x = leaf(t)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    return x.grad


@lockstep
def test_backward_inputs(t):
    x, w = leaf(t), leaf(t)
    y = (x * w).sum()
    y.backward(inputs=[w], retain_graph=True)
    first = x.grad is None, w.grad
    y.backward(inputs=x)
    return first, x.grad, w.grad


@lockstep
def test_backward_to_a_tensor_that_is_no_leaf(t):
    x = leaf(t)
    y = x * 2
    (y * y).sum().backward(inputs=[y])
    return y.grad, x.grad is None


@lockstep
def test_autograd_backward_of_several_tensors(t):
    x = leaf(t)
    t.autograd.backward([x.sum(), x * 2], [None, t.tensor([1.0, 2.0, 3.0])])
    return x.grad


@lockstep
def test_create_graph(t):
    x = leaf(t)
    (x**4).sum().backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.sum().backward()
    return first.detach(), first.requires_grad, x.grad


@lockstep
def test_diamond_and_shared_subexpressions(t):
    x = leaf(t)
    y = x.exp()
    z = (y * y + y / x).sum() + y.sum() * x.prod()
    z.backward()
    return x.grad, z.detach()


@lockstep
def test_zero_dim_and_empty(t):
    x, e = leaf(t, 2.0), t.zeros(0, 3, requires_grad=True)
    (x.sum() * e.sum() + e.mul(2).sum()).backward()
    return x.grad, e.grad


@lockstep
def test_integer_operands_have_no_gradient(t):
    x = leaf(t)
    n = t.tensor([1, 2, 3])
    y = x * n
    y.sum().backward()
    return x.grad, (n + 1).requires_grad, x.argmax().requires_grad, (x > 1).requires_grad


@lockstep
def test_mixed_dtypes_give_gradients_of_the_leaf_dtype(t):
    x, w = leaf(t), leaf(t, dtype=t.float64)
    h = leaf(t, dtype=t.bfloat16)
    (x * w * h).sum().backward()
    return x.grad, w.grad, h.grad


@lockstep
def test_gradient_through_conversion(t):
    x = leaf(t)
    y = x.double().to(t.bfloat16).float()
    y.pow(2).sum().backward()
    return x.grad, y.grad_fn.name()


@lockstep
def test_broadcast_gradients(t):
    x, y, s = leaf(t), t.ones(2, 1, requires_grad=True), t.tensor(2.0, requires_grad=True)
    (x * y + s).pow(2).sum().backward()
    return x.grad, y.grad, s.grad


@lockstep
def test_grad_of_a_non_leaf_warns_and_is_none(t):
    y = leaf(t) * 2
    return y.grad is None


ERRORS = {
    "not_scalar": lambda t: leaf(t).mul(2).backward(),
    "no_grad": lambda t: t.ones(1).backward(),
    "no_grad_of_two": lambda t: t.autograd.backward([leaf(t).sum(), t.ones(())]),
    "twice": lambda t: (lambda y: (y.backward(), y.backward()))((leaf(t) ** 2).sum()),
    "gradient_shape": lambda t: leaf(t).mul(2).backward(t.ones(2)),
    "gradient_count": lambda t: t.autograd.backward([leaf(t)], [None, None]),
    "empty_inputs": lambda t: leaf(t).sum().backward(inputs=[]),
    "unused": lambda t: t.autograd.grad(leaf(t).sum(), leaf(t)),
    "unused_many": lambda t: t.autograd.grad(leaf(t).sum(), [leaf(t), leaf(t)]),
    "grad_of_constant": lambda t: t.autograd.grad(t.ones(()), leaf(t)),
    "grad_input_no_grad": lambda t: t.autograd.grad(leaf(t).sum(), t.ones(3)),
    "grad_outputs_shape": lambda t: (lambda x: t.autograd.grad(x * 2, x, t.ones(4)))(leaf(t)),
    "materialize_and_unused": lambda t: t.autograd.grad(
        leaf(t).sum(), leaf(t), allow_unused=False, materialize_grads=True
    ),
    "requires_grad_of_int": lambda t: t.ones(3, dtype=t.int64, requires_grad=True),
    "requires_grad_of_int_in_place": lambda t: t.ones(3, dtype=t.int64).requires_grad_(),
    "unset_on_non_leaf": lambda t: leaf(t).mul(2).requires_grad_(False),
    "set_attribute_on_non_leaf": lambda t: setattr(leaf(t).mul(2), "requires_grad", False),
    "grad_wrong_shape": lambda t: setattr(leaf(t), "grad", t.ones(2)),
    "grad_wrong_dtype": lambda t: setattr(leaf(t), "grad", t.ones(3, dtype=t.float64)),
    "grad_not_tensor": lambda t: setattr(leaf(t), "grad", 1.0),
    "grad_self": lambda t: (lambda x: setattr(x, "grad", x))(leaf(t)),
    "saved_modified": lambda t: (
        lambda x: (lambda y, z: (y.add_(1), z.backward()))(*(lambda y: (y, y.pow(2).sum()))(x * 1))
    )(leaf(t)),
    "exp_output_modified": lambda t: (lambda y: (y.add_(1), y.sum().backward()))(leaf(t).exp()),
    "hook_without_grad": lambda t: t.ones(3).register_hook(print),
    "retain_grad_without_grad": lambda t: t.ones(3).retain_grad(),
    "post_hook_non_leaf": lambda t: leaf(t).mul(2).register_post_accumulate_grad_hook(print),
    "post_hook_no_grad": lambda t: t.ones(3).register_post_accumulate_grad_hook(print),
    "inference_tensor_saved": lambda t: inference_tensor(t).mul(leaf(t)),
    "inference_in_place": lambda t: inference_tensor(t).add_(1),
    "inference_requires_grad": lambda t: inference_tensor(t).requires_grad_(),
    "deepcopy_non_leaf": lambda t: __import__("copy").deepcopy(leaf(t) * 2),
    "detach_leaf_view": lambda t: leaf(t)[1:].detach_(),
    "hook_returns_wrong_shape": lambda t: (
        lambda x, y: (x.register_hook(lambda g: g[:1]), y.sum().backward())
    )(*(lambda x: (x, x * 2))(leaf(t))),
    "hook_returns_number": lambda t: (
        lambda x: (x.register_hook(lambda g: 1.0), (x * 2).sum().backward())
    )(leaf(t)),
}


def inference_tensor(t):
    with t.inference_mode():
        return t.ones(3)


@pytest.mark.parametrize("name", ERRORS)
@lockstep(raises=True)
def test_errors(t, name):
    ERRORS[name](t)


# --- grad ---


@lockstep
def test_grad_leaves_grad_alone(t):
    x, w = leaf(t), leaf(t)
    grads = t.autograd.grad((x * w * w).sum(), (x, w))
    return grads, x.grad is None, w.grad is None


@lockstep(strides=False)
def test_grad_of_an_intermediate(t):
    x = leaf(t)
    y = x.sin()
    z = (y * y).sum()
    return t.autograd.grad(z, [y, x])


@lockstep
def test_grad_outputs(t):
    x = leaf(t)
    grads = t.autograd.grad([x * 2, x.exp()], x, [t.tensor([1.0, 2.0, 3.0]), t.ones(3)])
    return grads


@lockstep(strides=False)
def test_allow_unused_and_materialize(t):
    x, w = leaf(t), leaf(t)
    y = (x * 2).sum()
    unused = t.autograd.grad(y, [x, w], allow_unused=True, retain_graph=True)
    zeros = t.autograd.grad(y, [x, w], materialize_grads=True)
    return unused, zeros


@lockstep
def test_batched_gradients_are_a_jacobian(t):
    x = leaf(t)
    y = x**3 + x.sum()
    return t.autograd.grad(y, x, grad_outputs=t.eye(3), is_grads_batched=True)


@lockstep
def test_third_derivative(t):
    x = leaf(t, 0.5, 1.5)
    g = x.sin().mul(x).sum()
    for _ in range(3):
        (g,) = t.autograd.grad(g.sum(), x, create_graph=True)
    return g


@lockstep(strides=False)
def test_hessian_vector_product(t):
    w = t.linspace(-1, 1, 6).view(2, 3).requires_grad_()
    x = t.linspace(0, 1, 12).view(4, 3)
    loss = t.log_softmax(x @ w.t(), 1)[:, 0].mean()
    (g,) = t.autograd.grad(loss, w, create_graph=True)
    (h,) = t.autograd.grad((g * t.linspace(1, 2, 6).view(2, 3)).sum(), w)
    return g, h


@lockstep
def test_gradient_penalty(t):
    x = t.linspace(-1, 1, 6).view(2, 3).requires_grad_()
    w = t.linspace(1, 2, 3).requires_grad_()
    y = (x @ w).tanh().sum()
    (g,) = t.autograd.grad(y, x, create_graph=True)
    (g.norm(dim=1) - 1).pow(2).mean().backward()
    return w.grad, x.grad


@lockstep
def test_double_backward_through_an_in_place_write(t):
    x = leaf(t)
    y = x * x
    y[1:].mul_(x[1:])
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), x)
    return g, h
