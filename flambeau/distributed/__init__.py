"""`torch.distributed`: processes that work together, on JAX's runtime.

`init_process_group` meets the other processes at JAX's coordinator; collective operations are
compiled programs over a mesh of all processes, and gloo carries them. What PyTorch has beyond this
raises NotImplementedError with its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NoReturn

from ..errors import NotBuilt
from ..names import in_pytorch
from .collectives import (
    ReduceOp,
    Work,
    all_gather,
    all_gather_into_tensor,
    all_gather_object,
    all_reduce,
    barrier,
    broadcast,
    broadcast_object_list,
    gather,
    reduce,
    reduce_scatter_tensor,
    scatter,
)
from .process_group import (
    ProcessGroup,
    destroy_process_group,
    get_backend,
    get_rank,
    get_world_size,
    group,
    init_process_group,
    is_available,
    is_initialized,
    not_built,
)

NEED_A_GROUP = """
    all_to_all all_to_all_single gather_object irecv isend monitored_barrier new_group recv
    reduce_scatter scatter_object_list send
""".split()  # noqa: SIM905


def is_nccl_available() -> bool:
    """Whether processes can talk through NCCL: not yet."""
    return False


is_mpi_available = is_nccl_available


def is_gloo_available() -> bool:
    """Whether processes can talk through gloo: yes."""
    return True


def is_torchelastic_launched() -> bool:
    """Whether the launcher started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def _needs_a_group(name: str) -> Callable[..., NoReturn]:
    def function(*args: Any, **kwargs: Any) -> NoReturn:
        not_built(name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Raises NotImplementedError; ValueError where there is no process group."
    return function


globals().update({name: _needs_a_group(name) for name in NEED_A_GROUP})


def __getattr__(name: str) -> Any:
    if in_pytorch(f"torch.distributed.{name}"):
        raise NotBuilt(f"flambeau.distributed.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
