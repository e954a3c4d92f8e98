"""The whole job: a convolutional network trained from a seed prints the oracle's losses."""

import numpy as np
import pytest
import torch

import flambeau
from tests.nn.both import assert_close


def network(nn):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),  # its gradient would be rounding errors alone
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(64, 10),
    )


def digits(library):
    """Images that differ by class, from the library's own seeded generator."""
    classes = library.arange(40) % 10
    patterns = library.randn(10, 1, 8, 8)
    images = patterns[classes] + 0.3 * library.randn(40, 1, 8, 8)
    return images, classes


def train(library, kind, steps=20):
    """The losses and the rates of `steps` steps, and the trained network."""
    library.manual_seed(0)
    images, classes = digits(library)
    model = network(library.nn)
    optimizer = getattr(library.optim, kind)(model.parameters(), lr=0.01)
    scheduler = library.optim.lr_scheduler.StepLR(optimizer, 8, 0.5)
    criterion = library.nn.CrossEntropyLoss(label_smoothing=0.1)
    losses, rates = [], []
    for _ in range(steps):
        chosen = library.randperm(40)[:16]
        optimizer.zero_grad()
        loss = criterion(model(images[chosen]), classes[chosen])
        loss.backward()
        norm = library.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        scheduler.step()
        losses.append((loss.item(), norm.item()))
        rates.append(scheduler.get_last_lr()[0])
    return losses, rates, model.eval(), images


@pytest.mark.parametrize("kind", ["Adam", "SGD"])
def test_losses(kind):
    losses, rates, model, images = train(flambeau, kind)
    expected, expected_rates, oracle, pictures = train(torch, kind)
    assert rates == expected_rates
    # Twenty steps let rounding errors of 1e-7 grow.
    np.testing.assert_allclose(losses, expected, rtol=1e-3)
    np.testing.assert_allclose(losses[:5], expected[:5], rtol=2e-5)
    assert_close(model(images), oracle(pictures), "predictions", 5e-3)
    for name, value in oracle.state_dict().items():
        assert_close(model.state_dict()[name], value, name, 5e-3)
