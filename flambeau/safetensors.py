"""Files of the safetensors format, through its own library, for this library's tensors.

The functions are those of `safetensors.torch`. The format holds names and arrays and nothing that
could be run. `pip install flambeau[safetensors]` brings the library.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import dtypes
from .core.device import tensor_from_host
from .core.tensor import Tensor
from .nn.modules.module import Module
from .serialization.atomic import write_atomically

_FLOAT8 = {
    "F8_E4M3": dtypes.float8_e4m3fn,
    "F8_E5M2": dtypes.float8_e5m2,
}

__all__ = ["load", "load_file", "load_model", "save", "save_file", "save_model"]


def save_file(
    tensors: Mapping[str, Tensor],
    filename: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write named tensors to a file, which appears under its name only when it is complete.

    Args:
        tensors: contiguous ones, no two of which share memory.
        filename: the file's path.
        metadata: further texts for the file's header.

    Raises:
        ValueError: for something that is no contiguous tensor.
        RuntimeError: for tensors that share memory; `save_model` leaves out the copies.

    Example::

        >>> import tempfile
        >>> from flambeau.safetensors import load_file, save_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_file({"w": torch.ones(2, dtype=torch.bfloat16)}, f"{folder}/w.safetensors")
        ...     load_file(f"{folder}/w.safetensors")
        {'w': tensor([1., 1.], dtype=torch.bfloat16)}
    """
    data = save(tensors, metadata)
    write_atomically(Path(filename), lambda file, name: file.write(data))


def save(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """The contents of the file that `save_file` would write."""
    import safetensors

    arrays = {name: _array(name, value) for name, value in _checked(tensors).items()}
    specs = {
        name: safetensors.TensorSpec(
            dtype=array.dtype.name,
            shape=list(array.shape),
            data_ptr=array.ctypes.data,
            data_len=array.nbytes,
        )
        for name, array in arrays.items()
    }
    return bytes(safetensors.serialize(specs, metadata=metadata))


def load_file(
    filename: str | os.PathLike[str], device: str | int = "cpu", *, backend: str = "mmap"
) -> dict[str, Tensor]:
    """The tensors of a file, by name.

    Args:
        filename: the file's path.
        device: where they go.
        backend: accepted and unused.

    Raises:
        safetensors.SafetensorError: for a file that is damaged or none of this format.
    """
    import safetensors

    with safetensors.safe_open(filename, framework="numpy") as file:
        names = list(file.keys())
        if not any(file.get_slice(name).get_dtype() in _FLOAT8 for name in names):
            arrays = {name: file.get_tensor(name) for name in names}
            return {name: tensor_from_host(array, device) for name, array in arrays.items()}
    return {
        name: tensor.to(device)  # type: ignore[attr-defined]
        for name, tensor in load(Path(filename).read_bytes()).items()
    }


def load(data: bytes) -> dict[str, Tensor]:
    """The tensors in the contents of a file, by name."""
    import safetensors

    found = {}
    for name, about in safetensors.deserialize(data):
        array = np.frombuffer(about["data"], _numpy_dtype(about["dtype"]))
        found[name] = tensor_from_host(array.reshape(about["shape"]), "cpu")
    return dict(sorted(found.items()))


def save_model(
    model: Module,
    filename: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
    force_contiguous: bool = True,
) -> None:
    """Write a module's state; of tensors that are one and the same, the first name is kept.

    Args:
        model: the module.
        filename: the file's path.
        metadata: further texts for the header, where the names left out are noted, too.
        force_contiguous: write tensors that are not contiguous as if they were.
    """
    state, notes = {}, dict(metadata or {})
    for names in _same(model.state_dict()):
        kept, *others = sorted(names)
        state[kept] = model.state_dict()[kept]
        notes.update({name: kept for name in others if name not in notes})
        if force_contiguous:
            state[kept] = state[kept].contiguous()
    save_file(state, filename, notes)


def load_model(
    model: Module,
    filename: str | os.PathLike[str],
    strict: bool = True,
    device: str | int = "cpu",
    *,
    backend: str = "mmap",
) -> tuple[list[str], list[str]]:
    """Read a file that `save_model` wrote into a module.

    Args:
        model: the module.
        filename: the file's path.
        strict: whether names that are missing, or too many, are an error.
        device: where the tensors are read to.
        backend: accepted and unused.

    Returns:
        The names that are missing, and those that are unexpected.
    """
    state = load_file(filename, device)
    missing, unexpected = model.load_state_dict(state, strict=False)
    for names in _same(model.state_dict()):
        if set(names) & set(state):  # one of them is there
            missing = [name for name in missing if name not in names]
    missing = sorted(missing)
    if strict and (missing or unexpected):
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(model).__name__}: missing keys {missing}, "
            f"unexpected keys {sorted(unexpected)}"
        )
    return missing, sorted(unexpected)


def _checked(tensors: Any) -> Mapping[str, Tensor]:
    if not isinstance(tensors, Mapping):
        raise ValueError(f"Expected a dict of [str, torch.Tensor] but received {type(tensors)}")
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise ValueError(
                f"Key `{name}` is invalid, expected torch.Tensor but received {type(value)}"
            )
    shared = [set(names) for names in _overlapping(tensors) if len(names) > 1]
    if shared:
        raise RuntimeError(
            "Some tensors share memory, this will lead to duplicate memory on disk and potential "
            f"differences when loading them again: {shared}. A potential way to correctly save "
            "your model is to use `save_model`."
        )
    return tensors


def _array(name: str, tensor: Any) -> np.ndarray:
    if not tensor.is_contiguous():
        raise ValueError(
            f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. It "
            "either means you are trying to save tensors which are reference of each other in "
            "which case it's recommended to save only the full tensors, and reslice at load time, "
            "or simply call `.contiguous()` on your tensor to pack it before saving."
        )
    return np.asarray(tensor.detach().cpu()._host(), order="C")


def _overlapping(tensors: Mapping[str, Tensor]) -> list[list[str]]:
    """The names of the tensors, those of one storage together."""
    groups: dict[int, list[str]] = defaultdict(list)
    for name, tensor in tensors.items():
        groups[id(tensor._storage) if tensor.numel() else id(tensor)].append(name)
    return list(groups.values())


def _same(state: Mapping[str, Any]) -> list[list[str]]:
    """The names of a state, those of one and the same tensor together."""
    groups: dict[Any, list[str]] = defaultdict(list)
    for name, value in state.items():
        layout = (tuple(value.shape), value._strides_offset()) if value.numel() else name
        groups[id(value._storage), str(layout)].append(name)
    return list(groups.values())


def _numpy_dtype(name: str) -> np.dtype:
    """The NumPy type of a type as the format names it: `BF16`, `I64`, ..."""
    if name == "BOOL":
        return np.dtype(np.bool_)
    if name == "BF16":
        found = dtypes.bfloat16.numpy
    elif name in _FLOAT8:
        found = _FLOAT8[name].numpy
    else:
        kind, bits = name[0], int(name[1:])
        return np.dtype(f"{ {'F': 'f', 'I': 'i', 'U': 'u', 'C': 'c'}[kind] }{bits // 8}")
    assert found is not None
    return found
