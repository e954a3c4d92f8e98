"""Gradients, and gradients of gradients, against finite differences in float64."""

import re

import numpy as np
import pytest

import flambeau
from tests.nn.both import run
from tests.nn.more_rows import MORE
from tests.nn.rows import LAYERS

RANDOM = ("Dropout", "RReLU", "Fractional", "Linear(3, 0)")


def differentiable(expression, shapes):
    """Whether a row has a few real inputs, all of them given by their shape."""
    if any(name in expression for name in RANDOM) or "indices" in expression:
        return False
    sizes = [int(np.prod(s)) for s in shapes if isinstance(s, tuple)]
    return len(sizes) == len(shapes) and 0 < max(sizes) <= 130


def one_a_class(rows):
    """The first fitting row of each class."""
    found = {}
    for expression, shapes in rows:
        name = re.match(r"nn\.(\w+)", expression)[1]
        if name not in found and differentiable(expression, shapes):
            found[name] = (expression, shapes)
    return list(found.values())


def prepared(expression, shapes):
    """The layer as a function of its inputs and parameters, and those, in float64."""
    flambeau.manual_seed(3)
    layer = run(expression, flambeau).double()
    generator = np.random.default_rng(5)
    given = [
        flambeau.tensor(generator.standard_normal(shape), requires_grad=True) for shape in shapes
    ]
    names = [name for name, _ in layer.named_parameters()]

    def function(*values):
        parameters = dict(zip(names, values[len(given) :], strict=True))
        return flambeau.nn.utils.stateless.functional_call(layer, parameters, values[: len(given)])

    return function, (*given, *layer.parameters())


ROWS = one_a_class(MORE + LAYERS)


@pytest.mark.parametrize(("expression", "shapes"), ROWS, ids=lambda v: str(v)[:60])
@pytest.mark.filterwarnings("ignore:.*functional_call")
def test_gradients(expression, shapes):
    function, values = prepared(expression, shapes)
    assert flambeau.autograd.gradcheck(function, values, fast_mode=True)


@pytest.mark.slow
@pytest.mark.parametrize(("expression", "shapes"), ROWS, ids=lambda v: str(v)[:60])
@pytest.mark.filterwarnings("ignore:.*functional_call")
def test_second_derivatives(expression, shapes):
    function, values = prepared(expression, shapes)
    assert flambeau.autograd.gradgradcheck(function, values, fast_mode=True)
