"""Pruning: which elements go, what the module looks like, how prunings add up."""

import copy
import importlib
import pickle

import pytest

from tests.nn.agree import assert_agree, gradients, outcome

INF = float("inf")


def prune(t):
    """PyTorch attaches the module only when it is imported."""
    return importlib.import_module(f"{t.__name__}.nn.utils.prune")


def linear(t):
    return t.nn.Linear(5, 4)


def net(t):
    return t.nn.Sequential(t.nn.Linear(3, 4), t.nn.ReLU(), t.nn.Linear(4, 2))


def facts(module, name="weight"):
    hooks = [(type(h).__name__, h._tensor_name) for h in module._forward_pre_hooks.values()]
    return {
        "repr": repr(module),
        "state": dict(module.state_dict()),
        "names": [n for n, _ in module.named_parameters()],
        "weight": getattr(module, name),
        "hooks": hooks,
    }


AMOUNTS = (0, 1, 4, 21, 0.0, 0.3, 0.5, 1.0, 1.1, -1, -0.5, "a", None)
RULES = [
    ("random_unstructured", {}),
    ("l1_unstructured", {}),
    ("random_structured", {"dim": 0}),
    ("random_structured", {"dim": -1}),
    ("ln_structured", {"n": 2, "dim": 0}),
    ("ln_structured", {"n": 1, "dim": 1}),
    ("ln_structured", {"n": INF, "dim": -1}),
    ("ln_structured", {"n": "fro", "dim": 0}),
    ("ln_structured", {"n": 2, "dim": 2}),
]


@pytest.mark.parametrize(("rule", "options"), RULES, ids=str)
def test_amounts(rule, options):
    def program(t):
        found = []
        for amount in AMOUNTS:
            module = linear(t)
            made = outcome(
                lambda m=module, a=amount: (
                    getattr(prune(t), rule)(m, "weight", amount=a, **options) is m
                )
            )
            found.append((made, facts(module), t.rand(1)))
        return found

    assert_agree(program)


@pytest.mark.parametrize("dim", range(4))
def test_slices_of_a_convolution(dim):
    def program(t):
        conv = t.nn.Conv2d(3, 4, 2)
        other = prune(t).ln_structured(copy.deepcopy(conv), "weight", 1, 2, dim)
        return facts(prune(t).random_structured(conv, "weight", 1, dim)), facts(other)

    assert_agree(program)


def iterated(t):
    module, found = linear(t), []
    for step in (
        lambda: prune(t).random_unstructured(module, "weight", 5),
        lambda: prune(t).l1_unstructured(module, "weight", 0.5),
        lambda: prune(t).ln_structured(module, "weight", 1, 2, 0),
        lambda: prune(t).random_structured(module, "weight", 1, 1),
        lambda: prune(t).custom_from_mask(module, "weight", t.ones(4, 5)),
        lambda: prune(t).remove(module, "weight"),
    ):
        step()
        found += [facts(module), prune(t).is_pruned(t.nn.Sequential(module))]
    return found


def trained(t):
    module = prune(t).l1_unstructured(linear(t), "weight", 0.5)
    for _ in range(3):
        module.zero_grad()
        module(t.ones(2, 5)).pow(2).sum().backward()
        with t.no_grad():
            for p in module.parameters():
                p -= 0.1 * p.grad
    return gradients(module), facts(module)


def removed(t):
    module = prune(t).l1_unstructured(linear(t), "weight", 3)
    original = module.weight_orig
    prune(t).remove(module, "weight")
    return module.weight is original, facts(module)


def failed(t, first):
    module = linear(t)
    if first:
        prune(t).identity(module, "weight")
    made = outcome(lambda: prune(t).l1_unstructured(module, "weight", 21))
    return made, list(module.state_dict()), len(module._forward_pre_hooks)


def globally(t, rule, amount, **options):
    m = net(t)
    pairs = [(m[0], "weight"), (m[2], "weight"), (m[0], "bias")]
    found = []
    for _ in range(2):
        prune(t).global_unstructured(pairs, getattr(prune(t), rule), amount=amount, **options)
        found.append([getattr(module, name + "_mask") for module, name in pairs])
    return found, repr(m), list(m.state_dict())


def by_scores(t):
    m = net(t)
    scores = {(m[0], "weight"): t.arange(12.0).reshape(4, 3)}
    pairs = [(m[0], "weight"), (m[2], "weight")]
    prune(t).global_unstructured(pairs, prune(t).L1Unstructured, scores, amount=3)
    return m[0].weight_mask, m[2].weight_mask


def custom(t):
    class Every(prune(t).BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    module = linear(t)
    Every.apply(module, "weight")
    first = module.weight_mask
    Every.apply(module, "weight")
    return first, module.weight_mask


def container(t):
    first, second = prune(t).L1Unstructured(1), prune(t).L1Unstructured(1)
    first._tensor_name, second._tensor_name = "weight", "bias"
    made = prune(t).PruningContainer(first)
    other = outcome(lambda: made.add_pruning_method(second))[0]
    number = outcome(lambda: made.add_pruning_method(3))
    return len(made), made[0] is first, made._tensor_name, list(made) == [first], other, number


def of_no_type(t):
    class Odd(prune(t).BasePruningMethod):
        PRUNING_TYPE = "odd"

        def compute_mask(self, t, default_mask):
            return default_mask

    module = linear(t)
    prune(t).identity(module, "weight")
    Odd.apply(module, "weight")


def frozen(t):
    module = linear(t)
    module.weight.requires_grad_(False)
    prune(t).l1_unstructured(module, "weight", 3)
    inside = module.weight_orig.requires_grad, module.weight.requires_grad
    prune(t).remove(module, "weight")
    return inside, module.weight.requires_grad


def recurrent(t):
    module = t.nn.LSTM(2, 3)
    prune(t).random_unstructured(module, "weight_ih_l0", 0.5)
    return sorted(module.state_dict()), module(t.ones(2, 1, 2))


def converted(t):
    module = prune(t).l1_unstructured(linear(t), "weight", 3).double()
    return module(t.ones(1, 5).double()), facts(module)


SCORES = list(range(20))
PROGRAMS = {
    "identity": lambda t: facts(prune(t).identity(linear(t), "weight")),
    "iterated": iterated,
    "trained": trained,
    "removed": removed,
    "removed, nothing": lambda t: prune(t).remove(linear(t), "weight"),
    "failed": lambda t: failed(t, first=False),
    "failed again": lambda t: failed(t, first=True),
    "global L1": lambda t: globally(t, "L1Unstructured", 3),
    "global L1, half": lambda t: globally(t, "L1Unstructured", 0.5),
    "global random": lambda t: globally(t, "RandomUnstructured", 3),
    "global by scores": by_scores,
    "global structured": lambda t: globally(t, "LnStructured", 1, n=2),
    "global, no pairs": lambda t: prune(t).global_unstructured(3, prune(t).Identity),
    "global, no dictionary": lambda t: globally(t, "Identity", 3, importance_scores=3),
    "scores": lambda t: facts(
        prune(t).l1_unstructured(
            linear(t), "weight", 3, importance_scores=t.tensor(SCORES).reshape(4, 5)
        )
    ),
    "scores of slices": lambda t: facts(
        prune(t).ln_structured(
            linear(t), "weight", 1, 2, 0, importance_scores=t.arange(20.0).reshape(4, 5)
        )
    ),
    "scores of another shape": lambda t: prune(t).l1_unstructured(
        linear(t), "weight", 3, importance_scores=t.tensor(SCORES)
    ),
    "bias by mask": lambda t: facts(
        prune(t).custom_from_mask(linear(t), "bias", t.tensor([0, 1, 1, 0])), "bias"
    ),
    "mask of another shape": lambda t: prune(t).custom_from_mask(linear(t), "bias", t.ones(3)),
    "slices of a vector": lambda t: prune(t).ln_structured(linear(t), "bias", 1, 2, 0),
    "random slices of a vector": lambda t: prune(t).random_structured(linear(t), "bias", 1, 0),
    "no such parameter": lambda t: prune(t).identity(linear(t), "foo"),
    "prune": lambda t: prune(t).L1Unstructured(2).prune(t.arange(6.0)),
    "prune, mask": lambda t: (
        prune(t).L1Unstructured(2).prune(t.arange(6.0), default_mask=t.tensor([1, 1, 0, 1, 0, 1.0]))
    ),
    "prune, scores": lambda t: (
        prune(t)
        .LnStructured(1, 2)
        .prune(t.ones(2, 3), importance_scores=t.arange(6.0).reshape(2, 3))
    ),
    "custom": custom,
    "custom of no type": of_no_type,
    "container": container,
    "frozen": frozen,
    "recurrent": recurrent,
    "converted": converted,
    "copied": lambda t: copy.deepcopy(prune(t).identity(linear(t), "weight")),
    "pickled": lambda t: repr(pickle.loads(pickle.dumps(prune(t).identity(linear(t), "weight")))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    assert_agree(PROGRAMS[name])
