"""Context managers and decorators that switch recording: `no_grad` and its relatives."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .state import modes


class _ModeContext:
    """A context manager that also decorates functions, generators and classes."""

    def __enter__(self) -> Any:
        raise NotImplementedError

    def __exit__(self, *exception: Any) -> None:
        raise NotImplementedError

    def clone(self) -> _ModeContext:
        """A fresh context of the same settings."""
        return type(self)()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isclass(function):
            import warnings

            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You "
                "should only decorate functions or methods. To preserve the current behavior of "
                "class decoration, you can directly decorate the `__init__` method and nothing "
                "else.",
                FutureWarning,
                stacklevel=2,
            )
            function.__init__ = self(function.__init__)  # type: ignore[misc]
            return function
        if inspect.isgeneratorfunction(function):
            return _decorated_generator(self, function)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return wrapper


def _decorated_generator(context: _ModeContext, function: Callable[..., Any]) -> Any:
    """The mode holds while the generator's body runs, not while it is suspended."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        try:
            with context.clone():
                value = next(generator)
            while True:
                try:
                    sent = yield value
                except GeneratorExit:
                    with context.clone():
                        generator.close()
                    raise
                except BaseException as error:
                    with context.clone():
                        value = generator.throw(error)
                else:
                    with context.clone():
                        value = generator.send(sent)
        except StopIteration as stop:
            return stop.value

    return wrapper


class _NoParameters(_ModeContext):
    """A mode without settings: usable as `@mode` and `@mode()`."""

    def __new__(cls, orig_func: Callable[..., Any] | None = None) -> Any:
        context = object.__new__(cls)
        if orig_func is None:
            return context
        context.__init__()
        return context(orig_func)

    def __init__(self, orig_func: Callable[..., Any] | None = None) -> None:
        self.previous: list[bool] = []


class no_grad(_NoParameters):
    """Record nothing inside: results do not require gradients. Context manager and decorator.

    >>> import flambeau as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __enter__(self) -> None:
        self.previous.append(modes.grad)
        modes.grad = False

    def __exit__(self, *exception: Any) -> None:
        modes.grad = self.previous.pop()


class enable_grad(_NoParameters):
    """Record inside, also within `no_grad`. Context manager and decorator."""

    def __enter__(self) -> None:
        self.previous.append(modes.grad)
        modes.grad = True

    def __exit__(self, *exception: Any) -> None:
        modes.grad = self.previous.pop()


class set_grad_enabled(_ModeContext):
    """Switch recording on or off: at once, or for a `with` block.

    Args:
        mode: whether to record.
    """

    def __init__(self, mode: bool) -> None:
        self.previous = modes.grad
        self.mode = mode
        modes.grad = mode

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        modes.grad = self.previous
        return super().__call__(function)

    def __enter__(self) -> None:
        modes.grad = self.mode

    def __exit__(self, *exception: Any) -> None:
        modes.grad = self.previous

    def __str__(self) -> str:
        return f"torch.autograd.grad_mode.set_grad_enabled(mode={self.mode})"

    def __repr__(self) -> str:
        return str(self)

    def clone(self) -> set_grad_enabled:
        """A fresh context of the same mode."""
        previous = modes.grad
        fresh = set_grad_enabled(self.mode)
        modes.grad = previous
        return fresh


class inference_mode(_ModeContext):
    """Like `no_grad`, and results can never be used where gradients are recorded.

    Args:
        mode: whether to switch it on.
    """

    def __new__(cls, mode: Any = True) -> Any:
        context = object.__new__(cls)
        if isinstance(mode, bool):
            return context
        context.__init__()
        return context(mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode
        self.previous: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self.previous.append((modes.inference, modes.grad))
        modes.inference = self.mode
        modes.grad = not self.mode

    def __exit__(self, *exception: Any) -> None:
        modes.inference, modes.grad = self.previous.pop()

    def clone(self) -> inference_mode:
        """A fresh context of the same mode."""
        return inference_mode(self.mode)


class set_detect_anomaly(_ModeContext):
    """Switch on anomaly detection: a NaN in a backward pass raises and names its forward line.

    Args:
        mode: whether to switch it on.
        check_nan: whether to look for NaN.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.previous = (modes.anomaly, modes.anomaly_check_nan)
        modes.anomaly, modes.anomaly_check_nan = mode, check_nan

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: Any) -> None:
        modes.anomaly, modes.anomaly_check_nan = self.previous


class detect_anomaly(_ModeContext):
    """Anomaly detection for a `with` block.

    Args:
        check_nan: whether to look for NaN.
    """

    def __init__(self, check_nan: bool = True) -> None:
        import warnings

        self.check_nan = check_nan
        self.previous = (modes.anomaly, modes.anomaly_check_nan)
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            UserWarning,
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self.previous = (modes.anomaly, modes.anomaly_check_nan)
        modes.anomaly, modes.anomaly_check_nan = True, self.check_nan

    def __exit__(self, *exception: Any) -> None:
        modes.anomaly, modes.anomaly_check_nan = self.previous


class saved_tensors_hooks(_ModeContext):
    """Pass what the tape saves through `pack_hook`, and back through `unpack_hook`.

    Args:
        pack_hook: tensor -> anything.
        unpack_hook: what `pack_hook` returned -> tensor.
    """

    def __init__(self, pack_hook: Callable[..., Any], unpack_hook: Callable[..., Any]) -> None:
        self.pair = (pack_hook, unpack_hook)

    def __enter__(self) -> None:
        if modes.saved_hooks_refusal is not None:
            raise RuntimeError(modes.saved_hooks_refusal)
        modes.saved_hooks = (*modes.saved_hooks, self.pair)

    def __exit__(self, *exception: Any) -> None:
        modes.saved_hooks = modes.saved_hooks[:-1]


def is_grad_enabled() -> bool:
    """Whether operations are recorded."""
    return modes.grad


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` is on."""
    return modes.inference


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on."""
    return modes.anomaly
