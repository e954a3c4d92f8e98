"""`torch.utils._pytree`: nested lists, tuples and dicts taken apart to leaves, and put together.

Dicts keep their order, as in PyTorch; JAX's trees sort theirs.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Any, NamedTuple

from ..size import Size

IsLeaf = Callable[[Any], bool] | None


class Node(NamedTuple):
    """How a kind of container is taken apart and put together.

    Attributes:
        flatten: the children, and what else the container is made of.
        unflatten: the container again.
        keyed: the second result of `flatten` is the children's keys.
    """

    flatten: Callable[[Any], tuple[list[Any], Any]]
    unflatten: Callable[[Any, Any], Any]
    keyed: bool = False


def _items(mapping: Any) -> tuple[list[Any], list[Any]]:
    return list(mapping.values()), list(mapping)


SUPPORTED_NODES: dict[Any, Node] = {
    list: Node(lambda x: (list(x), None), lambda children, _: list(children)),
    tuple: Node(lambda x: (list(x), None), lambda children, _: tuple(children)),
    Size: Node(lambda x: (list(x), None), lambda children, _: tuple(children)),
    dict: Node(_items, lambda c, keys: dict(zip(keys, c, strict=True)), True),
    OrderedDict: Node(_items, lambda c, keys: OrderedDict(zip(keys, c, strict=True)), True),
    defaultdict: Node(
        lambda x: (list(x.values()), [x.default_factory, list(x)]),
        lambda children, context: defaultdict(
            context[0], dict(zip(context[1], children, strict=True))
        ),
    ),
    deque: Node(lambda x: (list(x), x.maxlen), lambda children, most: deque(children, maxlen=most)),
}


class _namedtuple:
    """Stands for the classes of named tuples."""


_namedtuple.__name__ = "namedtuple"
SUPPORTED_NODES[_namedtuple] = Node(
    lambda x: (list(x), type(x)),
    lambda children, cls: cls(*children) if hasattr(cls, "_make") else cls(children),
)


def register_pytree_node(
    cls: type,
    flatten_fn: Callable[[Any], tuple[list[Any], Any]],
    unflatten_fn: Callable[[Any, Any], Any],
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Any = None,
    from_dumpable_context: Any = None,
    flatten_with_keys_fn: Any = None,
) -> None:
    """Let a class be a container.

    Args:
        cls: the class.
        flatten_fn: its children as a list, and what else it is made of.
        unflatten_fn: from children and the rest to an instance.
        serialized_type_name, to_dumpable_context, from_dumpable_context: for writing specifications
            to files, which is not built.
        flatten_with_keys_fn: for paths to leaves, which are not built.

    Raises:
        ValueError: the class is a container already.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    SUPPORTED_NODES[cls] = Node(flatten_fn, unflatten_fn)


def _kind(tree: Any) -> Any:
    """The entry of `SUPPORTED_NODES` that a value belongs to; None for a leaf."""
    cls = type(tree)
    if cls in SUPPORTED_NODES:
        return cls
    return _namedtuple if isinstance(tree, tuple) and hasattr(cls, "_fields") else None


@dataclass(frozen=True)
class TreeSpec:
    """The structure of a tree.

    Attributes:
        type: the kind of the outermost container; None for a leaf.
        context: what it is made of beside its children.
        children: their structures.
    """

    type: Any
    context: Any
    children: list[TreeSpec]

    @property
    def num_children(self) -> int:
        """How many children the outermost container has."""
        return len(self.children)

    @property
    def num_leaves(self) -> int:
        """How many leaves the tree has."""
        return sum(c.num_leaves for c in self.children) if self.type is not None else 1

    @property
    def num_nodes(self) -> int:
        """How many containers and leaves the tree has."""
        return 1 + sum(child.num_nodes for child in self.children)

    def is_leaf(self) -> bool:
        """Whether the tree is a leaf."""
        return self.type is None

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """A tree of this structure."""
        given = list(leaves)
        if len(given) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(given)} but the spec refers "
                f"to a pytree that holds {self.num_leaves} items ({self})."
            )
        return self._build(iter(given))

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.type is None:
            return next(leaves)
        children = [child._build(leaves) for child in self.children]
        return SUPPORTED_NODES[self.type].unflatten(children, self.context)

    def _leaves_of(self, tree: Any) -> list[Any]:
        """The parts of a tree of at least this structure where this one has its leaves."""
        if self.type is None:
            return [tree]
        kind = _kind(tree)
        if kind is not self.type:
            found = type(tree) if kind is None else kind
            raise ValueError(f"Node type mismatch; expected {self.type}, but got {found}.")
        node = SUPPORTED_NODES[kind]
        children, context = node.flatten(tree)
        if node.keyed:
            missing, extra = set(self.context) - set(context), set(context) - set(self.context)
            if missing or extra:
                told = f"; missing key(s): {missing}" if missing else ""
                told += f"; extra key(s): {extra}" if extra else ""
                raise ValueError(f"Node keys mismatch{told}.")
            children = [tree[key] for key in self.context]
        elif len(children) != len(self.children):
            raise ValueError(
                f"Node arity mismatch; expected {len(self.children)}, but got {len(children)}."
            )
        rows = zip(self.children, children, strict=True)
        return [leaf for spec, child in rows for leaf in spec._leaves_of(child)]

    def __repr__(self, indent: int = 0) -> str:
        if self.type is None:
            return "*"
        separator = ",\n" + " " * (indent + 2)
        children = separator.join(child.__repr__(indent + 2) for child in self.children)
        return f"TreeSpec({self.type.__name__}, {self.context}, [{children}])"


def LeafSpec() -> TreeSpec:
    """The structure of a leaf."""
    return TreeSpec(None, None, [])


def tree_is_leaf(tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether a value is a leaf: `is_leaf` says so, or it is no container."""
    return (is_leaf is not None and is_leaf(tree)) or _kind(tree) is None


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], TreeSpec]:
    """The leaves of a tree, and its structure.

    >>> leaves, spec = tree_flatten({"a": [1, 2], "b": (3,)})
    >>> leaves, tree_unflatten([10, 20, 30], spec)
    ([1, 2, 3], {'a': [10, 20], 'b': (30,)})
    """
    if tree_is_leaf(tree, is_leaf):
        return [tree], LeafSpec()
    kind = _kind(tree)
    children, context = SUPPORTED_NODES[kind].flatten(tree)
    leaves: list[Any] = []
    specs = []
    for child in children:
        below, spec = tree_flatten(child, is_leaf)
        leaves += below
        specs.append(spec)
    return leaves, TreeSpec(kind, context, specs)


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """A tree of the given structure."""
    return treespec.unflatten(leaves)


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves of a tree."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: Any, is_leaf: IsLeaf = None) -> Iterator[Any]:
    """The leaves of a tree, one by one."""
    return iter(tree_leaves(tree, is_leaf))


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> TreeSpec:
    """The structure of a tree."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """The tree of `func(leaf, ...)`; further trees have at least the structure of the first."""
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *(spec._leaves_of(rest) for rest in rests)]
    return spec.unflatten(map(func, *columns))


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """Call `func(leaf, ...)` for each leaf; returns the tree as it was."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(
    type_or_types_or_pred: Any,
    /,
    func: Callable[[Any], Any],
    tree: Any,
    is_leaf: IsLeaf = None,
) -> Any:
    """`tree_map` of the leaves of some types, or of which a function is true; others stay."""
    chosen = _chooser(type_or_types_or_pred)
    return tree_map(lambda leaf: func(leaf) if chosen(leaf) else leaf, tree, is_leaf=is_leaf)


def _chooser(which: Any) -> Callable[[Any], bool]:
    if isinstance(which, (type, tuple, UnionType)):
        return lambda leaf: isinstance(leaf, which)
    return which


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether `pred` is true of all leaves."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether `pred` is true of any leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))
