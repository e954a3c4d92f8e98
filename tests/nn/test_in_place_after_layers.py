"""In-place activations after layers that keep intermediate results for their derivative."""

import numpy as np
import pytest
import torch

import flambeau

LAYERS = """
nn.BatchNorm2d(4)
nn.InstanceNorm2d(4)
nn.GroupNorm(2, 4)
nn.LayerNorm([4, 4])
nn.MaxPool2d(2)
nn.Conv2d(4, 2, 3)
""".strip().splitlines()


def gradients(library, layer):
    """Of the input and the parameters, and the two errors that a program may meet."""
    library.manual_seed(0)
    module = eval(layer, {"nn": library.nn})
    x = library.randn(3, 4, 4, 4).requires_grad_()
    for _ in range(3):  # repeated calls are recorded in another way than first ones
        y = module(x)
        loss = y.relu_().pow(2).sum()
        loss.backward()
    found = [x.grad.numpy(), *(p.grad.numpy() for p in module.parameters())]
    errors = []
    for spoil in (lambda x, y: x.mul_(2), lambda x, y: None):
        x = library.randn(3, 4, 4, 4).requires_grad_() * 1
        y = module(x)
        spoil(x, y)
        try:
            y.sum().backward()
            y.sum().backward()
        except RuntimeError as error:
            errors.append(str(error)[:40])
    return found, errors


@pytest.mark.parametrize("layer", LAYERS)
def test_against_the_oracle(layer):
    ours, our_errors = gradients(flambeau, layer)
    theirs, their_errors = gradients(torch, layer)
    assert our_errors == their_errors
    for mine, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5)
