"""Trees of containers against the oracle."""

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest
import torch
import torch.utils._pytree as theirs

import flambeau
import flambeau.utils._pytree as ours

Point = namedtuple("Point", "x y")


class Box:
    def __init__(self, inside):
        self.inside = inside


TREE = {
    "b": [1, (2, 3)],
    "a": Point(4, OrderedDict(c=5)),
    "d": defaultdict(list, {"k": [6]}),
    "e": deque([7], maxlen=3),
    "n": None,
    "z": (),
}
CASES = """
p.tree_flatten(tree)
p.tree_flatten(3)
p.tree_unflatten(p.tree_leaves(tree), p.tree_structure(tree))
p.tree_structure(tree) == p.tree_structure(p.tree_map(str, tree)), p.tree_structure([]) == 3
[f(p.tree_structure(tree)) for f in (lambda s: s.num_leaves, lambda s: s.num_nodes)]
p.tree_structure(tree).num_children, p.tree_structure(tree).is_leaf(), p.tree_structure(1).is_leaf()
p.tree_structure(tree).type, p.tree_structure(tree).context
p.tree_unflatten([1], p.tree_structure(tree))
p.tree_unflatten(3, p.tree_structure(tree))
p.tree_map(lambda a, b: (a, b), [1, {"x": 2}], [3, {"x": [4, 5]}])
p.tree_map(lambda a, b: a + b, {"a": 1, "b": 2}, {"b": 20, "a": 10})
p.tree_map(lambda a, b: a + b, [1, 2], [3])
p.tree_map(lambda a, b: a + b, [1, 2], (3, 4))
p.tree_map(lambda a, b: a + b, [1, 2], 3)
p.tree_map(lambda a, b: a + b, {"a": 1}, {"b": 1})
p.tree_map_(lambda a: a + 1, [1, 2])
p.tree_map_only(int, lambda a: a + 1, [1, 2.0, "s"])
p.tree_map_only((int, float), lambda a: a + 1, [1, 2.0, "s"])
p.tree_map_only(lambda a: a == 1, lambda a: a + 1, [1, 2.0, "s"])
p.tree_all(lambda a: a > 0, [1, 2]), p.tree_any(lambda a: a > 1, [1, 2]), p.tree_all(bool, [])
p.tree_leaves([1, [2]], is_leaf=lambda a: a == [2]), list(p.tree_iter([1, (2,)]))
p.tree_is_leaf(1), p.tree_is_leaf([]), p.tree_is_leaf([], is_leaf=lambda a: True)
p.tree_map(lambda a: a + 1, t.Size([1, 2])), p.tree_leaves(t.Size([1, 2]))
""".strip().splitlines()


def outcome(case, **names):
    try:
        return repr(eval(case, {"tree": TREE, **names}))
    except (ValueError, TypeError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("case", CASES)
def test_against_the_oracle(case):
    assert outcome(case, p=ours, t=flambeau) == outcome(case, p=theirs, t=torch)


def test_registered_classes(monkeypatch):
    monkeypatch.setattr(ours, "SUPPORTED_NODES", dict(ours.SUPPORTED_NODES))
    how = (lambda box: ([box.inside], None), lambda children, context: Box(children[0]))
    ours.register_pytree_node(Box, *how)
    assert ours.tree_map(lambda a: a + 1, Box([1])).inside == [2]
    with pytest.raises(ValueError, match="is already registered as pytree node"):
        ours.register_pytree_node(Box, *how)
