"""Names of `torch.nn` that no table of layers and none of PyTorch's samples reach."""

import warnings

import pytest

import flambeau
from tests.nn.agree import assert_agree, outcome


def ramp(t, *shape, gradient=True):
    """Values from -1 to 1 with a gradient."""
    count = 1
    for size in shape:
        count *= size
    return t.linspace(-1, 1, count).reshape(shape).requires_grad_(gradient)


def differentiated(t, call, *shapes):
    """The result of a function and the gradients of its inputs."""
    given = [ramp(t, *shape) for shape in shapes]
    result = call(t.nn.functional, *given)
    first = result[0] if isinstance(result, tuple) else result
    (first * t.arange(float(first.numel())).reshape(first.shape)).sum().backward()
    return result, [x.grad for x in given]


def in_place(t, call):
    x = ramp(t, 3, 4, gradient=False)
    result = call(t.nn.functional, x)
    return result is x, x, x._version


def initialised(t, call):
    values = {"w": t.empty(4, 3), "k": t.empty(4, 2, 3, 3)}
    result = call(t.nn.init, values["w"], values["k"])
    return result, t.rand(1)


def pooled(name, *args, shape=(2, 3, 6), **kwargs):
    return lambda t: differentiated(t, lambda F, x: getattr(F, name)(x, *args, **kwargs), shape)


def unpooled(t, dims):
    F = t.nn.functional
    x = ramp(t, 2, 2, *(4,) * dims)
    values, places = getattr(F, f"max_pool{dims}d")(x, 2, return_indices=True)
    layer = getattr(t.nn, f"MaxUnpool{dims}d")(2)
    result = layer(values, places, output_size=x.shape)
    result.pow(2).sum().backward()
    return repr(layer), result, x.grad


def gradient_of_convolution(t, dims, part):
    x, weight = ramp(t, 1, 2, *(4,) * dims), ramp(t, 3, 2, *(2,) * dims)
    y = getattr(t.nn.functional, f"conv{dims}d")(x, weight, stride=2, padding=1)
    function = getattr(t.nn.grad, f"conv{dims}d_{part}")
    if part == "input":
        return function(x.shape, weight, t.ones_like(y), stride=2, padding=1)
    return function(x, weight.shape, t.ones_like(y), stride=2, padding=1)


def clipped(t, call):
    module = t.nn.Linear(3, 4)
    module(ramp(t, 2, 3)).pow(2).sum().backward()
    return call(t.nn.utils, module), [p.grad for p in module.parameters()]


def fused_weights(t, kind):
    norm = t.nn.BatchNorm1d(4)
    norm(ramp(t, 5, 4))
    statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    if kind == "conv":
        layer = t.nn.ConvTranspose1d(2, 4, 3)
        return t.nn.utils.fuse_conv_bn_weights(layer.weight, None, *statistics, transpose=True)
    layer = t.nn.Linear(2, 4)
    return t.nn.utils.fuse_linear_bn_weights(layer.weight, layer.bias, *statistics)


def uninitialised(t, kind):
    made = getattr(t.nn, kind)()
    found = [repr(made), outcome(lambda: made.shape), t.nn.parameter.is_lazy(made)]
    made.materialize((2, 3))
    return [*found, tuple(made.shape), type(made).__name__]


def flash(t):
    attention = t.nn.attention
    return (
        attention.list_flash_attention_impls(),
        attention.current_flash_attention_impl(),
        outcome(lambda: attention.activate_flash_attention_impl("nothing"))[0],
    )


def legacy_layer(t, kind, *args):
    layer = getattr(t.nn, kind)(*args)
    return repr(layer)


def cross_map(t):
    layer = t.nn.CrossMapLRN2d(3, alpha=0.1, beta=0.6, k=2)
    x = ramp(t, 2, 4, 3, 3)
    return repr(layer), layer(x)


IN_PLACE = {
    "relu_": lambda F, x: F.relu_(x),
    "elu_": lambda F, x: F.elu_(x, 0.7),
    "celu_": lambda F, x: F.celu_(x, 0.7),
    "selu_": lambda F, x: F.selu_(x),
    "leaky_relu_": lambda F, x: F.leaky_relu_(x, 0.2),
    "hardtanh_": lambda F, x: F.hardtanh_(x, -0.5, 0.3),
    "threshold_": lambda F, x: F.threshold_(x, 0.1, 2.0),
    "rrelu_": lambda F, x: F.rrelu_(x, 0.1, 0.3, True),
}
LEGACY_INITIALISERS = {
    "uniform": lambda init, w, k: init.uniform(w, -1, 2),
    "normal": lambda init, w, k: init.normal(w, 1, 2),
    "constant": lambda init, w, k: init.constant(w, 3),
    "eye": lambda init, w, k: init.eye(w),
    "dirac": lambda init, w, k: init.dirac(k),
    "xavier_uniform": lambda init, w, k: init.xavier_uniform(k),
    "xavier_normal": lambda init, w, k: init.xavier_normal(w, 2.0),
    "kaiming_uniform": lambda init, w, k: init.kaiming_uniform(w, mode="fan_out"),
    "kaiming_normal": lambda init, w, k: init.kaiming_normal(k, nonlinearity="relu"),
    "orthogonal": lambda init, w, k: init.orthogonal(w),
    "sparse": lambda init, w, k: init.sparse(w, 0.5),
}
GAINS = ("linear", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "foo")
PROGRAMS = {
    **{
        f"F.max_pool{n}d_with_indices": pooled(
            f"max_pool{n}d_with_indices", 2, shape=(2, 3, *(4,) * n)
        )
        for n in (1, 2, 3)
    },
    **{
        f"F.adaptive_max_pool{n}d_with_indices": pooled(
            f"adaptive_max_pool{n}d_with_indices", 2, shape=(2, 3, *(5,) * n)
        )
        for n in (1, 2, 3)
    },
    **{
        f"F.fractional_max_pool{n}d_with_indices": pooled(
            f"fractional_max_pool{n}d_with_indices", 2, output_ratio=0.5, shape=(1, 2, *(5,) * n)
        )
        for n in (2, 3)
    },
    **{f"F.lp_pool{n}d": pooled(f"lp_pool{n}d", 3, 2, shape=(1, 2, *(4,) * n)) for n in (1, 2, 3)},
    **{f"nn.MaxUnpool{n}d": lambda t, n=n: unpooled(t, n) for n in (1, 2, 3)},
    **{
        f"nn.grad.conv{n}d_{part}": lambda t, n=n, part=part: gradient_of_convolution(t, n, part)
        for n in (1, 2, 3)
        for part in ("input", "weight")
    },
    **{f"F.{name}": lambda t, call=call: in_place(t, call) for name, call in IN_PLACE.items()},
    **{
        f"init.{name}": lambda t, call=call: initialised(t, call)
        for name, call in LEGACY_INITIALISERS.items()
    },
    **{
        f"init.calculate_gain {name}": lambda t, name=name: t.nn.init.calculate_gain(name)
        for name in GAINS
    },
    "init.calculate_gain of a slope": lambda t: t.nn.init.calculate_gain("leaky_relu", 0.3),
    "init.calculate_gain of a word": lambda t: t.nn.init.calculate_gain("leaky_relu", "x"),
    "F.dropout1d": lambda t: differentiated(t, lambda F, x: F.dropout1d(x, 0.4), (3, 4, 2)),
    "F.fold": lambda t: differentiated(t, lambda F, x: F.fold(x, (3, 4), 2), (1, 8, 6)),
    "F.affine_grid": lambda t: differentiated(
        t, lambda F, x: F.affine_grid(x, (2, 1, 3, 4), align_corners=False), (2, 2, 3)
    ),
    "F.affine_grid, volume": lambda t: differentiated(
        t, lambda F, x: F.affine_grid(x, (1, 1, 2, 3, 4), align_corners=True), (1, 3, 4)
    ),
    "F.conv_tbc": lambda t: differentiated(
        t, lambda F, x, w, b: F.conv_tbc(x, w, b, 1), (4, 2, 3), (2, 3, 5), (5,)
    ),
    "F.gumbel_softmax": lambda t: differentiated(
        t, lambda F, x: F.gumbel_softmax(x, tau=0.7), (3, 4)
    ),
    "F.gumbel_softmax, hard": lambda t: differentiated(
        t, lambda F, x: F.gumbel_softmax(x, hard=True, dim=0), (3, 4)
    ),
    "F.native_channel_shuffle": lambda t: t.nn.functional.native_channel_shuffle(
        ramp(t, 1, 4, 2, 2, gradient=False), 2
    ),
    "F.upsample": lambda t: differentiated(
        t, lambda F, x: F.upsample(x, scale_factor=2, mode="bilinear"), (1, 2, 3, 3)
    ),
    "F.tanh": lambda t: differentiated(t, lambda F, x: F.tanh(x), (3, 4)),
    "F.sigmoid": lambda t: differentiated(t, lambda F, x: F.sigmoid(x), (3, 4)),
    "F.softmax of no dimension": lambda t: differentiated(t, lambda F, x: F.softmax(x), (3, 4)),
    "utils.clip_grad_norm": lambda t: clipped(
        t, lambda utils, m: utils.clip_grad_norm(m.parameters(), 0.5)
    ),
    "utils.clip_grads_with_norm_": lambda t: clipped(
        t, lambda utils, m: utils.clip_grads_with_norm_(m.parameters(), 0.5, t.tensor(3.0))
    ),
    "utils.get_total_norm": lambda t: clipped(
        t, lambda utils, m: utils.get_total_norm([p.grad for p in m.parameters()], 3)
    ),
    "utils.get_total_norm, not finite": lambda t: t.nn.utils.get_total_norm(
        [t.tensor([float("nan")])], error_if_nonfinite=True
    ),
    "utils.fuse_conv_bn_weights": lambda t: fused_weights(t, "conv"),
    "utils.fuse_linear_bn_weights": lambda t: fused_weights(t, "linear"),
    "nn.UninitializedParameter": lambda t: uninitialised(t, "UninitializedParameter"),
    "nn.UninitializedBuffer": lambda t: uninitialised(t, "UninitializedBuffer"),
    "attention.list_flash_attention_impls": flash,
    "nn.CrossMapLRN2d": cross_map,
    "nn.NLLLoss2d": lambda t: legacy_layer(t, "NLLLoss2d"),
    "nn.Container": lambda t: repr(t.nn.Container(a=t.nn.ReLU())),
    "nn.RNNCellBase": lambda t: repr(t.nn.RNNCellBase(2, 3, True, 4)),
    "nn.factory_kwargs": lambda t: t.nn.factory_kwargs({"device": "cpu", "dtype": None}),
    "nn.factory_kwargs, unknown": lambda t: t.nn.factory_kwargs({"foo": 1}),
    "nn.LinearCrossEntropyOptions": lambda t: repr(
        t.nn.LinearCrossEntropyOptions(batch_chunk_size=2)
    ),
}


def test_gradient_of_cross_map_norm():
    # Against differences of values: the oracle's own gradient is wrong.
    layer = flambeau.nn.CrossMapLRN2d(3, alpha=0.1, beta=0.6, k=2)
    x = ramp(flambeau, 1, 4, 2, 2).detach().double().requires_grad_()
    assert flambeau.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_agree(PROGRAMS[name], 2e-5)
