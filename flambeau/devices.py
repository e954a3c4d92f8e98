"""`device` objects and the default device. Which devices exist is known further up."""

from __future__ import annotations

import functools
import re
import threading

TYPES = (
    "cpu",
    "cuda",
    "ipu",
    "xpu",
    "mkldnn",
    "opengl",
    "opencl",
    "ideep",
    "hip",
    "ve",
    "fpga",
    "maia",
    "xla",
    "lazy",
    "vulkan",
    "mps",
    "meta",
    "hpu",
    "mtia",
    "privateuseone",
)

_FORM = re.compile(r"([a-zA-Z_]+)(?::(0|[1-9][0-9]*))?", re.ASCII)
_PARSED: dict[str, tuple[str, int | None]] = {}

_SIGNATURES = " * (torch.device device)\n{reason} * (str type, int index = -1)\n"


class device:
    """Where a tensor lives: a type and, optionally, an index.

    `with device("meta"):` makes it the default device of the tensors created inside.

    Args:
        type: a string ("cpu", "cuda:1"), another device, or the index of an accelerator.
        index: the index where `type` names none.

    Raises:
        RuntimeError: an unknown type or a malformed string.

    >>> device("cuda", 1)
    device(type='cuda', index=1)
    """

    __slots__ = ("_key", "index", "type")

    type: str
    index: int | None

    def __new__(cls, *args, **kwargs):
        if len(args) == 1 and not kwargs and args[0].__class__ is str:
            return _make(*_parse(args[0]))
        return _make(*_from_arguments(args, kwargs))

    def __setattr__(self, name, value):
        if name in ("type", "index"):
            raise AttributeError(f"attribute '{name}' of 'torch.device' objects is not writable")
        raise AttributeError(f"'torch.device' object has no attribute '{name}'")

    def __eq__(self, other):
        return other.__class__ is device and self._key == other._key

    def __hash__(self):
        return hash(self._key)

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self):
        if self.index is None:
            return f"device(type='{self.type}')"
        return f"device(type='{self.type}', index={self.index})"

    def __reduce__(self):
        return device, (str(self),)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __enter__(self):
        _default.context.append(self)
        return self

    def __exit__(self, *exception):
        _default.context.pop()

    def __call__(self, function):
        raise TypeError("'torch.device' object is not callable")


@functools.cache
def _make(kind: str, index: int | None) -> device:
    """The one object for a device."""
    made = object.__new__(device)
    write = object.__setattr__
    write(made, "type", kind)
    write(made, "index", index)
    write(made, "_key", (kind, index))
    return made


def _parse(text: str) -> tuple[str, int | None]:
    """The type and the index in a device string."""
    parsed = _PARSED.get(text)
    if parsed is not None:
        return parsed
    if not text:
        raise RuntimeError("Device string must not be empty")
    match = _FORM.fullmatch(text)
    if match is None:
        raise RuntimeError(f"Invalid device string: '{text}'")
    kind, index = match.groups()
    if kind not in TYPES:
        raise RuntimeError(
            f"Expected one of {', '.join(TYPES)} device type at start of device string: {kind}"
        )
    _PARSED[text] = parsed = (kind, None if index is None else int(index))
    return parsed


def _from_arguments(args: tuple, kwargs: dict) -> tuple[str, int | None]:
    """The type and the index that `device(...)`'s arguments ask for."""
    if (len(args), *kwargs) in ((1,), (0, "device")):
        given = args[0] if args else kwargs["device"]
        if isinstance(given, device):
            return given._key
        if isinstance(given, str):
            return _parse(given)
        if isinstance(given, int) and not isinstance(given, bool):
            return _accelerator(given)
        raise _bad_arguments(args, kwargs)
    names = ("type", "index")
    bound = dict(zip(names, args, strict=False)) | kwargs
    if len(args) > 2 or set(bound) - set(names) or not isinstance(bound.get("type"), str):
        raise _bad_arguments(args, kwargs)
    kind, own_index = _parse(bound["type"])
    index = bound.get("index")
    if index is None:
        return kind, own_index
    if not isinstance(index, int) or isinstance(index, bool):
        raise TypeError(
            f"device(): argument 'index' (position 2) must be int, not {index.__class__.__name__}"
        )
    if own_index is not None:
        raise RuntimeError(
            "type (string) must not include an index because index was passed explicitly: "
            f"{bound['type']}"
        )
    if index < 0:
        raise RuntimeError("Device index must not be negative")
    return kind, index


def _bad_arguments(args: tuple, kwargs: dict) -> TypeError:
    got = [item.__class__.__name__ for item in args]
    got += [f"{name}={item.__class__.__name__}" for name, item in kwargs.items()]
    listed = ", ".join(got) + (", " if kwargs else "")
    reason = ""
    if kwargs:
        reason = (
            f"      didn't match because some of the keywords were incorrect: {', '.join(kwargs)}\n"
        )
    elif args:
        reason = (
            "      didn't match because some of the arguments have invalid types: "
            f"({', '.join(f'!{name}!' for name in got)})\n"
        )
    return TypeError(
        f"device() received an invalid combination of arguments - got ({listed}), but expected "
        f"one of:\n{_SIGNATURES.format(reason=reason)}"
    )


# --- accelerators and the default device --------------------------------------------------------

CPU = device("cpu")
META = device("meta")

_accelerator_type: str | None = None


class _Default(threading.local):
    """A thread's default device, and those of its open `with` blocks."""

    def __init__(self):
        self.device = CPU
        self.context: list[device] = []


_default = _Default()


def set_accelerator_type(kind: str | None) -> None:
    """Say which type `device(0)` means; None where there is only the CPU."""
    global _accelerator_type
    _accelerator_type = kind


def _accelerator(index: int) -> tuple[str, int]:
    if index < 0:
        raise RuntimeError("Device index must not be negative")
    if _accelerator_type is None:
        raise RuntimeError("Cannot access accelerator device when none is available.")
    return _accelerator_type, index


def get_default_device() -> device:
    """The device of tensors that are created without one being named."""
    return _default.context[-1] if _default.context else _default.device


def set_default_device(device: device | str | int | None) -> None:
    """Make `device` the default of tensors created from here on; None restores the CPU."""
    _default.device = CPU if device is None else as_device(device)


def as_device(given: device | str | int) -> device:
    """The device that a `device=` argument means."""
    return given if isinstance(given, device) else device(given)
