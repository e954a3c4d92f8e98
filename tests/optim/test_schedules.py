"""Schedules against the oracle: every rate of many steps, states, errors, warnings."""

import copy
import warnings

import pytest
import torch

import flambeau


def make(library, count=1, kind="SGD", **arguments):
    """An optimiser with `count` groups of different rates."""
    groups = [
        {"params": [library.nn.Parameter(library.zeros(2))], "lr": 0.1 * (i + 1)}
        for i in range(count)
    ]
    return getattr(library.optim, kind)(groups, **{"lr": 0.1, **arguments})


SCHEDULES = {
    "lambda": lambda s, o: s.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 / (e + 1)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.95),
    "step": lambda s, o: s.StepLR(o, 3, 0.5),
    "milestones": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9], 0.3),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 4),
    "linear": lambda s, o: s.LinearLR(o, 0.2, 0.9, 6),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.8),
    "polynomial": lambda s, o: s.PolynomialLR(o, 8, 2.0),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.001),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=20),
    "one cycle, linear": lambda s, o: s.OneCycleLR(
        o, [0.5, 0.7], epochs=4, steps_per_epoch=5, anneal_strategy="linear", three_phase=True
    ),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 3, 2, mode="triangular2"),
    "cyclic, exponential": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 3, mode="exp_range", gamma=0.9),
    "sequence": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9), s.StepLR(o, 2)], [4, 9]
    ),
    "chain": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9)]),
}


def rates(optimizer):
    return [[g["lr"], g.get("momentum"), g.get("betas")] for g in optimizer.param_groups]


def plain(state):
    """A state without functions, which differ between the libraries."""
    return {k: v for k, v in state.items() if k not in ("_schedulers", "lr_lambdas")}


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates(name, kind):
    extra = {"momentum": 0.9} if kind == "SGD" else {}
    pairs = []
    for library in (flambeau, torch):
        optimizer = make(library, 2, kind, **extra)
        scheduler = SCHEDULES[name](library.optim.lr_scheduler, optimizer)
        pairs.append((optimizer, scheduler))
    (ours, mine), (theirs, oracle) = pairs
    for step in range(19):
        assert rates(ours) == rates(theirs), f"after {step} steps"
        assert mine.get_last_lr() == oracle.get_last_lr()
        for optimizer, scheduler in pairs:
            optimizer.step()
            scheduler.step()
    assert plain(mine.state_dict()) == plain(oracle.state_dict())


@pytest.mark.parametrize("name", ["step", "cosine", "linear", "milestones", "sequence", "chain"])
def test_state_goes_on(name):
    first = make(flambeau, 2)
    scheduler = SCHEDULES[name](flambeau.optim.lr_scheduler, first)
    for _ in range(4):
        first.step()
        scheduler.step()
    second = make(flambeau, 2)
    other = SCHEDULES[name](flambeau.optim.lr_scheduler, second)
    other.load_state_dict(copy.deepcopy(scheduler.state_dict()))
    second.load_state_dict(first.state_dict())
    for _ in range(6):
        for optimizer, schedule in ((first, scheduler), (second, other)):
            optimizer.step()
            schedule.step()
    assert rates(first) == rates(second)


@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 1},
        {"patience": 0, "cooldown": 2, "mode": "max", "min_lr": 0.01},
        {"patience": 0, "threshold": 0.5, "threshold_mode": "abs", "factor": 0.5},
    ],
)
def test_plateau(arguments):
    metrics = [3.0, 2.0, 2.5, 2.4, 2.6, 1.9, 1.95, 1.96, 1.97, 1.2, 1.3, 1.4, 1.5]
    pairs = []
    for library in (flambeau, torch):
        optimizer = make(library, 2)
        pairs.append(
            (optimizer, library.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **arguments))
        )
    (ours, mine), (theirs, oracle) = pairs
    for metric in metrics:
        mine.step(metric)
        oracle.step(metric)
        assert rates(ours) == rates(theirs)
    assert mine.state_dict() == oracle.state_dict()


def outcome(program):
    found = []
    for library in (flambeau, torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = program(library.optim.lr_scheduler, make(library))
            except Exception as error:
                result = (type(error), str(error))
        found.append((result, [str(w.message) for w in caught]))
    return found


def stepped_wrongly(s, o):
    s.StepLR(o, 2).step()


def with_epoch(s, o):
    scheduler = s.StepLR(o, 2)
    o.step()
    scheduler.step(5)
    return scheduler.get_last_lr()


@pytest.mark.parametrize(
    "program",
    [
        stepped_wrongly,
        with_epoch,
        lambda s, o: s.StepLR(3, 2),
        lambda s, o: s.StepLR(o, 2, last_epoch=3),
        lambda s, o: s.LambdaLR(o, [len, len]),
        lambda s, o: s.ConstantLR(o, factor=2),
        lambda s, o: s.LinearLR(o, start_factor=0),
        lambda s, o: s.LinearLR(o, end_factor=2),
        lambda s, o: s.OneCycleLR(o, 0.1),
        lambda s, o: s.OneCycleLR(o, 0.1, total_steps=-1),
        lambda s, o: s.OneCycleLR(o, 0.1, total_steps=5, anneal_strategy="x"),
        lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="x"),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
        lambda s, o: s.ReduceLROnPlateau(o, factor=1.5),
        lambda s, o: s.ReduceLROnPlateau(o, mode="x"),
        lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [3]),
        lambda s, o: s.ChainedScheduler([]),
        lambda s, o: s.ExponentialLR(o, 0.9).get_lr(),
    ],
)
def test_errors_and_warnings(program):
    ours, theirs = outcome(program)
    assert ours == theirs
