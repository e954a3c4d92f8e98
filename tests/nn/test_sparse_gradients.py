"""Sparse gradients of look-up tables: the oracle's coordinates, values, texts and errors."""

import copy
import pickle

import numpy as np
import pytest
import torch

import flambeau
from tests.nn.both import assert_close, numpy, run

INDICES = [[0, 1, 3], [3, 4, 0]]
FACTORS = [[0.5, -1.0, 2.0], [0.3, 0.2, 0.1]]
LAYERS = [
    ("nn.Embedding(5, 2, sparse=True)", "layer(i)"),
    ("nn.Embedding(5, 2, sparse=True, padding_idx=3)", "layer(i)"),
    ("nn.Embedding(5, 2, sparse=True, max_norm=1.0)", "layer(i[0])"),
    ("nn.Embedding(5, 2, sparse=True)", "layer(i[:0])"),
    ("nn.Embedding(5, 2, sparse=True)", "layer(i[0, 1])"),
    ("nn.EmbeddingBag(5, 2, sparse=True)", "layer(i)"),
    ("nn.EmbeddingBag(5, 2, sparse=True, mode='sum', padding_idx=3)", "layer(i)"),
    ("nn.EmbeddingBag(5, 2, sparse=True, padding_idx=0)", "layer(i.flatten(), i[0, :2] * 2)"),
    ("nn.EmbeddingBag(5, 2, sparse=True, mode='sum')", "layer(i, per_sample_weights=f)"),
    (
        "nn.EmbeddingBag(5, 2, sparse=True, mode='sum', include_last_offset=True, padding_idx=4)",
        "layer(i.flatten(), torch.tensor([0, 2, 6]), f.flatten())",
    ),
]


def prepared(expression, program):
    """The layer of both libraries after a backward pass, with the factors."""
    for library in (flambeau, torch):
        library.manual_seed(3)
        layer = run(expression, library)
        factors = library.tensor(FACTORS, requires_grad=True)
        out = run(program, library, layer=layer, i=library.tensor(INDICES), f=factors)
        (out * out).sum().backward()
        yield layer, out, factors


@pytest.mark.parametrize(("expression", "program"), LAYERS, ids=str)
def test_gradient(expression, program):
    (ours, a, f), (theirs, b, g) = prepared(expression, program)
    assert_close(a, b)
    grad, expected = ours.weight.grad, theirs.weight.grad
    assert grad.is_sparse
    assert grad.layout is flambeau.sparse_coo
    assert grad.is_coalesced() == expected.is_coalesced()
    assert_close(grad._indices(), expected._indices())
    assert_close(grad._values(), expected._values())
    assert repr(grad) == repr(expected)
    for x, y in ((grad.coalesce(), expected.coalesce()), (grad + grad, expected + expected)):
        assert_close(x.coalesce().indices(), y.coalesce().indices())
        assert_close(x.coalesce().values(), y.coalesce().values())
        assert_close(x.to_dense(), y.to_dense())
    assert_close(f.grad, g.grad)


def test_accumulation():
    programs = (
        "(w.pow(2).sum() + F.embedding(i, w, sparse=True).sum()).backward()",
        "[F.embedding(i, w, sparse=True).sin().sum().backward() for _ in range(2)]",
        "[w.sum().backward(), F.embedding(i, w, sparse=True).sum().backward()]",
        "[F.embedding(i, w, sparse=True).sum().backward(), w.sum().backward()]",
        "(F.embedding(i, w, sparse=True) * F.embedding(i, w)).sum().backward()",
    )
    for program in programs:
        found = []
        for library in (flambeau, torch):
            w = library.arange(10.0).reshape(5, 2).requires_grad_()
            run(program, library, w=w, i=library.tensor(INDICES))
            grad = w.grad
            found.append((grad.is_sparse, grad.to_dense() if grad.is_sparse else grad))
        assert found[0][0] == found[1][0], program
        assert_close(found[0][1], found[1][1], program)


def test_second_derivatives():
    found = []
    for library in (flambeau, torch):
        w = library.arange(10.0).reshape(5, 2).requires_grad_()
        y = library.nn.functional.embedding(library.tensor(INDICES), w, sparse=True)
        (grad,) = library.autograd.grad(y.pow(3).sum(), w, create_graph=True)
        assert grad.requires_grad
        (second,) = library.autograd.grad(grad.to_dense().pow(2).sum(), w)
        found.append(second.to_dense())
    assert_close(*found)


def test_the_table_is_a_result():
    """Operations on the table get a dense gradient, with the same values."""
    found = []
    for library in (flambeau, torch):
        w = library.arange(10.0).reshape(5, 2).requires_grad_()
        y = library.nn.functional.embedding(library.tensor(INDICES), w.exp() * 2, sparse=True)
        (grad,) = library.autograd.grad(y.sum(), w)
        found.append(grad.to_dense() if grad.is_sparse else grad)
    assert_close(*found)


PROGRAMS = """
repr(s * 2), repr(s / 2), repr(-s), repr(s.clone()), repr(s.double())
s.sum(), s.norm(), s.coalesce().norm(1)
torch.ones(5, 2) + s, torch.ones(5, 2).add_(s, alpha=-0.5), torch.ones(5, 2) - s
repr(s.zero_()), s.is_coalesced(), s._nnz()
repr(s.mul_(3)), repr(s.div_(3)), s.shape, s.numel(), len(s), s.dtype, s.stride()
s.sparse_dim(), s.dense_dim(), s.is_contiguous(), s.is_leaf, s.requires_grad, s.to_dense().double()
s.indices()
s.values()
s + torch.ones(5, 2)
s + 1
s.data_ptr()
s.numpy()
s.add(torch.sparse_coo_tensor([[0]], [[1.0]], (5, 1)))
repr(torch.sparse_coo_tensor([[0, 1]], [[1.0, 2], [3, 4]]))
repr(torch.sparse_coo_tensor([[0, 1], [3, 0]], [1, 2]))
repr(torch.sparse_coo_tensor([[0, 1], [3, 0]], torch.ones(2, 40).half(), (4, 4, 40)))
torch.sparse_coo_tensor(torch.tensor([[0, 2]]), torch.ones(3), (3,))
torch.sparse_coo_tensor(torch.tensor([[0, 2]]), torch.ones(2, 2), (3,))
torch.sparse_coo_tensor(torch.tensor([[0, 2]]), torch.ones(2), (3, 3))
torch.sparse_coo_tensor([[0, 5]], [1.0, 2.0], (3,), check_invariants=True)
torch.sparse_coo_tensor([[0, -1]], [1.0, 2.0], (3,), check_invariants=True)
""".strip().splitlines()


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_tensor(program):
    found = []
    for library in (flambeau, torch):
        coordinates = library.tensor([[3, 0, 3]])
        values = library.tensor([[1.0, 2], [3, 4], [-5, 0.5]])
        s = library.sparse_coo_tensor(coordinates, values, (5, 2))
        try:
            result = run(program, library, s=s)
        except (RuntimeError, TypeError) as error:
            result = type(error).__name__, str(error)
        results = result if isinstance(result, tuple) else (result,)
        found.append([numpy(r).tolist() if hasattr(r, "grad_fn") else str(r) for r in results])
    assert found[0] == found[1]


def test_copies():
    s = flambeau.sparse_coo_tensor([[3, 0, 3]], [1.0, 2.0, 3.0], (5,))
    for twin in (copy.deepcopy(s), pickle.loads(pickle.dumps(s)), s.detach(), s.to("cpu")):
        assert twin.is_sparse
        np.testing.assert_array_equal(numpy(twin.to_dense()), [2, 0, 0, 4, 0])


def test_refusals():
    s = flambeau.sparse_coo_tensor([[3, 0, 3]], [1.0, 2.0, 3.0], (5,))
    for program in (lambda: s.exp(), lambda: s[0], lambda: s.view(5, 1), lambda: s * s):
        with pytest.raises(NotImplementedError, match="sparse"):
            program()
    layer = flambeau.nn.Embedding(5, 2, sparse=True, scale_grad_by_freq=True)
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse"):
        layer(flambeau.tensor([0])).sum().backward()
    layer = flambeau.nn.EmbeddingBag(5, 2, mode="max", sparse=True)
    with pytest.raises(ValueError, match="max mode does not support sparse weights"):
        layer(flambeau.tensor([[0]]))
    y = flambeau.nn.Embedding(5, 2, sparse=True)(flambeau.tensor([0])).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()
