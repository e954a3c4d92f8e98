"""Autocast: which functions compute in 16 bits, and which in float32, while it is on.

# Note [Autocast]
# Autocast acts where a public function begins: its floating-point arguments are converted by the
# function's policy, and inside it autocast is off for that kind of device, as in PyTorch. Functions
# without a policy (sums, activations, ...) take their arguments as they are. `modes.autocast` is
# the set of the kinds of device that it is on for, empty as a rule: all that a call pays is to look
# at it.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from .. import dtypes
from ..core.state import modes
from ..core.tensor import Tensor
from .autocast_policies import POLICIES

BANNED = (
    "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.\n"
    "Many models use a sigmoid layer right before the binary cross entropy layer.\n"
    "In this case, combine the two layers using "
    "torch.nn.functional.binary_cross_entropy_with_logits\n"
    "or torch.nn.BCEWithLogitsLoss.  binary_cross_entropy_with_logits and BCEWithLogits are\n"
    "safe to autocast."
)


def autocast(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the function's arguments are converted by the policy of the first known name."""
    known = [POLICIES[name] for name in names if name in POLICIES]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if not known:
            return function
        policies = known[0]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if modes.autocast:
                return _run(policies, function, args, kwargs)
            return function(*args, **kwargs)

        return call

    return decorate


def _run(
    policies: dict[str, str], function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
) -> Any:
    """Run a function by the policy of the device that its tensors are on."""
    kind = next((t.device.type for t in tensors_in((args, kwargs))), None)
    if kind not in modes.autocast or kind not in policies or kwargs.get("out") is not None:
        return function(*args, **kwargs)
    policy = policies[kind]
    if policy == "banned":
        raise RuntimeError(BANNED)
    outside = modes.autocast
    if policy == "float32 unless dtype" and kwargs.get("dtype") is not None:
        target = None
    elif policy == "promote":
        target = _widest(kind, tensors_in((args, kwargs)))
    else:
        target = modes.autocast_dtypes[kind] if policy == "lower" else dtypes.float32
    if target is not None:
        args = _converted(args, kind, target)
        kwargs = _converted(kwargs, kind, target)
    modes.autocast = outside - {kind}
    try:
        return function(*args, **kwargs)
    finally:
        modes.autocast = outside


def active_kind(*tensors: Any) -> str | None:
    """The kind of device of these tensors, where autocast is on for it; None otherwise."""
    if not modes.autocast:
        return None
    kind = next((t.device.type for t in tensors if isinstance(t, Tensor)), None)
    return kind if kind in modes.autocast else None


def lowered(*tensors: Any) -> tuple[Any, ...]:
    """The factors of a matrix product inside a function that has no policy of its own."""
    kind = active_kind(*tensors)
    if kind is None:
        return tensors
    return _converted(tensors, kind, modes.autocast_dtypes[kind])


def tensors_in(nest: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dictionaries."""
    if isinstance(nest, Tensor):
        yield nest
    elif isinstance(nest, (tuple, list)):
        for part in nest:
            yield from tensors_in(part)
    elif isinstance(nest, dict):
        yield from tensors_in(tuple(nest.values()))


def _eligible(x: Tensor, kind: str) -> bool:
    dtype = x.dtype
    return dtype.is_floating_point and dtype is not dtypes.float64 and x.device.type == kind


def _widest(kind: str, tensors: Iterator[Tensor]) -> dtypes.dtype:
    """The type of a function that promotes: float32 where one of its arguments has it."""
    lower = current = modes.autocast_dtypes[kind]
    for x in tensors:
        if not _eligible(x, kind):
            continue
        if dtypes.float32 in (current, x.dtype):
            current = dtypes.float32
        elif x.dtype is not lower:
            raise RuntimeError("Unexpected floating ScalarType in at::autocast::prioritize")
    return current


def _converted(nest: Any, kind: str, dtype: dtypes.dtype) -> Any:
    """`nest` with its tensors converted, where autocast may."""
    if isinstance(nest, Tensor):
        return converted(nest, kind, dtype) if _eligible(nest, kind) else nest
    if isinstance(nest, (tuple, list)) and type(nest) in (tuple, list):
        return type(nest)(_converted(part, kind, dtype) for part in nest)
    if isinstance(nest, dict):
        return {key: _converted(part, kind, dtype) for key, part in nest.items()}
    return nest


class _Cache:
    """Weights in lower precision, kept until the outermost `autocast` ends.

    Two uses of a weight then share one conversion, whose gradients are added in lower precision. In
    a function that is being compiled, conversions are kept while a block is open that began there.

    Attributes:
        traced: how many such blocks are open.
    """

    def __init__(self) -> None:
        self.entries: dict[tuple[int, Any], tuple[Any, Any, Tensor]] = {}
        self.traced = 0

    def get(self, x: Tensor, dtype: dtypes.dtype) -> Tensor | None:
        """The conversion of `x`, if there is one."""
        entry = self.entries.get((id(x), dtype))
        if entry is None or entry[0]() is not x or entry[1] is not _trace(x):
            return None
        return entry[2]

    def put(self, x: Tensor, dtype: dtypes.dtype, value: Tensor) -> None:
        """Keep a conversion."""
        if modes.trace is not None and not self.traced:
            return
        self.entries[id(x), dtype] = weakref.ref(x), _trace(x), value

    def open(self) -> bool:
        """A block begins; whether it does so in a function that is being compiled."""
        self.traced += modes.trace is not None
        return modes.trace is not None

    def close(self, traced: bool) -> None:
        """A block ends, which `open` said to have begun in a trace or not."""
        self.traced -= traced
        if traced and not self.traced:
            known = self.entries.items()
            self.entries = {key: entry for key, entry in known if entry[1] is None}


def _trace(x: Tensor) -> Any:
    """The JAX trace that a tensor's value belongs to; None for a value that is known."""
    return getattr(x._storage.array, "_trace", None)


cache = _Cache()


def converted(x: Tensor, kind: str, dtype: dtypes.dtype) -> Tensor:
    """`x` as `dtype`; a weight's conversion to lower precision is made once."""
    from .registry import cast

    if x.dtype is dtype:
        return x
    keep = (
        modes.autocast_cache
        and x._requires_grad
        and x._node is None
        and x._base is None
        and x.dtype is dtypes.float32
        and dtype is modes.autocast_dtypes[kind]
    )
    found = cache.get(x, dtype) if keep else None
    if found is None:
        found = cast(x, dtype)
        if keep and modes.grad:
            cache.put(x, dtype, found)
    return found
