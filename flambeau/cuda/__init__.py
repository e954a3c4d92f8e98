"""`torch.cuda`: what a GPU that JAX sees can tell; without one, what PyTorch's CPU build answers.

>>> import flambeau as torch
>>> device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ..errors import AcceleratorError, NotBuilt, OutOfMemoryError
from . import amp, memory, nccl, nvtx, random, streams
from .device import (
    can_device_access_peer,
    current_device,
    device,
    device_count,
    device_of,
    get_arch_list,
    get_device_capability,
    get_device_name,
    get_device_properties,
    get_gencode_flags,
    init,
    ipc_collect,
    is_available,
    is_bf16_supported,
    is_initialized,
    is_tf32_supported,
    set_device,
    synchronize,
)
from .memory import (
    caching_allocator_enable,
    empty_cache,
    get_per_process_memory_fraction,
    host_memory_stats,
    max_memory_allocated,
    max_memory_cached,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_cached,
    memory_reserved,
    memory_stats,
    memory_summary,
    reset_accumulated_memory_stats,
    reset_max_memory_allocated,
    reset_max_memory_cached,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)
from .random import (
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
)
from .streams import (
    Event,
    ExternalStream,
    Stream,
    StreamContext,
    current_stream,
    default_stream,
    get_sync_debug_mode,
    is_current_stream_capturing,
    set_stream,
    set_sync_debug_mode,
    stream,
)

has_half = True
has_magma = False
default_generators = ()
cudaStatus = SimpleNamespace(SUCCESS=0, ERROR_NOT_READY=34)

_NOT_BUILT = frozenset(
    """
    CUDAGraph CUDAPluggableAllocator CudaError DeferredCudaCallError GreenContext MemPool
    caching_allocator_alloc caching_allocator_delete caching_allocator_disabled
    change_current_allocator check_error clock_rate cudart current_blas_handle
    current_solver_handle device_memory_used gds get_allocator_backend get_stream_from_external
    graph graph_pool_handle graphs green_contexts host_memory_stats_as_nested_dict jiterator
    list_gpu_processes make_graphed_callables memory_snapshot memory_stats_as_nested_dict
    memory_usage power_draw profiler reset_accumulated_host_memory_stats
    reset_peak_host_memory_stats sparse temperature tunable use_mem_pool utilization
    BFloat16Storage BFloat16Tensor BoolStorage BoolTensor ByteStorage ByteTensor CharStorage
    CharTensor ComplexDoubleStorage ComplexFloatStorage DoubleStorage DoubleTensor FloatStorage
    FloatTensor HalfStorage HalfTensor IntStorage IntTensor LongStorage LongTensor ShortStorage
    ShortTensor
    """.split()  # noqa: SIM905
)


def __getattr__(name: str) -> Any:
    if name in _NOT_BUILT:
        raise NotBuilt(f"flambeau.cuda.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
