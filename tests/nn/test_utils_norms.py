"""Weight norm, spectral norm and orthogonal weights: as parametrizations, and as hooks."""

import copy
import warnings

import pytest

import flambeau
from tests.nn.agree import assert_agree, gradients, outcome

INF = float("inf")
LAYERS = {
    "linear": lambda t: t.nn.Linear(3, 4),
    "square": lambda t: t.nn.Linear(3, 3),
    "wide": lambda t: t.nn.Linear(5, 3),
    "tall": lambda t: t.nn.Linear(3, 5),
    "conv": lambda t: t.nn.Conv2d(2, 3, 2),
    "transposed": lambda t: t.nn.ConvTranspose2d(2, 3, 2),
    "embedding": lambda t: t.nn.Embedding(4, 3),
    "matrices": lambda t: batch(t),
}
# Ten steps of a factorisation, a solution or a power method in float32.
FACTORED = 1e-4


def batch(t):
    module = t.nn.Module()
    module.weight = t.nn.Parameter(t.randn(2, 3, 3))
    return module


def facts(module, name="weight"):
    return {
        "repr": repr(module),
        "state": dict(module.state_dict()),
        "metadata": dict(module.state_dict()._metadata),
        "names": (
            [n for n, _ in module.named_parameters()],
            [n for n, _ in module.named_buffers()],
        ),
        "weight": getattr(module, name),
        "kind": type(getattr(module, name)).__name__,
        "grad_fn": type(getattr(module, name).grad_fn).__name__,
    }


def weighted(t, tensor):
    """A sum of all elements with different weights."""
    return (tensor * t.arange(float(tensor.numel())).reshape(tensor.shape)).sum()


def parametrized(t, layer, rule, *args, **kwargs):
    """Made, differentiated, read again in training and in evaluation mode, removed."""
    module = LAYERS[layer](t)
    found = [
        outcome(
            lambda: getattr(t.nn.utils.parametrizations, rule)(module, *args, **kwargs) is module
        )
    ]
    if not t.nn.utils.parametrize.is_parametrized(module):
        return found, list(module.state_dict())
    name = next(iter(module.parametrizations))
    found.append({k: v for k, v in facts(module, name).items() if k != "grad_fn"})
    weighted(t, getattr(module, name)).backward()
    found += [gradients(module), getattr(module, name)]
    found += [getattr(module.eval(), name), dict(module.state_dict())]
    t.nn.utils.parametrize.remove_parametrizations(module, name)
    return [*found, dict(module.state_dict()), t.rand(1)]


ORTHOGONAL = [
    (layer, orthogonal_map, trivial)
    for layer in ("square", "wide", "tall", "matrices", "conv")
    for orthogonal_map in (None, "matrix_exp", "cayley", "householder")
    for trivial in (True, False)
]


@pytest.mark.parametrize(("layer", "orthogonal_map", "trivial"), ORTHOGONAL)
def test_orthogonal(layer, orthogonal_map, trivial):
    assert_agree(
        lambda t: parametrized(
            t, layer, "orthogonal", "weight", orthogonal_map, use_trivialization=trivial
        ),
        FACTORED,
    )


@pytest.mark.parametrize("layer", ["square", "wide", "tall"])
@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "householder"])
@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("value", ["orthogonal", "ones", "negative", "flat"])
def test_assigned_to_an_orthogonal_weight(layer, orthogonal_map, trivial, value):
    def program(t):
        module = LAYERS[layer](t)
        t.nn.utils.parametrizations.orthogonal(
            module, orthogonal_map=orthogonal_map, use_trivialization=trivial
        )
        shape = tuple(module.weight.shape)
        given = {
            "orthogonal": lambda: t.nn.init.orthogonal_(t.empty(shape)),
            "ones": lambda: t.eye(*shape) + 1,
            "negative": lambda: -t.eye(*shape),
            "flat": lambda: t.ones(shape[0]),
        }[value]()

        def assign():
            module.weight = given

        return outcome(assign), module.weight, dict(module.state_dict())

    assert_agree(program, FACTORED)


@pytest.mark.parametrize("layer", ["linear", "conv", "matrices", "embedding"])
@pytest.mark.parametrize("dim", [0, 1, None, -1])
def test_weight_norm(layer, dim):
    assert_agree(lambda t: parametrized(t, layer, "weight_norm", "weight", dim), FACTORED)


@pytest.mark.parametrize("layer", ["linear", "conv", "transposed", "embedding"])
@pytest.mark.parametrize("options", [{}, {"n_power_iterations": 3}, {"eps": 0.01}, {"dim": -1}])
def test_spectral_norm(layer, options):
    assert_agree(lambda t: parametrized(t, layer, "spectral_norm", **options), FACTORED)


def hooked(t, layer, rule, x, **kwargs):
    """Made, called in training and evaluation mode, differentiated, removed."""
    module = LAYERS[layer](t)
    wrap = getattr(t.nn.utils, rule)
    found = [outcome(lambda: wrap(module, **kwargs) is module)]
    if not module._forward_pre_hooks:
        return found, list(module.state_dict())
    name = kwargs.get("name", "weight")
    found.append(facts(module, name))
    module(x(t)).sum().backward()
    found += [gradients(module), facts(module, name)]
    module(x(t))
    found += [facts(module, name), module.eval()(x(t)), facts(module, name)]
    found += [outcome(lambda: wrap(module, name)), outcome(lambda: copy.deepcopy(module) and 1)]
    twin = wrap(LAYERS[layer](t), **kwargs)
    found += [repr(twin.load_state_dict(module.state_dict())), facts(twin, name)]
    remove = getattr(t.nn.utils, "remove_" + rule)
    found += [repr(remove(module, name)), facts(module, name)]
    return [*found, outcome(lambda: remove(module, name)), repr(module._forward_pre_hooks)]


def row(t):
    return t.ones(1, 3)


def image(t):
    return t.ones(1, 2, 3, 3)


HOOKS = [
    ("linear", "weight_norm", row, {}),
    ("linear", "weight_norm", row, {"dim": 1}),
    ("linear", "weight_norm", row, {"dim": None}),
    ("linear", "weight_norm", row, {"name": "foo"}),
    ("conv", "weight_norm", image, {}),
    ("linear", "spectral_norm", row, {}),
    ("linear", "spectral_norm", row, {"n_power_iterations": 3, "eps": 0.01}),
    ("linear", "spectral_norm", row, {"dim": 1}),
    ("linear", "spectral_norm", row, {"name": "bias"}),
    ("linear", "spectral_norm", row, {"name": "foo"}),
    ("linear", "spectral_norm", row, {"n_power_iterations": 0}),
    ("conv", "spectral_norm", image, {}),
    ("transposed", "spectral_norm", image, {}),
]


@pytest.mark.parametrize(
    ("layer", "rule", "x", "kwargs"), HOOKS, ids=lambda v: getattr(v, "__name__", str(v))
)
def test_hook(layer, rule, x, kwargs):
    assert_agree(lambda t: hooked(t, layer, rule, x, **kwargs), FACTORED)


def spectral(t):
    return t.nn.utils.spectral_norm(t.nn.Linear(3, 4))


def older(t, version, *missing):
    """A state from before `weight_v` was saved, loaded."""
    module = spectral(t)
    state = module.state_dict()
    state["weight"] = state["weight_orig"] / 2
    del state["weight_v"]
    for name in missing:
        del state[name]
    state._metadata[""] = {"version": 1}
    if version is not None:
        state._metadata[""]["spectral_norm"] = {"weight.version": version}
    twin = spectral(t)
    return outcome(lambda: repr(twin.load_state_dict(state))), dict(twin.state_dict())


def old_weight_norm(t):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = t.nn.utils.weight_norm(t.nn.Linear(3, 4))
    twin = t.nn.utils.parametrizations.weight_norm(t.nn.Linear(3, 4))
    return repr(twin.load_state_dict(module.state_dict())), twin.weight


def strides(t, memory_format, dims):
    nn = t.nn
    net = nn.Sequential(
        nn.Conv2d(2, 3, 2), nn.Linear(2, 2), nn.ConvTranspose2d(2, 3, 2), nn.Conv3d(2, 2, 2)
    )
    convert = getattr(nn.utils, f"convert_conv{dims}d_weight_memory_format")
    same = convert(net, getattr(t, memory_format)) is net
    return same, [p.stride() for p in net.parameters()], dict(net.state_dict())


def skipped(t, kind, *args, **kwargs):
    module = t.nn.utils.skip_init(kind, *args, **kwargs)
    tensors = [(tuple(p.shape), str(p.dtype), str(p.device)) for p in module.parameters()]
    return tensors, t.rand(1), type(module).__name__


def rules(t):
    return t.nn.utils.parametrizations


PROGRAMS = {
    "older state": lambda t: older(t, None),
    "older version": lambda t: older(t, 0),
    "present version": lambda t: older(t, 1),
    "older state, incomplete": lambda t: older(t, None, "weight_orig"),
    "weight norm's older state": old_weight_norm,
    "no such weight": lambda t: rules(t).weight_norm(LAYERS["linear"](t), "foo"),
    "no such orthogonal weight": lambda t: rules(t).orthogonal(LAYERS["linear"](t), "foo"),
    "no such spectral weight": lambda t: rules(t).spectral_norm(LAYERS["linear"](t), "foo"),
    "orthogonal vector": lambda t: rules(t).orthogonal(LAYERS["linear"](t), "bias"),
    "no such map": lambda t: rules(t).orthogonal(LAYERS["linear"](t), orthogonal_map="foo"),
    "no iteration": lambda t: rules(t).spectral_norm(LAYERS["linear"](t), n_power_iterations=0),
    "no such dimension": lambda t: rules(t).spectral_norm(LAYERS["linear"](t), dim=5),
    "spectral vector": lambda t: parametrized(t, "linear", "spectral_norm", "bias"),
    "lazy": lambda t: t.nn.utils.spectral_norm(t.nn.LazyLinear(3)),
    "skip_init": lambda t: skipped(t, t.nn.Linear, 3, 4),
    "skip_init, type": lambda t: skipped(t, t.nn.Linear, 3, 4, dtype=t.float64, device="cpu"),
    "skip_init, meta": lambda t: skipped(t, t.nn.Conv1d, 3, 4, 2, device="meta"),
    "skip_init, no device": lambda t: skipped(t, t.nn.ReLU),
    "skip_init, no module": lambda t: skipped(t, int),
    "channels last": lambda t: strides(t, "channels_last", 2),
    "channels last 3d": lambda t: strides(t, "channels_last_3d", 3),
    "contiguous": lambda t: strides(t, "contiguous_format", 2),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    assert_agree(PROGRAMS[name], FACTORED)


def test_compiled_steps_are_the_eager_ones():
    nn, utils = flambeau.nn, flambeau.nn.utils
    flambeau.manual_seed(0)
    model = nn.Sequential(
        utils.parametrizations.weight_norm(nn.Linear(3, 4)),
        nn.Tanh(),
        utils.parametrizations.spectral_norm(nn.Linear(4, 2)),
        utils.parametrizations.orthogonal(nn.Linear(2, 2)),
        utils.spectral_norm(nn.Linear(2, 2)),
        utils.prune.l1_unstructured(nn.Linear(2, 2), "weight", 1),
    )
    start = {name: value.clone() for name, value in model.state_dict().items()}

    def training():
        optimizer = flambeau.optim.SGD(model.parameters(), lr=0.1)

        def step():
            optimizer.zero_grad()
            loss = model(flambeau.ones(5, 3)).pow(2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return step

    eager = [training()().item() for _ in range(3)]
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(start)
    step = flambeau.compile(training())
    assert [step().item() for _ in range(3)] == pytest.approx(eager, rel=1e-5)
    for name, value in model.state_dict().items():
        assert flambeau.allclose(value, expected[name], rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_second_derivatives_of_weight_norm(dim):
    parametrization = flambeau.nn.utils.parametrizations._WeightNorm(dim)
    flambeau.manual_seed(0)
    given = [
        x.requires_grad_() for x in parametrization.right_inverse(flambeau.randn(2, 3).double())
    ]
    assert flambeau.autograd.gradcheck(parametrization, given)
    assert flambeau.autograd.gradgradcheck(parametrization, given)


@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley", "householder"])
def test_derivatives_of_orthogonal_maps(orthogonal_map):
    flambeau.manual_seed(0)
    layer = flambeau.nn.Linear(2, 3).double()
    flambeau.nn.utils.parametrizations.orthogonal(layer, orthogonal_map=orthogonal_map)
    free = flambeau.randn(3, 2, dtype=flambeau.float64, requires_grad=True)
    lower = flambeau.ones(3, 2).tril(-1)

    def weight(x):
        # What stands on the diagonal, the signs of the reflections, is not trained.
        return layer.parametrizations.weight[0](x * lower + flambeau.eye(3, 2))

    assert flambeau.autograd.gradcheck(weight, (free,))
    assert flambeau.autograd.gradgradcheck(weight, (free,))
