"""Trade time for memory: what a function computes on the way is computed again in `backward`.

Chen et al. 2016, arXiv:1604.06174.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any

from ..core.device import accelerator_count
from ..core.function import Function
from ..core.gradients import backward
from ..core.modes import enable_grad, no_grad, saved_tensors_hooks
from ..core.state import Walk, modes
from ..core.tensor import Tensor
from ..errors import NotBuilt
from ..nn.modules.container import Sequential
from ..ops.generator import get_rng_state, set_rng_state
from ..ops.registry import FUNCTIONS

_LATER = (
    "use_reentrant=False is recommended, but if you need to preserve the current default behavior, "
    "you can pass use_reentrant=True. Refer to docs for more details on the differences between "
    "the two variants."
)
_PASS_EXPLICITLY = (
    "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in "
    f"PyTorch 2.9, calling checkpoint without use_reentrant will raise an exception. {_LATER}"
)
_PASS_EXPLICITLY_SEQUENTIAL = (
    "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed "
    "explicitly. In version 2.9 we will raise an exception if use_reentrant is not passed. "
    f"{_LATER}"
)
_INCOMPATIBLE = (
    "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an "
    "`inputs` parameter to .backward(). To resolve this error, you can either set "
    "use_reentrant=False, or call .backward() without passing the `inputs` argument."
)
SAC_IGNORED_OPS: set[Any] = set()  # overloads of operations are not built


class CheckpointError(RuntimeError):
    """The function did not compute the same again."""


class _Settings:
    """What the `set_checkpoint_...` contexts set; None leaves it to each call."""

    early_stop: bool | None = None
    debug: bool | None = None


_settings = _Settings()


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Context manager: whether checkpoints keep a record of operations; None: as each call says."""
    previous, _settings.debug = _settings.debug, enabled
    try:
        yield
    finally:
        _settings.debug = previous


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Context manager: whether a recomputation ends when it has all that is needed."""
    previous, _settings.early_stop = _settings.early_stop, enable
    try:
        yield
    finally:
        _settings.early_stop = previous


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The tensors of a tuple without their history."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            "Only tuple of tensors is supported. Got Unsupported input type: "
            f"{type(inputs).__name__}"
        )
    return tuple(_detached(x, x.requires_grad) if isinstance(x, Tensor) else x for x in inputs)


def _detached(x: Tensor, requires_grad: bool) -> Tensor:
    result = x.detach()
    result.requires_grad = requires_grad
    return result


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn where no gradient can arrive."""
    if not any(x.requires_grad for x in inputs if isinstance(x, Tensor)):
        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2
        )


class DefaultDeviceType:
    """The kind of accelerator that is meant where no tensor says so."""

    _default_device_type: str | None = None  # asked of JAX when it is needed first

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Set it."""
        DefaultDeviceType._default_device_type = device

    @staticmethod
    def get_device_type() -> str:
        """Its name."""
        return DefaultDeviceType._default_device_type or ("cuda" if accelerator_count() else "cpu")


def get_device_states(*args: Any) -> tuple[list[int], list[Tensor]]:
    """The accelerators of the arguments, and the states of their generators.

    All devices draw from the one default generator here, so that there are none to keep.
    """
    return [], []


def set_device_states(devices: Any, states: Any, *, device_type: str | None = None) -> None:
    """Set what `get_device_states` gave."""
    if len(devices) or len(states):
        raise NotImplementedError("flambeau.utils.checkpoint.set_device_states: generator states")


def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


class _Surroundings:
    """The state of the random generator and of autocast, to be had again."""

    def __init__(self, preserve_rng_state: bool) -> None:
        self.random = get_rng_state() if preserve_rng_state else None
        self.autocast = modes.autocast, dict(modes.autocast_dtypes), modes.autocast_cache

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        """Inside, both are as they were then."""
        random = get_rng_state() if self.random is not None else None
        present = modes.autocast, modes.autocast_dtypes, modes.autocast_cache
        if self.random is not None:
            set_rng_state(self.random)
        modes.autocast, dtypes, modes.autocast_cache = self.autocast
        modes.autocast_dtypes = dict(dtypes)
        FUNCTIONS["autocast_increment_nesting"]()
        try:
            yield
        finally:
            if FUNCTIONS["autocast_decrement_nesting"]() == 0:
                FUNCTIONS["clear_autocast_cache"]()
            modes.autocast, modes.autocast_dtypes, modes.autocast_cache = present
            if random is not None:
                set_rng_state(random)


class CheckpointFunction(Function):
    """The reentrant form: a node whose `backward` runs the function and a walk of its own."""

    @staticmethod
    def forward(ctx: Any, run_function: Any, preserve_rng_state: bool, *args: Any) -> Any:
        """Run the function without recording it."""
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.surroundings = _Surroundings(preserve_rng_state)
        ctx.inputs = [None if isinstance(a, Tensor) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.save_for_backward(*(args[i] for i in ctx.places))
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *args: Any) -> Any:
        """Run the function again and go back through it."""
        if modes.walk is not None and modes.walk.partial:
            raise RuntimeError(_INCOMPATIBLE)
        inputs = list(ctx.inputs)
        for place, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            inputs[place] = tensor
        detached = detach_variable(tuple(inputs))
        with ctx.surroundings.again(), enable_grad():
            outputs = ctx.run_function(*detached)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        pairs = [
            (output, gradient)
            for output, gradient in zip(outputs, args, strict=True)
            if isinstance(output, Tensor) and output.requires_grad
        ]
        if not pairs:
            raise RuntimeError(
                "none of output has requires_grad=True, this checkpoint() is not necessary"
            )
        backward([output for output, _ in pairs], [gradient for _, gradient in pairs])
        gradients = (x.grad if isinstance(x, Tensor) else None for x in detached)
        return None, None, *gradients


# Note [Checkpoints by saved tensors]
# The form that is not reentrant records the function as usual, but where a node would save a value,
# it gets a `_Holder`. The first holder that is asked for its value in a backward pass has the whole
# function run again; the values that are saved then, in the same order, are those of the holders.
# The arguments are saved by a node of their own, so that of a checkpoint within a checkpoint they
# are held by the outer one.


class _Holder:
    """Stands for a saved value."""

    __slots__ = ("__weakref__", "place")

    def __init__(self, place: int) -> None:
        self.place = place


class _Enough(Exception):
    """All values have been computed."""


class _SaveInputs(Function):
    """A node that keeps the arguments of a checkpointed function."""

    @staticmethod
    def forward(ctx: Any, marker: Tensor, *args: Any) -> Any:
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.others = [None if isinstance(a, Tensor) else a for a in args]
        ctx.flags = [args[i].requires_grad for i in ctx.places]
        ctx.save_for_backward(*(args[i] for i in ctx.places))
        return marker.detach()


class _Frame:
    """One call of a checkpointed function."""

    def __init__(self, run: Callable[..., Any], saver: Any, check: bool, early_stop: bool) -> None:
        self.run = run
        self.saver = saver
        self.check = check
        self.early_stop = early_stop
        self.holders: list[weakref.ref[_Holder]] = []
        self.metadata: list[dict[str, Any]] = []
        self.values: weakref.WeakKeyDictionary[Any, dict[int, Tensor]]
        self.values = weakref.WeakKeyDictionary()  # by backward pass, or group of them

    # The forward pass

    def pack(self, x: Tensor) -> _Holder:
        holder = _Holder(len(self.holders))
        self.holders.append(weakref.ref(holder))
        if self.check:
            self.metadata.append(_metadata(x))
        return holder

    # The backward pass

    def unpack(self, holder: _Holder) -> Tensor:
        group = GraphExecGroup._get_current_group()
        walk = group or modes.walk or Walk(partial=False)
        values = self.values.get(walk)
        if values is None or holder.place not in values:
            values = self.values[walk] = {}
            self._recompute(values)
        return values[holder.place] if group else values.pop(holder.place)

    def _arguments(self) -> list[Any]:
        saver = self.saver
        args = list(saver.others)
        for place, tensor, flag in zip(saver.places, saver.saved_tensors, saver.flags, strict=True):
            args[place] = _detached(tensor, flag)
        return args

    def _recompute(self, values: dict[int, Tensor]) -> None:
        """Run the function again; what it saves are the values."""
        count = len(self.holders)
        places = itertools.count()
        found: list[dict[str, Any]] = []

        def pack(x: Tensor) -> Tensor:
            place = next(places)
            if place >= count:
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during recomputation than "
                    "during the original forward pass.\n"
                )
            found.append(_metadata(x))
            if self.holders[place]() is not None:
                values[place] = x.detach()
            if self.early_stop and place + 1 == count:
                raise _Enough
            return x.detach()

        args = self._arguments()
        with (
            contextlib.suppress(_Enough),
            saved_tensors_hooks(pack, lambda x: x),
            enable_grad(),
        ):
            self.run(*args)
        self._compare(found)

    def _compare(self, found: list[dict[str, Any]]) -> None:
        """Raise CheckpointError unless the same was saved both times."""
        if len(found) != len(self.holders):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the "
                "original forward and recomputation.\n"
                f"Number of tensors saved during forward: {len(self.holders)}\n"
                f"Number of tensors saved during recomputation: {len(found)}."
            )
        if not self.check:
            return
        lines = [
            f"tensor at position {place}:\nsaved metadata: {before}\nrecomputed metadata: {now}\n"
            for place, (before, now) in enumerate(zip(self.metadata, found, strict=True))
            if self.holders[place]() is not None and before != now
        ]
        if lines:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have "
                "different metadata than during the forward pass.\n" + "".join(lines) + "."
            )


def _metadata(x: Tensor) -> dict[str, Any]:
    return {"shape": x.shape, "dtype": x.dtype, "device": x.device}


def _without_reentry(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    contexts: tuple[Any, Any],
    surroundings: _Surroundings,
    check: bool,
    early_stop: bool,
) -> Any:
    """The form that is not reentrant (Note [Checkpoints by saved tensors])."""
    during, afterwards = contexts

    def run(*inputs: Any) -> None:
        with surroundings.again(), afterwards:
            function(*inputs, **kwargs)

    marker = FUNCTIONS["empty"]((0,)).requires_grad_()
    saver = _SaveInputs.apply(marker, *args).grad_fn
    frame = _Frame(run, saver, check, early_stop)
    with saved_tensors_hooks(frame.pack, frame.unpack), during:
        return function(*args, **kwargs)


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, of which nothing but the arguments is kept for `backward`.

    `backward` runs it again, with the same random numbers. In a compiled function XLA decides what
    is kept, and this is an ordinary call.

    Args:
        use_reentrant: True: one node of the tape, which runs a backward pass of its own; for
            positional arguments only, of which one must require gradients, and not for
            `autograd.grad`. False is recommended.
        context_fn: gives two contexts, for the call and for the recomputation.
        determinism_check: 'default' compares shapes and types of what is computed again; 'none'.
        early_stop: end the recomputation when it has all that is needed.
        preserve_rng_state: draw the same random numbers again (default True).

    Example::

        >>> layer = nn.Linear(3, 3)
        >>> x = torch.randn(2, 3)
        >>> y = torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)
        >>> y.sum().backward()
        >>> layer.weight.grad.shape
        torch.Size([3, 3])
    """
    if use_reentrant is None:
        warnings.warn(_PASS_EXPLICITLY, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs and use_reentrant:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if use_reentrant and (context_fn is not noop_context_fn or debug is not False):
        raise ValueError(
            "Passing `context_fn` or `debug` is only supported when use_reentrant=False."
        )
    if determinism_check not in ("default", "none") and not use_reentrant:
        raise ValueError(
            f"determinism_check should be one of ['default', 'none'], but got {determinism_check}"
        )
    if debug if _settings.debug is None else _settings.debug:
        raise NotImplementedError("flambeau.utils.checkpoint.checkpoint: debug=True")
    if modes.trace is not None or modes.levels:
        with context_fn()[0]:
            return function(*args, **kwargs)
    if use_reentrant:
        return CheckpointFunction.apply(function, preserve, *args)
    contexts = context_fn()
    if not modes.grad:
        return function(*args, **kwargs)
    early = early_stop if _settings.early_stop is None else _settings.early_stop
    return _without_reentry(
        function,
        args,
        kwargs,
        contexts,
        _Surroundings(preserve),
        determinism_check == "default",
        early,
    )


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Run functions one after the other, in segments of which each but the last is a checkpoint.

    Args:
        functions: a `Sequential`, or a list of functions or modules.
        segments: how many.
        preserve_rng_state: draw the same random numbers again (default True).
    """
    if use_reentrant is None:
        warnings.warn(_PASS_EXPLICITLY_SEQUENTIAL, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    chain = list(functions.children() if isinstance(functions, Sequential) else functions)

    def segment(members: list[Any]) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for member in members:
                x = member(x)
            return x

        return run

    size, start = len(chain) // segments, 0
    for start in range(0, size * (segments - 1), size):
        input = checkpoint(
            segment(chain[start : start + size]),
            input,
            use_reentrant=use_reentrant,
            preserve_rng_state=preserve,
        )
    done = size * (segments - 1)
    return segment(chain[done:])(input)


# Selective checkpoints


class CheckpointPolicy(Enum):
    """What a selective checkpoint does with the result of an operation."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


class SelectiveCheckpointContext:
    """What a policy of a selective checkpoint is told.

    Args:
        is_recompute: whether this is the recomputation.
        op_output: the operation's result.
    """

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute = is_recompute
        self.op_output = op_output


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False
) -> tuple[Any, Any]:
    """Contexts that keep the results of some operations: not built (there are no overloads)."""
    if not callable(policy_fn_or_list) and not isinstance(policy_fn_or_list, list):
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    raise NotBuilt("flambeau.utils.checkpoint.create_selective_checkpoint_contexts")


class GraphExecGroup:
    """Context manager: backward passes inside belong to one another, and share recomputations."""

    _current: GraphExecGroup | None = None

    def __enter__(self) -> GraphExecGroup:
        if GraphExecGroup._current is not None:
            raise RuntimeError(
                "GraphExecGroup contexts cannot be nested. Already inside group "
                f"{GraphExecGroup._current}"
            )
        GraphExecGroup._current = self
        return self

    def __exit__(self, *exception: Any) -> None:
        GraphExecGroup._current = None

    @classmethod
    def _get_current_group(cls) -> GraphExecGroup | None:
        return cls._current


__all__ = [
    "CheckpointError",
    "CheckpointFunction",
    "CheckpointPolicy",
    "DefaultDeviceType",
    "GraphExecGroup",
    "SelectiveCheckpointContext",
    "check_backward_validity",
    "checkpoint",
    "checkpoint_sequential",
    "create_selective_checkpoint_contexts",
    "detach_variable",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]
