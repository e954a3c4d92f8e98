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
import os

if os.environ.pop("FLAMBEAU_WORKER", None):  # a process that loads data, and need not have JAX
    from . import deferred

    deferred.install()

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
from .errors import AcceleratorError, NotBuilt, OutOfMemoryError
from .formats import *  # noqa: F403
from .ops import FUNCTIONS as _functions
from .ops.storages import LEGACY as _legacy_storages
from .ops.storages import TypedStorage, UntypedStorage
from .size import Size
from .version import __version__

inf, nan, pi, e = math.inf, math.nan, math.pi, math.e
newaxis = None
globals().update(_functions)
globals().update(_legacy_storages)
Storage = _legacy_storages["FloatStorage"]

_LAZY = frozenset(
    """
    _C _dynamo _inductor accelerator amp autograd backends compiler cpu cuda datasets distributed
    distributions fft func functional fx hub jit linalg mps multiprocessing nn optim profiler
    random safetensors serialization signal special storage testing torch_version types utils
    version xpu
    """.split()  # noqa: SIM905
)
_ELSEWHERE = {
    "_assert": "environment",
    "vmap": "func",
    "GradScaler": "amp",
    "alias_torch": "alias",
    "autocast": "amp",
    "compile": "compiling",
    "export": "compiling",
    "cond": "control_flow",
    "while_loop": "control_flow",
    "load": "serialization",
    "save": "serialization",
    "segment_reduce": "segments",
    "summary": "utils.summary",
    "get_device_module": "environment",
    "get_file_path": "environment",
    "thread_safe_generator": "environment",
}
_NOT_BUILT = frozenset(
    """
    Event Stream affine_grid_generator ao dsmm from_file futures hsmm hspmm int_repr library
    lobpcg masked mtia nested onnx overrides package quantize_per_channel quantize_per_tensor
    quantization saddmm sparse sparse_bsc_tensor sparse_bsr_tensor
    sparse_compressed_tensor sparse_csc_tensor sparse_csr_tensor unify_type_list
    """.split()  # noqa: SIM905
)


def __getattr__(name: str):
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)
    if name.startswith("_foreach_"):
        found = importlib.import_module(f"{__name__}._foreach").__dict__.get(name)
        if found is not None:
            return found
    if name in _NOT_BUILT:
        raise NotBuilt(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
