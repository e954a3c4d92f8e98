"""Whole modules travel between flambeau and PyTorch: every layer, and models of each family."""

import io

import numpy as np
import pytest
import torch

import flambeau

from ..nn import rows

SEQUENCE = (5, 2, 4)
STATEFUL = [
    ("nn.RNN(4, 3, 2, nonlinearity='relu')", [SEQUENCE]),
    ("nn.LSTM(4, 3, 2, batch_first=True, bidirectional=True)", [SEQUENCE]),
    ("nn.LSTM(4, 3, proj_size=2)", [SEQUENCE]),
    ("nn.GRU(4, 3, bias=False)", [SEQUENCE]),
    ("nn.RNNCell(4, 3)", [(2, 4)]),
    ("nn.LSTMCell(4, 3)", [(2, 4)]),
    ("nn.GRUCell(4, 3)", [(2, 4)]),
    ("nn.MultiheadAttention(4, 2)", [SEQUENCE] * 3),
    (
        "nn.MultiheadAttention(4, 2, kdim=3, vdim=5, bias=False, add_bias_kv=True)",
        [SEQUENCE, (5, 2, 3), (5, 2, 5)],
    ),
    ("nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)", [SEQUENCE]),
    ("nn.TransformerEncoderLayer(4, 2, 8, activation='gelu', norm_first=True)", [SEQUENCE]),
    ("nn.TransformerDecoderLayer(4, 2, 8)", [SEQUENCE, SEQUENCE]),
    ("nn.Transformer(4, 2, 1, 1, 8)", [SEQUENCE, SEQUENCE]),
    ("nn.SyncBatchNorm(4)", [(2, 4)]),
    ("nn.Upsample(scale_factor=2)", [rows.IMAGE]),
    ("nn.ParameterList([torch.ones(2), torch.zeros(1)])", None),
    ("nn.ParameterDict({'a': torch.ones(2)})", None),
    ("nn.ModuleDict({'a': nn.Linear(1, 1), 'b': nn.ModuleList([nn.ReLU()])})", None),
]
MODELS = {
    "convolutional": (
        "nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), "
        "nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, groups=2), nn.GroupNorm(2, 8), nn.SiLU(), "
        "nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(8, 5))",
        [(2, 3, 8, 8)],
    ),
    "generator": (
        "nn.Sequential(nn.ConvTranspose2d(3, 4, 4, 2, 1), nn.InstanceNorm2d(4, affine=True), "
        "nn.LeakyReLU(0.2), nn.Conv2d(4, 12, 1), nn.PixelShuffle(2), nn.Tanh())",
        [(2, 3, 4, 4)],
    ),
    "embedding": (
        "nn.Sequential(nn.Embedding(7, 4, padding_idx=0), nn.LayerNorm(4), nn.GELU(), "
        "nn.Linear(4, 2), nn.LogSoftmax(-1))",
        [np.array([[1, 2, 0], [6, 3, 3]])],
    ),
    "transformer": (
        "nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, activation=F.gelu), 2, "
        "norm=nn.RMSNorm(4), enable_nested_tensor=False)",
        [SEQUENCE],
    ),
}
EVERYTHING = [*rows.LAYERS, *STATEFUL, *MODELS.values()]


def saved(value, library):
    buffer = io.BytesIO()
    library.save(value, buffer)
    buffer.seek(0)
    return buffer


def made(code, library):
    library.manual_seed(0)
    return eval(code, {"torch": library, "nn": library.nn, "F": library.nn.functional})


def arrays(value):
    if value is None:
        return []
    if isinstance(value, (tuple, list)):
        return [array for item in value for array in arrays(item)]
    return [value.detach().numpy()]


def outputs(model, library, inputs):
    """What a model gives for inputs of the given shapes, or with the given values."""
    model.eval()
    generator = np.random.default_rng(0)
    given = [
        x if isinstance(x, np.ndarray) else generator.standard_normal(x).astype(np.float32)
        for x in inputs
    ]
    with library.no_grad():
        return arrays(model(*[library.from_numpy(x.copy()) for x in given]))


def close(one, other, tolerance=1e-5):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore:LSTM with projections", "ignore:enable_nested_tensor is True")
@pytest.mark.parametrize(("code", "inputs"), EVERYTHING, ids=[code for code, _ in EVERYTHING])
def test_modules(code, inputs):
    ours, theirs = made(code, flambeau), made(code, torch)
    from_torch = flambeau.load(saved(theirs, torch), weights_only=False)
    from_flambeau = torch.load(saved(ours, flambeau), weights_only=False)
    own = flambeau.load(saved(ours, flambeau), weights_only=False)
    assert type(from_torch) is type(own) is type(ours)
    assert type(from_flambeau) is type(theirs)
    assert repr(from_torch) == repr(own) == repr(from_flambeau) == repr(theirs)
    for one, other in ((from_torch, ours), (from_flambeau, theirs)):
        assert list(one.state_dict()) == list(other.state_dict())
        close(arrays(list(one.state_dict().values())), arrays(list(other.state_dict().values())))
    if inputs is not None:
        expected = outputs(theirs, torch, inputs)
        close(outputs(from_torch, flambeau, inputs), expected)
        close(outputs(own, flambeau, inputs), expected)
        close(outputs(from_flambeau, torch, inputs), expected, 0)


@pytest.mark.parametrize("family", MODELS)
def test_state_dicts(family):
    """A checkpoint of each family's weights, with weights_only=True, into a fresh model."""
    code, inputs = MODELS[family]
    for source, target in ((torch, flambeau), (flambeau, torch)):
        model = made(code, source)
        if family == "convolutional":
            model.train()(source.ones(2, 3, 8, 8))  # running statistics
        target.manual_seed(5)
        copy = eval(code, {"torch": target, "nn": target.nn, "F": target.nn.functional})
        result = copy.load_state_dict(target.load(saved(model.state_dict(), source)))
        assert not result.missing_keys
        assert not result.unexpected_keys
        close(outputs(copy, target, inputs), outputs(model, source, inputs))


class Net(flambeau.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = flambeau.nn.Linear(2, 2)
        self.layer.bias = self.tied = flambeau.nn.Parameter(flambeau.ones(2))
        self.register_buffer("count", flambeau.tensor(3), persistent=False)
        self.activation = flambeau.nn.functional.relu
        self.settings = {"width": 2}

    def forward(self, x):
        return self.activation(self.layer(x) + self.tied)


def test_a_module_of_the_users():
    net = Net()
    net.register_forward_hook(hook)
    with pytest.raises(flambeau.serialization.CheckpointError, match=r"GLOBAL .*\.Net was not"):
        flambeau.load(saved(net, flambeau))
    with pytest.raises(flambeau.serialization.CheckpointError, match=r"GLOBAL .*\.hook was not"):
        flambeau.load(saved(net, flambeau), weights_only=False)
    with flambeau.serialization.safe_globals([hook]):
        loaded = flambeau.load(saved(net, flambeau), weights_only=False)
    assert loaded.tied is loaded.layer.bias
    assert loaded.count == 3
    assert list(loaded.state_dict()) == list(net.state_dict())
    assert loaded.settings == {"width": 2}
    x = flambeau.ones(1, 2)
    assert loaded(x).tolist() == net(x).tolist()


def hook(module, args, output):
    return output * 2
