"""`compile`: a function whose whole body runs as one XLA program."""

from __future__ import annotations

import functools
import traceback
import types
import warnings
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import jax

from .. import dtypes
from ..config import config
from ..core.state import modes
from ..core.tensor import Tensor
from ..core.tracing import OuterGraph
from .buckets import Buckets
from .capture import MemoryMatters
from .program import Program, Run
from .walk import PLAIN, Walk


class CompileError(RuntimeError):
    """A function that cannot be compiled: which line of the user's it is, and the cures."""


class Signature:
    """The arguments of a call: the tensors, and what else the program depends on.

    Attributes:
        structure: how the arguments are nested, with the plain values; tensors by their number.
        values: the arguments that are views of memory that nobody else here knows (a batch out of a
            resident data set): the program takes their values, wherever they start.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]):
        self.tensors: list[Tensor] = []
        self.objects: list[tuple[str, Any]] = []
        self.numbers: dict[int, int] = {}
        self.values: frozenset[int] = frozenset()
        parts = [self.part(a, f"args[{i}]") for i, a in enumerate(args)]
        parts += [(k, self.part(v, k)) for k, v in kwargs.items()]
        self.structure = tuple(parts)

    def part(self, value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            number = self.numbers.get(id(value))
            if number is None:
                number = self.numbers[id(value)] = len(self.tensors)
                self.tensors.append(value)
            return ("tensor", number)
        kind = type(value)
        if isinstance(value, (tuple, list)):
            return (kind, *[self.part(v, f"{path}[{i}]") for i, v in enumerate(value)])
        if isinstance(value, dict):
            return (kind, *[(k, self.part(v, f"{path}[{k!r}]")) for k, v in value.items()])
        if isinstance(value, PLAIN):
            return (kind, value)
        self.objects.append((path, value))
        return (kind, id(value))

    def key(self, walk: Walk, aliased: set[int]) -> Any:
        """What a program must have been made for, modes included.

        Args:
            aliased: arguments whose memory matters, because the function writes to it.
        """
        if any(t._steps for t in self.tensors):
            self.values = self._private(walk) - aliased
        described = [self._described(n, t) for n, t in enumerate(self.tensors)]
        return (self.structure, tuple(described), _mode_facts())

    def _private(self, walk: Walk) -> frozenset[int]:
        known = {id(t._storage) for t in walk.tensors.values()}
        count = Counter(id(t._storage) for t in self.tensors)
        return frozenset(
            number
            for number, t in enumerate(self.tensors)
            if t._steps
            and count[id(t._storage)] == 1
            and id(t._storage) not in known
            and not t.requires_grad
        )

    def _described(self, number: int, tensor: Tensor) -> tuple[Any, ...]:
        storage = tensor._storage
        memory: tuple[Any, ...] = ()
        if number not in self.values:
            memory = (tensor._steps, tensor._offsets, storage.strides)
        return (
            type(tensor),
            tensor._dims(),
            tensor._dtype_numpy(),
            memory,
            storage.device,
            tensor._requires_grad,
            tensor._node is None,
        )


def _mode_facts() -> tuple[Any, ...]:
    return (
        modes.grad,
        modes.inference,
        modes.default_device,
        dtypes.get_default_dtype(),
        config.matmul_precision,
        modes.autocast and tuple((k, modes.autocast_dtypes[k]) for k in sorted(modes.autocast)),
    )


_all: weakref.WeakSet[Any] = weakref.WeakSet()


class Compiled:
    """A function that `compile` gave: it keeps a program for each kind of call.

    Attributes:
        function: the function itself.
        programs: by the kind of arguments and modes.
    """

    _stands_for = "function"  # what a walk that comes by goes on to

    def __init__(
        self,
        function: Callable[..., Any],
        fallback: bool | None = None,
        limit: int | None = None,
        buckets: Any = None,
    ):
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.fallback = fallback
        self.buckets = None if buckets is None else Buckets(buckets)
        self.limit = config.compile_limit if limit is None else limit
        self.programs: OrderedDict[Any, list[Program]] = OrderedDict()
        self.walks: dict[Any, Walk] = {}
        self.aliased: set[int] = set()
        self.plain = False
        self.compilations = 0
        self.reasons: list[str] = []
        _all.add(self)

    @staticmethod
    def forget_all() -> None:
        """Drop the programs of every compiled function."""
        for compiled in list(_all):
            compiled.programs.clear()
            compiled.walks.clear()
            compiled.reasons.clear()
            compiled.plain = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if modes.trace is not None or modes.levels or self.plain:
            return self.function(*args, **kwargs)
        if self.buckets is not None:
            return self.buckets.call(functools.partial(self.run, **kwargs), args)
        return self.run(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """One call through a program that fits, which is made if there is none yet."""
        signature = Signature(args, kwargs)
        walk = self._walk(signature)
        key = signature.key(walk, self.aliased)
        run = Run(walk.tensors, signature.tensors)
        reason = None
        candidates = self.programs.get(key)
        for program in candidates or ():
            if program.walk is not walk:
                why = self._moved(program, walk)
                if why is not None:
                    reason = reason or why
                    continue
            why = program.refusal(run)
            if why is None:
                self.programs.move_to_end(key)
                return program.call(run)
            reason = reason or why
        if self.programs and reason is None:
            reason = "the call changed: " + _difference(next(reversed(self.programs)), key)
        return self._compile(args, kwargs, signature, key, reason)

    def _walk(self, signature: Signature) -> Walk:
        """The present walk; the same object as before while nothing that it saw has changed."""
        which = tuple(id(o) for _, o in signature.objects)
        walk = self.walks.get(which)
        if walk is None or not walk.holds():
            walk = self.walks[which] = Walk(self._roots(signature))
        return walk

    def _roots(self, signature: Signature) -> list[tuple[str, Any]]:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return [(name, self.function), *signature.objects]

    def _moved(self, program: Program, walk: Walk) -> str | None:
        """Whether a program made for another walk fits this one: None, or what differs."""
        why = differs(program.expected, walk.facts, program.tensors, walk.tensors)
        if why is None and not program.writes_into(walk):
            why = "an object that the function writes to is another one"
        if why is None:
            program.walk = walk
        return why

    def _compile(
        self, args: Any, kwargs: Any, signature: Signature, key: Any, reason: str | None
    ) -> Any:
        if reason is not None:
            if config.log_recompiles:
                warnings.warn(
                    f"flambeau.compile: recompiling {self._name()}: {reason}", stacklevel=3
                )
            if len(self.reasons) >= self.limit:
                return self._give_up(
                    f"it was compiled {self.compilations} times; the last reason was: {reason}",
                    args,
                    kwargs,
                )
        walk = self.walks[tuple(id(o) for _, o in signature.objects)]
        roots = self._roots(signature)
        try:
            program = Program(self.function, args, kwargs, signature, walk, roots)
        except MemoryMatters as found:
            self.aliased.add(found.number)
            key = signature.key(walk, self.aliased)
            return self._compile(args, kwargs, signature, key, None)
        except OuterGraph as error:
            if self._falls_back():
                return self._give_up(str(error), args, kwargs)
            raise CompileError(f"flambeau.compile: {error}") from None
        except _CONCRETE as error:
            message = _value_needed(error, self.function)
            if self._falls_back():
                return self._give_up(message, args, kwargs)
            raise CompileError(message) from None
        except Exception as error:
            _tidy(error)
            raise
        after = self.walks[tuple(id(o) for _, o in signature.objects)] = Walk(roots)
        program.expect(walk, after)
        if reason is not None:
            self.reasons.append(reason)
        self.compilations += 1
        if not program.passing():
            self.programs.setdefault(key, []).insert(0, program)
        while sum(map(len, self.programs.values())) > config.compile_cache_size:
            self.programs.popitem(last=False)
        run = Run(after.tensors, signature.tensors)
        refused = program.refusal(run)
        assert refused is None, refused
        return program.call(run)

    def _falls_back(self) -> bool:
        return config.compile_fallback if self.fallback is None else self.fallback

    def _give_up(self, why: str, args: Any, kwargs: Any) -> Any:
        warnings.warn(
            f"flambeau.compile: {self._name()} runs without being compiled from now on: {why}",
            stacklevel=4,
        )
        self.plain = True
        return self.function(*args, **kwargs)

    def _name(self) -> str:
        return getattr(self.function, "__qualname__", type(self.function).__name__)


_CONCRETE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


def _tidy(error: Exception) -> None:
    """Take the frames of the trace, and JAX's note, from an error that the user's code raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and _is_machinery(trace.tb_next):
        trace.tb_next = trace.tb_next.tb_next
    notes = getattr(error, "__notes__", None)
    if notes:
        notes[:] = [note for note in notes if "JAX has removed its internal frames" not in note]


def _is_machinery(trace: types.TracebackType) -> bool:
    module = trace.tb_frame.f_globals.get("__name__", "")
    return module.partition(".")[0] == "jax" or module.startswith(__package__ or "flambeau")


def _value_needed(error: BaseException, function: Any) -> str:
    """The message for code that asks for a value while it is being compiled."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/flambeau/" not in f.filename and "/jax/" not in f.filename]
    where = own[-1] if own else frames[-1]
    return (
        f"flambeau.compile: line {where.lineno} of {where.filename} needs the value of a tensor "
        f"while the function is being compiled:\n    {where.line}\nA compiled function is one "
        "program whose course cannot depend on values. Cures: keep the decision in tensors "
        "(torch.where), return the tensor and read it outside, compile a smaller function, or "
        "compile(..., fallback=True) to run this function without compiling it."
    )


def differs(expected: Any, facts: Any, old_tensors: Any, tensors: Any) -> str | None:
    """The first fact that is not as expected, in words; None when all are."""
    for path, value in facts.items():
        wanted = expected.get(path, _ABSENT)
        if wanted is not value and wanted != value:
            if wanted is _ABSENT:
                return f"{path} is new"
            return f"{path} changed from {_show(wanted)} to {_show(value)}"
    for path in expected:
        if path not in facts:
            return f"{path} is gone"
    if old_tensors != tensors.keys():
        odd = next(iter(old_tensors ^ tensors.keys()))
        return f"the tensor {odd} is {'new' if odd in tensors else 'gone'}"
    return None


_ABSENT = object()


def _show(fact: Any) -> str:
    return repr(fact[1]) if isinstance(fact, tuple) and len(fact) == 2 else repr(fact)


def _difference(old: Any, new: Any, path: str = "") -> str:
    """Where two nested keys differ, in words."""
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        for number, (a, b) in enumerate(zip(old, new, strict=True)):
            if a != b:
                return _difference(a, b, f"{path}.{number}" if path else str(number))
    return f"{old} became {new}"
