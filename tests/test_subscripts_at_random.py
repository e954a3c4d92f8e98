"""Random subscripts, read and written, against the oracle: values, gradients, errors, strides.

A seed makes a shape, a subscript of it (integers, slices, lists, index tensors, masks, None, ...)
and something to do with it; both libraries must come to the same end.
"""

import random

import numpy as np
import pytest
import torch

import flambeau

SEEDS = range(150)


def index_array(rng, n, shape):
    return np.array([rng.randint(-n, n - 1) for _ in range(int(np.prod(shape)))]).reshape(shape)


def mask_array(rng, shape, count=None):
    mask = np.array([rng.random() < 0.5 for _ in range(int(np.prod(shape)))])
    if count is not None:  # as many as the index tensors have, so that they broadcast
        mask[:] = False
        mask[:count] = True
        rng.shuffle(mask)
    return mask.reshape(shape)


def random_item(rng, sizes):
    """An item of a subscript that fits axes of these sizes, and how many of them it uses."""
    n = sizes[0]
    kind = rng.choice(["int", "slice", "list", "index", "index2", "mask", "mask2"])
    if kind == "int":
        return rng.randint(-n, n - 1), 1
    if kind == "slice":
        return slice(rng.randint(-n, n), rng.randint(-n, n), rng.choice([None, 1, 2])), 1
    if kind == "list":
        return [rng.randint(-n, n - 1) for _ in range(3)], 1
    if kind == "index":
        return index_array(rng, n, (3,)), 1
    if kind == "index2":
        return index_array(rng, n, (2, 3)), 1
    if kind == "mask" or len(sizes) < 2:
        return mask_array(rng, (n,), 3), 1
    return mask_array(rng, tuple(sizes[:2])), 2


def random_subscript(rng, shape):
    items, axis, had_ellipsis = [], 0, False
    while axis < len(shape) and rng.random() < 0.85:
        if rng.random() < 0.1:
            items.append(None)
        elif not had_ellipsis and rng.random() < 0.1:
            had_ellipsis = True
            items.append(Ellipsis)
            axis += rng.randint(0, len(shape) - axis)
        else:
            item, used = random_item(rng, shape[axis:])
            items.append(item)
            axis += used
    return items


def for_library(items, library):
    return tuple(library.tensor(i) if isinstance(i, np.ndarray) else i for i in items)


def use(library, seed):
    """Read or write at random; what came out, or the error."""
    rng, numbers = random.Random(seed), np.random.RandomState(seed)
    shape = tuple(rng.choice([1, 2, 3, 4, 5]) for _ in range(rng.randint(1, 4)))
    subscript = for_library(random_subscript(rng, shape), library)
    action = rng.choice(["read", "read", "number", "tensor", "row", "add", "multiply"])
    x = library.tensor(numbers.randn(*shape), requires_grad=True)
    leaves = [x]
    try:
        y = x * 1.5
        if action == "read":
            y = y[subscript]
        elif action == "number":
            y[subscript] = 3.0
        elif action == "add":
            y[subscript] += 1.0
        elif action == "multiply":
            y[subscript] *= 2.0
        else:
            wanted = tuple(y[subscript].shape)
            wanted = wanted if action == "tensor" else wanted[-1:]
            leaves.append(library.tensor(numbers.randn(*wanted), requires_grad=True))
            y[subscript] = leaves[1]
        (y * library.tensor(numbers.randn(*y.shape))).sum().backward()
    except (IndexError, RuntimeError) as error:
        return type(error).__name__, str(error).split("\n")[0]
    return [y.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]


@pytest.mark.parametrize("seed", SEEDS)
def test_subscript(seed):
    ours, theirs = use(flambeau, seed), use(torch, seed)
    if isinstance(theirs, tuple):
        assert ours == theirs
        return
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_layout_of_what_was_read(seed):
    found = []
    for library in (flambeau, torch):
        rng = random.Random(seed)
        shape = tuple(rng.choice([2, 3, 4, 5]) for _ in range(rng.randint(2, 4)))
        axes = rng.sample(range(len(shape)), len(shape))
        x = library.arange(int(np.prod(shape))).reshape(shape).permute(axes)
        items = [i for i in random_subscript(rng, tuple(x.shape)) if i is not None]
        if not items:
            return
        try:
            y = x[for_library(items, library)]
        except IndexError as error:
            found.append(str(error).split("\n")[0])
            continue
        # Strides of empty tensors and of axes of size 1 mean nothing.
        steps = [s for s, n in zip(y.stride(), y.shape, strict=True) if n > 1]
        found.append((tuple(y.shape), steps if y.numel() else None, y.tolist()))
    assert found[0] == found[1]
