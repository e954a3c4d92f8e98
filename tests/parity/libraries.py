"""The two libraries of a differential test, and the way of data from one to the other.

The library under test is flambeau. The environment variable `FLAMBEAU_TEST_SUBJECT=torch` puts
PyTorch in its place, so that the judges can be judged: oracle against oracle must be green.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class Library:
    """A module with PyTorch's interface; `patch` is active while programs run on it."""

    name: str
    module: Any
    patch: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, self.module.Tensor)

    def dtype(self, name: str) -> Any:
        return getattr(self.module, name)

    def resolve(self, path: str) -> Any:
        """The object behind a dotted path such as `linalg.det`."""
        return functools.reduce(getattr, path.split("."), self.module)

    def tensor(self, array: np.ndarray, dtype: str | None = None) -> Any:
        """A fresh contiguous tensor with the values of `array`."""
        made = self.module.from_numpy(np.array(array, order="C", copy=True))
        if dtype is None or dtype_name(made.dtype) == dtype:
            return made
        return made.to(self.dtype(dtype))

    def array(self, tensor: Any) -> np.ndarray:
        """The values of `tensor`; bfloat16, which NumPy lacks, comes back as float32."""
        tensor = tensor.detach()
        if dtype_name(tensor.dtype) == "bfloat16":
            tensor = tensor.to(self.module.float32)
        elif tensor.is_complex():
            tensor = tensor.resolve_conj()
        return np.array(tensor.numpy(force=True))

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Run with the seed 0 and every warning of the oracle; put global modes back afterwards."""
        warn_always = torch.is_warn_always_enabled()
        torch.set_warn_always(True)  # not only the first time in this process
        grad_enabled = self.module.is_grad_enabled()
        default_dtype = self.module.get_default_dtype()
        self.module.manual_seed(0)
        try:
            with self.patch():
                yield
        finally:
            torch.set_warn_always(warn_always)
            self.module.set_grad_enabled(grad_enabled)
            self.module.set_default_dtype(default_dtype)


ORACLE = Library("torch", torch)


@functools.cache
def subject() -> Library:
    """The library under test."""
    name = os.environ.get("FLAMBEAU_TEST_SUBJECT", "flambeau")
    return Library(name, importlib.import_module(name))


def dtype_name(dtype: Any) -> str:
    """`float32` for both libraries' float32."""
    return str(dtype).rsplit(".", 1)[-1]


def transfer(value: Any, library: Library) -> Any:
    """`value`, made of the oracle's tensors, dtypes and containers, rebuilt for `library`."""
    again = functools.partial(transfer, library=library)
    if isinstance(value, torch.Tensor):
        return transfer_tensor(value, library)
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
        return library.dtype(dtype_name(value))
    if isinstance(value, torch.device):
        return library.module.device(str(value))
    if isinstance(value, torch.Size):
        return library.module.Size(value)
    if isinstance(value, slice):
        return slice(again(value.start), again(value.stop), again(value.step))
    if isinstance(value, tuple):
        return tuple(again(item) for item in value)
    if isinstance(value, list):
        return [again(item) for item in value]
    if isinstance(value, dict):
        return {key: again(item) for key, item in value.items()}
    return value


def transfer_tensor(tensor: torch.Tensor, library: Library) -> Any:
    """`tensor` as a leaf of `library`: values, dtype, strides, offset, requires_grad."""
    data = tensor.detach().resolve_conj().resolve_neg()
    dtype = dtype_name(data.dtype)
    if data.is_contiguous():
        made = library.tensor(ORACLE.array(data), dtype)
    else:
        reach = sum((n - 1) * s for n, s in zip(data.shape, data.stride(), strict=True)) + 1
        length = data.storage_offset() + (reach if data.numel() else 0)
        flat = ORACLE.array(data.as_strided((length,), (1,), 0))
        base = library.tensor(flat, dtype)
        made = base.as_strided(tuple(data.shape), data.stride(), data.storage_offset())
    return made.requires_grad_() if tensor.requires_grad else made
