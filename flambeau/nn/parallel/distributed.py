"""`DistributedDataParallel`: not built, but a name that programs import wherever they run."""

from __future__ import annotations

from typing import Any

from ..modules.module import Module


class DistributedDataParallel(Module):
    """A model whose gradients are averaged over processes; there are no process groups yet.

    Raises:
        ValueError: always, as in PyTorch where there is no process group.
    """

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise ValueError(
            "Default process group has not been initialized, please make sure to call "
            "init_process_group."
        )
