"""Programs with `torch.func`, in the style of its tutorials, against the oracle."""

import pytest

from tests.parity.compare import differences, run
from tests.parity.libraries import ORACLE, subject

PROGRAMS = []


def program(function):
    PROGRAMS.append(function)
    return function


def perceptron(t):
    n = t.nn
    return n.Sequential(n.Linear(3, 4), n.Tanh(), n.Linear(4, 2))


def batch(t, *shape):
    return t.randn(*shape)


@program
def per_sample_gradients(t):
    """One gradient of the loss with respect to each parameter for each example."""
    model = perceptron(t)
    x, y = batch(t, 5, 3), t.tensor([0, 1, 1, 0, 1])
    parameters = {k: v.detach() for k, v in model.named_parameters()}

    def loss(parameters, x, y):
        out = t.func.functional_call(model, parameters, (x.unsqueeze(0),))
        return t.nn.functional.cross_entropy(out, y.unsqueeze(0))

    found = t.func.vmap(t.func.grad(loss), in_dims=(None, 0, 0))(parameters, x, y)
    return found, {k: v.grad for k, v in model.named_parameters()}


@program
def per_sample_gradients_of_a_convolutional_network(t):
    n = t.nn
    model = n.Sequential(
        n.Conv2d(1, 2, 3, padding=1), n.GroupNorm(1, 2), n.ReLU(), n.MaxPool2d(2), n.Flatten(),
        n.Linear(8, 3),
    )  # fmt: skip
    parameters = dict(model.named_parameters())
    x, y = batch(t, 3, 1, 4, 4), t.tensor([0, 2, 1])

    def loss(parameters, x, y):
        out = t.func.functional_call(model, parameters, (x.unsqueeze(0),))
        return n.functional.cross_entropy(out, y.unsqueeze(0))

    detached = {k: v.detach() for k, v in parameters.items()}
    each = t.func.vmap(t.func.grad(loss), in_dims=(None, 0, 0))(detached, x, y)
    n.functional.cross_entropy(model(x), y).backward()
    return each, {k: each[k].mean(0) - v.grad < 1e-5 for k, v in parameters.items()}


@program
def ensemble(t):
    """Several models of one kind as one call, and the gradients of their parameters."""
    models = [perceptron(t) for _ in range(3)]
    parameters, buffers = t.func.stack_module_state(models)

    def call(parameters, buffers, x):
        return t.func.functional_call(models[0], (parameters, buffers), (x,))

    x = batch(t, 5, 3)
    out = t.func.vmap(call, in_dims=(0, 0, None))(parameters, buffers, x)
    out.square().sum().backward()
    each = t.func.vmap(call)(parameters, buffers, batch(t, 3, 5, 3))
    return out, each, {k: v.grad for k, v in parameters.items()}


@program
def ensemble_with_dropout_and_batch_norm(t):
    n = t.nn
    models = [
        t.func.replace_all_batch_norm_modules_(
            n.Sequential(n.Linear(3, 4), n.BatchNorm1d(4), n.Dropout(0.5))
        )
        for _ in range(2)
    ]
    parameters, buffers = t.func.stack_module_state(models)

    def call(parameters, buffers, x):
        return t.func.functional_call(models[0], (parameters, buffers), (x,))

    x = batch(t, 6, 3)
    t.manual_seed(3)
    return t.func.vmap(call, in_dims=(0, 0, None), randomness="different")(parameters, buffers, x)


@program
def hessian_of_a_network(t):
    model = perceptron(t)
    parameters = {k: v.detach() for k, v in model.named_parameters()}
    x = batch(t, 4, 3)

    def loss(parameters):
        return t.func.functional_call(model, parameters, (x,)).square().sum()

    return t.func.hessian(loss)(parameters)["0.bias"]


@program
def batched_hessians(t):
    model = perceptron(t)
    return t.func.vmap(t.func.hessian(lambda x: model(x).square().sum()))(batch(t, 3, 3))


@program
def jacobians_agree(t):
    model, x = perceptron(t), batch(t, 2, 3)
    forward = t.func.vmap(t.func.jacfwd(model))(x)
    reverse = t.func.vmap(t.func.jacrev(model))(x)
    return forward, reverse, bool(t.allclose(forward, reverse, atol=1e-6))


@program
def hessian_vector_products(t):
    x, v = batch(t, 4), batch(t, 4)

    def f(x):
        return (x.sin() * x.roll(1)).sum() ** 2

    def forward_over_reverse(f, x, v):
        return t.func.jvp(t.func.grad(f), (x,), (v,))[1]

    def reverse_over_forward(f, x, v):
        return t.func.grad(lambda x: t.func.jvp(f, (x,), (v,))[1])(x)

    def reverse_over_reverse(f, x, v):
        return t.func.vjp(t.func.grad(f), x)[1](v)[0]

    return [
        product(f, x, v)
        for product in (forward_over_reverse, reverse_over_forward, reverse_over_reverse)
    ]


@program
def neural_tangent_kernel(t):
    model = perceptron(t)
    parameters = {k: v.detach() for k, v in model.named_parameters()}
    x1, x2 = batch(t, 3, 3), batch(t, 2, 3)

    def single(parameters, x):
        return t.func.functional_call(model, parameters, (x.unsqueeze(0),)).squeeze(0)

    def jacobian(x):
        found = t.func.vmap(t.func.jacrev(single), (None, 0))(parameters, x)
        return [j.flatten(2) for j in found.values()]

    pairs = zip(jacobian(x1), jacobian(x2), strict=True)
    return sum(t.einsum("Naf,Mbf->NMab", a, b) for a, b in pairs)


@program
def meta_learning(t):
    """The gradient through a step of gradient descent, for several tasks at once."""
    model = perceptron(t)
    parameters = dict(model.named_parameters())

    def loss(parameters, x, y):
        return (t.func.functional_call(model, parameters, (x,)) - y).square().mean()

    def after_a_step(parameters, x, y):
        g = t.func.grad(loss)(parameters, x, y)
        return loss({k: v - 0.1 * g[k] for k, v in parameters.items()}, x, y)

    x, y = batch(t, 2, 4, 3), batch(t, 2, 4, 2)
    total = t.func.vmap(after_a_step, in_dims=(None, 0, 0))(parameters, x, y).sum()
    total.backward()
    return total, {k: v.grad for k, v in parameters.items()}


@program
def training_by_func(t):
    model = perceptron(t)
    parameters = {k: v.detach() for k, v in model.named_parameters()}
    x, y = batch(t, 8, 3), batch(t, 8, 2)

    def loss(parameters):
        return (t.func.functional_call(model, parameters, (x,)) - y).square().mean()

    losses = []
    for _ in range(3):
        g, value = t.func.grad_and_value(loss)(parameters)
        parameters = {k: v - 0.1 * g[k] for k, v in parameters.items()}
        losses.append(value)
    return losses, parameters


@program
def laplacian(t):
    def f(x):
        return (x**3).sum() * x.prod()

    return t.func.vmap(lambda x: t.func.hessian(f)(x).diagonal().sum())(batch(t, 3, 3))


@program
def divergence_and_score(t):
    model = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Softplus(), t.nn.Linear(4, 3))
    x = batch(t, 4, 3)
    trace = t.func.vmap(lambda x: t.func.jacrev(model)(x).trace())(x)
    noise = batch(t, 4, 3)
    value, product = t.func.jvp(model, (x,), (noise,))
    return trace, value, (product * noise).sum(1)


@program
def physics_informed_network(t):
    """u_tt - u_xx of a network, by nested gradients over a batch of points."""
    model = t.nn.Sequential(t.nn.Linear(2, 4), t.nn.Tanh(), t.nn.Linear(4, 1))

    def u(time, x):
        return model(t.stack([time, x]))[0]

    u_tt = t.func.vmap(t.func.grad(t.func.grad(u, 0), 0))
    u_xx = t.func.vmap(t.func.grad(t.func.grad(u, 1), 1))
    time, x = batch(t, 5), batch(t, 5)
    residual = (u_tt(time, x) - u_xx(time, x)).square().mean()
    residual.backward()
    return residual, [p.grad for p in model.parameters()]


@program
def writes_inside_stay_inside(t):
    def f(x):
        result = t.zeros(3)
        for i in range(3):
            result[i] = x[i] * (i + 1)
        result.mul_(2)
        return result.sum()

    x = batch(t, 3)
    return t.func.grad(f)(x), t.func.jvp(f, (x,), (x,)), x


@program
def writes_to_arguments_show(t):
    x, y = t.zeros(3, 2), t.zeros(2, 3)
    t.func.vmap(lambda a: a.add_(1).sum())(x)
    t.func.vmap(lambda a: a[0].mul_(2), in_dims=1)(y.add_(1))
    z = t.ones(2)
    t.func.jvp(lambda a: a.mul_(3), (z,), (z.clone(),))
    return x, y, z


@program
def buffers_among_the_arguments_move(t):
    n = t.nn
    model = n.Sequential(n.Linear(3, 2, bias=False), n.BatchNorm1d(2))
    parameters = {k: v.detach().clone() for k, v in model.named_parameters()}
    buffers = {k: v.detach().clone() for k, v in model.named_buffers()}
    x, y = batch(t, 4, 3), t.ones(3)

    def loss(parameters, buffers, x):
        out = t.func.functional_call(model, (parameters, buffers), (x,)).sin().sum()
        return out, dict(buffers)

    found = t.func.grad_and_value(loss, has_aux=True)(parameters, buffers, x)
    product = t.func.grad(lambda a, b=None: (b.add_(a) * a).sum())(x[0], b=y)
    return found, product, buffers, y, model.state_dict()["1.running_mean"]


@program
def views_of_arguments(t):
    x = batch(t, 2, 3, 4)

    def f(a):
        a = a.clone()
        a[0] = a[1] * 2
        a.t()[1].zero_()
        first, *_ = a.unbind(1)
        return (a.view(-1) * a.reshape(-1)).sum() + first.prod()

    return t.func.vmap(t.func.grad(f))(x), t.func.vmap(f)(x), t.func.jvp(f, (x[0],), (x[1],))


@program
def hooks_run(t):
    seen = []

    def f(x):
        y = x * 2
        y.register_hook(lambda g: seen.append(g.shape) or g * 3)
        return (y * y).sum()

    x = batch(t, 2)
    return t.func.grad(f)(x), [tuple(s) for s in seen]


@program
def values_are_concrete_under_grad(t):
    def f(x):
        steps = 0
        while x.norm() > 1:
            x, steps = x / 2, steps + 1
        return x.sum() * steps

    return t.func.grad(f)(t.tensor([3.0, 4.0])), t.func.jvp(f, (t.ones(3),), (t.ones(3),))


@program
def no_grad_and_detach(t):
    def f(x):
        with t.no_grad():
            c = x**2
        return (x * c).sum() + (x.detach() * x).sum()

    x = batch(t, 3)
    with t.no_grad():
        outside = t.func.grad(f)(x)
    return t.func.grad(f)(x), outside, t.func.jvp(f, (x,), (x,)), t.func.grad(t.func.grad(
        lambda a: t.func.grad(f)(x * a).sum() * a))(t.tensor(0.5))  # fmt: skip


@program
def unrecorded_writes_keep_the_history(t):
    def f(x):
        y = x * 2
        y.detach().mul_(3)
        with t.no_grad():
            y[0] = 5.0
        y.data.add_(1)
        return (y * y).sum()

    def g(x):
        return t.func.grad(f)(x).sum()

    x = batch(t, 3)
    rows = t.func.vmap(t.func.grad(f))(batch(t, 2, 3))
    return t.func.grad(f)(x), t.func.grad(g)(x), t.func.jvp(f, (x,), (x + 1,)), rows


@program
def rows_are_scaled_down(t):
    weight, at = t.arange(12.0).reshape(4, 3), t.tensor([0, 2])

    def f(w):
        return t.nn.functional.embedding(at, w * 1, max_norm=1.0)

    values = t.func.vmap(f)(t.stack([weight, weight / 20]))
    return values, t.func.grad(lambda w: f(w).sum())(weight), t.func.jvp(f, (weight,), (weight,))


@program
def dtypes_are_kept(t):
    found = []
    for dtype in (t.float64, t.bfloat16, t.float16, t.complex64):
        x = t.ones(2, 3, dtype=dtype) / 2
        found.append(t.func.vmap(lambda a: (a * a).sum())(x))
        found.append(t.func.jvp(lambda a: a * a, (x,), (x,)))
        found.append(t.func.vjp(lambda a: a * a, x)[1](x)[0])
    return found


@program
def complex_derivatives(t):
    z = t.tensor([1 + 2j, -0.5 + 1j])
    v = t.tensor([0.5 - 1j, 2 + 0.25j])
    functions = [t.exp, t.abs, t.angle, t.sin, lambda a: a * a.conj(), lambda a: a.real * a.imag]
    return [(t.func.jvp(f, (z,), (v,))[1], t.func.vjp(f, z)[1](f(v))) for f in functions]


@program
def attention_over_a_mapped_axis(t):
    layer = t.nn.MultiheadAttention(4, 2, batch_first=True)
    x = batch(t, 3, 2, 5, 4)
    out = t.func.vmap(lambda a: layer(a, a, a, need_weights=False)[0])(x)
    return out, t.func.vmap(t.func.grad(lambda a: layer(a, a, a)[0].sum()))(x)


@program
def cells_in_a_loop(t):
    cell = t.nn.GRUCell(3, 4)

    def last(sequence):
        h = sequence.new_zeros(1, 4)
        for step in sequence:
            h = cell(step.unsqueeze(0), h)
        return h.sum()

    x = batch(t, 2, 5, 3)
    return (
        t.func.vmap(last)(x),
        t.func.vmap(t.func.grad(last))(x),
        t.func.jvp(last, (x[0],), (x[1],)),
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_program(function):
    expected = run(ORACLE, lambda library: function(library.module))
    actual = run(subject(), lambda library: function(library.module))
    # Second derivatives add up several rounding errors.
    assert expected.error is None, expected.error
    assert differences(expected, actual, strides=False, relative=2e-4) == []
