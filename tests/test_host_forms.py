"""NumPy forms that are written by hand give what the traced kernels give."""

import numpy as np
import pytest

from flambeau.host import recurrent as forms
from flambeau.kernels import recurrent as kernels

STEPS, BATCH, INPUTS, SIZE = 4, 2, 3, 5
NEEDS = [
    (True,) * 6,
    (False, True, False, True, False, True),
    (True, False, True, False, True, False),
]


def arguments(biases):
    generator = np.random.default_rng(0)
    shapes = [(STEPS, BATCH, INPUTS), (BATCH, SIZE), (SIZE, INPUTS), (SIZE, SIZE), SIZE, SIZE]
    made = [generator.standard_normal(shape).astype(np.float32) for shape in shapes]
    return [*made[:4], *(made[4:] if biases else [None, None]), None]


def close(found, wanted):
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("biases", [True, False])
def test_the_elman_layer(activation, reverse, biases):
    given, static = arguments(biases), {"activation": activation, "reverse": reverse}
    assert forms.ELMAN.accepts(given)
    outputs = forms.rnn(*given, **static)
    close(outputs, [np.asarray(a) for a in kernels.rnn(*given, **static)])
    generator = np.random.default_rng(1)
    cts = [generator.standard_normal(o.shape).astype(np.float32) for o in outputs]
    for needs in NEEDS:
        wanted_of = tuple(n and x is not None for n, x in zip((*needs, False), given, strict=True))
        found = forms.rnn_vjp(cts, given, outputs, wanted_of, **static)
        wanted = kernels.rnn_vjp(cts, given, outputs, wanted_of, **static)
        wanted = [
            None if g is None or not n else np.asarray(g)
            for g, n in zip(wanted, wanted_of, strict=True)
        ]
        found = [g if n else None for g, n in zip(found, wanted_of, strict=True)]
        close(found, wanted)


def test_what_the_form_is_not_made_for():
    given = arguments(biases=True)
    assert not forms.ELMAN.accepts([*given[:6], np.array([4, 2])])
    assert not forms.ELMAN.accepts([given[0].astype(np.float16), *given[1:]])
    assert not forms.ELMAN.accepts([given[0][:0], *given[1:]])
