"""Layers of every kind inside transformed functions, `rearrange`, compiled functions, and order
after errors."""

import pytest

import flambeau
from flambeau.core.state import modes
from tests.parity.compare import differences, run
from tests.parity.libraries import ORACLE, subject

# A layer of `n`, and the shape of one example's input, without an axis for the batch.
LAYERS = [
    ("n.Linear(3, 2)", (3,)),
    ("n.Bilinear(3, 3, 2)", (3,)),
    ("n.Conv1d(2, 3, 2)", (2, 5)),
    ("n.Conv2d(2, 4, 3, stride=2, padding=1, groups=2)", (2, 5, 5)),
    ("n.Conv3d(1, 2, 2)", (1, 3, 3, 3)),
    ("n.ConvTranspose1d(2, 3, 2)", (2, 4)),
    ("n.ConvTranspose2d(2, 3, 2, stride=2)", (2, 3, 3)),
    ("n.LayerNorm(4)", (3, 4)),
    ("n.GroupNorm(2, 4)", (1, 4, 3)),
    ("n.RMSNorm(4)", (3, 4)),
    ("n.BatchNorm1d(4, track_running_stats=False)", (5, 4)),
    ("n.BatchNorm2d(2).eval()", (1, 2, 3, 3)),
    ("n.InstanceNorm2d(2, affine=True)", (1, 2, 3, 3)),
    ("n.LocalResponseNorm(2)", (1, 3, 4)),
    ("n.PReLU()", (4,)),
    ("n.GELU()", (4,)),
    ("n.Softmax(dim=0)", (4,)),
    ("n.GLU()", (4,)),
    ("n.MultiheadAttention(4, 2)", (3, 4)),
    ("n.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)", (1, 3, 4)),
    ("n.GRUCell(3, 4)", (3,)),
    ("n.MaxPool2d(2)", (1, 4, 4)),
    ("n.AvgPool2d(3, padding=1)", (1, 4, 4)),
    ("n.AdaptiveAvgPool1d(2)", (2, 5)),
    ("n.AdaptiveMaxPool2d(2)", (1, 5, 5)),
    ("n.LPPool1d(2, 2)", (2, 4)),
    ("n.Upsample(scale_factor=2, mode='bilinear')", (1, 2, 3, 3)),
    ("n.PixelShuffle(2)", (4, 2, 2)),
    ("n.ReflectionPad1d(1)", (2, 4)),
    ("n.Unfold(2)", (1, 2, 3, 3)),
    ("n.Sequential(n.Flatten(0), n.Linear(4, 2))", (2, 2)),
]


def first_tensor(value):
    return first_tensor(value[0]) if isinstance(value, (tuple, list)) else value


def per_example(t, layer, shape):
    """Values and gradients of a layer for each of two examples, in both modes."""
    module = eval(layer, {"n": t.nn})
    parameters = {k: v.detach() for k, v in module.named_parameters()}
    x = t.randn(2, *shape)
    name = type(module).__name__
    repeats = {"Bilinear": 2, "MultiheadAttention": 3, "GRUCell": 2}.get(name, 1)
    pushed = name not in ("MultiheadAttention", "TransformerEncoderLayer")  # PyTorch has no rule

    def call(parameters, x):
        given = (x, x.new_ones(4)) if name == "GRUCell" else (x,) * repeats
        return first_tensor(t.func.functional_call(module, parameters, given))

    def loss(parameters, x):
        return call(parameters, x).sin().sum()

    f = t.func
    tangents = {k: v.cos() for k, v in parameters.items()}
    return {
        "values": f.vmap(call, (None, 0))(parameters, x),
        "gradients": f.vmap(f.grad(loss, argnums=(0, 1)), (None, 0))(parameters, x),
        "jvp": f.jvp(call, (parameters, x[0]), (tangents, x[1])) if pushed else None,
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[layer for layer, _ in LAYERS])
def test_layer(layer, shape):
    expected = run(ORACLE, lambda library: per_example(library.module, layer, shape))
    actual = run(subject(), lambda library: per_example(library.module, layer, shape))
    assert expected.error is None, expected.error
    assert differences(expected, actual, strides=False, relative=1e-4) == []


@pytest.mark.parametrize("layer", ["RNN(3, 4)", "GRU(3, 4, 2)", "LSTM(3, 4)", "LSTMCell(3, 4)"])
def test_layer_that_pytorch_cannot_map(layer):
    """PyTorch has no rules for these; the examples one by one are the measure."""
    t = flambeau
    module = eval(f"t.nn.{layer}", {"t": t})
    x = t.randn(2, 3) if "Cell" in layer else t.randn(2, 5, 3)

    def loss(x):
        return first_tensor(module(x)).sin().sum()

    together = t.vmap(t.func.grad_and_value(loss))(x)
    apart = [t.func.grad_and_value(loss)(row) for row in x]
    for both, rows in zip(together, zip(*apart, strict=True), strict=True):
        t.testing.assert_close(both, t.stack(list(rows)), rtol=1e-5, atol=1e-6)
    value, tangent = t.func.jvp(loss, (x[0],), (x[1],))
    t.testing.assert_close(value, apart[0][1])
    t.testing.assert_close(tangent, (apart[0][0] * x[1]).sum(), rtol=1e-5, atol=1e-6)


# Evaluated with `t` as either library, `F` its func module, `y` a 2 x 3 x 4 tensor.
CALLS = """
F.rearrange(y, 'b c d -> d b c')
F.rearrange(y, 'b c d -> b (c d)')
F.rearrange(y, 'b (c1 c2) d -> b c1 c2 d', c1=3)
F.rearrange(y, 'b (c1 c2) d -> b c1 c2 d')
F.rearrange(y, 'b (c1 c2) d -> b c1 c2 d', c1=2)
F.rearrange(y, 'b ... -> ... b')
F.rearrange(y, '... d -> (...) d')
F.rearrange(y, 'b c d -> b c d 1')
F.rearrange(y, 'b c d -> () b c d')
F.rearrange(y, '(b b1) c d -> b b1 c d', b=1, b1=2)
F.rearrange([y, y], 'n b c d -> b n c d')
F.rearrange(t.ones(1, 3), '1 c -> c')
F.rearrange(y, 'b c d -> d c b', b=3)
F.rearrange(y, 'b c d -> b c')
F.rearrange(y, 'b c d -> b c d e')
F.rearrange(y, 'b c -> c b')
F.rearrange(y, 'b c d')
F.rearrange(y, 'b b d -> b d')
F.rearrange(y, 'b c d -> b c d -> b')
F.rearrange(y, 'b (c d -> b c d')
F.rearrange(y, 'b c) d -> b c d')
F.rearrange(y, 'b c d -> b ((c d))')
F.rearrange(y, 'b c d -> b c d', q=2)
F.rearrange(y, '... ... d -> d')
F.rearrange(y, 'b c d -> ... b c d')
F.rearrange(y, 'b c d -> (b ...) c d')
F.rearrange(y, 'b (c ...) d -> b c d')
F.rearrange(y, '_b c d -> c _b d')
F.rearrange(y, '2 c d -> c d 2')
F.rearrange(y, 'b.. -> b')
F.rearrange(3, 'a -> a')
F.functional_call(t.nn.Linear(4, 2), [{'weight': y[0]}, {'bias': y[0, :, 0]}], (y,))
F.functional_call(t.nn.Linear(4, 2), [{'weight': y}, {'weight': y}], (y,))
F.functional_call(t.nn.Linear(4, 2), 3, (y,))
F.functional_call(t.nn.Linear(4, 2), [3], (y,))
F.functional_call(t.nn.Linear(4, 2), {'a': y}, (y,), strict=True)
F.functional_call(t.nn.Linear(4, 1), {'weight': y[:1, 0], 'bias': y[0, 0, :1]}, y)
F.stack_module_state([t.nn.Linear(2, 1), t.nn.Linear(2, 1)])
F.stack_module_state([t.nn.BatchNorm1d(2), t.nn.BatchNorm1d(2)])
F.stack_module_state([])
F.stack_module_state([t.nn.Linear(2, 1), t.nn.Linear(2, 1).eval()])
F.stack_module_state([t.nn.Linear(2, 1), t.nn.Conv1d(2, 1, 1)])
F.stack_module_state([t.nn.Linear(2, 1), t.nn.Linear(2, 1).requires_grad_(False)])
repr(F.replace_all_batch_norm_modules_(t.nn.Sequential(t.nn.BatchNorm1d(2), t.nn.ReLU())))
F.replace_all_batch_norm_modules_(t.nn.BatchNorm1d(2)).state_dict()
F.replace_all_batch_norm_modules_(3)
F.vmap(t.nn.BatchNorm1d(4))(t.ones(2, 3, 4))
""".strip().splitlines()


@pytest.mark.parametrize("text", CALLS)
def test_call(text):
    def evaluate(library):
        t = library.module
        y = t.arange(24.0).reshape(2, 3, 4)
        return eval(text, {"t": t, "F": t.func, "y": y})

    expected, actual = run(ORACLE, evaluate), run(subject(), evaluate)
    assert differences(expected, actual, strides=False, texts=True) == []


def test_printing():
    def shown(t):
        texts = []

        def f(x):
            texts.extend([repr(x), repr(x * 2), str(t.func.debug_unwrap(x))])
            texts.append(repr(t.func.debug_unwrap(x, recurse=False)))
            return x.sum()

        t.func.vmap(t.func.grad(f))(t.ones(2, 2))
        return texts

    expected = run(ORACLE, lambda library: shown(library.module))
    assert expected.error is None
    assert differences(expected, run(subject(), lambda library: shown(library.module))) == []


class Stop(Exception):
    pass


def stop(*args):
    raise Stop


def test_errors_leave_nothing_behind():
    x, weight = flambeau.ones(2, 3), flambeau.ones(3, requires_grad=True)
    storage = weight._storage
    transforms = [
        lambda f: flambeau.vmap(f)(x),
        lambda f: flambeau.func.grad(f)(x),
        lambda f: flambeau.func.jvp(f, (x,), (x,)),
        lambda f: flambeau.func.jacrev(f)(x),
        lambda f: flambeau.func.linearize(f, x),
        lambda f: flambeau.vmap(flambeau.func.grad(f))(x),
    ]
    for transform in transforms:
        with pytest.raises(Stop):
            transform(stop)
        with pytest.raises(RuntimeError):
            transform(lambda a: weight.detach().copy_((a * 2).reshape(-1)[:3]).sum())
        assert modes.levels == () and modes.grad and not modes.special
        assert weight.tolist() == [1, 1, 1] and type(storage.array).__name__ != "Lifted"
    assert "_noting_init" not in repr(type(storage).__init__)


def test_an_escaped_tensor():
    kept = []
    flambeau.vmap(lambda a: kept.append(a) or a)(flambeau.ones(2, 3))
    with pytest.raises(RuntimeError, match="may have escaped"):
        kept[0] + 1


COMPILED = [
    lambda t, m, x: t.func.hessian(lambda a: (m(a) ** 2).sum())(x),
    lambda t, m, x: t.func.jvp(m, (x,), (x * 2,))[1],
    lambda t, m, x: t.func.linearize(m, x)[1](x),
    lambda t, m, x: t.vmap(t.func.grad(lambda a: m(a).sum()))(t.stack([x, x * 2])),
    lambda t, m, x: t.vmap(lambda a: a + t.rand(3), randomness="different")(t.stack([x, x])),
    lambda t, m, x: t.vmap(t.compile(lambda a: m(a).sum()))(t.stack([x, x])),
]


@pytest.mark.parametrize("function", COMPILED)
def test_compiled(function):
    t = flambeau
    model = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 2))
    compiled = t.compile(lambda x: function(t, model, x))
    for seed in range(3):
        t.manual_seed(seed)
        x = t.randn(3)
        expected = function(t, model, x)
        t.manual_seed(seed)
        x = t.randn(3)
        t.testing.assert_close(compiled(x), expected, rtol=1e-5, atol=1e-6)
