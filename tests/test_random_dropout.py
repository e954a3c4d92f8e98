"""`dropout` and its kin, `rrelu`: values and refusals."""

import pytest

from .random_programs import check_error, check_values, rows

DROPOUT = """
T.dropout(x, .5, True)
T.dropout(x, .3, True)
T.dropout(m.t(), .3, True)
T.dropout(m[:, ::2], .3, True)
T.dropout(x.double(), .3, True)
T.dropout(x.half(), .3, True)
T.dropout(x.bfloat16(), .3, True)
T.dropout(x, .5, False)
T.dropout(x, 0., True)
T.dropout(x, 1., True)
T.dropout(x * inf, 1., True)
T.dropout(leaf, .5, True)
T.dropout(leaf * 1, 1., True)
T.dropout(x, .5, False) is x
T.dropout(i, .5, False) is i
T.dropout(x[0], .5, True)
T.dropout_(x, .3, True)
T.dropout_(leaf * 1, .3, True)
T.dropout_(x[3:], 1., True)
T.feature_dropout(m, .3, True)
T.feature_dropout(x.reshape(2, 3, 4), .3, True)
T.feature_dropout(x.reshape(2, 3, 4).permute(1, 0, 2), .3, True)
T.feature_dropout_(x.reshape(2, 3, 4), .3, True)
T.feature_dropout(x, 1., True)
T.alpha_dropout(leaf, .3, True)
T.alpha_dropout(m.t(), .3, True)
T.alpha_dropout(x.double(), .37, True)
T.alpha_dropout(x.half(), .37, True)
T.alpha_dropout(x.bfloat16(), .37, True)
T.alpha_dropout_(leaf * 1, .3, True)
T.alpha_dropout(x, 1., True)
T.feature_alpha_dropout(x.reshape(2, 3, 4), .3, True)
T.feature_alpha_dropout_(x.reshape(2, 3, 4), .3, True)
T.rrelu(x)
T.rrelu(x, .1, .3, False)
T.rrelu(x, .1, .3, True)
T.rrelu(x.double(), .1, .3, True)
T.rrelu(x, .2, .2, True)
T.rrelu((m - .5).t(), .1, .3, True)
T.rrelu(leaf - .5, .1, .3, True)
T.rrelu(leaf - .5)
T.rrelu_(x, .1, .3, True)
T.rrelu(T.tensor([nan, 0., -0.]), .1, .3, True)
T.rrelu(T.tensor([nan, 0., -0.]))
T.dropout(T.zeros(3, device='meta', requires_grad=True), .5, True)
T.alpha_dropout(T.zeros(3, device='meta'), .5, True)
T.rrelu(T.zeros(3, device='meta'), .1, .3, True)
"""

ERRORS = """
T.dropout(x, 1.5, True)
T.dropout(x, -.1, True)
T.dropout(x, nan, True)
T.dropout(i, .5, True)
T.dropout(b, .5, True)
T.dropout(c, .5, True)
T.dropout_(leaf, .5, True)
T.feature_dropout(x, .5, True)
T.feature_alpha_dropout(x[0], .5, True)
T.alpha_dropout(x, 2., True)
T.alpha_dropout(i, .5, True)
T.rrelu(x, .3, .1, True)
T.rrelu(x, .3, .1)
T.rrelu(i, .1, .3, True)
T.rrelu(h, .1, .3, True)
T.rrelu_(leaf, .1, .3, True)
"""


@pytest.mark.parametrize("program", rows(DROPOUT))
def test_values(program):
    check_values(program)


@pytest.mark.parametrize("program", rows(ERRORS))
def test_errors(program):
    check_error(program)
