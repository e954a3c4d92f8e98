"""What a compiled function hands out: tensors made anew for each run, in the structures around."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import jax.core
import numpy as np

from ..core.storage import Storage
from ..core.tensor import Tensor

# A tensor's place on the tape and its caches belong to one run, not to the recipe.
_PASSING = {
    "_storage",
    "_cache",
    "_cached_version",
    "_grad",
    "_node",
    "_index",
    "_accumulator",
    "_base",
    "_base_steps",
    "_base_offsets",
    "_made_at",
    "_own_version",
    "_creation",
}


class Same:
    """A tensor that existed before: how a run finds it."""

    def __init__(self, find: Any):
        self.find = find


class Recipe:
    """How to make one tensor.

    Attributes:
        storage: the number of a storage that the run makes, or how to find one that was there.
        node: the node that it gets where its graph was walked through inside; else None.
        output: for a tensor that gradients can be taken of: which output of the program's node.
    """

    def __init__(self, tensor: Tensor, storage: Any):
        self.cls = type(tensor)
        self.fields = {k: v for k, v in tensor.__dict__.items() if k not in _PASSING}
        self.storage = storage
        self.node: Any = None
        self.output: int | None = None

    def make(self, run: Any) -> Tensor:
        result = object.__new__(self.cls)
        if self.fields:
            result.__dict__.update(self.fields)
        if type(self.storage) is int:
            result._storage = run.storages[self.storage]
        else:
            result._storage = run.find(self.storage)._storage
        if self.output is not None:
            result._node, result._index = run.node, self.output
        elif self.node is not None:
            result._node = self.node
        return result


class MadeStorage:
    """How to make one storage: from an output of the program, or from a constant."""

    def __init__(self, storage: Storage, array: Any):
        self.device = storage.device
        self.strides = storage.strides
        self.output: int | None = None
        self.constant = None if isinstance(array, jax.core.Tracer) else array

    def make(self, outputs: Any) -> Storage:
        if self.output is not None:
            return Storage(outputs[self.output], self.device, self.strides)
        constant = self.constant
        if type(constant) is np.ndarray:
            constant = constant.copy()
        return Storage(constant, self.device, self.strides)


class Structure:
    """A container of recipes."""

    def __init__(self, build: Callable[[list[Any]], Any], parts: list[Any]):
        self.build = build
        self.parts = parts


def plan(value: Any, tensor_plan: Callable[[Tensor], Any]) -> Any:
    """Recipes for the tensors in nested tuples, lists and dictionaries; the rest stays as it is."""
    if isinstance(value, Tensor):
        return tensor_plan(value)
    if isinstance(value, (tuple, list, deque)):
        parts = [plan(v, tensor_plan) for v in value]
        if not any(isinstance(p, (Same, Recipe, Structure)) for p in parts) and isinstance(
            value, tuple
        ):
            return value
        kind = type(value)
        if hasattr(kind, "_fields"):
            return Structure(lambda items: kind(*items), parts)
        return Structure(kind, parts)
    if isinstance(value, dict):
        keys = list(value)
        kind = type(value)
        if kind not in (dict,) and not hasattr(value, "move_to_end"):
            return value
        return Structure(
            lambda items: kind(zip(keys, items, strict=True)),
            [plan(v, tensor_plan) for v in value.values()],
        )
    return value


def made(value: Any, run: Any) -> Any:
    """What a plan stands for in one run."""
    kind = type(value)
    if kind is Recipe:
        return value.make(run)
    if kind is Same:
        return run.find(value.find)
    if kind is Structure:
        return value.build([made(part, run) for part in value.parts])
    return value
