"""Nests of tuples, lists and dictionaries, as lists of their leaves and back."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any


class Structure:
    """The form of a nest without its leaves.

    Attributes:
        kind: the container's type; None for a leaf.
        context: what rebuilding needs besides the children (the keys of a dictionary, ...).
    """

    __slots__ = ("children", "context", "kind", "leaves")

    def __init__(self, kind: Any, context: Any, children: list[Structure]):
        self.kind = kind
        self.context = context
        self.children = children
        self.leaves = sum(c.leaves for c in children) if kind is not None else 1

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Structure)
            and self.kind is other.kind
            and self.context == other.context
            and self.children == other.children
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return self._text(0)

    def _text(self, indent: int) -> str:
        if self.kind is None:
            return "*"
        inner = indent + 2
        children = (",\n" + " " * inner).join([c._text(inner) for c in self.children])
        return f"TreeSpec({self.kind.__name__}, {self.context}, [{children}])"

    def example(self) -> Any:
        """The nest with `*` for its leaves."""
        return rebuild([_STAR] * self.leaves, self)


class _Star:
    def __repr__(self) -> str:
        return "*"


_STAR = _Star()
LEAF = Structure(None, None, [])


def _parts(nest: Any) -> tuple[Any, Any, list[Any]] | None:
    """Type, context and children of a container; None for a leaf."""
    kind = type(nest)
    if kind in (dict, OrderedDict):
        return kind, list(nest), list(nest.values())
    if kind is defaultdict:
        return kind, [nest.default_factory, list(nest)], list(nest.values())
    if kind is deque:
        return kind, nest.maxlen, list(nest)
    if kind in (tuple, list):
        return kind, None, list(nest)
    if isinstance(nest, tuple) and hasattr(nest, "_fields"):
        return kind, kind, list(nest)
    return None


def flatten(nest: Any) -> tuple[list[Any], Structure]:
    """The leaves of a nest, and its form."""
    parts = _parts(nest)
    if parts is None:
        return [nest], LEAF
    kind, context, children = parts
    leaves: list[Any] = []
    structures = []
    for child in children:
        found, structure = flatten(child)
        leaves += found
        structures.append(structure)
    return leaves, Structure(kind, context, structures)


def rebuild(leaves: list[Any], structure: Structure) -> Any:
    """A nest of the given form."""
    if structure.kind is None:
        return leaves[0]
    start, children = 0, []
    for child in structure.children:
        children.append(rebuild(leaves[start : start + child.leaves], child))
        start += child.leaves
    kind, context = structure.kind, structure.context
    if kind in (dict, OrderedDict):
        return kind(zip(context, children, strict=True))
    if kind is defaultdict:
        return kind(context[0], zip(context[1], children, strict=True))
    if kind is deque:
        return deque(children, maxlen=context)
    if kind in (tuple, list):
        return kind(children)
    make = getattr(kind, "_make", kind)
    return make(children)


def map_leaves(function: Callable[[Any], Any], nest: Any) -> Any:
    """The nest with `function` applied to every leaf."""
    leaves, structure = flatten(nest)
    return rebuild([function(x) for x in leaves], structure)


def spread(prefix: Any, structure: Structure) -> list[Any] | None:
    """A value for every leaf of `structure` from a nest that stops earlier or in the same places.

    Returns None where the nest has another form.
    """
    parts = _parts(prefix)
    if parts is None:
        return [prefix] * structure.leaves
    kind, context, children = parts
    if kind is not structure.kind or context != structure.context:
        return None
    if len(children) != len(structure.children):
        return None
    values: list[Any] = []
    for child, inner in zip(children, structure.children, strict=True):
        found = spread(child, inner)
        if found is None:
            return None
        values += found
    return values
