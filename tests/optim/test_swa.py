"""Averages of weights, and an optimiser on other parameters, against the oracle."""

import copy
import warnings

import pytest
import torch

import flambeau
from tests.nn.both import ours_of


def model(library):
    """The same model in both libraries."""
    nn = library.nn
    torch.manual_seed(0)
    values = [torch.randn(3, 2), torch.randn(3), torch.randn(1, 3), torch.randn(1)]
    made = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    parameters = [made[0].weight, made[0].bias, made[2].weight, made[2].bias]
    with library.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(ours_of(value) if library is flambeau else value)
    return made


def numbers(values):
    return [round(v, 4) for v in values.float().flatten().tolist()]


def averaged(t, choose=lambda u: {}):
    made = model(t)
    average = t.optim.swa_utils.AveragedModel(made, **choose(t.optim.swa_utils))
    optimizer = t.optim.SGD(made.parameters(), lr=0.1)
    for number in range(4):
        optimizer.zero_grad()
        made(t.arange(8.0).reshape(4, 2) * (number + 1)).pow(2).sum().backward()
        optimizer.step()
        average.update_parameters(made)
    state = {name: numbers(value) for name, value in average.state_dict().items()}
    return state, [n for n, _ in average.named_buffers()], average(t.ones(2, 2)).shape


def lists(t, function):
    averages, currents = [t.ones(2), t.ones(3) * 2], [t.zeros(2), t.ones(3)]
    function(averages, currents, t.tensor(3))
    return [a.tolist() for a in averages]


def statistics(t, batches, **options):
    made = model(t).eval()
    made[1].momentum = 0.3
    t.optim.swa_utils.update_bn(batches(t.arange(24.0).reshape(3, 4, 2)), made, **options)
    norm = made[1]
    found = numbers(norm.running_mean) + numbers(norm.running_var)
    return found, norm.momentum, made.training, norm.num_batches_tracked.item()


def rates(t, **options):
    made = model(t)
    groups = [{"params": made[0].parameters(), "lr": 0.5}, {"params": made[2].parameters()}]
    optimizer = t.optim.SGD(groups, lr=0.1)
    schedule = t.optim.swa_utils.SWALR(optimizer, **options)
    found = []
    for _ in range(7):
        found.append([round(v, 7) for v in schedule.get_last_lr()])
        optimizer.step()
        schedule.step()
    return found, schedule.state_dict(), [g["swa_lr"] for g in optimizer.param_groups]


PROGRAMS = {
    "equal weights": averaged,
    "exponential": lambda t: averaged(t, lambda u: {"avg_fn": u.get_ema_avg_fn(0.9)}),
    "exponential, many": lambda t: averaged(
        t, lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9)}
    ),
    "equal, many": lambda t: averaged(t, lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()}),
    "equal, function": lambda t: averaged(t, lambda u: {"avg_fn": u.get_swa_avg_fn()}),
    "buffers": lambda t: averaged(t, lambda u: {"use_buffers": True}),
    "buffers, exponential": lambda t: averaged(
        t, lambda u: {"use_buffers": True, "multi_avg_fn": u.get_ema_multi_avg_fn(0.9)}
    ),
    "device": lambda t: averaged(t, lambda u: {"device": "cpu"}),
    "both functions": lambda t: averaged(t, lambda u: {"avg_fn": len, "multi_avg_fn": len}),
    "decay": lambda t: t.optim.swa_utils.get_ema_avg_fn(2),
    "decay, many": lambda t: t.optim.swa_utils.get_ema_multi_avg_fn(-1),
    "lists": lambda t: lists(t, t.optim.swa_utils.get_swa_multi_avg_fn()),
    "repr": lambda t: repr(t.optim.swa_utils.AveragedModel(t.nn.Linear(2, 1))),
    "statistics": lambda t: statistics(t, list),
    "statistics, pairs": lambda t: statistics(t, lambda x: [(v, 1) for v in x], device="cpu"),
    "no statistics": lambda t: t.optim.swa_utils.update_bn([t.ones(1, 2)], t.nn.Linear(2, 2)),
    "cosine": lambda t: rates(t, swa_lr=0.05, anneal_epochs=4),
    "linear": lambda t: rates(t, swa_lr=[0.05, 0.2], anneal_epochs=3, anneal_strategy="linear"),
    "at once": lambda t: rates(t, swa_lr=0.05, anneal_epochs=0),
    "strategy": lambda t: rates(t, swa_lr=0.05, anneal_strategy="x"),
    "epochs": lambda t: rates(t, swa_lr=0.05, anneal_epochs=1.5),
    "too many rates": lambda t: rates(t, swa_lr=[1, 2, 3]),
    "last epoch": lambda t: rates(t, swa_lr=0.1, last_epoch=2),
    "outside a step": lambda t: t.optim.swa_utils.SWALR(
        t.optim.SGD(model(t).parameters(), lr=0.1), 0.1
    ).get_lr(),
}


def outcome(library, program):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = program(library)
        except Exception as error:
            result = (type(error).__name__, str(error))
    return result, [str(w.message) for w in caught]


@pytest.mark.parametrize("name", PROGRAMS)
def test_averages(name):
    assert_same(outcome(flambeau, PROGRAMS[name]), outcome(torch, PROGRAMS[name]))


def assert_same(ours, theirs):
    if isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=2e-4)
    elif isinstance(theirs, dict):
        assert_same(list(ours.items()), list(theirs.items()))
    elif type(theirs) in (list, tuple):
        assert len(ours) == len(theirs)
        for mine, value in zip(ours, theirs, strict=True):
            assert_same(mine, value)
    else:
        assert ours == theirs


def swapping(t, change=lambda parameters, state: (parameters, state)):
    """What a program sees before, during and after its optimiser works on other parameters."""
    layer = t.nn.Linear(2, 1)
    optimizer = t.optim.Adam(
        [{"params": [layer.weight]}, {"params": [layer.bias], "lr": 0.2}], lr=0.1
    )
    layer.weight.grad, layer.bias.grad = t.ones(1, 2), t.ones(1)
    optimizer.step()
    others = {"weight": t.zeros(1, 2), "bias": t.ones(1)}
    for parameter in others.values():
        parameter.grad = t.ones_like(parameter)
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"][0]["lr"] = 1.0
    others, state = change(others, state)
    log = []
    with t.optim.swap_in_optimizer_params_and_state(optimizer, others, state):
        group = optimizer.param_groups[0]
        parameter = group["params"][0]
        log += [parameter is others["weight"], group["lr"], len(optimizer.state)]
        log.append(optimizer.state[parameter].get("step"))
        optimizer.step()
        group["lr"], optimizer.state[parameter]["new"] = 7, 3
    group = optimizer.param_groups[0]
    log += [group["params"][0] is layer.weight, group["lr"], len(optimizer.state)]
    log += [optimizer.state[layer.weight]["step"], numbers(others["weight"])]
    log += [state["state"].get(0, {}).get("step"), state["param_groups"][0]["lr"]]
    return [float(v) if hasattr(v, "item") else v for v in log]


def without(key):
    def change(parameters, state):
        del state["param_groups"][0][key]
        return parameters, state

    return change


def longer_group(parameters, state):
    state["param_groups"][0]["params"] = [0, 1]
    return parameters, state


CHANGES = {
    "as it is": lambda p, s: (p, s),
    "fewer": lambda p, s: ({"weight": p["weight"]}, s),
    "more": lambda p, s: ({**p, "other": p["bias"]}, s),
    "no state": lambda p, s: (p, {"param_groups": s["param_groups"]}),
    "no groups": lambda p, s: (p, {"state": s["state"]}),
    "one group": lambda p, s: (p, {**s, "param_groups": s["param_groups"][:1]}),
    "unknown number": lambda p, s: (p, {**s, "state": {**s["state"], 5: {}}}),
    "no dictionary": lambda p, s: (p, 3),
    "no parameters": without("params"),
    "no rate": without("lr"),
    "longer group": longer_group,
}


@pytest.mark.parametrize("name", CHANGES)
def test_swapping(name):
    results = [outcome(t, lambda t: swapping(t, CHANGES[name])) for t in (flambeau, torch)]
    assert results[0] == results[1]


def test_swapping_needs_state():
    optimizer = flambeau.optim.SGD([flambeau.nn.Parameter(flambeau.ones(1))])
    context = flambeau.optim.swap_in_optimizer_params_and_state(optimizer, {}, {})
    with pytest.raises(RuntimeError, match="requires initialized optimizer state"):
        context.__enter__()
