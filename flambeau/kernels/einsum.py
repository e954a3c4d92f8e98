"""Einstein summation over a parsed equation."""

from __future__ import annotations

import math

import numpy as np
from jax import lax

from .common import cast, compute_dtype
from .products import contract

# A parsed equation is a pair: for each operand a tuple of labels (one hashable per axis), and the
# tuple of the result's labels. Ellipses are labels like others by then.


def einsum(*operands, inputs, output):
    """sum over the labels that are not in `output` of the product of the operands.

    `inputs` holds one tuple of labels per operand, `output` the result's labels. A repeated label
    in one operand takes the diagonal. An axis of size 1 broadcasts against its label's size.
    """
    sizes: dict = {}
    for x, labels in zip(operands, inputs, strict=True):
        for label, size in zip(labels, x.shape, strict=True):
            if sizes.get(label, 1) == 1:
                sizes[label] = size
    terms = [_simplify(x, labels, sizes) for x, labels in zip(operands, inputs, strict=True)]
    while len(terms) > 1:
        i, j = _cheapest_pair(terms, output, sizes)
        right, left = terms.pop(j), terms.pop(i)
        kept = set(output).union(*(labels for _, labels in terms))
        terms.append(_pair(left, right, kept))
    x, labels = _sum_out(*terms[0], set(output))
    return _arrange(x, labels, output, sizes)


def _simplify(x, labels, sizes):
    """`x` with its diagonals taken and its broadcasting axes of size 1 dropped."""
    for label in set(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = _diagonal(x, first, second)
            labels = labels[:second] + labels[second + 1 :]
    ones = tuple(i for i, k in enumerate(labels) if x.shape[i] == 1 and sizes[k] != 1)
    x = lax.squeeze(x, ones) if ones else x
    return x, tuple(k for i, k in enumerate(labels) if i not in ones)


def _diagonal(x, first, second):
    """The diagonal over two axes; it takes the place of the first."""
    if x.shape[first] == 1 or x.shape[second] == 1:
        axis = first if x.shape[first] == 1 else second
        x = lax.squeeze(x, (axis,))
        if axis == first and second - 1 != first:
            order = list(range(x.ndim))
            order.insert(first, order.pop(second - 1))
            x = lax.transpose(x, order)
        return x
    rows = lax.broadcasted_iota(np.int32, x.shape, first)
    columns = lax.broadcasted_iota(np.int32, x.shape, second)
    masked = lax.select(rows == columns, x, lax.full_like(x, 0))
    return lax.reduce_sum(masked, (second,))


def _cheapest_pair(terms, output, sizes):
    """The two terms whose product adds the least to the size of what is kept."""
    best = None
    for j in range(1, len(terms)):
        for i in range(j):
            others = (labels for n, (_, labels) in enumerate(terms) if n not in (i, j))
            kept = set(output).union(*others) & {*terms[i][1], *terms[j][1]}
            growth = math.prod(sizes[k] for k in kept) - sum(
                math.prod(terms[n][0].shape) for n in (i, j)
            )
            if best is None or growth < best[0]:
                best = (growth, i, j)
    return best[1:]


def _sum_out(x, labels, kept):
    """`x` summed over the labels that nothing else reads."""
    axes = tuple(i for i, k in enumerate(labels) if k not in kept)
    if not axes:
        return x, labels
    summed = lax.reduce_sum(cast(x, compute_dtype(x.dtype)), axes)
    return cast(summed, x.dtype), tuple(k for k in labels if k in kept)


def _pair(left, right, kept):
    """The product of two terms, summed over the shared labels that are not `kept`."""
    a, labels_a = _sum_out(*left, kept.union(right[1]))
    b, labels_b = _sum_out(*right, kept.union(left[1]))
    batch = tuple(k for k in labels_a if k in labels_b and k in kept)
    summed = tuple(k for k in labels_a if k in labels_b and k not in kept)

    def axes(labels, wanted):
        return tuple(labels.index(k) for k in wanted)

    product = contract(
        a,
        b,
        (axes(labels_a, summed), axes(labels_b, summed)),
        (axes(labels_a, batch), axes(labels_b, batch)),
    )
    free_a = tuple(k for k in labels_a if k not in labels_b)
    free_b = tuple(k for k in labels_b if k not in labels_a)
    return product, batch + free_a + free_b


def _arrange(x, labels, output, sizes):
    """The axes in the order of `output`; labels that only had size 1 are expanded."""
    present = tuple(k for k in output if k in labels)
    order = tuple(labels.index(k) for k in present)
    if order != tuple(range(len(order))):
        x = lax.transpose(x, order)
    if len(present) != len(output):
        shape = tuple(sizes[k] for k in output)
        x = lax.broadcast_in_dim(x, shape, tuple(output.index(k) for k in present))
    return x
