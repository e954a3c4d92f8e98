"""The engine: `backward`, `grad`, hooks, modes, anomalies, deep and long graphs.

Every test is one program run on both libraries, what it returns must agree; where it returns
gradients on their way, their strides are the engine's own affair (`strides=False`). `Function` has
its own file, tests/test_autograd_function.py.
"""

import gc

import pytest

from tests.parity.libraries import subject
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


# --- Hooks ---


@lockstep(strides=False)
def test_tensor_hooks_run_in_order_and_replace(t):
    x, calls = leaf(t), []
    y = x * 2
    first = y.register_hook(lambda g: calls.append(("first", g.clone())) or g * 10)
    y.register_hook(lambda g: calls.append(("second", g.clone())))
    x.register_hook(lambda g: calls.append(("leaf", g.clone())) or g + 1)
    y.sum().backward(retain_graph=True)
    first.remove()
    y.sum().backward()
    return calls, x.grad


@lockstep(strides=False)
def test_leaf_hook_runs_once_a_backward_on_the_sum(t):
    x, calls = leaf(t), []
    x.register_hook(lambda g: calls.append(g.clone()))
    (x * 2 + x * 3).sum().backward()
    return calls


@lockstep
def test_handle_as_context_manager(t):
    x, calls = leaf(t), []
    with x.register_hook(lambda g: calls.append(1)):
        x.sum().backward()
    x.sum().backward()
    return calls


@lockstep(strides=False)
def test_retain_grad(t):
    x = leaf(t)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    y.register_hook(lambda g: g * 3)
    z = y.exp()
    z.sum().backward()
    return y.grad, x.grad, y.retains_grad, x.retains_grad, z.retains_grad


@lockstep
def test_post_accumulate_grad_hook(t):
    x, seen = leaf(t), []

    def step(parameter):
        seen.append(parameter.grad.clone())
        with t.no_grad():
            parameter.sub_(0.1 * parameter.grad)
        parameter.grad = None

    handle = x.register_post_accumulate_grad_hook(step)
    (x * x).sum().backward()
    handle.remove()
    (x * x).sum().backward()
    return seen, x.detach(), x.grad


@lockstep(strides=False)
def test_node_hooks(t):
    x, calls = leaf(t), []
    y = x * 2
    z = y.exp()
    z.grad_fn.register_hook(lambda inputs, outputs: calls.append(("post", inputs, outputs)))
    z.grad_fn.register_prehook(lambda outputs: calls.append(("pre", outputs)))
    y.grad_fn.register_hook(lambda inputs, outputs: (inputs[0] * 10, *inputs[1:]))
    z.sum().backward()
    return calls, x.grad


@lockstep(strides=False)
def test_hook_on_a_tensor_written_in_place_sees_the_new_value(t):
    x, calls = leaf(t), []
    y = x * 2
    y.register_hook(lambda g: calls.append(("before", g.clone())))
    y.mul_(3)
    y.register_hook(lambda g: calls.append(("after", g.clone())))
    y.sum().backward()
    return sorted(calls, key=lambda c: c[0]), x.grad


@lockstep(strides=False)
def test_multi_grad_hook(t):
    x, w, calls = leaf(t), leaf(t), []
    t.autograd.graph.register_multi_grad_hook((x, w), lambda grads: calls.append(list(grads)))
    (x * w).sum().backward()
    return calls


@lockstep
def test_saved_tensors_hooks(t):
    x, packed = leaf(t), []

    def pack(tensor):
        packed.append(tensor.detach().clone())
        return tensor * 2

    with t.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor / 2):
        y = x * x
    (y * 3).sum().backward()
    return len(packed), packed, x.grad


@lockstep
def test_save_on_cpu(t):
    x = leaf(t)
    with t.autograd.graph.save_on_cpu():
        y = x.exp().sin()
    y.sum().backward()
    return x.grad


# --- The graph as an object ---


@lockstep
def test_node_names(t):
    x = leaf(t)
    w = t.ones(3, 3, requires_grad=True)
    made = {
        "add": x + 1,
        "sub": x - 1,
        "rsub": 1 - x,
        "mul": x * 2,
        "div": x / 2,
        "pow": x**2,
        "neg": -x,
        "exp": x.exp(),
        "log": x.log(),
        "relu": x.relu(),
        "sigmoid": x.sigmoid(),
        "tanh": x.tanh(),
        "sum": x.sum(),
        "sum_dim": w.sum(1),
        "mean": x.mean(),
        "max": x.max(),
        "matmul": w @ w,
        "mv": w @ x,
        "dot": x @ x,
        "bmm": w[None] @ w[None],
        "t": w.t(),
        "transpose": w.transpose(0, 1),
        "permute": w.permute(1, 0),
        "view": w.view(9),
        "reshape": w.t().reshape(9),
        "unsqueeze": x.unsqueeze(0),
        "squeeze": w[:1].squeeze(0),
        "expand": x.expand(2, 3),
        "select": w[0],
        "slice": w[1:],
        "index": w[[0, 1]],
        "cat": t.cat([x, x]),
        "stack": t.stack([x, x]),
        "clone": x.clone(),
        "softmax": x.softmax(0),
        "log_softmax": x.log_softmax(0),
        "where": t.where(x > 1, x, x * 0),
        "to": x.double(),
        "gather": w.gather(1, t.zeros(3, 1, dtype=t.int64)),
        "cumsum": x.cumsum(0),
        "clamp": x.clamp(0, 1),
        "abs": x.abs(),
        "sqrt": x.sqrt(),
        "unbind": w.unbind(0)[0],
        "split": w.split(1)[0],
        "copy_slices": (lambda y: (y[0].mul_(2), y)[1])(x * 1),
        "in_place": (x * 1).add_(1),
        "addmm": t.addmm(w, w, w),
        "norm": t.linalg.vector_norm(x),
    }
    return {name: (y.grad_fn.name(), type(y.grad_fn).__name__) for name, y in made.items()}


@lockstep
def test_next_functions(t):
    x = leaf(t)
    node = (x * x.exp() + 2).grad_fn
    edges = node.next_functions
    inner = edges[0][0].next_functions
    accumulate = inner[0][0]
    return (
        [(f.name() if f else None, i) for f, i in edges],
        [(f.name() if f else None, i) for f, i in inner],
        accumulate.variable is x,
        x.grad_fn is None,
        x.is_leaf,
    )


@lockstep
def test_output_number(t):
    x = t.ones(2, 3, requires_grad=True)
    a, b = x.unbind(0)
    values, _ = x.max(1)
    return a.output_nr, b.output_nr, values.output_nr, a.grad_fn is not None


@lockstep(strides=False)
def test_gradient_edge(t):
    x = leaf(t)
    y = x * 2
    edge = t.autograd.graph.get_gradient_edge(y)
    z = (y * y).sum()
    return t.autograd.grad(z, edge), edge.output_nr, edge.node.name()


# --- Modes ---


@lockstep
def test_modes_as_contexts(t):
    x, seen = leaf(t), []

    def look():
        seen.append((t.is_grad_enabled(), (x * 2).requires_grad, t.is_inference_mode_enabled()))

    look()
    with t.no_grad():
        look()
        with t.enable_grad():
            look()
            with t.set_grad_enabled(False):
                look()
        look()
    with t.inference_mode():
        look()
        with t.enable_grad():
            look()
    with t.inference_mode(False):
        look()
    t.set_grad_enabled(False)
    look()
    t.set_grad_enabled(True)
    look()
    return seen


@lockstep
def test_modes_as_decorators(t):
    @t.no_grad()
    def called(x):
        """Doc."""
        return x * 2

    @t.no_grad
    def bare(x):
        return x * 2

    @t.inference_mode()
    def inferred(x):
        return x * 2

    @t.enable_grad()
    def enabled(x):
        return x * 2

    @t.set_grad_enabled(False)
    def disabled(x):
        return x * 2

    x = leaf(t)
    with t.no_grad():
        inner = enabled(x).requires_grad
    return (
        called(x).requires_grad,
        bare(x).requires_grad,
        inferred(x).is_inference(),
        inner,
        disabled(x).requires_grad,
        called.__name__,
        called.__doc__,
        t.is_grad_enabled(),
    )


@lockstep
def test_no_grad_on_a_generator_suspends_at_yield(t):
    x, seen = leaf(t), []

    @t.no_grad()
    def numbers():
        for _ in range(2):
            received = yield (x * 2).requires_grad
            seen.append((received, t.is_grad_enabled()))

    generator = numbers()
    seen.append((next(generator), t.is_grad_enabled()))
    seen.append((generator.send("hello"), t.is_grad_enabled()))
    generator.close()
    return seen, t.is_grad_enabled()


@lockstep
def test_mode_is_restored_after_an_exception(t):
    def fail():
        with t.no_grad():
            raise KeyError("inside")

    return error_of(fail), t.is_grad_enabled()


@lockstep
def test_inference_tensors(t):
    with t.inference_mode():
        x = t.ones(3)
        x.add_(1)
        y = x[1:]
    return (
        x.is_inference(),
        y.is_inference(),
        x.requires_grad,
        (x * 2).is_inference(),
        x.clone().is_inference(),
        error_of(lambda: x._version),
    )


@lockstep
def test_requires_grad_propagates(t):
    x, c = leaf(t), t.ones(3)
    return (
        (c * 2).requires_grad,
        (c * 2).is_leaf,
        (c * x).requires_grad,
        (c * x).is_leaf,
        x.detach().requires_grad,
        x.clone().is_leaf,
        t.zeros_like(x).requires_grad,
        t.ones(2, requires_grad=True).is_leaf,
        x.long().requires_grad,
        t.tensor(x.detach()).requires_grad,
        x.new_zeros(2).requires_grad,
    )


@lockstep
def test_detach_in_place(t):
    x = leaf(t)
    y = x * 2
    y.detach_()
    return y.requires_grad, y.is_leaf, y.grad_fn is None, y.requires_grad_().is_leaf


@lockstep
def test_in_place_makes_a_tensor_require_grad(t):
    x, c = leaf(t), t.ones(3)
    c.mul_(x)
    (c * c).sum().backward()
    return c.requires_grad, c.is_leaf, x.grad, c.grad_fn.name()


@lockstep
def test_zero_grad_by_assignment_and_in_place(t):
    x = leaf(t)
    x.grad = t.full((3,), 5.0)
    x.sum().backward()
    first = x.grad.clone()
    x.grad.zero_()
    x.sum().backward()
    del x.grad
    return first, x.grad is None


# --- Anomaly detection ---


@lockstep(texts=False)
def test_anomaly_mode_finds_the_nan(t):
    x = leaf(t, -1.0, 4.0)

    def fail():
        with t.autograd.detect_anomaly(check_nan=True):
            y = x.sqrt()
            (y * 0).sum().backward()

    kind, text = error_of(fail)
    return kind, text, t.is_anomaly_enabled()


@lockstep
def test_anomaly_mode_as_switch(t):
    seen = [t.is_anomaly_enabled()]
    with t.autograd.set_detect_anomaly(True):
        seen.append(t.is_anomaly_enabled())
    with t.autograd.set_detect_anomaly(False):
        seen.append(t.is_anomaly_enabled())
    return seen


def test_anomaly_mode_names_the_forward_line():
    t = subject().module
    x = t.tensor([-1.0], requires_grad=True)
    with (
        pytest.warns(UserWarning, match=r"(?s)SqrtBackward0.*guilty = x\.sqrt\(\)"),
        pytest.raises(RuntimeError, match="returned nan values in its 0th output"),
        t.autograd.set_detect_anomaly(True),
    ):
        guilty = x.sqrt()
        (guilty * 0).sum().backward()


# --- gradcheck ---


@lockstep
def test_gradcheck_passes_and_fails(t):
    x = t.linspace(0.3, 1, 4, dtype=t.float64).requires_grad_()

    class Wrong(t.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    check = t.autograd.gradcheck
    return (
        check(lambda a: a.sin() * a, (x,)),
        check(Wrong.apply, (x,), raise_exception=False),
        error_of(lambda: check(Wrong.apply, (x,)))[0],
        t.autograd.gradgradcheck(lambda a: a.exp() * a, (x,)),
        check(lambda a: (a.exp(), a.sum()), (x,)),
    )


@lockstep
def test_gradcheck_without_inputs_that_require_grad(t):
    return error_of(lambda: t.autograd.gradcheck(t.sin, (t.ones(2, dtype=t.float64),)))


# --- The functional interface ---


@lockstep
def test_functional_interface(t):
    f = t.autograd.functional
    x, v = t.tensor([1.0, 2.0, 3.0]), t.tensor([1.0, 0.5, 2.0])

    def cube(a):
        return a**3 * a.sum()

    return (
        f.jacobian(cube, x),
        f.hessian(lambda a: (a**3).sum(), x),
        f.vjp(cube, x, v),
        f.jvp(cube, x, v),
        f.hvp(lambda a: (a**3).sum(), x, v),
        f.vhp(lambda a: (a**3).sum(), x, v),
        f.jacobian(lambda a, b: a * b, (x, v)),
    )


# --- Size ---


def test_deep_graph_backward_and_deletion():
    """50,000 nodes in a chain: neither backward nor freeing the graph may recurse."""
    t = subject().module
    x = t.ones((), requires_grad=True)
    y = x
    for _ in range(50_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    z = x
    for _ in range(50_000):
        z = z * 1
    del z
    gc.collect()
    assert x.item() == 1


def live_tensors(t):
    gc.collect()
    return sum(issubclass(type(thing), t.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("steps", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_long_loop_keeps_nothing(steps):
    t = subject().module
    w = t.ones(4, requires_grad=True)
    running = t.zeros(4)

    def step():
        loss = ((w * 2 - 1) ** 2).sum()
        w.grad = None
        loss.backward()
        with t.no_grad():
            w.sub_(0.01 * w.grad)
            running.mul_(0.9).add_(w, alpha=0.1)
        running[0].add_(loss.detach())

    step()
    before = live_tensors(t)
    for _ in range(steps):
        step()
    assert live_tensors(t) <= before


def test_a_graph_is_freed_without_the_garbage_collector():
    """Reference counting alone must free the tape: no cycles between tensors and nodes."""
    import weakref

    t = subject().module
    x = t.ones(3, requires_grad=True)
    y = x * 2
    z = y.exp()
    gc.collect()
    gc.disable()
    try:
        tensor = weakref.ref(y)

        def hook(inputs, outputs):
            return None

        z.grad_fn.register_hook(hook)
        held_by_the_node = weakref.ref(hook)
        del y, z, hook
        assert tensor() is None
        assert held_by_the_node() is None
    finally:
        gc.enable()
