"""Shape functions that copy, against the oracle: values and gradients."""

import numpy as np
import pytest
import torch

from flambeau.kernels import shape
from tests.kernels.against_oracle import check

RANDOM = np.random.RandomState(0)
X = RANDOM.standard_normal((3, 4, 5)).astype(np.float32)
Y = RANDOM.standard_normal((3, 2, 5)).astype(np.float32)
MATRIX, TALL, ROW = X[0], np.ascontiguousarray(X[0].T), X[0, 0]
SCALAR = np.array(2.5, np.float32)
INTEGERS = RANDOM.randint(-5, 6, (3, 4, 5))

TABLE = [
    (shape.cat, lambda a, b, c: torch.cat([a, b, c], 1), (X, Y, X), {"dim": 1}),
    (shape.cat, lambda a: torch.cat([a]), (X,), {"dim": 0}),
    (shape.stack, lambda a, b: torch.stack([a, b], 2), (X, X + 1), {"dim": 2}),
    (shape.stack, lambda a, b: torch.stack([a, b]), (SCALAR, SCALAR), {"dim": 0}),
    (shape.block_diag, lambda a, b, c: torch.block_diag(a, b, c), (MATRIX, TALL, ROW[None]), {}),
    (shape.repeat, lambda x: x.repeat(2, 1, 3, 2), (X,), {"repeats": (2, 1, 3, 2)}),
    (shape.repeat, lambda x: x.repeat(2, 0, 1), (X,), {"repeats": (2, 0, 1)}),
    (shape.repeat, lambda x: x.repeat(3), (SCALAR,), {"repeats": (3,)}),
    (
        shape.repeat_interleave,
        lambda x: x.repeat_interleave(3, 1),
        (X,),
        {"repeats": 3, "dim": 1},
    ),
    (shape.flip, lambda x: x.flip(0, 2), (X,), {"dims": (0, 2)}),
    (shape.roll, lambda x: x.roll((1, -7), (0, 2)), (X,), {"shifts": (1, -7), "dims": (0, 2)}),
    (shape.roll, lambda x: x.roll(1, 0), (X[:0],), {"shifts": (1,), "dims": (0,)}),
    (shape.roll_all, lambda x: x.roll(-17), (X,), {"shift": -17}),
    (shape.select_scatter, lambda x, s: x.select_scatter(s, 1, 2), (X, X[:, 0]),
     {"dim": 1, "index": 2}),
    (shape.slice_scatter, lambda x, s: x.slice_scatter(s, 1, 1, 3), (X, Y),
     {"dim": 1, "start": 1, "step": 1}),
    (shape.slice_scatter, lambda x, s: x.slice_scatter(s, 1, 1, 4, 2), (X, Y),
     {"dim": 1, "start": 1, "step": 2}),
    (shape.slice_scatter, lambda x, s: x.slice_scatter(s, 1, 4, 4), (X, Y[:, :0]),
     {"dim": 1, "start": 4, "step": 1}),
]  # fmt: skip
for k in range(-1, 4):
    TABLE.append((shape.rot90, lambda x, k=k: x.rot90(k, (0, 2)), (X,), {"k": k, "dims": (0, 2)}))
    TABLE.append((shape.rot90, lambda x, k=k: x.rot90(k, (2, 1)), (X,), {"k": k, "dims": (2, 1)}))
for diagonal in (-9, -2, 0, 1, 9):
    at = {"diagonal": diagonal}
    TABLE.append((shape.tril, lambda x, d=diagonal: x.tril(d), (X,), at))
    TABLE.append((shape.triu, lambda x, d=diagonal: x.triu(d), (INTEGERS,), at))
for offset in (-2, 0, 1, 3):
    at = {"offset": offset, "dim1": 2, "dim2": 0}
    TABLE.append((shape.diagonal, lambda x, o=offset: x.diagonal(o, 2, 0), (X,), at))
    spread = (X, X.diagonal(offset, 2, 0).copy())
    TABLE.append(
        (
            shape.diagonal_scatter,
            lambda x, s, o=offset: x.diagonal_scatter(s, o, 2, 0),
            spread,
            at,
        )
    )
    at = {"offset": offset, "dim1": 0, "dim2": 2}
    TABLE.append((shape.diag_embed, lambda x, o=offset: x.diag_embed(o, 0, 2), (MATRIX,), at))
    at = {"offset": offset, "dim1": 1, "dim2": 0}
    TABLE.append((shape.diag_embed, lambda x, o=offset: x.diag_embed(o, 1, 0), (ROW,), at))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0].__name__}-{row[3]}")
def test_shape(row):
    kernel, oracle, inputs, statics = row
    check(kernel, oracle, inputs, statics)


def test_constant_pad():
    def padded(x):
        return shape.constant_pad(x, np.float64(2.5), pads=((0, 0), (-1, 0), (1, 2)))

    for x in (X, INTEGERS):
        check(padded, lambda x: torch.nn.functional.pad(x, (1, 2, -1, 0), value=2.5), (x,))


def test_as_strided_scatter():
    source = RANDOM.rand(2, 3).astype(np.float32)

    def oracle(x, s):
        return x.as_strided_scatter(s, (2, 3), (7, 2), 3)

    statics = {"size": (2, 3), "stride": (7, 2), "offset": 3}
    # The oracle's gradient for x is nonzero at the written places and zero elsewhere, the reverse
    # of the derivative; values and the gradient for `source` are compared.
    check(shape.as_strided_scatter, oracle, (X, source), statics, grad=False)

    def of_source(s):
        return shape.as_strided_scatter(X, s, **statics)

    check(of_source, lambda s: oracle(torch.from_numpy(X), s), (source,))
