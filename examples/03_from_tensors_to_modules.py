"""One classifier, written five times: each version hands more of the work to the library.

All five start from the same weights and see the same batches, so they print the same losses.
"""

import math

import flambeau as torch
import flambeau.nn as nn
import flambeau.nn.functional as F
from flambeau.datasets import digits

BATCH, RATE, STEPS = 64, 0.5, 60

images, labels = digits(train=True).tensors
pixels = images.flatten(1)  # (1438, 64)


def batches():
    """The first STEPS batches, in the order of the data set."""
    per_epoch = len(pixels) // BATCH
    for step in range(STEPS):
        start = step % per_epoch * BATCH
        yield pixels[start : start + BATCH], labels[start : start + BATCH]


def report(name, losses):
    print(f"{name}: loss {losses[0]:.5f} -> {losses[-1]:.5f}")


def initial_weights():
    torch.manual_seed(1)
    return torch.randn(64, 10) / math.sqrt(64), torch.zeros(10)


def by_hand():
    """Tensors and autograd only."""
    weight, bias = initial_weights()
    weight.requires_grad_()
    bias.requires_grad_()
    losses = []
    for x, target in batches():
        scores = x @ weight + bias
        log_probabilities = scores - scores.exp().sum(dim=1, keepdim=True).log()
        loss = -log_probabilities[range(BATCH), target].mean()
        loss.backward()
        with torch.no_grad():
            weight -= RATE * weight.grad
            bias -= RATE * bias.grad
            weight.grad.zero_()
            bias.grad.zero_()
        losses.append(loss.item())
    report("tensors", losses)


def with_functional():
    """`F.cross_entropy` is log-softmax and the mean negative log-likelihood in one."""
    weight, bias = (value.requires_grad_() for value in initial_weights())
    losses = []
    for x, target in batches():
        loss = F.cross_entropy(x @ weight + bias, target)
        loss.backward()
        with torch.no_grad():
            for parameter in (weight, bias):
                parameter -= RATE * parameter.grad
                parameter.grad = None
        losses.append(loss.item())
    report("nn.functional", losses)


class Logistic(nn.Module):
    """A module owns its parameters and says how they meet an input."""

    def __init__(self):
        super().__init__()
        weight, bias = initial_weights()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, x):
        return x @ self.weight + self.bias


def with_module():
    """`parameters()` finds every parameter; `zero_grad()` clears all their gradients."""
    model = Logistic()
    losses = []
    for x, target in batches():
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= RATE * parameter.grad
        model.zero_grad()
        losses.append(loss.item())
    report("nn.Module", losses)


def linear_layer():
    """`nn.Linear` with our initial weights; it stores its weight as (outputs, inputs)."""
    weight, bias = initial_weights()
    layer = nn.Linear(64, 10)
    with torch.no_grad():
        layer.weight.copy_(weight.T)
        layer.bias.copy_(bias)
    return layer


def with_linear():
    """A ready-made layer."""
    model = linear_layer()
    losses = []
    for x, target in batches():
        loss = F.cross_entropy(model(x), target)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= RATE * parameter.grad
        losses.append(loss.item())
    report("nn.Linear", losses)


def with_optimizer():
    """A ready-made update rule."""
    model = linear_layer()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    losses = []
    for x, target in batches():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    report("torch.optim", losses)


if __name__ == "__main__":
    by_hand()
    with_functional()
    with_module()
    with_linear()
    with_optimizer()
