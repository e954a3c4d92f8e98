"""Parametrizations: tensors of a module that are computed from others each time they are read.

A module with a parametrized tensor becomes an instance of a subclass of its own class, on which the
tensor is a property; what it is computed from lives in `module.parametrizations[name]`.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any

from ...core.modes import no_grad
from ...core.tensor import Tensor
from ..modules.container import ModuleDict, ModuleList
from ..modules.module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

_cache_enabled = 0
_cache: dict[tuple[int, str], Tensor | None] = {}


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Within the block each parametrized tensor is computed once, at its first reading.

    Example::

        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
        >>> with nn.utils.parametrize.cached():
        ...     layer.weight is layer.weight
        True
    """
    global _cache_enabled
    _cache_enabled += 1
    try:
        yield
    finally:
        _cache_enabled -= 1
        if not _cache_enabled:
            _cache.clear()


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _set(tensor: Tensor, value: Tensor) -> None:
    """Give a tensor, which stays the same object, another value and shape."""
    with no_grad():
        tensor.set_(value)  # type: ignore[attr-defined]


def _inverse(modules: Sequence[Module], value: Tensor) -> Any:
    """What the parametrizations were computed from, as far as they can say."""
    result: Any = value
    for module in reversed(modules):
        if hasattr(module, "right_inverse"):
            with contextlib.suppress(NotImplementedError):
                result = module.right_inverse(result)
    return result


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, and the tensor or tensors that they start from.

    Made by `register_parametrization`. Calling it computes the parametrized tensor.

    Args:
        modules: the parametrizations, the first one nearest to the original.
        original: the tensor to be parametrized.
        unsafe: whether shape and type may change.

    Attributes:
        original: the tensor that the first parametrization is called with; `original0`,
            `original1`, ... where its `right_inverse` gives a sequence.
    """

    original: Tensor
    unsafe: bool

    def __init__(
        self, modules: Sequence[Module], original: Tensor | Parameter, unsafe: bool = False
    ) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        with no_grad():
            value = _inverse(modules, original)
        if not isinstance(value, (Tensor, Sequence)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(value).__name__}"
            )
        self.is_tensor = isinstance(value, Tensor)
        self.ntensors = 1 if isinstance(value, Tensor) else len(value)
        if isinstance(value, Tensor):
            self._keep_one(original, value)
        else:
            self._keep_several(original, value)
        if not self.unsafe:
            self._check(shape, dtype)

    def _names(self) -> list[str]:
        """The names of the tensors that it starts from."""
        return ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]

    def _keep_one(self, original: Tensor, value: Tensor) -> None:
        if original.dtype != value.dtype:
            raise ValueError(
                "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                f"original.dtype: {original.dtype}\n"
                f"right_inverse(original).dtype: {value.dtype}"
            )
        if original.device != value.device:
            raise ValueError(
                "When `right_inverse` outputs one tensor, it may not change the device.\n"
                f"original.device: {original.device}\n"
                f"right_inverse(original).device: {value.device}"
            )
        _set(original, value)
        _register(self, "original", original)

    def _keep_several(self, original: Tensor, values: Sequence[Any]) -> None:
        for i, value in enumerate(values):
            if not isinstance(value, Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, "
                    f"tuple...). Got element {i} of the sequence with type {type(value).__name__}."
                )
            if isinstance(original, Parameter):
                value = Parameter(value, original.requires_grad)
            value.requires_grad_(original.requires_grad)
            _register(self, f"original{i}", value)

    def _check(self, shape: Any, dtype: Any) -> None:
        """The parametrized tensor must look like the one that it replaces."""
        result = self()
        if not isinstance(result, Tensor):
            raise ValueError(
                f"A parametrization must return a tensor. Got {type(result).__name__}."
            )
        for what, before, after in (
            ("dtype", dtype, result.dtype),
            ("shape", shape, result.shape),
        ):
            if before != after:
                raise ValueError(
                    f"Registering a parametrization may not change the {what} of the tensor, "
                    "unless `unsafe` flag is enabled.\n"
                    f"unparametrized {what}: {before}\n"
                    f"parametrized {what}: {after}"
                )

    def right_inverse(self, value: Tensor) -> None:
        """Choose the originals so that the parametrized tensor becomes `value`.

        Raises:
            RuntimeError: a parametrization has no `right_inverse`.
        """
        with no_grad():
            result: Any = value
            for module in reversed(self):  # type: ignore[call-overload]
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                result = module.right_inverse(result)
            if self.is_tensor:
                _assign_one(self.original, result)
            else:
                _assign_several(self, result)

    def forward(self) -> Tensor:
        """The parametrized tensor."""
        first, *others = self
        result = first(*(getattr(self, name) for name in self._names()))
        for module in others:
            result = module(result)
        return result


def _assign_one(original: Tensor, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"`right_inverse` should return a tensor. Got {type(value).__name__}")
    if value.dtype != original.dtype:
        raise ValueError(
            f"The tensor returned by `right_inverse` has dtype {value.dtype} while `original` has "
            f"dtype {original.dtype}"
        )
    _set(original, value)


def _assign_several(owner: ParametrizationList, values: Any) -> None:
    if not isinstance(values, Sequence):
        raise ValueError(
            f"'right_inverse' must return a sequence of tensors. Got {type(values).__name__}."
        )
    if len(values) != owner.ntensors:
        raise ValueError(
            "'right_inverse' must return a sequence of tensors of length "
            f"{owner.ntensors}. Got a sequence of length {len(values)}."
        )
    for i, value in enumerate(values):
        original = getattr(owner, f"original{i}")
        if not isinstance(value, Tensor):
            raise ValueError(
                "'right_inverse' must return a sequence of tensors or reference-type opaques. Got "
                f"element {i} of type {type(value).__name__}."
            )
        if original.dtype != value.dtype:
            raise ValueError(
                f"Tensor {i} returned by `right_inverse` has dtype {value.dtype} while "
                f"`original{i}` has dtype {original.dtype}"
            )
        _set(original, value)


def _copied(self: Any, memo: dict[int, Any]) -> Any:
    """A deep copy that is, too, of the class with the parametrized properties."""
    if id(self) in memo:
        return memo[id(self)]
    replica = self.__new__(self.__class__)
    memo[id(self)] = replica
    replica.__dict__ = copy.deepcopy(self.__dict__, memo)
    return replica


def _not_pickled(self: Any) -> Any:
    raise RuntimeError(
        "Serialization of parametrized modules is only supported through state_dict(). See:\n"
        "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
        "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
    )


def _give_own_class(module: Module) -> None:
    """Make the module the only instance of a new subclass of its class."""
    own = type(module)
    members: dict[str, Any] = {"__getstate__": _not_pickled}
    if not hasattr(own, "__deepcopy__"):
        members["__deepcopy__"] = _copied
    module.__class__ = type(f"Parametrized{own.__name__}", (own,), members)


def _add_property(module: Module, name: str) -> None:
    """Reading `module.name` computes the tensor, assigning to it inverts the parametrization."""

    def read(self: Any) -> Any:
        if not _cache_enabled:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _cache:
            _cache[key] = self.parametrizations[name]()
        return _cache[key]

    def write(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(read, write))


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute a parameter or buffer of a module from another tensor each time it is read.

    Afterwards `module.weight` is `parametrization(module.parametrizations.weight.original)`; a
    second parametrization is applied to the result of the first. With a method `right_inverse`,
    the original is chosen so that the tensor keeps its value, and the tensor may be assigned to.

    Args:
        module: the owner of the tensor; it becomes an instance of a new subclass of its class.
        tensor_name: the tensor's name.
        parametrization: its `forward` gives the tensor.
        unsafe: whether the tensor's shape and type may change.

    Returns:
        The module.

    Raises:
        ValueError: there is no such tensor, or its shape or type changes without `unsafe`.

    Example::

        >>> class Symmetric(nn.Module):
        ...     def forward(self, x):
        ...         return x.triu() + x.triu(1).T
        >>> layer = nn.Linear(3, 3)
        >>> layer = nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
        >>> torch.equal(layer.weight, layer.weight.T)
        True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_another(module, tensor_name, parametrization)
        listed: Any = module.parametrizations[tensor_name]
        listed.append(parametrization)
        listed.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original: Any = getattr(module, tensor_name)
        made = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _give_own_class(module)
            module.parametrizations = ModuleDict()
        _add_property(module, tensor_name)
        module.parametrizations[tensor_name] = made
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    return module


def _check_another(module: Module, name: str, parametrization: Any) -> None:
    """One more parametrization must keep shape and type, forth and back."""
    now = getattr(module, name)
    result = parametrization(now)
    if not isinstance(result, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
    for what, before, after in (
        ("dtype", now.dtype, result.dtype),
        ("shape", now.shape, result.shape),
    ):
        if before != after:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless "
                "the `unsafe` flag is enabled.\n"
                f"module.{name}.{what}: {before}\n"
                f"parametrization(module.{name}).{what}: {after}"
            )
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        back = parametrization.right_inverse(result)
    except NotImplementedError:
        return
    if not isinstance(back, Tensor):
        raise ValueError(
            f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}"
        )
    for what, before, after in (
        ("dtype", now.dtype, back.dtype),
        ("shape", now.shape, back.shape),
    ):
        if before != after:
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {what} "
                f"as module.{name}, unless the `unsafe` flag is enabled.\n"
                f"module.{name}.{what}: {before}\n"
                f"returned {what}: {after}"
            )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of the module, or any of them, is parametrized."""
    parametrizations = getattr(module, "parametrizations", None)
    if not isinstance(parametrizations, ModuleDict):
        return False
    return bool(len(parametrizations)) if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make a parametrized tensor a plain parameter or buffer again.

    Args:
        module: the owner of the tensor.
        tensor_name: the tensor's name.
        leave_parametrized: keep its present value; else it becomes the original again.

    Returns:
        The module.

    Raises:
        ValueError: the tensor is not parametrized, or there is no one original to go back to.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    listed: Any = module.parametrizations[tensor_name]
    if listed.is_tensor:
        tensor = listed.original
        if leave_parametrized:
            with no_grad():
                value = getattr(module, tensor_name)
            _set(tensor, value)
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        tensor = Parameter(value.detach()) if value.requires_grad else value
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, tensor)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that the module had before a tensor of it was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Give a module the parametrizations of another one and the tensors that they start from.

    Args:
        from_module: where they are taken from; it keeps them.
        to_module: where they go.
        tensor_name: one tensor; by default all parametrized ones.

    Returns:
        `to_module`.
    """
    if not is_parametrized(from_module):
        return to_module
    source: Any = from_module.parametrizations
    for name in list(source) if tensor_name is None else [tensor_name]:
        listed = source[name]
        names = listed._names()
        if not hasattr(to_module, name):
            setattr(to_module, name, getattr(listed, names[0]))
        for parametrization in listed:
            register_parametrization(to_module, name, parametrization)
        target: Any = to_module.parametrizations[name]  # type: ignore[index]
        for original in names:
            setattr(target, original, getattr(listed, original))
    return to_module
