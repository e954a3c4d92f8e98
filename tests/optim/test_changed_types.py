"""Parameters that change their type after the first steps; the state keeps its own."""

import pytest
import torch

import flambeau

RULES = {
    "SGD": {"lr": 0.1, "momentum": 0.9},
    "RMSprop": {"lr": 0.1},
    "Adagrad": {"lr": 0.1},
    "Adadelta": {"lr": 0.1},
}


def weights(library, rule):
    layer = library.nn.Linear(3, 1)
    with library.no_grad():
        layer.weight.copy_(library.tensor([[0.5, -1.0, 2.0]]))
        layer.bias.fill_(0.25)
    x = library.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]])
    optimizer = getattr(library.optim, rule)(layer.parameters(), **RULES[rule])
    for kind in (library.float32, library.float64, library.float64):
        layer.to(kind)
        optimizer.zero_grad()
        layer(x.to(kind)).square().mean().backward()
        optimizer.step()
    kinds = {
        name: str(value.dtype).split(".")[-1]
        for name, value in optimizer.state[layer.weight].items()
        if value is not None
    }
    return layer.weight.detach().numpy(), layer.weight.dtype, kinds


@pytest.mark.parametrize("rule", RULES)
def test_double_parameters_with_a_state_in_single_precision(rule):
    ours, kind, kinds = weights(flambeau, rule)
    theirs, _, wanted = weights(torch, rule)
    assert kind == flambeau.float64
    assert kinds == wanted
    assert ours == pytest.approx(theirs, rel=1e-5)
