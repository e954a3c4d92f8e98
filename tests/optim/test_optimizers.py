"""Optimisers step by step against the oracle, with their state."""

import copy
import importlib
import pickle
import warnings

import pytest
import torch

import flambeau
from tests.nn.both import assert_close, ours_of

# name, arguments: every switch of every optimiser at least once.
ROWS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True, "betas": (0.8, 0.9)}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "amsgrad": True, "maximize": True, "eps": 1e-3}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2}),
    ("Adadelta", {"lr": 1.0, "weight_decay": 0.1}),
    ("Adamax", {"lr": 0.01, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1}),
    ("Rprop", {"lr": 0.01}),
    ("ASGD", {"lr": 0.1, "t0": 2, "lambd": 0.1}),
]


def parameters(library, dtype="float32"):
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(3, 2, generator=generator), torch.randn(4, generator=generator)]
    values = [v.to(getattr(torch, dtype)) for v in values]
    if library is flambeau:
        values = [ours_of(v) for v in values]
    return [library.nn.Parameter(v) for v in values]


def take_steps(library, params, optimizer, count, first=0):
    """Steps by the gradient of a fixed, curved function; the second parameter joins late."""
    for number in range(first, first + count):
        optimizer.zero_grad()
        loss = (params[0] ** 4).sum() + (params[0] * (number + 1)).sin().sum()
        if number > 0:
            loss = loss + (params[1].exp() * 0.3).sum()
        loss.backward()
        optimizer.step()


def assert_same_state(ours, theirs, tolerance=1e-5):
    assert ours["param_groups"] == theirs["param_groups"]
    assert list(ours["state"]) == list(theirs["state"])
    for key, entry in theirs["state"].items():
        assert list(ours["state"][key]) == list(entry)
        for name, value in entry.items():
            assert_close(ours["state"][key][name], value, f"{key}.{name}", tolerance)


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps(row, dtype):
    name, arguments = row
    found = []
    for library in (flambeau, torch):
        params = parameters(library, dtype)
        optimizer = getattr(library.optim, name)(params, **arguments)
        take_steps(library, params, optimizer, 6)
        found.append((params, optimizer))
    (ours, optimizer), (theirs, oracle) = found
    tolerance = 2e-5 if dtype == "float32" else 1e-9
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, name, tolerance)
    assert_same_state(optimizer.state_dict(), oracle.state_dict(), tolerance)
    assert repr(optimizer) == repr(oracle)


@pytest.mark.parametrize("row", ROWS[1::3], ids=str)
def test_state_goes_on(row):
    name, arguments = row
    params = parameters(flambeau)
    optimizer = getattr(flambeau.optim, name)(params, **arguments)
    take_steps(flambeau, params, optimizer, 3)
    for saved in (optimizer.state_dict(), pickle.loads(pickle.dumps(optimizer.state_dict()))):
        twins = copy.deepcopy(params)
        other = getattr(flambeau.optim, name)(twins, lr=5.0)
        other.load_state_dict(copy.deepcopy(saved))
        take_steps(flambeau, twins, other, 2, first=3)
        again = copy.deepcopy(params)
        reference = getattr(flambeau.optim, name)(again, **arguments)
        reference.load_state_dict(copy.deepcopy(saved))
        take_steps(flambeau, again, reference, 2, first=3)
        for a, b in zip(twins, again, strict=True):
            assert flambeau.equal(a, b)


def test_loads_the_oracles_state():
    theirs = parameters(torch)
    oracle = torch.optim.Adam(theirs, lr=0.01, amsgrad=True)
    take_steps(torch, theirs, oracle, 3)
    state = copy.deepcopy(oracle.state_dict())
    for entry in state["state"].values():
        for key, value in entry.items():
            entry[key] = ours_of(value)
    ours = [flambeau.nn.Parameter(ours_of(p)) for p in theirs]
    optimizer = flambeau.optim.Adam(ours, lr=1.0)
    optimizer.load_state_dict(state)
    take_steps(flambeau, ours, optimizer, 3, first=3)
    take_steps(torch, theirs, oracle, 3, first=3)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, tolerance=2e-5)


def both(program):
    """What a function of a library does under both: its result, or its error, and warnings."""
    results = []
    for library in (flambeau, torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                outcome = program(library, library.nn.Linear(2, 1))
            except Exception as error:
                outcome = (type(error), str(error))
        results.append((outcome, [str(w.message) for w in caught]))
    return results


ERRORS = {
    "empty": lambda t, m: t.optim.SGD([], lr=0.1),
    "a tensor": lambda t, m: t.optim.SGD(m.weight, lr=0.1),
    "no tensor": lambda t, m: t.optim.SGD([3], lr=0.1),
    "lr": lambda t, m: t.optim.SGD(m.parameters(), lr=-1),
    "momentum": lambda t, m: t.optim.SGD(m.parameters(), momentum=-1),
    "weight decay": lambda t, m: t.optim.SGD(m.parameters(), weight_decay=-1),
    "nesterov": lambda t, m: t.optim.SGD(m.parameters(), nesterov=True),
    "beta 0": lambda t, m: t.optim.Adam(m.parameters(), betas=(1.0, 0.9)),
    "beta 1": lambda t, m: t.optim.Adam(m.parameters(), betas=(0.9, 1.0)),
    "eps": lambda t, m: t.optim.Adam(m.parameters(), eps=-1),
    "alpha": lambda t, m: t.optim.RMSprop(m.parameters(), alpha=-1),
    "lr_decay": lambda t, m: t.optim.Adagrad(m.parameters(), lr_decay=-1),
    "rho": lambda t, m: t.optim.Adadelta(m.parameters(), rho=-1),
    "etas": lambda t, m: t.optim.Rprop(m.parameters(), etas=(1, 1)),
    "non-leaf": lambda t, m: t.optim.SGD([m.weight * 2]),
    "twice": lambda t, m: t.optim.SGD([{"params": [m.weight]}, {"params": [m.weight]}]),
    "set": lambda t, m: t.optim.SGD([{"params": {m.weight}}]),
    "group": lambda t, m: t.optim.SGD(m.parameters()).add_param_group(3),
    "tensor lr": lambda t, m: t.optim.Adam(m.parameters(), lr=t.tensor([1.0, 2])),
    "groups": lambda t, m: t.optim.SGD(m.parameters()).load_state_dict(
        {"state": {}, "param_groups": []}
    ),
    "sizes": lambda t, m: t.optim.SGD(m.parameters()).load_state_dict(
        {"state": {}, "param_groups": [{"params": [0]}]}
    ),
    "base": lambda t, m: t.optim.Optimizer([m.weight], {}).step(),
    "fused and foreach": lambda t, m: t.optim.Adam(m.parameters(), fused=True, foreach=True),
    "duplicates": lambda t, m: len(t.optim.SGD([m.weight, m.weight]).param_groups),
    "names": lambda t, m: t.optim.SGD(m.named_parameters()).state_dict(),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    ours, theirs = both(ERRORS[name])
    assert ours == theirs


def test_groups_and_tensor_lr():
    results = []
    for library in (flambeau, torch):
        params = parameters(library)
        groups = [{"params": params[0], "lr": 0.5}, {"params": params[1:]}]
        optimizer = library.optim.SGD(groups, lr=library.tensor(0.25), momentum=0.5)
        take_steps(library, params, optimizer, 3)
        optimizer.param_groups[0]["lr"] = 0.01
        take_steps(library, params, optimizer, 2)
        results.append(params)
    for a, b in zip(*results, strict=True):
        assert_close(a, b, tolerance=2e-5)


def test_hooks_and_closure():
    calls = {}
    for library in (flambeau, torch):
        log = calls[library] = []
        params = parameters(library)
        optimizer = library.optim.SGD(params, lr=0.1)
        optimizer.register_step_pre_hook(lambda o, a, k, log=log: log.append("before"))
        handle = optimizer.register_step_post_hook(lambda o, a, k, log=log: log.append("after"))

        def closure(params=params, optimizer=optimizer, log=log):
            optimizer.zero_grad()
            loss = (params[0] ** 2).sum()
            loss.backward()
            log.append("closure")
            return loss

        log.append(round(optimizer.step(closure).item(), 4))
        handle.remove()
        optimizer.step()
        optimizer.register_state_dict_post_hook(lambda o, s: {**s, "more": 1})
        log.append(sorted(optimizer.state_dict()))
    assert calls[flambeau] == calls[torch]


def test_zero_grad():
    params = parameters(flambeau)
    optimizer = flambeau.optim.SGD(params)
    params[0].sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert (params[0].grad == 0).all()
    assert params[1].grad is None
    optimizer.zero_grad()
    assert params[0].grad is None


MODULES = ["adadelta", "adagrad", "adam", "adamax", "adamw", "asgd"]
MODULES += ["nadam", "radam", "rmsprop", "rprop", "sgd"]


def test_modules_of_optimizers():
    """Each optimiser can be had from a module of its own name."""
    for name in MODULES:
        ours = importlib.import_module(f"flambeau.optim.{name}")
        theirs = importlib.import_module(f"torch.optim.{name}")
        (kind,) = [n for n in dir(theirs) if n.lower() == name and n != name]
        assert getattr(ours, kind) is getattr(flambeau.optim, kind)


def test_groups_of_tensors():
    found = []
    for library in (flambeau, torch):
        a = [library.ones(1), library.ones(2).double(), library.ones(3)]
        group = library.optim.Optimizer._group_tensors_by_device_and_dtype
        for lists, arguments in (
            ([a, [None, a[0], None], []], {}),
            ([a, a], {"with_indices": True}),
        ):
            parted = group(lists, **arguments)
            found.append(
                {
                    (str(device), str(dtype).rpartition(".")[2]): (
                        [[v if v is None else tuple(v.shape) for v in m] for m in members],
                        places,
                    )
                    for (device, dtype), (members, places) in parted.items()
                }
            )
    assert found[:2] == found[2:]


def test_shared_state():
    optimizer = flambeau.optim.Adagrad([flambeau.nn.Parameter(flambeau.ones(2))])
    optimizer.share_memory()
    (state,) = optimizer.state.values()
    assert state["sum"].is_shared()
