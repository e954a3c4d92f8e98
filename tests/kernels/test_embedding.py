"""Embeddings and bags against the oracle."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flambeau.kernels import embedding
from tests.kernels.checking import check, normal

INDICES = np.array([1, 2, 2, 0, 4, 2, 1])
OFFSETS = np.array([0, 2, 2, 5])


@pytest.mark.parametrize("padding", [None, 2])
@pytest.mark.parametrize("by_frequency", [False, True])
def test_embedding(padding, by_frequency):
    check(
        embedding.embedding,
        lambda w, i: F.embedding(i, w, padding, scale_grad_by_freq=by_frequency),
        (normal(5, 3), INDICES.reshape(1, 7)),
        {"padding_idx": -1 if padding is None else padding, "scale_grad_by_freq": by_frequency},
        vjp=embedding.embedding_vjp,
    )


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [-1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_bags(mode, padding, weighted):
    if weighted and mode != "sum":
        return
    factors = normal(7, seed=2) if weighted else None
    modes = ["sum", "mean", "max"]

    def oracle(weight, indices, offsets, factors):
        row = None if padding < 0 else padding
        options = (False, modes.index(mode), False, factors, False, row)
        return torch.embedding_bag(weight, indices, offsets, *options)[0]

    def kernel(*arrays, **statics):
        return embedding.embedding_bag(*arrays, **statics)[0]

    def vjp(cts, inputs, outputs, needs, **statics):
        outputs = embedding.embedding_bag(*inputs, **statics)
        return embedding.embedding_bag_vjp(cts, inputs, outputs, needs, **statics)

    statics = {"mode": mode, "padding_idx": padding, "scale_grad_by_freq": False, "bags": 4}
    check(kernel, oracle, (normal(5, 3), INDICES, OFFSETS, factors), statics, vjp=vjp)
