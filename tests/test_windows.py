"""`flambeau.signal.windows` against PyTorch's."""

import pytest

from tests.parity.lockstep import error_of, lockstep

PARAMETERS = {
    "bartlett": [{}],
    "blackman": [{}],
    "cosine": [{}],
    "exponential": [{}, {"tau": 0.7}],
    "gaussian": [{}, {"std": 2.5}],
    "general_cosine": [{"a": [1.0, 2.0, 3.0]}, {"a": (0.3,)}],
    "general_hamming": [{}, {"alpha": 0.4}],
    "hamming": [{}],
    "hann": [{}],
    "kaiser": [{}, {"beta": 0.0}, {"beta": 3.0}],
    "nuttall": [{}],
}
every_window = pytest.mark.parametrize("name", PARAMETERS)


@every_window
@lockstep
def test_values(t, name):
    window = getattr(t.signal.windows, name)
    found = []
    for parameters in PARAMETERS[name]:
        for length in (0, 1, 2, 5, 6):
            found += [window(length, sym=sym, **parameters) for sym in (True, False)]
        found.append(window(7, dtype=t.float64, **parameters))
        found.append(window(4, requires_grad=True, **parameters))
    return found


@every_window
@lockstep
def test_refused(t, name):
    window = getattr(t.signal.windows, name)
    parameters = PARAMETERS[name][0]
    return [
        error_of(lambda: window(-1, **parameters)),
        error_of(lambda: window(4, dtype=t.float16, **parameters)),
        error_of(lambda: window(4, layout=t.sparse_coo, **parameters)),
    ]


@lockstep
def test_refused_parameters(t):
    w = t.signal.windows
    return [
        error_of(lambda: w.exponential(4, tau=0)),
        error_of(lambda: w.exponential(4, center=1.0)),
        w.exponential(4, center=1.0, sym=False),
        error_of(lambda: w.gaussian(4, std=0)),
        error_of(lambda: w.kaiser(4, beta=-1)),
        error_of(lambda: w.general_cosine(4, a=3)),
        error_of(lambda: w.general_cosine(4, a=[])),
    ]
