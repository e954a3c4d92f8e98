"""Floor 4: neural networks: modules, their functions, parameters and initial values."""

# ruff: noqa: F403

import importlib

from . import attention, functional, grad, init, modules, parameter, utils
from .modules import *
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter


def __getattr__(name: str):
    if name in ("parallel", "DataParallel", "DistributedDataParallelCPU"):  # floors above this one
        parallel = importlib.import_module(f"{__name__}.parallel")
        return parallel if name == "parallel" else getattr(parallel, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
