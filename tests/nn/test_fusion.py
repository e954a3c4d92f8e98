"""Batch normalisation folded into the layer before it."""

import pytest
import torch

import flambeau
from tests.nn.both import assert_close


@pytest.mark.parametrize("bias", [False, True])
def test_fusion(bias):
    found = []
    for library in (flambeau, torch):
        nn, utils = library.nn, library.nn.utils
        library.manual_seed(0)
        rows = [
            (
                nn.Conv2d(3, 4, 3, bias=bias),
                nn.BatchNorm2d(4),
                (2, 3, 6, 6),
                nn.utils.fuse_conv_bn_eval,
            ),
            (nn.Linear(3, 4, bias=bias), nn.BatchNorm1d(4), (5, 3), utils.fuse_linear_bn_eval),
        ]
        for layer, norm, shape, fuse in rows:
            both = nn.Sequential(layer, norm)
            x = library.randn(shape)
            both(x)
            both.eval()
            fused = fuse(layer, norm)
            found.append((library, fused, both(x), fused(x)))
    ours, theirs = found[:2], found[2:]
    for (_, fused, expected, y), (_, oracle, _, z) in zip(ours, theirs, strict=True):
        assert_close(y, z, tolerance=2e-5)
        assert flambeau.allclose(y, expected, atol=1e-5)
        assert_close(fused.weight, oracle.weight)
        assert_close(fused.bias, oracle.bias)
