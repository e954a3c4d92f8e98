"""Rows of the classes that hold parameters, or a module, rather than compute."""

import copy

import pytest
import torch
from torch import nn

import flambeau
import flambeau.nn as flambeau_nn


def lists(t, n):
    p = n.ParameterList([t.ones(2, requires_grad=True), None, 3])
    return repr(p), [type(x).__name__ for x in p], list(p.state_dict())


def slices_of_lists(t, n):
    p = n.ParameterList([n.Parameter(t.full((i + 1,), float(i))) for i in range(4)])
    return [x.tolist() for x in p[1:]], len(p), p[-1].tolist(), [k for k, _ in p.named_parameters()]


def list_index(t, n):
    return n.ParameterList([t.ones(1)])[3]


def list_extend(t, n):
    return n.ParameterList([]).extend(t.ones(2))


def dict_order(t, n):
    p = n.ParameterDict({"b": n.Parameter(t.ones(1)), "a": None})
    p.setdefault("c", t.zeros(2))
    merged = p | n.ParameterDict({"d": t.ones(1)})
    return list(merged), list(reversed(list(p.keys()))), repr(p.popitem()[0]), len(p)


def dict_missing(t, n):
    return n.ParameterDict({"a": t.ones(1)})["b"]


def dict_copies(t, n):
    p = n.ParameterDict({"a": t.ones(2)})
    twin = copy.deepcopy(p)
    with t.no_grad():
        twin["a"].zero_()
    return p["a"].tolist(), twin["a"].tolist(), list(twin.state_dict())


def uninitialised(kind):
    def row(t, n):
        p = getattr(n, kind)()
        first = (repr(p), type(p).__name__, p.requires_grad)
        p.materialize((2, 3))
        return first, type(p).__name__, tuple(p.shape), str(p.dtype)

    return row


def shape_of(kind):
    return lambda t, n: getattr(n, kind)().shape


def sum_of(kind):
    def row(t, n):
        with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter in") as e:
            getattr(n, kind)() + 1
        return str(e.value).split("Call `forward`")[1]  # before it stands a method of PyTorch's C

    return row


def parallel(t, n):
    t.manual_seed(0)
    m = n.DataParallel(n.Linear(2, 3))
    return repr(m), list(m.state_dict()), m(t.ones(2, 2)).tolist(), m.module.weight.shape == (3, 2)


def parallel_of_two(t, n):
    t.manual_seed(0)
    m = n.DataParallel(n.Bilinear(2, 2, 1))
    m(t.ones(3, 2), t.ones(3, 2)).sum().backward()
    return m.module.weight.grad.tolist(), m.device_ids


def parallel_in_eval(t, n):
    m = n.DataParallel(n.Dropout(0.5)).eval()
    return m(t.ones(4)).tolist(), m.module.training


ROWS = {
    "ParameterList": lists,
    "ParameterList, slices": slices_of_lists,
    "ParameterList, out of range": list_index,
    "ParameterList, a tensor": list_extend,
    "ParameterDict": dict_order,
    "ParameterDict, missing": dict_missing,
    "ParameterDict, copies": dict_copies,
    "UninitializedParameter": uninitialised("UninitializedParameter"),
    "UninitializedParameter, shape": shape_of("UninitializedParameter"),
    "UninitializedParameter, sum": sum_of("UninitializedParameter"),
    "UninitializedBuffer": uninitialised("UninitializedBuffer"),
    "UninitializedBuffer, shape": shape_of("UninitializedBuffer"),
    "UninitializedBuffer, sum": sum_of("UninitializedBuffer"),
    "DataParallel": parallel,
    "DataParallel, two inputs": parallel_of_two,
    "DataParallel, eval": parallel_in_eval,
}


def outcome(row, t, n):
    try:
        return row(t, n)
    except Exception as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize("name", ROWS)
def test_row(name):
    assert outcome(ROWS[name], flambeau, flambeau_nn) == outcome(ROWS[name], torch, nn)
