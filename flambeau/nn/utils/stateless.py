"""Calling a module with other parameters and buffers than its own."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from ...core.tensor import Tensor
from ..modules.module import Module

__all__ = ["functional_call"]

_NOTHING = object()


def _is_tensor_or_none(value: Any) -> bool:
    return value is None or isinstance(value, Tensor)


class _Slot:
    """The place of one tensor: an entry of a module's tables, or a plain attribute."""

    def __init__(self, root: Module, path: str):
        prefix, _, self.name = path.rpartition(".")
        self.module: Any = root.get_submodule(prefix) if prefix else root
        if not self.name:
            raise KeyError('tensor name can\'t be empty string ""')

    def _table(self) -> dict[str, Any] | None:
        for table in (self.module._parameters, self.module._buffers):
            if self.name in table:
                return table
        return None

    def take(self) -> Any:
        """The tensor in it; `_NOTHING` where the module has no such attribute."""
        table = self._table()
        value = getattr(self.module, self.name, _NOTHING) if table is None else table[self.name]
        if value is not _NOTHING and not _is_tensor_or_none(value):
            raise TypeError(f"attribute `{self.name}`: {value} is not an instance of torch.Tensor")
        return value

    def put(self, value: Any) -> None:
        """Fill it, without the checks and hooks of assignment."""
        table = self._table()
        if value is _NOTHING:
            delattr(self.module, self.name)
        elif table is None:
            setattr(self.module, self.name, value)
        else:
            table[self.name] = value


def _named_tensors(module: Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _with_ties(module: Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors`, and under the other names of tied ones the same again."""
    names: dict[int, set[str]] = {}
    for name, tensor in _named_tensors(module):
        names.setdefault(id(tensor), set()).add(name)
    result = dict(tensors)
    for tied in names.values():
        given = sorted(tied & tensors.keys())
        if len({id(tensors[name]) for name in given}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {given}, which are tied. Consider "
                "using tie_weights=False"
            )
        if given:
            result.update(dict.fromkeys(tied, tensors[given[0]]))
    return result


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


def _check_names(module: Module, tensors: Mapping[str, Tensor]) -> None:
    own = {name for name, _ in _named_tensors(module)}
    unexpected, missing = tensors.keys() - own, own - tensors.keys()
    lines = [f"Unexpected key(s): {_quoted(unexpected)}."] if unexpected else []
    lines += [f"Missing key(s): {_quoted(missing)}."] if missing else []
    if lines:
        raise RuntimeError(
            f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(lines)
        )


@contextlib.contextmanager
def _reparametrize_module(
    module: Module,
    parameters_and_buffers: MutableMapping[str, Tensor],
    tie_weights: bool = False,
    strict: bool = False,
) -> Iterator[None]:
    """Within the block, the module holds these tensors instead of its own.

    Afterwards `parameters_and_buffers` has what the module then held: buffers that `forward`
    assigned anew are found there.
    """
    tensors = (
        _with_ties(module, parameters_and_buffers) if tie_weights else dict(parameters_and_buffers)
    )
    if strict:
        _check_names(module, tensors)
    taken: list[tuple[str, _Slot, Any]] = []
    try:
        for name, tensor in tensors.items():
            slot = _Slot(module, name)
            if not _is_tensor_or_none(tensor):
                raise TypeError(f"{tensor} is not an instance of torch.Tensor")
            taken.append((name, slot, slot.take()))
            slot.put(tensor)
        yield
    finally:
        for name, slot, own in reversed(taken):
            if name in parameters_and_buffers:
                parameters_and_buffers[name] = slot.take()
            slot.put(own)


def _functional_call(
    module: Module,
    parameters_and_buffers: MutableMapping[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    positional = () if args is None else args if isinstance(args, tuple) else (args,)
    with _reparametrize_module(module, parameters_and_buffers, tie_weights, strict):
        return module(*positional, **({} if kwargs is None else kwargs))


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """The module's result with other parameters and buffers; the early name of the one in `func`.

    Args:
        module: the module to call; afterwards it holds its own tensors again.
        parameters_and_buffers: tensors by their dotted names; names that are not given keep the
            module's own tensors. Buffers that `forward` writes to are changed here.
        args: the argument of the call, or a tuple of them.
        kwargs: keyword arguments of the call.
        tie_weights: a tensor given for one of several names of a tied one stands for all.
        strict: all names of the module, and no others, must be given.

    Raises:
        RuntimeError: names are missing or left over, with `strict`.
        ValueError: different tensors are given for tied ones.
    """
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be "
        "removed in a future version of PyTorch. Please use `torch.func.functional_call` instead "
        "which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(
        module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict
    )
