"""Convolutions against the oracle: every form, every argument."""

import ml_dtypes
import numpy as np
import pytest
import torch.nn.functional as F

from flambeau.kernels import conv
from tests.kernels.checking import check, normal

BF16 = ml_dtypes.bfloat16

# x shape, weight shape, stride, padding, dilation, groups: one row or two for each form.
ROWS = [
    ((2, 3, 8), (4, 3, 3), (1,), (1,), (1,), 1),
    ((2, 3, 9), (4, 3, 3), (2,), (1,), (2,), 1),
    ((2, 3, 6, 7), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((2, 3, 6, 7), (4, 3, 3, 2), (2, 1), (0, 1), (1, 2), 1),
    ((2, 3, 8, 8), (4, 3, 7, 7), (2, 2), (3, 3), (1, 1), 1),
    ((2, 3, 6, 7), (5, 3, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((2, 3, 6, 7), (5, 3, 1, 1), (2, 2), (1, 0), (1, 1), 1),
    ((2, 4, 6, 7), (4, 1, 3, 3), (1, 1), (1, 1), (1, 1), 4),
    ((2, 4, 6, 7), (8, 1, 3, 3), (2, 2), (1, 1), (1, 1), 4),
    ((2, 4, 6, 7), (6, 2, 3, 3), (1, 2), (1, 1), (1, 1), 2),
    ((2, 3, 9, 8), (4, 3, 4, 4), (4, 4), (0, 0), (1, 1), 1),
    ((2, 4, 9, 8), (4, 2, 2, 2), (2, 2), (1, 1), (1, 1), 2),
    ((1, 2, 12, 12), (3, 2, 9, 9), (1, 1), (2, 2), (1, 1), 1),
    ((1, 2, 12, 12), (4, 1, 9, 9), (1, 1), (2, 2), (1, 1), 2),
    ((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), (1, 2, 1), (1, 1, 0), (1, 1, 2), 1),
]
FUNCTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_conv(row):
    x, weight, stride, padding, dilation, groups = row
    rank = len(stride)
    check(
        conv.conv,
        lambda x, w, b: FUNCTIONS[rank](x, w, b, stride, padding, dilation, groups),
        (normal(*x), normal(*weight, seed=1), normal(weight[0], seed=2)),
        {
            "stride": stride,
            "padding": tuple((p, p) for p in padding),
            "dilation": dilation,
            "groups": groups,
        },
        vjp=conv.conv_vjp,
        # Sums of up to 441 products in another order.
        tolerance=3e-5,
    )


@pytest.mark.parametrize("dtype", [np.float64, BF16, np.float16])
def test_conv_dtypes(dtype):
    arrays = (normal(1, 2, 5, 5, dtype=dtype), normal(3, 2, 3, 3, seed=1, dtype=dtype), None)
    statics = {"stride": (1, 1), "padding": ((1, 1),) * 2, "dilation": (1, 1), "groups": 1}
    check(
        conv.conv,
        lambda x, w, b: F.conv2d(x, w, b, padding=1),
        arrays,
        statics,
        vjp=conv.conv_vjp,
        # The oracle's backward rounds 16-bit sums at other places.
        tolerance=None if dtype == np.float64 else 3e-2,
    )


# x shape, weight shape, stride, padding, output_padding, dilation, groups
TRANSPOSED_ROWS = [
    ((2, 3, 5), (3, 4, 3), (2,), (1,), (1,), (1,), 1),
    ((2, 3, 5, 4), (3, 4, 3, 3), (1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((2, 3, 5, 4), (3, 4, 2, 2), (2, 2), (0, 0), (0, 0), (1, 1), 1),
    ((2, 4, 5, 4), (4, 3, 3, 3), (2, 3), (1, 0), (1, 2), (2, 1), 2),
    ((2, 4, 5, 4), (4, 1, 3, 3), (2, 2), (1, 1), (0, 1), (1, 1), 4),
    ((1, 2, 5, 4), (2, 3, 9, 9), (2, 2), (1, 1), (0, 1), (1, 1), 1),
    ((1, 2, 3, 4, 3), (2, 3, 2, 3, 2), (2, 1, 1), (1, 0, 1), (1, 0, 0), (1, 1, 2), 1),
]


@pytest.mark.parametrize("row", TRANSPOSED_ROWS, ids=str)
def test_conv_transpose(row):
    x, weight, stride, padding, extra, dilation, groups = row
    oracle = TRANSPOSED[len(stride)]
    check(
        conv.conv_transpose,
        lambda x, w, b: oracle(x, w, b, stride, padding, extra, groups, dilation),
        (normal(*x), normal(*weight, seed=1), normal(weight[1] * groups, seed=2)),
        {
            "stride": stride,
            "padding": padding,
            "output_padding": extra,
            "dilation": dilation,
            "groups": groups,
        },
        vjp=conv.conv_transpose_vjp,
        tolerance=3e-5,
    )


@pytest.mark.parametrize("row", [ROWS[3], ROWS[9], ROWS[14]], ids=str)
def test_the_form_of_accelerators(row, monkeypatch):
    monkeypatch.setattr(conv, "_form", lambda *_: "native")
    test_conv(row)


@pytest.mark.parametrize("row", [TRANSPOSED_ROWS[3], TRANSPOSED_ROWS[6]], ids=str)
def test_the_transposed_form_of_accelerators(row, monkeypatch):
    monkeypatch.setattr(conv, "_form", lambda *_: "native")
    test_conv_transpose(row)
