"""Tensor: a handle on a storage, perhaps through a chain of views, with its place on the tape."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from .. import dtypes
from ..devices import device as Device
from ..dtypes import BY_NUMPY
from ..errors import (
    BATCHED_CONTROL_FLOW,
    BATCHED_ITEM,
    NO_DATA_POINTER,
    REQUIRES_GRAD_IN_TRANSFORM,
)
from ..kernels import views as view_kernels
from ..size import Size
from .execute import ProgramCache
from .layout import host_replay, layout
from .state import modes
from .storage import OwnVersion, Storage, jax_device

_replays = ProgramCache(view_kernels.replay, ("steps",))
CPU = Device("cpu")


if TYPE_CHECKING:
    from .attached import Attached
else:
    Attached = object


class Tensor(Attached):
    """A multi-dimensional array of one element type, with define-by-run automatic differentiation.

    Args:
        data: sizes (`Tensor(2, 3)`: uninitialised), or values (a sequence, an array, a tensor),
            which become the default dtype. `flambeau.tensor` is the usual constructor.

    Example::

        >>> import flambeau as torch
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4.])
    """

    # Note [Tensor fields]
    # Class attributes are the defaults of an ordinary tensor, so that making one sets `_storage`
    # alone. A view adds `_steps` and `_offsets` (how to read it out of the storage), and, when
    # gradients see it as a view, `_base` with `_base_steps`/`_base_offsets` (how to read it out of
    # that tensor; they differ when the base is itself a detached part of the storage). `_reshaped`
    # marks a base whose own axes were changed in place after views had been taken of it.
    # `_cut` marks what was detached inside a function that is being transformed.
    # `_own_version` is the version of `x.data` and its views, which do not share that of `x`.
    _storage: Storage
    _steps: tuple[tuple[Any, ...], ...] = ()
    _offsets: tuple[int, ...] = ()
    _view_shape: tuple[int, ...] | None = None
    _view_dtype: np.dtype | None = None
    _cache: Any = None
    _cached_version: int = -1
    _layout: tuple[tuple[int, ...], int] | None = None

    _requires_grad: bool = False
    _grad: Tensor | None = None
    _node: Any = None
    _index: int = 0
    _accumulator: Any = None
    _base: Tensor | None = None
    _base_steps: tuple[tuple[Any, ...], ...] = ()
    _base_offsets: tuple[int, ...] = ()
    _creation: str | None = None
    _made_at: int = 0
    _inference: bool = False
    _reshaped: bool = False
    _cut: bool = False
    _own_version: OwnVersion | None = None
    _backward_hooks: OrderedDict[int, Any] | None = None
    _post_accumulate_grad_hooks: OrderedDict[int, Any] | None = None
    _retains_grad: bool = False
    __array_priority__ = 1000

    # What the results of operations on this tensor are: None stands for plain tensors. A user's
    # subclass makes more of its own kind; a Parameter and its subclasses make tensors.
    _result_class: type[Tensor] | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in ("__torch_function__", "__torch_dispatch__"):
            if name in cls.__dict__:
                raise NotImplementedError(f"flambeau: {name} of {cls.__qualname__}")
        ours = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
        parents = [b for b in cls.__bases__ if issubclass(b, Tensor) and b is not Tensor]
        if not ours and all(b._result_class is not None for b in parents):
            cls._result_class = cls

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:
        from .legacy import legacy_tensor

        return legacy_tensor(cls, *args, **kwargs)

    # Reading

    def _array(self) -> Any:
        """The value, a JAX or a NumPy array, not to be written to."""
        if self._steps:
            return self._replay()
        storage = self._storage
        return storage.read() if storage.external else storage.array

    def _on_device(self) -> Any:
        """The value as a JAX array."""
        if not self._steps:
            return self._storage.device_array()
        value = self._replay()
        if type(value) is np.ndarray:
            value = jax.device_put(value, jax_device(self._storage.device))
            if self._cached_version == self._storage.version:
                self._cache = value
        return value

    def _replay(self) -> Any:
        storage = self._storage
        if self._cached_version == storage.version and not storage.external:
            return self._cache
        array = storage.array
        if type(array) is jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(self._view_shape, self._dtype_numpy())
        value = None
        if type(array) is np.ndarray:
            value = host_replay(array, self._steps, self._offsets)
            if value is not None and storage.external:
                return np.array(value)
        if value is None:
            program = _replays[(self._steps,)]
            if modes.levels:
                from .levels import replay_lifted

                value = replay_lifted(program, (storage.read(), *self._offsets))
            else:
                value = program.run(storage.read(), *self._offsets)
        if not storage.external:
            self._cache = value
            self._cached_version = storage.version
        return value

    def _host(self) -> np.ndarray:
        """The value as a NumPy array, for reading only."""
        storage = self._storage
        if storage.device.type == "meta":
            raise NotImplementedError("Cannot copy out of meta tensor; no data!")
        if not self._steps:
            return np.asarray(storage.array)
        return np.asarray(self._replay())

    def _dims(self) -> tuple[int, ...]:
        shape = self._view_shape
        return self._storage.array.shape if shape is None else shape

    def _dtype_numpy(self) -> np.dtype:
        return self._view_dtype or self._storage.array.dtype

    # Facts

    @property
    def shape(self) -> Size:
        """The sizes of the axes."""
        shape = self._view_shape
        return Size(self._storage.array.shape if shape is None else shape)

    def size(self, dim: int | None = None) -> Any:
        """The sizes of the axes, or the size of axis `dim`."""
        if dim is None:
            return self.shape
        from ..errors import dimension

        shape = self._dims()
        return shape[dimension(dim, len(shape), scalar_ok=False)] if shape else _no_dims(dim)

    @property
    def dtype(self) -> dtypes.dtype:
        """The element type."""
        return BY_NUMPY[self._view_dtype or self._storage.array.dtype]

    @property
    def device(self) -> Device:
        """Where the elements are."""
        return self._storage.device

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._dims())

    def dim(self) -> int:
        """The number of axes."""
        return len(self._dims())

    def numel(self) -> int:
        """The number of elements."""
        count = 1
        for size in self._dims():
            count *= size
        return count

    def _strides_offset(self) -> tuple[tuple[int, ...], int]:
        """Virtual strides and storage offset, in elements."""
        if self._layout is None:
            storage = self._storage
            shape = storage.array.shape
            strides = storage.strides or view_kernels.row_major(shape)
            if not self._steps:
                return strides, 0
            self._layout = layout(shape, strides, self._steps, self._offsets, storage.array.dtype)
        return self._layout

    def _is_plain(self) -> bool:
        """Whether this is a whole storage in row-major order."""
        return not self._steps and self._storage.strides is None

    # The tape

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded for `backward`."""
        if self._requires_grad or self._node is not None:
            return True
        return self._base is not None and self._base.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._has_history():
            if value:
                return
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a "
                "computed variable in a subgraph that doesn't require differentiation use "
                "var_no_grad = var.detach()."
            )
        if value and self._inference and not modes.inference:
            raise RuntimeError(
                "Setting requires_grad=True on inference tensor outside InferenceMode is not "
                "allowed."
            )
        if value and not (self.dtype.is_floating_point or self.dtype.is_complex):
            raise RuntimeError(
                "only Tensors of floating point and complex dtype can require gradients"
            )
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` in place; returns the tensor."""
        if any(level.of_function for level in modes.levels):
            raise RuntimeError(REQUIRES_GRAD_IN_TRANSFORM)
        if self._has_history() and not requires_grad:
            self.requires_grad = False
        elif requires_grad and not (self.dtype.is_floating_point or self.dtype.is_complex):
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        else:
            self.requires_grad = requires_grad
        return self

    def _has_history(self) -> bool:
        """Whether a recorded operation made this tensor, or wrote to the tensor that it views."""
        base = self._base
        if self._node is not None or base is None:
            return self._node is not None
        return self._made_at != self._count() and base.requires_grad

    @property
    def grad_fn(self) -> Any:
        """The node of the tape that made this tensor; None for a leaf."""
        from .tape import current_node

        return current_node(self)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self.grad_fn is None

    @property
    def output_nr(self) -> int:
        """Which output of `grad_fn` this tensor is."""
        return self._index

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` accumulated."""
        if self._grad is None and not self._retains_grad and self._has_history():
            import warnings

            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its "
                ".grad attribute won't be populated during autograd.backward(). If you indeed want "
                "the .grad field to be populated for a non-leaf Tensor, use .retain_grad() on the "
                "non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you "
                "access the leaf Tensor instead.",
                UserWarning,
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is None:
            self._grad = None
            return
        if not isinstance(value, Tensor):
            raise TypeError(
                "assigned grad expected to be a Tensor or None but got grad of type "
                f"{type(value).__name__}"
            )
        if value is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if value._dims() != self._dims():
            raise RuntimeError(
                f"attempting to assign a gradient of size '{list(value._dims())}' to a tensor of "
                f"size '{list(self._dims())}'. Please ensure that the gradient and the tensor are "
                "the same size"
            )
        if value.dtype is not self.dtype:
            from .legacy import native_name, scalar_type_name

            raise RuntimeError(
                f"attempting to assign a gradient with dtype '{native_name(value.dtype)}' to a "
                f"tensor with grad_dtype '{scalar_type_name(self.dtype)}'. The gradient must match "
                "the tensor's grad_dtype (defaults to the tensor's dtype). You can set the "
                "tensor's grad_dtype attribute with a specific dtype, or None to allow any dtype. "
                "Set grad_dtype with caution. Diverging the dtypes of a tensor and its gradient "
                "may break downstream systems that assume they match."
            )
        if value.device != self.device:
            raise RuntimeError(
                f"attempting to assign a gradient with device type '{value.device.type}' to a "
                f"tensor with device type '{self.device.type}'. Please ensure that the gradient "
                "and the tensor are on the same device"
            )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Accumulate the gradient of this tensor into the leaves that it was computed from.

        Args:
            gradient: what to multiply from the left; may be left out for a single element.
            retain_graph: keep what the graph saved, for another call.
            create_graph: record the computation of the gradients too.
            inputs: accumulate into these tensors alone.
        """
        from .gradients import backward

        backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def detach(self) -> Tensor:
        """The same storage without its history: writes show on both sides."""
        result = alias(self, self._result_class or Tensor)
        if modes.levels:
            result._cut = True
        if self._own_version is not None:
            result._own_version = self._own_version
        return result

    def detach_(self) -> Tensor:
        """Forget this tensor's history."""
        if self._base is not None and self._base is not self:
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using "
                "DistributedDataParallel (DDP) "
                "for training, and gradient_as_bucket_view is set as True, gradients are views of "
                "DDP buckets, and "
                "hence detach_() cannot be called on these gradients. To fix this error, please "
                "refer to the "
                "Optimizer.zero_grad() function in torch/optim/optimizer.py as the solution."
            )
        self._node = None
        self._index = 0
        self._requires_grad = False
        return self

    @property
    def data(self) -> Tensor:
        """The same storage without history and without version checks."""
        result = alias(self)
        if modes.levels:
            result._cut = True
        result._own_version = OwnVersion(self._storage.device)
        return result

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self._requires_grad and not (value.dtype.is_floating_point or value.dtype.is_complex):
            raise RuntimeError(
                "data set to a tensor that requires gradients must be floating point or complex "
                "dtype"
            )
        for name in ("_steps", "_offsets", "_view_shape", "_view_dtype", "_layout"):
            if name in value.__dict__:
                self.__dict__[name] = value.__dict__[name]
            else:
                self.__dict__.pop(name, None)
        self._cache = None
        self._cached_version = -1
        self._storage = value._storage

    @property
    def _version(self) -> int:
        """How often the storage was written to."""
        if self._inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return self._count()

    def _count(self) -> int:
        return (self._own_version or self._storage).counted

    def _is_view(self) -> bool:
        """Whether this is a differentiable view of another tensor, `_base`."""
        return self._base is not None

    def register_hook(self, hook: Any) -> Any:
        """Call `hook(grad)` when the gradient of this tensor is computed; it may replace it."""
        from .hooks import register_tensor_hook

        return register_tensor_hook(self, hook)

    def register_post_accumulate_grad_hook(self, hook: Any) -> Any:
        """Call `hook(self)` after the gradient of this leaf has been accumulated."""
        from .hooks import register_post_accumulate_grad_hook

        return register_post_accumulate_grad_hook(self, hook)

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf tensor in `.grad`."""
        from .hooks import retain_grad

        retain_grad(self)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on this non-leaf tensor."""
        return self._retains_grad

    def is_inference(self) -> bool:
        """Whether the tensor was made under `inference_mode`."""
        return self._inference

    # Python's protocols

    def item(self) -> Any:
        """The value of a one-element tensor as a Python number."""
        if modes.levels:
            _refuse_batched(self, BATCHED_ITEM)
        array = self._host() if self.device.type != "meta" else _no_meta_item()
        if array.size != 1:
            raise RuntimeError(f"a Tensor with {array.size} elements cannot be converted to Scalar")
        value = array.reshape(()).item()
        return value if isinstance(value, (bool, int, float, complex)) else float(value)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers, or a number for a 0-d tensor."""
        if modes.levels:
            _refuse_batched(self, NO_DATA_POINTER)
        array = self._host()
        if array.dtype.kind == "V":
            array = array.astype(np.float32)
        return array.tolist()

    def __bool__(self) -> bool:
        count = self.numel()
        if count != 1:
            if count == 0:
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        if modes.levels:
            _refuse_batched(self, BATCHED_CONTROL_FLOW)
        return bool(self.item())

    def __int__(self) -> int:
        return int(self._real_number("int64_t"))

    def __float__(self) -> float:
        return float(self._real_number("double"))

    def __complex__(self) -> complex:
        return complex(self._python_number())

    def _python_number(self) -> Any:
        if self.numel() != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.item()

    def _real_number(self, kind: str) -> Any:
        value = self._python_number()
        if isinstance(value, complex):
            if value.imag:
                raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
            return value.real
        return value

    def __index__(self) -> int:
        dtype = self.dtype
        if dtype.is_floating_point or dtype.is_complex or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        shape = self._dims()
        if not shape:
            raise TypeError("len() of a 0-d tensor")
        return shape[0]

    def __hash__(self) -> int:
        return id(self)

    def __iter__(self) -> Any:
        if not self._dims():
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))  # type: ignore[attr-defined]

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        from .printing import tensor_repr

        return tensor_repr(self, tensor_contents=tensor_contents)

    def __format__(self, spec: str) -> str:
        if modes.trace is not None:
            return modes.trace.describe(self, spec)
        if not self._dims() and self.device.type != "meta" and type(self) is Tensor:
            return self.item().__format__(spec)
        return object.__format__(self, spec) if spec else repr(self)


def _refuse_batched(x: Tensor, message: str) -> None:
    from .batching import refuse_dynamic

    refuse_dynamic(x, message)


def _no_dims(dim: int) -> int:
    raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")


def _no_meta_item() -> np.ndarray:
    raise RuntimeError("Tensor.item() cannot be called on meta tensors")


def replay(storage: Storage, steps: tuple[Any, ...], offsets: tuple[int, ...]) -> Any:
    """The view of the storage's present contents that `steps` take."""
    return _replays[(steps,)].run(storage.read(), *offsets)


def wrap(array: Any, device: Device = CPU, strides: tuple[int, ...] | None = None) -> Tensor:
    """A new tensor that owns `array` (JAX, or NumPy that nobody else writes to)."""
    tensor = object.__new__(Tensor)
    tensor._storage = Storage(array, device, strides)
    if modes.inference:
        tensor._inference = True
    return tensor


def alias(tensor: Tensor, cls: type = Tensor) -> Tensor:
    """Another tensor on the same storage, with the same view of it and no history."""
    result = object.__new__(cls)
    result._storage = tensor._storage
    if tensor._steps:
        result._steps = tensor._steps
        result._offsets = tensor._offsets
        result._view_shape = tensor._view_shape
        result._view_dtype = tensor._view_dtype
        result._layout = tensor._layout
        result._cache = tensor._cache
        result._cached_version = tensor._cached_version
    return result


__all__ = ["CPU", "Tensor", "alias", "wrap"]
