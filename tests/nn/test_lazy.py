"""Lazy modules: the oracle's weights, printing and errors, before and after the first call."""

import copy
import math
import pickle

import pytest
import torch

import flambeau
from tests.nn.both import assert_close, run

IMAGE = (2, 4, 6, 6)
ROWS = [
    ("nn.LazyLinear(3)", (2, 5)),
    ("nn.LazyLinear(3, bias=False)", (2, 5)),
    ("nn.LazyConv1d(4, 3)", (2, 3, 7)),
    ("nn.LazyConv2d(4, 3, groups=2)", IMAGE),
    ("nn.LazyConv2d(4, 3)", (4, 6, 6)),
    ("nn.LazyConv3d(4, 2)", (1, 2, 3, 3, 3)),
    ("nn.LazyConvTranspose1d(4, 3)", (2, 3, 7)),
    ("nn.LazyConvTranspose2d(4, 3, stride=2)", IMAGE),
    ("nn.LazyConvTranspose3d(4, 2)", (1, 2, 3, 3, 3)),
    ("nn.LazyBatchNorm1d()", (2, 3)),
    ("nn.LazyBatchNorm2d(affine=False)", IMAGE),
    ("nn.LazyBatchNorm3d(bias=False)", (1, 2, 3, 3, 3)),
    ("nn.LazyInstanceNorm1d()", (2, 3, 4)),
    ("nn.LazyInstanceNorm2d(track_running_stats=False)", IMAGE),
    ("nn.LazyInstanceNorm3d()", (1, 2, 3, 3, 3)),
    ("nn.Sequential(nn.LazyConv2d(3, 3), nn.Flatten(), nn.LazyLinear(2))", IMAGE),
    ("nn.LazyConv1d(4, 3, padding='same', bias=False)", (3, 7)),
    ("nn.LazyConv1d(6, 2, 2, groups=3, padding_mode='circular', padding=1)", (2, 3, 7)),
    ("nn.LazyConv3d(4, (1, 2, 2), groups=2, dilation=(1, 1, 2))", (2, 3, 4, 5)),
    ("nn.LazyConv3d(1, 1, bias=False)", (1, 2, 3, 3, 3)),
    ("nn.LazyConvTranspose1d(4, 3, 2, bias=False)", (3, 7)),
    ("nn.LazyConvTranspose1d(3, 2, groups=3, output_padding=1, stride=2)", (2, 3, 7)),
    ("nn.LazyConvTranspose2d(4, (2, 1), padding=1)", (4, 6, 6)),
    ("nn.LazyConvTranspose2d(2, 2, dilation=2, groups=2, bias=False)", IMAGE),
    ("nn.LazyConvTranspose3d(4, 2, bias=False)", (2, 3, 3, 3)),
    ("nn.LazyConvTranspose3d(2, (1, 2, 1), groups=2)", (1, 2, 3, 3, 3)),
    ("nn.LazyBatchNorm1d(momentum=None)", (2, 3, 4)),
    ("nn.LazyBatchNorm1d(affine=False, track_running_stats=False)", (2, 3)),
    ("nn.LazyBatchNorm2d(eps=0.1)", IMAGE),
    ("nn.LazyBatchNorm2d(track_running_stats=False, dtype=torch.float32)", IMAGE),
    ("nn.LazyBatchNorm3d(affine=False)", (1, 2, 3, 3, 3)),
    ("nn.LazyBatchNorm3d(momentum=0.5)", (1, 2, 3, 3, 3)),
    ("nn.LazyInstanceNorm1d(affine=False, momentum=0.5)", (2, 3, 4)),
    ("nn.LazyInstanceNorm1d(affine=True, bias=False)", (2, 3, 4)),
    ("nn.LazyInstanceNorm2d(affine=True, track_running_stats=True)", IMAGE),
    ("nn.LazyInstanceNorm2d(eps=0.1)", IMAGE),
    ("nn.LazyInstanceNorm3d(affine=True, eps=0.1)", (1, 2, 3, 3, 3)),
    ("nn.LazyInstanceNorm3d(track_running_stats=True, momentum=0.7)", (1, 2, 3, 3, 3)),
]


@pytest.mark.parametrize(("expression", "shape"), ROWS, ids=str)
def test_first_call(expression, shape):
    found = []
    for library in (flambeau, torch):
        library.manual_seed(0)
        layer = run(expression, library)
        before = repr(layer), repr(layer.state_dict()), repr(list(layer.named_parameters()))
        y = layer(library.arange(math.prod(shape)).reshape(shape).sin())
        found.append((before, repr(layer), layer, y))
    (before, after, ours, a), (expected_before, expected_after, theirs, b) = found
    assert before == expected_before
    assert after == expected_after
    assert_close(a, b)
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert type(p) is flambeau.nn.Parameter
        assert_close(p, q, name, 1e-7)


def test_errors_before_the_first_call():
    layer, oracle = flambeau.nn.LazyLinear(3), torch.nn.LazyLinear(3)
    assert repr(layer.weight) == repr(oracle.weight)
    for program in (lambda x: x.weight.shape, lambda x: x.load_state_dict):
        texts = []
        for x in (layer, oracle):
            try:
                texts.append(repr(type(program(x)).__name__))
            except RuntimeError as error:
                texts.append(str(error))
        assert texts[0] == texts[1]
    with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter"):
        layer.weight + 1
    with pytest.raises(RuntimeError, match="Can't access the shape"):
        flambeau.nn.Linear(2, 3).load_state_dict(layer.state_dict())


def test_loading_gives_shapes():
    full = flambeau.nn.Linear(4, 3)
    lazy = flambeau.nn.LazyLinear(3)
    lazy.load_state_dict(full.state_dict())
    assert flambeau.equal(lazy.weight, full.weight)
    assert lazy(flambeau.ones(1, 4)).shape == (1, 3)
    assert type(lazy) is flambeau.nn.Linear
    assert lazy.in_features == 4


def test_copies_and_types():
    lazy = flambeau.nn.LazyConv2d(3, 2)
    for twin in (copy.deepcopy(lazy), pickle.loads(pickle.dumps(lazy)), lazy.double()):
        dtype = twin.weight.dtype
        y = twin(flambeau.ones(1, 2, 4, 4, dtype=dtype))
        assert y.dtype is dtype
        assert twin.weight.shape == (3, 2, 2, 2)
