"""Which GPUs there are, and which one is current."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import jax

from ..core.device import accelerator_count
from ..core.tensor import Tensor
from ..devices import device as Device

NO_CUDA = "Torch not compiled with CUDA enabled"


class _Current(threading.local):
    index: int = 0


_current = _Current()


def require_cuda() -> None:
    """Raise as PyTorch's CPU build does where there is no GPU."""
    if not accelerator_count():
        raise AssertionError(NO_CUDA)


def absent(symbol: str) -> AttributeError:
    """What PyTorch's CPU build raises where it calls a function that only CUDA builds have."""
    return AttributeError(f"module 'torch._C' has no attribute '{symbol}'")


def index_of(given: Any, optional: bool = False) -> int:
    """The number of the GPU that an argument `device` means.

    Args:
        optional: None, and "cuda" without a number, mean the current device.
    """
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if given is None and optional:
        return _current.index
    found = Device(given) if isinstance(given, str) else given
    if not isinstance(found, Device):
        raise ValueError(
            f"Expected a torch.device with a specified index or an integer, but got:{given}"
        )
    if found.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {given}")
    if found.index is not None:
        return found.index
    if optional:
        return _current.index
    raise ValueError(
        f"Expected a torch.device with a specified index or an integer, but got:{given}"
    )


def gpu(given: Any = None) -> Any:
    """JAX's object for a GPU."""
    require_cuda()
    index = index_of(given, optional=True)
    gpus = jax.local_devices(backend="gpu")
    if not 0 <= index < len(gpus):
        raise AssertionError("Invalid device id")
    return gpus[index]


def is_available() -> bool:
    """Whether JAX has a GPU."""
    return accelerator_count() > 0


def device_count() -> int:
    """How many GPUs JAX has."""
    return accelerator_count()


def is_initialized() -> bool:
    """Whether the GPUs are in use: as soon as there are any."""
    return is_available()


def init() -> None:
    """Do nothing where there is a GPU: JAX has started it."""
    require_cuda()


def current_device() -> int:
    """The number of the current GPU."""
    require_cuda()
    return _current.index


def set_device(device: Any) -> None:
    """Make a GPU the current one, on which tensors for "cuda" are made."""
    index = index_of(device)
    if index < 0:
        return
    if not is_available():
        raise absent("_cuda_setDevice")
    if index >= device_count():
        raise AcceleratorIndexError(index)
    if index != _current.index:
        raise NotImplementedError("flambeau.cuda.set_device: tensors for 'cuda' are on GPU 0")


class AcceleratorIndexError(RuntimeError):
    """There is no GPU of that number."""

    def __init__(self, index: int) -> None:
        super().__init__(f"CUDA error: invalid device ordinal: {index} of {device_count()} devices")


class device:
    """Context manager: a GPU is the current one inside.

    Args:
        device: its number, its name or a device; a negative number does nothing.
    """

    def __init__(self, device: Any) -> None:
        self.idx = None if device is None else index_of(device, optional=True)

    def __enter__(self) -> None:
        if self.idx is None:
            raise TypeError("'<' not supported between instances of 'NoneType' and 'int'")
        if self.idx < 0:
            return
        if not is_available():
            raise RuntimeError("PyTorch was compiled without CUDA support")
        set_device(self.idx)

    def __exit__(self, *exception: Any) -> bool:
        return False


class device_of(device):
    """Context manager: the GPU of a tensor is the current one inside; nothing for a CPU tensor."""

    def __init__(self, obj: Tensor) -> None:
        super().__init__(obj.device.index or 0 if obj.device.type == "cuda" else -1)


@dataclasses.dataclass(frozen=True)
class DeviceProperties:
    """What is known of a GPU."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int


def get_device_name(device: Any = None) -> str:
    """The GPU's name."""
    return gpu(device).device_kind


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The GPU's compute capability (major, minor)."""
    major, _, minor = str(gpu(device).compute_capability).partition(".")
    return int(major), int(minor or 0)


def get_device_properties(device: Any = None) -> DeviceProperties:
    """The GPU's name, compute capability, memory that JAX may use, and number of processors."""
    found = gpu(device)
    major, minor = get_device_capability(device)
    memory = (found.memory_stats() or {}).get("bytes_limit", 0)
    return DeviceProperties(found.device_kind, major, minor, memory, found.core_count)


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Whether one GPU can read another one's memory."""
    require_cuda()
    raise NotImplementedError("flambeau.cuda.can_device_access_peer: JAX does not tell")


def get_arch_list() -> list[str]:
    """The architectures that kernels were compiled for: none, XLA compiles for the GPU it finds."""
    return []


def get_gencode_flags() -> str:
    """The compiler flags for `get_arch_list()`: none."""
    return ""


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether there is a GPU that computes in bfloat16."""
    if not is_available():
        return False
    return including_emulation or get_device_capability() >= (8, 0)


def is_tf32_supported() -> bool:
    """Whether there is a GPU with TensorFloat32."""
    return is_available() and get_device_capability() >= (8, 0)


def synchronize(device: Any = None) -> None:
    """Wait until a GPU has done everything that it was given."""
    found = gpu(device)
    jax.block_until_ready(jax.jit(lambda x: x + 1)(jax.device_put(0, found)))


def ipc_collect() -> None:
    """Do nothing where there is a GPU: no memory is shared with other processes."""
    require_cuda()
