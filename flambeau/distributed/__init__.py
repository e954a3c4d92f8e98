"""`torch.distributed` before any process group: one process, on its own.

Groups are not built: `is_available()` says so, `init_process_group` raises, and what needs a group
raises as PyTorch does where there is none. So programs that can do without run as one process.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, NoReturn

from ..errors import NotBuilt
from ..names import in_pytorch

NO_GROUP = (
    "Default process group has not been initialized, please make sure to call init_process_group."
)
NEED_A_GROUP = """
    all_gather all_gather_into_tensor all_gather_object all_reduce all_to_all all_to_all_single
    barrier broadcast broadcast_object_list gather gather_object get_backend get_rank get_world_size
    irecv isend monitored_barrier new_group recv reduce reduce_scatter reduce_scatter_tensor scatter
    scatter_object_list send
""".split()  # noqa: SIM905


def is_available() -> bool:
    """Whether processes can work together: not yet."""
    return False


def is_initialized() -> bool:
    """Whether there is a process group: never."""
    return False


def is_nccl_available() -> bool:
    """Whether processes can talk through NCCL: not yet."""
    return False


is_gloo_available = is_mpi_available = is_torchelastic_launched = is_nccl_available


def init_process_group(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: process groups are not built."""
    raise NotImplementedError(
        "torch.distributed.init_process_group is not built; run the program as one process"
    )


def destroy_process_group(group: Any = None) -> NoReturn:
    """Raises AssertionError: there is no process group."""
    raise AssertionError("Process group cannot be None")


class ReduceOp(enum.Enum):
    """How values of several processes are brought together."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7
    PREMUL_SUM = 8


class group:
    """`WORLD`: the group of all processes, of which there is none."""

    WORLD = None


def _needs_a_group(name: str) -> Callable[..., NoReturn]:
    def function(*args: Any, **kwargs: Any) -> NoReturn:
        raise ValueError(NO_GROUP)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Raises ValueError: there is no process group."
    return function


globals().update({name: _needs_a_group(name) for name in NEED_A_GROUP})


def __getattr__(name: str) -> Any:
    if in_pytorch(f"torch.distributed.{name}"):
        raise NotBuilt(f"flambeau.distributed.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
