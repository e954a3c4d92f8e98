"""The name of the years when there was one class for the CPU and one for GPUs."""

from __future__ import annotations

import warnings
from typing import Any

from .distributed import DistributedDataParallel


class DistributedDataParallelCPU(DistributedDataParallel):
    """`DistributedDataParallel` under its old name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            "`torch.nn.parallel.DistributedDataParallelCPU` is deprecated, please use "
            "`torch.nn.parallel.DistributedDataParallel` instead.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__(*args, **kwargs)
