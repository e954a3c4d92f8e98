"""Checkpoints against the oracle: values, gradients, random streams, warnings, errors."""

import gc
import importlib
import warnings
import weakref

import pytest
import torch

import flambeau

# What PyTorch's errors say after the fact itself (advice on its compiler) is left out.
ADVICE = "\n\nTip: To see a more detailed error message"


def square(x, w):
    return (x @ w).tanh().pow(2)


class Both:
    """A library, its checkpoint module, and two tensors with gradients."""

    def __init__(self, library):
        self.t = library
        self.c = importlib.import_module(library.__name__ + ".utils.checkpoint")
        library.manual_seed(0)
        self.x = library.randn(2, 3, requires_grad=True)
        self.w = library.randn(3, 3, requires_grad=True)
        self.calls = 0

    def numbers(self, *tensors):
        return [round(v, 4) for x in tensors for v in x.flatten().tolist()]

    def gradients(self, function=square, **options):
        y = self.c.checkpoint(function, self.x, self.w, **options)
        y.sum().backward()
        return type(y.grad_fn).__name__, self.numbers(y, self.x.grad, self.w.grad)


def dropout(b, **options):
    """The numbers drawn before, between and after are those of a run without checkpoints."""
    drop = b.t.nn.functional.dropout
    before = b.t.rand(1)
    y = b.c.checkpoint(lambda x, w: drop(x @ w, 0.5), b.x, b.w, **options)
    between = b.t.rand(1)
    y.sum().backward()
    return b.numbers(before, between, b.t.rand(1), y, b.x.grad)


def nested(b, outer, inner):
    def function(x, w):
        y = b.c.checkpoint(square, x, w, use_reentrant=inner) * 2
        return b.c.checkpoint(square, y, w, use_reentrant=inner).sin()

    return b.gradients(function, use_reentrant=outer)


def twice(b, use_reentrant, retain_graph):
    y = b.c.checkpoint(square, b.x, b.w, use_reentrant=use_reentrant)
    y.sum().backward(retain_graph=retain_graph)
    y.sum().backward()
    return b.numbers(b.x.grad)


def second_derivative(b):
    y = b.c.checkpoint(square, b.x, b.w, use_reentrant=False)
    (gradient,) = b.t.autograd.grad(y.sum(), b.x, create_graph=True)
    gradient.pow(2).sum().backward()
    return b.numbers(b.w.grad)


def written_between(b, use_reentrant):
    y = b.c.checkpoint(square, b.x * 1, b.w, use_reentrant=use_reentrant)
    with b.t.no_grad():
        b.w.add_(1)
    y.sum().backward()


def through_a_closure(b, use_reentrant):
    """What is not an argument is read when the function is run again."""
    y = b.c.checkpoint(lambda x: square(x, b.w), b.x, use_reentrant=use_reentrant)
    with b.t.no_grad():
        b.w.add_(1)
    y.sum().backward()
    return b.numbers(b.w.grad)


def changing(b, first, later, **options):
    """A function that does something else when it is run again."""

    def function(x, w):
        b.calls += 1
        return (first if b.calls == 1 else later)(x, w)

    return b.gradients(function, use_reentrant=False, **options)


def longer(x, w):
    return ((x @ w).tanh().exp() * x.sum()).sin()


def several_outputs(b, use_reentrant):
    def function(x, w, number, nothing=None):
        return x @ w, number, x.detach(), nothing

    outputs = b.c.checkpoint(function, b.x, b.w, 5, use_reentrant=use_reentrant)
    outputs[0].sum().backward()
    return [type(o).__name__ for o in outputs], outputs[2].requires_grad, b.numbers(b.x.grad)


def sequential(b, segments=3, **options):
    nn = b.t.nn
    b.t.manual_seed(1)
    layers = [nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Dropout(0.2)) for _ in range(4)]
    model = nn.Sequential(*layers)
    y = b.c.checkpoint_sequential(model, segments, b.x, **options)
    y.sum().backward()
    return b.numbers(y, b.x.grad, *(p.grad for p in model.parameters()))


def under_autocast(b, use_reentrant):
    types = []

    def function(x, w):
        y = x @ w
        types.append(str(y.dtype).rpartition(".")[2])
        return y

    with b.t.autocast("cpu"):
        y = b.c.checkpoint(function, b.x, b.w, use_reentrant=use_reentrant)
    y.float().sum().backward()
    # Of an operation that saves its arguments alone, nothing is left to compute.
    return set(types), b.t.is_autocast_enabled("cpu"), [round(v, 1) for v in b.x.grad[0].tolist()]


class Noted:
    def __init__(self, log, name):
        self.log, self.name = log, name

    def __enter__(self):
        self.log.append("+" + self.name)

    def __exit__(self, *exception):
        self.log.append("-" + self.name)


def with_contexts(b):
    log = []
    found = b.gradients(
        use_reentrant=False, context_fn=lambda: (Noted(log, "forward"), Noted(log, "again"))
    )
    return found, log


def with_switch(b, switch, value):
    with getattr(b.c, switch)(value):
        return b.gradients(use_reentrant=False)


def groups_within_groups(b):
    with b.c.GraphExecGroup() as group:
        assert b.c.GraphExecGroup._get_current_group() is group
        with b.c.GraphExecGroup():
            pass


def raising(b, use_reentrant):
    def function(x, w):
        raise ValueError("from inside")

    b.c.checkpoint(function, b.x, b.w, use_reentrant=use_reentrant)


PROGRAMS = {
    "default": lambda b: b.gradients(),
    "reentrant": lambda b: b.gradients(use_reentrant=True),
    "saved": lambda b: b.gradients(use_reentrant=False),
    "keyword, reentrant": lambda b: b.gradients(use_reentrant=True, more=3),
    "keyword, saved": lambda b: b.gradients(use_reentrant=False, more=3),
    "keyword argument": lambda b: b.numbers(
        b.c.checkpoint(lambda x, *, w: square(x, w), b.x, w=b.w, use_reentrant=False)
    ),
    "determinism": lambda b: b.gradients(use_reentrant=False, determinism_check="none"),
    "determinism wrong": lambda b: b.gradients(use_reentrant=False, determinism_check="x"),
    "context, reentrant": lambda b: b.gradients(use_reentrant=True, context_fn=lambda: 1),
    "debug, reentrant": lambda b: b.gradients(use_reentrant=True, debug=True),
    "no early stop": lambda b: b.gradients(use_reentrant=False, early_stop=False),
    "dropout, reentrant": lambda b: dropout(b, use_reentrant=True),
    "dropout, saved": lambda b: dropout(b, use_reentrant=False),
    "dropout, drawn anew": lambda b: dropout(b, use_reentrant=False, preserve_rng_state=False)[:2],
    "no gradients, reentrant": lambda b: b.numbers(
        b.c.checkpoint(lambda x: x * 2, b.x.detach(), use_reentrant=True)
    ),
    "no gradients, saved": lambda b: b.numbers(
        b.c.checkpoint(lambda x: x * 2, b.x.detach(), use_reentrant=False)
    ),
    "no_grad": lambda b: (
        b.t.no_grad()(b.c.checkpoint)(square, b.x, b.w, use_reentrant=False).requires_grad
    ),
    "grad, reentrant": lambda b: b.t.autograd.grad(
        b.c.checkpoint(square, b.x, b.w, use_reentrant=True).sum(), b.x
    ),
    "grad, saved": lambda b: b.numbers(
        *b.t.autograd.grad(b.c.checkpoint(square, b.x, b.w, use_reentrant=False).sum(), b.x)
    ),
    "inputs, reentrant": lambda b: (
        b.c.checkpoint(square, b.x, b.w, use_reentrant=True).sum().backward(inputs=[b.x])
    ),
    "nested TT": lambda b: nested(b, True, True),
    "nested TF": lambda b: nested(b, True, False),
    "nested FT": lambda b: nested(b, False, True),
    "nested FF": lambda b: nested(b, False, False),
    "twice, reentrant": lambda b: twice(b, True, True),
    "twice, saved": lambda b: twice(b, False, True),
    "twice, freed, reentrant": lambda b: twice(b, True, False),
    "twice, freed, saved": lambda b: twice(b, False, False),
    "second derivative": second_derivative,
    "written, reentrant": lambda b: written_between(b, True),
    "written, saved": lambda b: written_between(b, False),
    "closure, reentrant": lambda b: through_a_closure(b, True),
    "closure, saved": lambda b: through_a_closure(b, False),
    "more than before": lambda b: changing(b, square, longer, early_stop=False),
    "outputs, reentrant": lambda b: several_outputs(b, True),
    "outputs, saved": lambda b: several_outputs(b, False),
    "detached": lambda b: b.gradients(lambda x, w: (x @ w).detach(), use_reentrant=True),
    "sequential, default": sequential,
    "sequential, reentrant": lambda b: sequential(b, use_reentrant=True),
    "sequential, saved": lambda b: sequential(b, use_reentrant=False),
    "sequential, one": lambda b: sequential(b, 1, use_reentrant=False),
    "sequential, too many": lambda b: sequential(b, 9, use_reentrant=False),
    "sequential, keyword": lambda b: sequential(b, use_reentrant=False, more=1),
    "sequential, list": lambda b: b.numbers(
        b.c.checkpoint_sequential([b.t.sin, b.t.cos], 2, b.x, use_reentrant=False)
    ),
    "autocast, reentrant": lambda b: under_autocast(b, True),
    "autocast, saved": lambda b: under_autocast(b, False),
    "contexts": with_contexts,
    "early stop": lambda b: with_switch(b, "set_checkpoint_early_stop", False),
    "debug off": lambda b: with_switch(b, "set_checkpoint_debug_enabled", False),
    "groups": groups_within_groups,
    "raising, reentrant": lambda b: raising(b, True),
    "raising, saved": lambda b: raising(b, False),
    "detach_variable": lambda b: [v.requires_grad for v in b.c.detach_variable((b.x, b.t.ones(1)))],
    "detach_variable, list": lambda b: b.c.detach_variable([b.x]),
    "validity": lambda b: b.c.check_backward_validity([b.t.ones(1)]),
    "devices": lambda b: (b.c.get_device_states(b.x), b.c.set_device_states([], [])),
    "device type": lambda b: b.c.DefaultDeviceType.get_device_type(),
    "policies": lambda b: [(p.name, p.value) for p in b.c.CheckpointPolicy],
    "selective": lambda b: vars(b.c.SelectiveCheckpointContext(is_recompute=True)),
    "selective, wrong": lambda b: b.c.create_selective_checkpoint_contexts(3),
}


def outcome(library, program):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = program(Both(library))
        except Exception as error:
            text = str(error).partition(ADVICE)[0].rstrip()
            result = (type(error).__name__, text.partition(" Hint:")[0])
    return str(result).partition(" object at")[0].replace("flambeau", "torch"), [
        str(w.message) for w in caught
    ]


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_the_oracle(name):
    assert outcome(flambeau, PROGRAMS[name]) == outcome(torch, PROGRAMS[name])


def test_mismatches():
    """How many values are saved is flambeau's own; the errors are PyTorch's."""
    for first, later, text in (
        (longer, square, "A different number of tensors was saved during the original forward"),
        (square, lambda x, w: square(x, w[:, :2]), "have different metadata than during the"),
    ):
        with pytest.raises(flambeau.utils.checkpoint.CheckpointError, match=text):
            changing(Both(flambeau), first, later)


def test_values_are_not_kept():
    """Between the passes nothing that was computed on the way is alive."""
    found = []

    def function(x):
        y = x.exp()
        found.append(weakref.ref(y._storage))
        return y.sin().sum()

    x = flambeau.randn(4, requires_grad=True)
    y = flambeau.utils.checkpoint.checkpoint(function, x, use_reentrant=False)
    gc.collect()
    assert found[0]() is None
    y.backward()
    flambeau.testing.assert_close(x.grad, (x.exp() * x.exp().cos()).detach())


def test_in_a_compiled_function():
    """There it is an ordinary call, with the same results and random numbers."""

    def step(x, w):
        drop = flambeau.nn.functional.dropout
        y = flambeau.utils.checkpoint.checkpoint(
            lambda x, w: drop(square(x, w), 0.5), x, w, use_reentrant=False
        )
        y.sum().backward()
        return y

    results = []
    for function in (step, flambeau.compile(step)):
        b = Both(flambeau)
        y = function(b.x, b.w)
        results.append(b.numbers(y, b.x.grad, b.w.grad, flambeau.rand(1)))
    assert results[0] == results[1]


def test_not_built():
    c = flambeau.utils.checkpoint
    with pytest.raises(NotImplementedError, match=r"checkpoint: debug=True"):
        c.checkpoint(square, *([flambeau.ones(1, 1)] * 2), use_reentrant=False, debug=True)
    with pytest.raises(NotImplementedError, match="create_selective_checkpoint_contexts"):
        c.create_selective_checkpoint_contexts(lambda *a: c.CheckpointPolicy.MUST_SAVE)
