"""Tensors of modules that are computed from others."""

import copy
import pickle

import pytest
import torch

from tests.nn.agree import assert_agree, gradients, outcome


def parametrize(t):
    return t.nn.utils.parametrize


def parametrizations(t):
    """Small parametrizations, good and bad, by name."""

    class Symmetric(t.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).transpose(-1, -2)

        def right_inverse(self, x):
            return x.triu()

    class Double(t.nn.Module):
        def forward(self, x):
            return x * 2

    class Sum(t.nn.Module):
        def forward(self, a, b):
            return a + b

        def right_inverse(self, x):
            return x * 0.25, x * 0.75

    class Narrow(t.nn.Module):
        def forward(self, x):
            return x[:2]

    class NarrowInverse(t.nn.Module):
        def forward(self, x):
            return x.new_ones(3, 3)

        def right_inverse(self, x):
            return x[:1]

    class Wide(t.nn.Module):
        def forward(self, x):
            return x.double()

    class WideInverse(t.nn.Module):
        def forward(self, x):
            return x.float()

        def right_inverse(self, x):
            return x.double()

    class Number(t.nn.Module):
        def forward(self, x):
            return 3

    class NumberInverse(t.nn.Module):
        def forward(self, x):
            return x

        def right_inverse(self, x):
            return 3

    class MixedInverse(t.nn.Module):
        def forward(self, a, b):
            return a

        def right_inverse(self, x):
            return [x, 3]

    class SurplusInverse(t.nn.Module):
        def forward(self, x):
            return x

        def right_inverse(self, x):
            return x, x

    class NoInverseYet(t.nn.Module):
        def forward(self, x):
            return x + 1

        def right_inverse(self, x):
            raise NotImplementedError

    return {name: kind for name, kind in locals().items() if name != "t"}


NAMES = list(parametrizations(torch))


def linear(t):
    t.manual_seed(0)
    return t.nn.Linear(3, 3)


def with_(t, *names, **options):
    """A linear layer, its weight parametrized."""
    module = linear(t)
    for name in names:
        parametrize(t).register_parametrization(
            module, "weight", parametrizations(t)[name](), **options
        )
    return module


def facts(module):
    """All that can be seen of a parametrized weight."""
    kind = type(module)
    return {
        "repr": repr(module),
        "class": (kind.__name__, kind.__module__, kind.__mro__[1].__name__),
        "state": dict(module.state_dict()),
        "parameters": [(name, type(p).__name__) for name, p in module.named_parameters()],
        "buffers": [name for name, _ in module.named_buffers()],
        "weight": module.weight,
        "kind": type(module.weight).__name__,
    }


@pytest.mark.parametrize("unsafe", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_registration(name, unsafe):
    def program(t):
        module = linear(t)
        made = outcome(
            lambda: (
                parametrize(t).register_parametrization(
                    module, "weight", parametrizations(t)[name](), unsafe=unsafe
                )
                is module
            )
        )
        if (name == "Number" and unsafe) or name == "SurplusInverse":
            return made, list(module.state_dict()), type(module).__name__
        return made, facts(module)

    assert_agree(program)


@pytest.mark.parametrize("name", NAMES)
def test_second_registration(name):
    def program(t):
        module = with_(t, "Symmetric")
        add = parametrize(t).register_parametrization
        made = outcome(lambda: add(module, "weight", parametrizations(t)[name]()) is module)
        return made, facts(module)

    assert_agree(program)


def assigned(t, value, *names):
    module = with_(t, *names)

    def assign():
        module.weight = value

    return outcome(assign), facts(module)


def removed(t, *names, **options):
    module = with_(t, *names)
    original = getattr(module.parametrizations.weight, "original", None)
    result = outcome(
        lambda: parametrize(t).remove_parametrizations(module, "weight", **options) is module
    )
    return result, module.weight is original, type(module) is t.nn.Linear, facts(module)


def buffer(t, persistent):
    module = linear(t)
    module.register_buffer("eye", t.eye(3), persistent=persistent)
    add, kinds = parametrize(t).register_parametrization, parametrizations(t)
    add(module, "eye", kinds["Symmetric"]())
    inside = facts(module), type(module.parametrizations.eye.original).__name__
    parametrize(t).remove_parametrizations(module, "eye")
    return inside, [name for name, _ in module.named_buffers()], type(module.eye).__name__


def cached(t):
    calls = []

    class Counted(t.nn.Module):
        def forward(self, x):
            calls.append(1)
            return x * 2

    module = linear(t)
    parametrize(t).register_parametrization(module, "weight", Counted())
    calls.clear()
    with parametrize(t).cached():
        first = module.weight
        with parametrize(t).cached():
            same = first is module.weight
        same_after = first is module.weight
    within = len(calls)
    return same, same_after, within, module.weight is module.weight, len(calls)


def transferred(t, target, *args):
    module = with_(t, "Symmetric")
    parametrize(t).register_parametrization(module, "bias", parametrizations(t)["Double"]())
    other = target(t)
    parametrize(t).transfer_parametrizations_and_params(module, other, *args)
    mine, theirs = module.parametrizations.weight, other.parametrizations.weight
    shared = mine is theirs, mine[0] is theirs[0], mine.original is theirs.original
    return repr(other), list(other.state_dict()), shared, other.weight


def transferred_pair(t):
    module, other = with_(t, "Sum"), t.nn.Linear(3, 3)
    parametrize(t).transfer_parametrizations_and_params(module, other)
    return repr(other), dict(other.state_dict()), other.weight


def copied(t):
    module = with_(t, "Symmetric")
    twin = copy.deepcopy(module)
    twin.weight = t.zeros(3, 3)
    return type(twin) is type(module), twin.weight, module.weight


def not_trained(t):
    module = linear(t)
    module.weight.requires_grad_(False)
    parametrize(t).register_parametrization(module, "weight", parametrizations(t)["Sum"]())
    inside = [p.requires_grad for p in module.parameters()]
    parametrize(t).remove_parametrizations(module, "weight")
    return inside, type(module.weight).__name__, module.weight.requires_grad


def trained(t):
    module = with_(t, "Symmetric", "Double")
    module(t.ones(2, 3)).sum().backward()
    return gradients(module)


def modes(t):
    module = linear(t).eval()
    kind = parametrizations(t)["Symmetric"]()
    parametrize(t).register_parametrization(module, "weight", kind)
    return kind.training


def several(t, value):
    module = with_(t, "Sum")
    module.parametrizations.weight[0].right_inverse = lambda x: value
    return assigned_to(module, t.zeros(3, 3))


def one(t, value):
    module = with_(t, "Symmetric")
    module.parametrizations.weight[0].right_inverse = lambda x: value
    return assigned_to(module, t.zeros(3, 3))


def assigned_to(module, value):
    def assign():
        module.weight = value

    return outcome(assign), dict(module.state_dict())


def questions(t):
    is_parametrized = parametrize(t).is_parametrized
    before = parametrize(t).type_before_parametrizations
    module, plain = with_(t, "Symmetric"), linear(t)
    return (
        [is_parametrized(module), is_parametrized(plain)],
        [is_parametrized(m, n) for m in (module, plain) for n in ("weight", "bias")],
        before(module) is t.nn.Linear,
        before(plain) is t.nn.Linear,
    )


PROGRAMS = {
    "assigned": lambda t: assigned(t, t.ones(3, 3), "Symmetric"),
    "assigned, two": lambda t: assigned(t, t.ones(3, 3), "Sum"),
    "assigned, no inverse": lambda t: assigned(t, t.ones(3, 3), "Symmetric", "Double"),
    "assigned, another shape": lambda t: assigned(t, t.ones(2, 2), "Symmetric"),
    "assigned, another type": lambda t: assigned(t, t.ones(3, 3).double(), "Symmetric"),
    "assigned, a parameter": lambda t: assigned(t, t.nn.Parameter(t.ones(3, 3)), "Symmetric"),
    "inverse too short": lambda t: several(t, (t.zeros(3, 3),)),
    "inverse of a number": lambda t: several(t, (t.zeros(3, 3), 3)),
    "inverse no sequence": lambda t: several(t, 3),
    "inverse of another type": lambda t: several(t, (t.zeros(3, 3), t.zeros(3, 3).double())),
    "inverse of other shapes": lambda t: several(t, [t.zeros(2, 2), t.zeros(2, 2)]),
    "inverse no tensor": lambda t: one(t, 3),
    "removed": lambda t: removed(t, "Symmetric"),
    "removed, original": lambda t: removed(t, "Symmetric", leave_parametrized=False),
    "removed, two": lambda t: removed(t, "Sum"),
    "removed, two originals": lambda t: removed(t, "Sum", leave_parametrized=False),
    "removed, nothing": lambda t: parametrize(t).remove_parametrizations(linear(t), "weight"),
    "deleted": lambda t: delattr(with_(t, "Symmetric"), "weight"),
    "buffer": lambda t: buffer(t, True),
    "buffer that is not saved": lambda t: buffer(t, False),
    "cached": cached,
    "transferred": lambda t: transferred(t, lambda t: t.nn.Linear(3, 3)),
    "transferred, one": lambda t: transferred(t, lambda t: t.nn.Linear(3, 3), "weight"),
    "transferred to no owner": lambda t: transferred(t, lambda t: t.nn.ReLU(), "weight"),
    "transferred, two": transferred_pair,
    "copied": copied,
    "pickled": lambda t: pickle.dumps(with_(t, "Symmetric")),
    "not trained": not_trained,
    "trained": trained,
    "evaluated": modes,
    "loaded": lambda t: repr(
        with_(t, "Symmetric").load_state_dict(with_(t, "Symmetric").state_dict())
    ),
    "loaded plain": lambda t: with_(t, "Symmetric").load_state_dict(linear(t).state_dict()),
    "questions": questions,
    "no such tensor": lambda t: parametrize(t).register_parametrization(
        linear(t), "foo", t.nn.Identity()
    ),
    "no tensor": lambda t: parametrize(t).register_parametrization(
        linear(t), "in_features", t.nn.Identity()
    ),
    "empty list": lambda t: parametrize(t).ParametrizationList([], t.ones(1)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    assert_agree(PROGRAMS[name])
