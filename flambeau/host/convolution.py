"""NumPy's form of XLA's convolution: windows as a matrix (im2col), then one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .elementwise import Function


def _dilated_and_padded(
    x: np.ndarray, dilation: Sequence[int], padding: Sequence[tuple[int, int]]
) -> np.ndarray:
    """`x` (N, C, spatial...) with zeros between and around its elements; negative padding crops."""
    sizes = [(n - 1) * d + 1 if n else 0 for n, d in zip(x.shape[2:], dilation, strict=True)]
    shape = [n + low + high for n, (low, high) in zip(sizes, padding, strict=True)]
    result = np.zeros((*x.shape[:2], *shape), x.dtype)
    into, taken = [], []
    for n, d, (low, _), total in zip(x.shape[2:], dilation, padding, shape, strict=True):
        first = max(0, -(low // d)) if low < 0 else 0
        last = min(n - 1, (total - 1 - low) // d)
        into.append(slice(low + first * d, low + last * d + 1 if last >= first else 0, d))
        taken.append(slice(first, last + 1))
    result[(slice(None), slice(None), *into)] = x[(slice(None), slice(None), *taken)]
    return result


def convolution(params: Any, ins: Any, outs: Any) -> Function:
    """conv_general_dilated: any layout, stride, dilation and number of groups."""
    numbers = params["dimension_numbers"]
    groups = params["feature_group_count"]
    if params["batch_group_count"] != 1 or outs[0].dtype.kind != "f":
        raise NotImplementedError("convolution over batch groups, or of other than floats")
    strides, padding = params["window_strides"], params["padding"]
    spread, dilation = params["lhs_dilation"], params["rhs_dilation"]
    kernel = [ins[1].shape[i] for i in numbers.rhs_spec[2:]]
    out = [outs[0].shape[i] for i in numbers.out_spec]
    count, spatial = out[1] // groups, out[2:]
    back = np.argsort(numbers.out_spec)
    plain = all(d == 1 for d in spread) and all(p == (0, 0) for p in padding)

    def convolved(x: Any, weight: Any) -> Any:
        x = np.transpose(x, numbers.lhs_spec)
        weight = np.transpose(weight, numbers.rhs_spec)
        if not plain:
            x = _dilated_and_padded(x, spread, padding)
        batch, channels = x.shape[:2]
        steps = x.strides[2:]
        windows = np.lib.stride_tricks.as_strided(
            x,
            (batch, groups, channels // groups, *spatial, *kernel),
            (
                x.strides[0],
                x.strides[1] * (channels // groups),
                x.strides[1],
                *(s * step for s, step in zip(steps, strides, strict=True)),
                *(s * d for s, d in zip(steps, dilation, strict=True)),
            ),
            writeable=False,
        )
        n = len(spatial)
        order = (1, 0, *range(3, 3 + n), 2, *range(3 + n, 3 + 2 * n))
        inner = channels // groups * int(np.prod(kernel, dtype=np.int64))
        rows = windows.transpose(order).reshape(groups, -1, inner)
        columns = weight.reshape(groups, count, inner).transpose(0, 2, 1)
        result = np.matmul(rows, columns).reshape(groups, batch, *spatial, count)
        result = np.moveaxis(result, (0, -1), (1, 2)).reshape(batch, groups * count, *spatial)
        return np.transpose(result, back)

    return convolved


RULES = {"conv_general_dilated": convolution}
