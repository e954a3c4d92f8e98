"""Modules on several devices."""

from .data_parallel import DataParallel, data_parallel
from .distributed import DistributedDataParallel
from .legacy import DistributedDataParallelCPU
from .replication import gather, parallel_apply, replicate, scatter

__all__ = [
    "DataParallel",
    "DistributedDataParallel",
    "DistributedDataParallelCPU",
    "data_parallel",
    "gather",
    "parallel_apply",
    "replicate",
    "scatter",
]
