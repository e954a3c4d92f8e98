"""Every layer against the oracle: weights, values, gradients, printing, saving."""

import copy
import io
import pickle
import warnings

import pytest
import torch

import flambeau
from tests.nn.both import assert_close, inputs_of, ours_of, run
from tests.nn.more_rows import LOSSES as MORE_LOSSES
from tests.nn.more_rows import MORE
from tests.nn.rows import LAYERS, LOSSES

REDUCTIONS = ("none", "mean", "sum")


def seeded(expression):
    """The layer of both libraries from the same seed."""
    layers = []
    for library in (flambeau, torch):
        library.manual_seed(7)
        layers.append(run(expression, library))
    return layers


def outputs_of(layer, inputs, library):
    library.manual_seed(11)
    result = layer(*inputs)
    return result if isinstance(result, tuple) else (result,)


def compare(ours, theirs, shapes, tolerance=1e-5):
    """Outputs, and the gradients of all inputs and parameters."""
    given, expected = inputs_of(shapes)
    a = outputs_of(ours, given, flambeau)
    b = outputs_of(theirs, expected, torch)
    for place, (x, y) in enumerate(zip(a, b, strict=True)):
        assert_close(x, y, f"output {place}", tolerance)
        assert x.requires_grad == y.requires_grad
    if not b[0].requires_grad:
        return
    torch.manual_seed(5)
    seed = torch.randn(b[0].shape)
    b[0].backward(seed)
    a[0].backward(ours_of(seed))
    for place, (x, y) in enumerate(zip(given, expected, strict=True)):
        assert_close(x.grad, y.grad, f"gradient of input {place}", tolerance)
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert_close(p.grad, q.grad, f"gradient of {name}", tolerance)


@pytest.mark.parametrize(("expression", "shapes"), LAYERS + MORE, ids=lambda v: str(v)[:70])
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_layer(expression, shapes):
    ours, theirs = seeded(expression)
    assert repr(ours) == repr(theirs)
    mine, other = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(other)
    for name in mine:
        assert_close(mine[name], other[name], name, 1e-7)
    # Sums in another order: a wider margin where hundreds of terms cancel.
    compare(ours, theirs, shapes, 3e-5)
    for name in mine:
        assert_close(ours.state_dict()[name], theirs.state_dict()[name], f"{name} after a step")
    compare(ours.zero_grad() or ours.eval(), theirs.zero_grad() or theirs.eval(), shapes, 3e-5)


@pytest.mark.parametrize(("expression", "shapes"), LAYERS[::4], ids=lambda v: str(v)[:70])
def test_copies(expression, shapes):
    layer = seeded(expression)[0].eval()
    given, _ = inputs_of(shapes)
    expected = layer(*given)
    expected = expected[0] if isinstance(expected, tuple) else expected
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(twin) == repr(layer)
        assert not twin.training
        result = twin(*given)
        result = result[0] if isinstance(result, tuple) else result
        assert flambeau.equal(result, expected)
        for p, q in zip(twin.parameters(), layer.parameters(), strict=True):
            assert p is not q
            assert p.requires_grad == q.requires_grad
    other = run(expression, flambeau)
    other.load_state_dict(layer.state_dict())
    for p, q in zip(other.parameters(), layer.parameters(), strict=True):
        assert flambeau.equal(p, q)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("expression", "shapes"), LOSSES + MORE_LOSSES, ids=lambda v: str(v)[:60])
def test_loss(expression, shapes, reduction):
    full = expression.format(f"reduction='{reduction}'")
    ours, theirs = (run(full, library) for library in (flambeau, torch))
    assert repr(ours) == repr(theirs)
    given, expected = inputs_of(shapes)
    for tensors in (given, expected):
        for tensor in tensors[1:]:
            tensor.requires_grad_(False)
    with warnings.catch_warnings():
        # KLDivLoss with reduction='mean' says that it is not the mathematical mean.
        warnings.simplefilter("ignore")
        a, b = ours(*given), theirs(*expected)
    assert_close(a, b, "loss")
    b.sum().backward()
    a.sum().backward()
    assert_close(given[0].grad, expected[0].grad, "gradient", 2e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "call",
    [
        "uniform_(w, -1, 2)",
        "normal_(w, 1, 2)",
        "trunc_normal_(w)",
        "trunc_normal_(w, 0.5, 2, -1, 1)",
        "trunc_normal_(w, 0, 1, 1, 2)",
        "constant_(w, 3)",
        "ones_(w)",
        "zeros_(w)",
        "eye_(w)",
        "dirac_(k, 2)",
        "xavier_uniform_(k, 2.0)",
        "xavier_normal_(w)",
        "kaiming_uniform_(k, mode='fan_out')",
        "kaiming_normal_(w, nonlinearity='relu')",
        "orthogonal_(w)",
        "orthogonal_(k, 2)",
        "sparse_(w, 0.3)",
    ],
)
def test_init(call, seed):
    results = []
    for library in (flambeau, torch):
        library.manual_seed(seed)
        scope = {"w": library.empty(5, 7), "k": library.empty(4, 3, 3, 3)}
        results.append(run(f"nn.init.{call}", library, **scope))
    assert_close(*results, call, 2e-6 if "orthogonal" not in call else 2e-5)


@pytest.mark.parametrize("inplace", ["ReLU", "Hardtanh", "SiLU", "ELU", "Dropout", "Mish"])
def test_in_place(inplace):
    x, y = (library.linspace(-2, 2, 8) for library in (flambeau, torch))
    for library, tensor in ((flambeau, x), (torch, y)):
        library.manual_seed(0)
        assert run(f"nn.{inplace}(inplace=True)", library)(tensor) is tensor
    assert_close(x, y, inplace)


def test_saves_to_the_oracles_files():
    layer = seeded("nn.Linear(2, 3)")[1]
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    ours = flambeau.nn.Linear(2, 3)
    ours.load_state_dict(flambeau.load(buffer))
    assert_close(ours.weight, layer.weight)
