"""`torch.autograd.Function`: the whole protocol, and what happens when it is broken."""

import pytest

from tests.parity.lockstep import error_of, lockstep


def ones(t, *shape):
    return t.ones(*(shape or (3,)), requires_grad=True)


def function(t, forward, backward, **more):
    """A Function subclass from two plain functions."""
    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    members |= {name: staticmethod(f) for name, f in more.items()}
    return type("Custom", (t.autograd.Function,), members)


@lockstep(strides=False)
def test_save_for_backward(t):
    class Multiply(t.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            return g * b, g * a

    a, b = t.tensor([1.0, 2.0], requires_grad=True), t.tensor([3.0, 4.0], requires_grad=True)
    y = Multiply.apply(a, b)
    (y * t.tensor([1.0, 10.0])).sum().backward()
    return y, a.grad, b.grad, y.grad_fn.name(), type(y.grad_fn).__name__, y.is_leaf


@lockstep(strides=False)
def test_context_attributes_and_plain_arguments(t):
    def forward(ctx, x, factor, flag=None):
        ctx.factor = factor
        return x * factor

    def backward(ctx, g):
        return g * ctx.factor, None, None

    x = ones(t)
    function(t, forward, backward).apply(x, 5, "flag").sum().backward()
    return x.grad


@lockstep(strides=False)
def test_needs_input_grad(t):
    seen = []

    def forward(ctx, a, b, c):
        seen.append(tuple(ctx.needs_input_grad))
        return a + b

    def backward(ctx, g):
        seen.append(tuple(ctx.needs_input_grad))
        return g, g, None

    function(t, forward, backward).apply(ones(t), t.ones(3), 2.0).sum().backward()
    return seen


@lockstep(strides=False)
def test_several_outputs_and_none_gradients(t):
    got = []

    def forward(ctx, x):
        return x * 2, x * 3, x * 4

    def backward(ctx, *grads):
        got.extend(grads)
        return sum(grads)

    x = ones(t)
    a, _, c = function(t, forward, backward).apply(x)
    (a.sum() + 5 * c.sum()).backward()
    return got, x.grad


@lockstep(strides=False)
def test_set_materialize_grads_off(t):
    got = []

    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    def backward(ctx, a, b):
        got.append((a is None, b is None))
        return a

    x = ones(t)
    function(t, forward, backward).apply(x)[0].sum().backward()
    return got, x.grad


@lockstep(strides=False)
def test_none_for_an_input_that_needs_a_gradient(t):
    cut = function(t, lambda ctx, a, b: a + b, lambda ctx, g: (None, g))
    a, b = ones(t), ones(t)
    cut.apply(a, b).sum().backward()
    return a.grad is None, b.grad


@lockstep(strides=False)
def test_mark_dirty(t):
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    def backward(ctx, g):
        return g * 2

    x = ones(t)
    y = x * 1
    z = function(t, forward, backward).apply(y)
    z.sum().backward()
    return z is y, y, x.grad, y.grad_fn.name()


@lockstep(strides=False)
def test_mark_non_differentiable(t):
    got = []

    def forward(ctx, x):
        values, order = x.sort()
        ctx.mark_non_differentiable(order)
        ctx.save_for_backward(order)
        return values, order

    def backward(ctx, g, g_order):
        got.append(g_order)
        (order,) = ctx.saved_tensors
        return t.zeros_like(g).scatter(0, order, g)

    x = t.tensor([3.0, 1.0, 2.0], requires_grad=True)
    values, order = function(t, forward, backward).apply(x)
    (values * t.tensor([1.0, 2.0, 3.0])).sum().backward()
    return values, order, x.grad, got


@lockstep(strides=False)
def test_setup_context_form(t):
    def setup(ctx, inputs, output):
        x, n = inputs
        ctx.save_for_backward(x, output)
        ctx.n = n

    def backward(ctx, g):
        x, output = ctx.saved_tensors
        return g * ctx.n * output / x, None

    power = function(t, lambda x, n: x**n, backward, setup_context=setup)
    x = t.tensor([1.0, 2.0], requires_grad=True)
    power.apply(x, 3).sum().backward()
    return x.grad


@lockstep(strides=False)
def test_double_backward(t):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g

    x = t.tensor([1.0, 2.0], requires_grad=True)
    (g,) = t.autograd.grad(function(t, forward, backward).apply(x).sum(), x, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), x)
    return g, h


@lockstep(strides=False)
def test_once_differentiable(t):
    class Cube(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x**2 * g

    x = t.tensor([1.0, 2.0], requires_grad=True)
    (g,) = t.autograd.grad(Cube.apply(x).sum(), x, create_graph=True)
    return g.detach(), error_of(lambda: g.sum().backward())


@lockstep(strides=False)
def test_grad_mode_inside(t):
    modes = []

    def forward(ctx, x):
        modes.append((t.is_grad_enabled(), (x * 2).requires_grad))
        return x * 2

    def backward(ctx, g):
        modes.append((t.is_grad_enabled(), g.requires_grad))
        return g

    x, f = ones(t), function(t, forward, backward)
    f.apply(x).sum().backward()
    f.apply(x).sum().backward(create_graph=True)
    return modes


@lockstep(strides=False)
def test_no_graph_without_inputs_that_require_grad(t):
    f = function(t, lambda ctx, x: x * 2, lambda ctx, g: g)
    with t.no_grad():
        inside = f.apply(ones(t))
    return f.apply(t.ones(3)).requires_grad, inside.requires_grad, f.apply(t.ones(3)).is_leaf


@lockstep(strides=False)
def test_returning_an_input_or_a_view_of_it(t):
    same = function(t, lambda ctx, x: x, lambda ctx, g: g * 3)
    part = function(t, lambda ctx, x: x.view(-1), lambda ctx, g: g.view(3) * 4)
    x = ones(t)
    y, z = same.apply(x), part.apply(x)
    (y.sum() + z.sum()).backward()
    return y is x, y.requires_grad, x.grad, y


@lockstep(strides=False)
def test_integer_output_needs_no_gradient(t):
    f = function(t, lambda ctx, x: (x * 2, x.argmax()), lambda ctx, g, n: g * 2)
    a, b = f.apply(ones(t))
    a.sum().backward()
    return a, b, b.requires_grad


@lockstep(strides=False)
def test_straight_through_estimator(t):
    f = function(t, lambda ctx, x: x.round(), lambda ctx, g: g)
    x = t.tensor([0.3, 1.7], requires_grad=True)
    (f.apply(x) * 5).sum().backward()
    return x.grad


@lockstep(strides=False)
def test_tuple_arguments_are_passed_through(t):
    f = function(t, lambda ctx, pair, x: x * pair[0], lambda ctx, g: (None, g * 7))
    x = ones(t)
    y = f.apply((2, 3), x)
    y.sum().backward()
    return y, x.grad


@lockstep(strides=False)
def test_gradient_is_reduced_to_a_broadcast_input(t):
    f = function(t, lambda ctx, x: x.expand(2, 3) * 1, lambda ctx, g: g)
    x = ones(t)
    f.apply(x).sum().backward()
    return x.grad


@lockstep(strides=False)
def test_saving_an_output(t):
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    f = function(t, forward, lambda ctx, g: g * ctx.saved_tensors[0])
    x = ones(t)
    y = f.apply(x)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    return g, y.grad_fn.saved_tensors, t.autograd.grad(g.sum(), x)


@lockstep(strides=False)
def test_hooks_on_the_node(t):
    calls = []
    f = function(t, lambda ctx, x: x * 2, lambda ctx, g: g * 2)
    y = f.apply(ones(t))
    y.grad_fn.register_hook(lambda inputs, outputs: calls.append((inputs, outputs)))
    y.sum().backward()
    return calls


@lockstep(strides=False)
def test_outputs_that_are_no_tensors_are_passed_through(t):
    f = function(t, lambda ctx, x: (x * 2, 3.0, None, "text"), lambda ctx, g, *rest: g * 2)
    x = ones(t)
    y, *rest = f.apply(x)
    y.sum().backward()
    return y, rest, x.grad, function(t, lambda ctx, x: None, lambda ctx, g: g).apply(x) is None


def broken(t, forward=None, backward=None, before=None):
    """Run one forward and backward of a Function built from faulty parts."""
    f = function(t, forward or (lambda ctx, x: x * 2), backward or (lambda ctx, g: g))
    y = f.apply(ones(t))
    if before:
        before(y)
    (y[0] if isinstance(y, tuple) else y).sum().backward()


def saving(ctx, x):
    ctx.save_for_backward(x)
    return x * 2


def marking_a_stranger(ctx, x):
    ctx.mark_dirty(x.clone())
    return x * 2


MISTAKES = {
    "too_many_gradients": lambda t: broken(t, backward=lambda ctx, g: (g, g)),
    "too_few_gradients": lambda t: (
        function(t, lambda ctx, a, b: a + b, lambda ctx, g: (g,))
        .apply(ones(t), ones(t))
        .sum()
        .backward()
    ),
    "wrong_shape": lambda t: broken(t, backward=lambda ctx, g: g[:2]),
    "not_a_tensor": lambda t: broken(t, backward=lambda ctx, g: 3.0),
    "error_in_backward": lambda t: broken(t, backward=lambda ctx, g: {}["missing"]),
    "twice": lambda t: broken(
        t,
        forward=saving,
        backward=lambda ctx, g: g * ctx.saved_tensors[0],
        before=lambda y: y.sum().backward(),
    ),
    "saved_number": lambda t: broken(
        t, forward=lambda ctx, x: (ctx.save_for_backward(3), x * 2)[1]
    ),
    "no_backward": lambda t: (
        type("Half", (t.autograd.Function,), {"forward": staticmethod(lambda ctx, x: x * 2)})
        .apply(ones(t))
        .sum()
        .backward()
    ),
    "no_forward": lambda t: type("Empty", (t.autograd.Function,), {}).apply(ones(t)),
    "instance": lambda t: function(t, saving, saving)()(ones(t)),
    "dirty_leaf": lambda t: function(
        t, lambda ctx, x: (ctx.mark_dirty(x), x.mul_(2))[1], lambda ctx, g: g
    ).apply(ones(t)),
    "saved_input_modified": lambda t: (
        lambda x, f: (lambda y: (x.add_(1), y.sum().backward()))(f.apply(x))
    )(ones(t) * 1, function(t, saving, lambda ctx, g: g * ctx.saved_tensors[0])),
}


@pytest.mark.parametrize("name", MISTAKES)
@lockstep(raises=True)
def test_mistakes(t, name):
    MISTAKES[name](t)


def test_what_a_context_has_can_be_looked_up_on_the_class():
    import flambeau

    class Double(flambeau.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            assert ctx.to_save[0] is x
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            assert Double.saved_tensors.fget(ctx)[0] is not None
            assert Double.name(ctx) == "DoubleBackward"
            return grad * 2

    x = flambeau.ones(1, requires_grad=True)
    y = Double.apply(x)
    assert y.grad_fn.requires_grad
    assert y.grad_fn.needs_input_grad == (True,)
    y.backward()
    assert x.grad == 2
