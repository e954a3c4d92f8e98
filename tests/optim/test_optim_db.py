"""PyTorch's own configurations of every optimiser, step by step, with state, schedules, errors."""

import copy
import types
import warnings

import numpy as np
import pytest
import torch
from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

import flambeau
from tests.nn.both import assert_close

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled")
INFOS = {info.optim_cls.__name__: info for info in optim_db}
MATRICES = {"Muon"}
# Newton-Schulz iterates in bfloat16: products of 16-bit numbers are rounded in another order.
# LBFGS divides small differences of gradients by each other, a hundred times over: in float32 they
# are nothing but rounding, and in float64 rounding grows by ten orders of magnitude.
DTYPE = {"LBFGS": "float64"}
TOLERANCE = {"Muon": 2e-3, "LBFGS": 1e-3}


def translate(value):
    """The oracle's tensors, in nested containers, in flambeau."""
    if isinstance(value, torch.nn.Parameter):
        return flambeau.nn.Parameter(flambeau.tensor(value.detach().numpy()))
    if isinstance(value, torch.Tensor):
        if value.layout is torch.sparse_coo:
            return flambeau.sparse_coo_tensor(
                translate(value._indices()), translate(value._values()), tuple(value.shape)
            )
        return flambeau.tensor(value.detach().numpy()).requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        return {key: translate(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(translate, value))
    return value


def back(value):
    """flambeau's tensors, in nested containers, in the oracle."""
    if isinstance(value, flambeau.Tensor):
        return torch.from_numpy(value.detach().numpy().copy())
    if isinstance(value, dict):
        return {key: back(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(back, value))
    return value


def parameters(library, name, dtype="float32"):
    generator = np.random.default_rng(0)
    shapes = [(3, 2), (2, 4)] if name in MATRICES else [(3, 2), (4,), (2, 1, 3)]
    result = []
    for shape in shapes:
        values = generator.standard_normal(shape)
        if dtype == "complex64":
            values = values + 1j * generator.standard_normal(shape)
        result.append(library.nn.Parameter(library.tensor(values.astype(dtype))))
    return result


def loss_of(library, params, number):
    """A curved function whose gradients change sign."""
    total = 0
    for p in params:
        x = library.view_as_real(p) if p.is_complex() else p
        total = total + (x**4).sum() * 0.1 + (x * (number + 1)).sin().sum()
    return total


def make_sparse(library, params, number):
    """Gradients in a few rows, one of them twice."""
    for p in params:
        rows = library.tensor([[0, number % p.shape[0], 0]])
        values = library.cos(p.detach()[rows[0]] * (number + 1))
        p.grad = library.sparse_coo_tensor(rows, values, tuple(p.shape))


def take_step(library, optimizer, params, number, sparse=False):
    """One step; the second parameter has no gradient in the first."""

    def closure():
        optimizer.zero_grad()
        loss = loss_of(library, params, 0)
        loss.backward()
        return loss

    if type(optimizer).__name__ == "LBFGS":
        return optimizer.step(closure)
    optimizer.zero_grad()
    if sparse:
        make_sparse(library, params, number)
    else:
        loss_of(library, params, number).backward()
        if number == 0:
            params[1].grad = None
    return optimizer.step()


def assert_same_value(ours, theirs, what, tolerance):
    if isinstance(theirs, torch.Tensor):
        assert_close(ours, theirs, what, tolerance)
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), what
        for mine, value in zip(ours, theirs, strict=True):
            assert_same_value(mine, value, what, tolerance)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=max(tolerance, 1e-5)), what
    else:
        assert ours == theirs, what


def assert_same(ours, theirs, optimizer, oracle, tolerance):
    for mine, parameter in zip(ours, theirs, strict=True):
        assert_close(mine, parameter, "parameter", tolerance)
    state, expected = optimizer.state_dict(), oracle.state_dict()
    assert list(state["state"]) == list(expected["state"])
    for key, entry in expected["state"].items():
        assert list(state["state"][key]) == list(entry)
        for name, value in entry.items():
            assert_same_value(state["state"][key][name], value, f"{key}.{name}", tolerance)
    groups = [{k: v for k, v in g.items() if k != "lr"} for g in state["param_groups"]]
    wanted = [{k: v for k, v in g.items() if k != "lr"} for g in expected["param_groups"]]
    assert groups == translate(wanted)


def schedule(info, place, optimizer, library):
    """The schedules of a row of the table, made by the library's classes."""
    made = []
    for function in info.scheduler_inputs[place]:
        names = dict(function.__globals__)
        for name, value in names.items():
            if getattr(value, "__module__", "") == "torch.optim.lr_scheduler":
                names[name] = getattr(library.optim.lr_scheduler, name)
        copied = types.FunctionType(
            function.__code__, names, closure=function.__closure__, argdefs=function.__defaults__
        )
        made.append(copied(optimizer))
    return made


CONFIGURATIONS = [
    (name, place, configuration)
    for name, info in INFOS.items()
    for place, configuration in enumerate(info.optim_inputs_func(device="cpu"))
]


@pytest.mark.parametrize(
    ("name", "place", "configuration"),
    CONFIGURATIONS,
    ids=[f"{name}-{configuration.desc}" for name, _, configuration in CONFIGURATIONS],
)
def test_configurations(name, place, configuration):
    """Equal after each of six steps; halfway each takes over the other's state."""
    sparse = INFOS[name].only_supports_sparse_grads
    given = configuration.kwargs
    tolerance = TOLERANCE.get(name, 2e-5)
    dtype = DTYPE.get(name, "float32")
    ours, theirs = parameters(flambeau, name, dtype), parameters(torch, name, dtype)
    optimizer = getattr(flambeau.optim, name)(ours, **translate(given))
    oracle = getattr(torch.optim, name)(theirs, **copy.deepcopy(given))
    for number in range(6):
        loss = take_step(flambeau, optimizer, ours, number, sparse)
        expected = take_step(torch, oracle, theirs, number, sparse)
        assert_same_value(loss, expected, "loss", tolerance)
        assert_same(ours, theirs, optimizer, oracle, tolerance)
        if number == 3:
            state, other = optimizer.state_dict(), oracle.state_dict()
            optimizer = getattr(flambeau.optim, name)(ours)
            optimizer.load_state_dict(translate(other))
            oracle = getattr(torch.optim, name)(theirs)
            oracle.load_state_dict(back(state))
    assert repr(optimizer) == repr(oracle)


SCHEDULED = [
    (name, place) for name, info in INFOS.items() for place in range(len(info.scheduler_inputs))
]


@pytest.mark.parametrize(("name", "place"), SCHEDULED)
def test_schedules(name, place):
    info = INFOS[name]
    found = []
    for library in (flambeau, torch):
        params = parameters(library, name)
        optimizer = getattr(library.optim, name)(params, lr=0.01)
        schedules = schedule(info, place, optimizer, library)
        rates = []
        for number in range(4):
            take_step(library, optimizer, params, number, info.only_supports_sparse_grads)
            for item in schedules:
                plateau = type(item).__name__ == "ReduceLROnPlateau"
                item.step(1.0) if plateau else item.step()
            rates.append([float(g["lr"]) for g in optimizer.param_groups])
        found.append((params, rates))
    (ours, rates), (theirs, expected) = found
    assert rates == expected
    for mine, parameter in zip(ours, theirs, strict=True):
        assert_close(mine, parameter, name, TOLERANCE.get(name, 2e-5))


@pytest.mark.parametrize("name", [n for n, info in INFOS.items() if info.supports_complex])
def test_complex_parameters(name):
    found = []
    for library in (flambeau, torch):
        params = parameters(library, name, "complex64")
        optimizer = getattr(library.optim, name)(params, lr=0.1)
        for number in range(4):
            take_step(library, optimizer, params, number)
        found.append((params, optimizer))
    (ours, optimizer), (theirs, oracle) = found
    if name == "LBFGS":  # near the minimum the loss tells parameters to the root of its own error
        for mine, parameter in zip(ours, theirs, strict=True):
            assert_close(mine, parameter, name, 2e-3)
        return
    assert_same(ours, theirs, optimizer, oracle, 5e-5)


SPARSE = [(n, {}) for n in INFOS] + [
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"momentum": 0.9, "dampening": 0.5, "maximize": True}),
    ("SGD", {"weight_decay": 0.1}),
    ("Adagrad", {"maximize": True, "lr_decay": 0.1}),
    ("Adagrad", {"weight_decay": 0.1}),
]


@pytest.mark.parametrize(("name", "settings"), SPARSE, ids=str)
def test_sparse_gradients(name, settings):
    """Rows alone are changed; optimisers that cannot do that say so."""
    found = []
    for library in (flambeau, torch):
        params = [p for p in parameters(library, name) if p.ndim == 2]
        optimizer = getattr(library.optim, name)(params, lr=0.1, **settings)
        try:
            for number in range(4):
                make_sparse(library, params, number)
                optimizer.step(*([lambda: 1.0] if name == "LBFGS" else []))
            found.append(params)
        except RuntimeError as error:
            found.append(str(error))
    ours, theirs = found
    if isinstance(theirs, str):
        assert ours == theirs
        return
    for mine, parameter in zip(ours, theirs, strict=True):
        assert_close(mine, parameter, name, 2e-5)


ERRORS = [
    (name, place)
    for name, info in INFOS.items()
    for place in range(len(list(info.optim_error_inputs_func(device="cpu", dtype=torch.float32))))
]


def outcome(library, name, given, settings, error_on):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            optimizer = getattr(library.optim, name)(given, **settings)
            if error_on is OptimizerErrorEnum.STEP_ERROR:
                optimizer.step()
            result = None
        except Exception as error:
            result = (type(error).__name__, str(error))
    return result, [str(w.message) for w in caught if w.category is UserWarning]


@pytest.mark.parametrize(("name", "place"), ERRORS)
def test_errors(name, place):
    table = INFOS[name].optim_error_inputs_func(device="cpu", dtype=torch.float32)
    row = list(table)[place]
    given = row.optimizer_error_input
    params = parameters(torch, name) if given.params is None else given.params
    ours = share_parameters(params)
    if row.error_on is OptimizerErrorEnum.STEP_ERROR:
        for mine, parameter in zip(ours, params, strict=True):
            parameter.grad = torch.ones_like(parameter)
            mine.grad = flambeau.ones_like(mine)
    theirs = outcome(torch, name, params, given.kwargs, row.error_on)
    result = outcome(flambeau, name, ours, translate(given.kwargs), row.error_on)
    assert str(result).replace("flambeau", "torch") == str(theirs)
    assert theirs != (None, [])


def share_parameters(nest):
    """`translate`, with one tensor for each that occurs several times."""
    made = {}

    def visit(value):
        if isinstance(value, torch.Tensor):
            return made.setdefault(id(value), translate(value))
        if isinstance(value, dict):
            return {key: visit(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(map(visit, value))
        return value

    return visit(nest)


DIFFERENTIABLE = [
    (name, configuration)
    for name, place, configuration in CONFIGURATIONS
    if "differentiable" in INFOS[name].supported_impls
]


@pytest.mark.parametrize(
    ("name", "configuration"),
    DIFFERENTIABLE,
    ids=[f"{name}-{configuration.desc}" for name, configuration in DIFFERENTIABLE],
)
def test_differentiable(name, configuration):
    """The derivative of what comes after two steps by what was before and by the gradients."""
    found = []
    for library in (flambeau, torch):
        settings = configuration.kwargs if library is torch else translate(configuration.kwargs)
        start = library.tensor([0.5, -1.5, 2.0], dtype=library.float64, requires_grad=True)
        push = library.tensor([0.3, 0.7, -0.2], dtype=library.float64, requires_grad=True)
        p = start.clone()
        optimizer = getattr(library.optim, name)([p], differentiable=True, **settings)
        for number in range(2):
            p.grad = push * (number + 1)
            optimizer.step()
        try:
            gradients = library.autograd.grad((p**3).sum(), [start, push], allow_unused=True)
        except RuntimeError as error:
            # PyTorch cannot go back through states that it changed in place itself.
            assert library is torch and "modified by an inplace operation" in str(error)
            gradients = None
        assert all(s.requires_grad for k, s in optimizer.state[p].items() if "exp_avg" in k)
        found.append((p, gradients))
    (ours, mine), (theirs, expected) = found
    assert_close(ours, theirs, name, 1e-6)
    # PyTorch's bias corrections are powers in float32, the type of its step counts.
    if expected is not None:
        assert_close(mine, expected, name, 1e-4)
