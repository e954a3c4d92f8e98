"""flambeau: PyTorch's tensors, autograd and `torch.nn` on JAX/XLA.

>>> import flambeau as torch
>>> x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x**2).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from __future__ import annotations

import importlib
import math

from . import kernels  # sets JAX up before anything else touches it
from .config import config
from .core.function import Function
from .core.legacy import (
    BFloat16Tensor,
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
)
from .core.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .core.printing import set_printoptions
from .core.tensor import Tensor
from .devices import device, get_default_device, set_default_device
from .dtypes import *  # noqa: F403
from .dtypes import (
    can_cast,
    dtype,
    finfo,
    get_default_dtype,
    iinfo,
    promote_types,
    set_default_dtype,
)
from .formats import *  # noqa: F403
from .ops import FUNCTIONS as _functions
from .size import Size

__version__ = "0.1.0"
inf, nan, pi, e = math.inf, math.nan, math.pi, math.e
newaxis = None
globals().update(_functions)

_LAZY = (
    "autograd",
    "nn",
    "optim",
    "utils",
    "datasets",
    "linalg",
    "special",
    "fft",
    "testing",
    "random",
    "serialization",
)


def __getattr__(name: str):
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    if name in ("load", "save"):
        return getattr(importlib.import_module(f"{__name__}.serialization"), name)
    if name.startswith("_"):
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
