"""The functions of nn.parallel, on a machine without accelerators: PyTorch's errors."""

import pytest
import torch
from torch import nn

import flambeau
import flambeau.nn as flambeau_nn

CALLS = {
    "scatter": lambda t, n: n.parallel.scatter(t.ones(3, 2), [t.device("cpu")]),
    "gather": lambda t, n: n.parallel.gather([t.ones(2), t.ones(2)], t.device("cpu")),
    "gather nothing": lambda t, n: n.parallel.gather([], t.device("cpu")),
    "replicate": lambda t, n: n.parallel.replicate(n.Linear(2, 1), ["cpu"]),
    "counts": lambda t, n: n.parallel.parallel_apply([n.Linear(2, 1)], [t.ones(2), t.ones(2)]),
    "apply": lambda t, n: n.parallel.parallel_apply([n.Linear(2, 1)], [(t.ones(2),)]),
}


def outcome(call, t, n):
    try:
        return call(t, n)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("name", CALLS)
def test_errors_on_the_cpu(name):
    expected = outcome(CALLS[name], torch, nn)
    assert outcome(CALLS[name], flambeau, flambeau_nn) == expected


def test_no_devices_no_copies():
    assert flambeau_nn.parallel.replicate(flambeau_nn.Linear(2, 1), []) == []


def test_the_old_name_warns():
    for n in (nn, flambeau_nn):
        with (
            pytest.warns(FutureWarning, match="DistributedDataParallelCPU` is deprecated"),
            pytest.raises(ValueError, match="Default process group has not been"),
        ):
            n.parallel.DistributedDataParallelCPU(n.Linear(2, 1))
