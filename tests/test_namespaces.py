"""The small namespaces against the oracle, a build for the CPU: `torch.cuda` and its like."""

import importlib
import os
import subprocess
import sys
import warnings

import jax
import numpy as np
import pytest
import torch

import flambeau

HAS_GPU = jax.default_backend() != "cpu"

CUDA = """
t.cuda.is_available(), t.cuda.device_count(), t.cuda.is_initialized(), t.cuda.is_bf16_supported()
t.cuda.is_bf16_supported(including_emulation=False), t.cuda.is_tf32_supported()
t.cuda.has_half, t.cuda.has_magma, t.cuda.default_generators, t.cuda.cudaStatus.SUCCESS
t.cuda.init()
t.cuda.current_device()
t.cuda.set_device(0)
t.cuda.set_device(-1)
t.cuda.set_device('cpu')
t.cuda.set_device('cuda')
t.cuda.set_device(t.device('cuda:0'))
t.cuda.get_device_name()
t.cuda.get_device_name(0)
t.cuda.get_device_name('cpu')
t.cuda.get_device_capability()
t.cuda.get_device_properties('cuda:0')
t.cuda.can_device_access_peer(0, 1)
t.cuda.get_arch_list(), t.cuda.get_gencode_flags()
t.cuda.synchronize()
t.cuda.synchronize('cpu')
t.cuda.ipc_collect()
t.cuda.device(0).__enter__()
t.cuda.device(-1).__enter__()
t.cuda.device(None).__enter__()
t.cuda.device(None).__exit__(None, None, None)
t.cuda.device('cpu')
t.cuda.device_of(x).__enter__()
t.cuda.Stream()
t.cuda.Event()
t.cuda.Event(enable_timing=True)
t.cuda.stream(None).__enter__(), t.cuda.stream(None).stream
t.cuda.StreamContext(None).__enter__()
t.cuda.set_stream(None)
t.cuda.current_stream()
t.cuda.default_stream()
t.cuda.is_current_stream_capturing()
t.cuda.get_sync_debug_mode()
t.cuda.set_sync_debug_mode('warn')
t.cuda.memory_allocated(), t.cuda.memory_allocated(0), t.cuda.memory_allocated('cpu')
t.cuda.max_memory_allocated(), t.cuda.memory_reserved(), t.cuda.max_memory_reserved()
t.cuda.memory_cached(), t.cuda.max_memory_cached()
t.cuda.memory_stats(), t.cuda.memory_stats(0), t.cuda.host_memory_stats()
t.cuda.memory_summary()
t.cuda.mem_get_info()
t.cuda.empty_cache()
t.cuda.reset_peak_memory_stats()
t.cuda.reset_accumulated_memory_stats()
t.cuda.reset_max_memory_allocated()
t.cuda.reset_max_memory_cached()
t.cuda.set_per_process_memory_fraction(0.5)
t.cuda.get_per_process_memory_fraction()
t.cuda.manual_seed(0), t.cuda.manual_seed_all(0), t.cuda.seed(), t.cuda.seed_all()
t.cuda.manual_seed('a')
t.cuda.initial_seed()
t.cuda.get_rng_state()
t.cuda.get_rng_state_all(), t.cuda.set_rng_state_all([])
t.cuda.set_rng_state(t.get_rng_state())
t.cuda.nccl.version()
t.cuda.nccl.is_available([])
t.cuda.nvtx.range_push('a')
t.cuda.nvtx.range_pop()
t.cuda.nvtx.mark('a')
t.cuda.nvtx.range('a').__enter__()
t.cuda.OutOfMemoryError.__mro__, t.OutOfMemoryError is t.cuda.OutOfMemoryError
t.AcceleratorError.__mro__, t.cuda.AcceleratorError is t.AcceleratorError
t.cuda.no_such_name
x.cuda()
x.to('cuda')
t.zeros(2, device='cuda')
t.accelerator.is_available(), t.accelerator.device_count(), t.accelerator.current_accelerator()
t.accelerator.set_device_index(0)
t.accelerator.current_device_index()
t.accelerator.current_device_idx()
t.accelerator.synchronize()
t.accelerator.empty_cache()
t.accelerator.device_index(None).__enter__()
t.accelerator.device_index(0).__enter__()
t.accelerator.current_stream()
t.accelerator.memory_allocated()
t.accelerator.max_memory_allocated()
t.accelerator.memory_reserved()
t.accelerator.memory_stats()
t.accelerator.get_memory_info()
t.accelerator.reset_peak_memory_stats()
t.cpu.is_available(), t.cpu.device_count(), t.cpu.current_device(), t.cpu.synchronize()
t.cpu.is_initialized(), t.cpu.set_device(0), t.cpu.stream(None).__enter__()
t.cpu.Event().query(), t.cpu.Event().record(), t.cpu.Event().synchronize(), t.cpu.Event().wait()
t.cpu.Stream().wait_stream(None), t.cpu.current_stream() is t.cpu.current_stream()
t.mps.is_available(), t.mps.device_count(), t.mps.manual_seed(0)
t.mps.synchronize()
t.mps.empty_cache()
t.mps.seed()
t.mps.get_rng_state()
t.mps.current_allocated_memory()
t.mps.driver_allocated_memory()
t.mps.set_per_process_memory_fraction(0.5)
t.mps.compile_shader('')
t.xpu.is_available(), t.xpu.device_count(), t.xpu.is_bf16_supported(), t.xpu.is_initialized()
t.xpu.manual_seed(0), t.xpu.manual_seed_all(0), t.xpu.empty_cache(), t.xpu.memory_allocated()
t.xpu.current_device()
t.xpu.synchronize()
t.xpu.get_device_name()
t.xpu.set_device(0)
t.xpu.current_stream()
""".strip().splitlines()

OTHERS = """
t.backends.cuda.matmul.allow_tf32
setattr(t.backends.cuda.matmul, 'fp32_precision', 'bf16')
t.backends.cuda.matmul.allow_fp16_reduced_precision_reduction
t.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
t.backends.cuda.matmul.allow_fp16_accumulation
t.backends.cuda.matmul.foo
setattr(t.backends.cuda.matmul, 'foo', 1)
setattr(t.backends.cuda.matmul, 'allow_tf32', 'x')
setattr(t.backends.cuda.matmul, 'fp32_precision', 'x')
t.backends.cuda.is_built(), t.backends.cuda.is_flash_attention_available()
t.backends.cuda.enable_flash_sdp(1)
t.backends.cuda.is_ck_sdpa_available(), t.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
t.backends.cudnn.benchmark, t.backends.cudnn.deterministic, t.backends.cudnn.enabled
t.backends.cudnn.allow_tf32, t.backends.cudnn.benchmark_limit, t.backends.cudnn.fp32_precision
setattr(t.backends.cudnn, 'benchmark', 1)
setattr(t.backends.cudnn, 'enabled', 1)
setattr(t.backends.cudnn, 'deterministic', 1)
setattr(t.backends.cudnn, 'fp32_precision', 'xx')
t.backends.cudnn.is_available(), t.backends.cudnn.version(), t.backends.cudnn.is_acceptable(x)
t.backends.cudnn.set_flags()
t.backends.cudnn.conv.fp32_precision, t.backends.cudnn.rnn.fp32_precision
setattr(t.backends.cudnn.conv, 'fp32_precision', 'xx')
t.backends.mkldnn.enabled, t.backends.mkldnn.deterministic, t.backends.mkldnn.allow_tf32
t.backends.mkldnn.VERBOSE_OFF, t.backends.mkldnn.VERBOSE_ON, t.backends.mkldnn.fp32_precision
t.backends.mkldnn.conv.fp32_precision
t.backends.mkldnn.set_flags(), t.backends.mkldnn.is_acl_available()
t.backends.mps.is_available(), t.backends.mps.is_built()
t.backends.mps.is_macos13_or_newer()
t.backends.fp32_precision, t.backends.set_flags(), t.backends.flags_frozen()
t.backends.cpu.get_cpu_capability()
t.backends.cusparselt.is_available(), t.backends.cusparselt.version()
t.backends.kleidiai.is_available(), t.backends.miopen.immediate, t.backends.miopen.set_flags()
t.backends.opt_einsum.is_available(), t.backends.opt_einsum.enabled, t.backends.opt_einsum.strategy
t.backends.opt_einsum.set_flags(), t.backends.mha.get_fastpath_enabled()
t.backends.opt_einsum.flags(strategy='xx').__enter__()
t.version.cuda, t.version.hip, t.version.xpu, t.version.debug, t.version.rocm
t.__version__ == t.version.__version__
t.types.Number, t.types.Device, t.types._int, t.types._float, t.types._bool, t.types._complex
t.types._size, t.types._dtype is t.dtype, t.types._device is t.device, t.types.FileLike is not None
t.types._TensorOrTensors
t.jit.is_scripting(), t.jit.is_tracing(), t.jit.Final[int], t.jit.annotate(int, 'a')
t.jit.ignore(lambda: 1)(), t.jit.unused(lambda: 1)(), t.jit.export(lambda: 1)()
t.jit.ignore()(lambda: 1)(), t.jit.ignore(drop=False)(lambda: 1)()
t.jit.ignore(drop=True)(lambda: 1)()
t.jit.ignore(1)
t.jit.ignore(lambda: 1)._torchscript_modifier, t.jit.unused(lambda: 1)._torchscript_modifier
t.jit.export(lambda: 1)._torchscript_modifier
t.jit.annotations.BroadcastingList2[int], t.jit.annotations.BroadcastingList3[float]
t.jit.script_if_tracing(lambda v: v)(3), t.jit._script_if_tracing(lambda v: v)(3)
t.jit.Attribute(1, int), t.jit._unwrap_optional(3)
t.jit._unwrap_optional(None)
t.jit.isinstance('a', str), t.jit.isinstance([1, 'a'], list[int]), t.jit.isinstance(1, (int, str))
t.jit.isinstance({1: 'a'}, dict[int, str]), t.jit.isinstance((1, 2.0), tuple[int, float])
t.jit.isinstance(None, int | None), t.jit.isinstance([[1]], list[list[int]])
t.jit.isinstance([], list[int])
t.jit.isinstance([1], list)
t.compiler.is_compiling(), t.compiler.is_dynamo_compiling(), t.compiler.is_exporting()
t.compiler.disable(f)(2), t.compiler.disable()(f)(2), t.compiler.disable(recursive=False)(f)(2)
t.compiler.disable(f, reason='a')(2), t.compiler.assume_constant_result(f)(2)
t.compiler.allow_in_graph(f)(2)
t.multiprocessing.get_sharing_strategy(), sorted(t.multiprocessing.get_all_sharing_strategies())
t.multiprocessing.get_start_method(), t.multiprocessing.cpu_count()
t.multiprocessing.Process.__name__, t.multiprocessing.get_context('spawn').get_start_method()
t.is_autocast_enabled(), t.is_autocast_enabled('cpu'), t.is_autocast_enabled('cuda')
t.is_autocast_cpu_enabled()
t.is_autocast_enabled('foo')
t.is_autocast_enabled('meta')
t.is_autocast_enabled(1)
t.is_autocast_ipu_enabled(), t.is_autocast_xla_enabled()
[t.get_autocast_dtype(k) for k in 'cpu cuda xpu mps ipu mtia privateuseone hpu xla maia'.split()]
t.get_autocast_dtype('cuda:0')
t.get_autocast_dtype('foo')
t.get_autocast_dtype('meta')
t.get_autocast_dtype(1)
t.get_autocast_cpu_dtype(), t.get_autocast_gpu_dtype()
t.get_autocast_ipu_dtype(), t.get_autocast_xla_dtype()
t.is_autocast_cache_enabled(), t.clear_autocast_cache()
t.get_device_module('cpu').__name__[-3:], t.get_device_module(t.device('cuda')).__name__[-4:]
t.get_device_module().__name__[-4:]
t.get_device_module('mps').__name__[-3:], t.get_device_module('xpu').__name__[-3:]
t.get_device_module('foo')
t.get_device_module('meta')
t.get_device_module(1)
t.compiled_with_cxx11_abi(), t.init_num_threads(), t.prepare_multiprocessing_environment('a')
t.thread_safe_generator(), t.is_vulkan_available()
type('C', (), {'p': t.classproperty(lambda cls: cls.__name__)}).p
t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled()
[t.set_anomaly_enabled(True, False), t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled()]
[t.set_anomaly_enabled(False), t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled()]
t.set_anomaly_enabled('a')
t.set_anomaly_enabled(True, 3)
""".strip().splitlines()


def outcome(library, case):
    names = {"t": library, "x": library.ones(2), "f": lambda v: v}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = repr(eval(case, names))
        except Exception as error:
            return type(error).__name__, str(error)
    return result, [(w.category, str(w.message).split(" (Triggered")[0]) for w in caught]


def agree(case):
    actual, expected = outcome(flambeau, case), outcome(torch, case)
    assert tidy(actual) == tidy(expected)


def tidy(found):
    text = repr(found)
    for ours, theirs in (
        ("flambeau.core.tensor.", "torch."),
        ("flambeau.devices.", "torch."),
        ("flambeau.size.", "torch."),
        ("flambeau.", "torch."),
    ):
        text = text.replace(ours, theirs)
    return text


@pytest.mark.skipif(HAS_GPU, reason="the oracle is a build for the CPU")
@pytest.mark.parametrize("case", CUDA)
def test_devices_against_the_oracle(case):
    agree(case)


@pytest.mark.parametrize("case", OTHERS)
def test_against_the_oracle(case):
    agree(case)


def switch(module, name, value):
    """What a switch says before, between and after setting it."""
    seen = [getattr(module, name)]
    setattr(module, name, value)
    seen.append(getattr(module, name))
    setattr(module, name, seen[0])
    return [*seen, getattr(module, name)]


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("cudnn", "benchmark", True),
        ("cudnn", "deterministic", True),
        ("cudnn", "enabled", False),
        ("cudnn", "allow_tf32", False),
        ("cudnn", "benchmark_limit", 3),
        ("cudnn", "fp32_precision", "tf32"),
        ("mkldnn", "enabled", False),
        ("mkldnn", "deterministic", True),
        ("miopen", "immediate", True),
        ("opt_einsum", "enabled", False),
        ("opt_einsum", "strategy", "greedy"),
    ],
)
def test_switches(module, name, value):
    actual, expected = (
        switch(getattr(library.backends, module), name, value) for library in (flambeau, torch)
    )
    assert actual == expected


@pytest.mark.parametrize("module", ["cudnn", "mkldnn"])
def test_flags_are_put_back(module):
    seen = []
    for library in (flambeau, torch):
        backend = getattr(library.backends, module)
        before = backend.enabled, backend.deterministic
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with backend.flags(enabled=False, deterministic=True):
                inside = backend.enabled, backend.deterministic
        seen.append((before, inside, (backend.enabled, backend.deterministic)))
    assert seen[0] == seen[1]


def test_precision_of_products_is_one_switch():
    seen = []
    for t in (flambeau, torch):
        steps = []
        for change in (
            lambda t=t: setattr(t.backends.cuda.matmul, "allow_tf32", True),
            lambda t=t: setattr(t.backends.cuda.matmul, "allow_tf32", False),
            lambda t=t: t.set_float32_matmul_precision("medium"),
            lambda t=t: t.set_float32_matmul_precision("highest"),
        ):
            change()
            matmul = t.backends.cuda.matmul
            steps.append((matmul.allow_tf32, matmul.fp32_precision))
            steps.append(t.get_float32_matmul_precision())
        seen.append(steps)
    assert [s for s in seen[0] if s != "medium"] == [s for s in seen[1] if s != "medium"]


def test_sdp_kernel_is_put_back():
    from flambeau.backends import cuda

    with pytest.warns(FutureWarning, match="deprecated"), cuda.sdp_kernel(enable_flash=False):
        assert not cuda.flash_sdp_enabled() and cuda.math_sdp_enabled()
    assert cuda.flash_sdp_enabled()
    cuda.enable_math_sdp(False)
    assert not cuda.math_sdp_enabled()
    cuda.enable_math_sdp(True)


def test_script_returns_what_it_got():
    def double(x):
        return 2 * x

    with pytest.warns(DeprecationWarning, match="`torch.jit.script` is deprecated"):
        assert flambeau.jit.script(double) is double
    assert flambeau.jit.script_if_tracing(double) is double
    assert not isinstance(double, flambeau.jit.ScriptFunction)


@pytest.mark.parametrize(
    "name",
    [
        "cuda.CUDAGraph",
        "backends.cuda.cufft_plan_cache",
        "backends.mps.get_name",
        "jit.trace",
        "jit.load",
        "compiler.set_stance",
        "accelerator.Graph",
        "types.SymInt",
    ],
)
def test_what_is_not_built_says_so(name):
    path, _, last = f"flambeau.{name}".rpartition(".")
    module = importlib.import_module(path)
    with pytest.raises(NotImplementedError, match=f"flambeau.{name}"):
        getattr(module, last)


def test_unknown_names_are_unknown():
    for module in (flambeau, flambeau.cuda, flambeau.jit, flambeau.compiler, flambeau.backends):
        with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
            module.no_such_name  # noqa: B018


PROCESSES = """
import flambeau as torch
import flambeau.multiprocessing as mp

def work(rank, counter, queue, received):
    counter[rank] += rank + 1
    queue.put(torch.full((2,), float(rank)))
    received.wait()  # what a process sent lives as long as the process

def fail(rank):
    if rank == 1:
        raise ValueError("no good")

def leave(rank):
    raise SystemExit(3)

if __name__ == "__main__":
    counter = torch.zeros(2).share_memory_()
    context = mp.get_context("spawn")
    queue, received = context.SimpleQueue(), context.Event()
    running = mp.spawn(work, (counter, queue, received), nprocs=2, join=False)
    got = sorted(queue.get().tolist() for _ in range(2))
    received.set()
    while not running.join():
        pass
    print(counter.tolist(), got)
    try:
        mp.spawn(fail, nprocs=2)
    except mp.ProcessRaisedException as error:
        print(error.error_index, str(error).strip().splitlines()[0], "no good" in str(error))
    try:
        mp.spawn(leave)
    except mp.ProcessExitedException as error:
        print(error.exit_code, error)
"""


def test_processes_share_tensors(tmp_path):
    """The library's own program and PyTorch's print the same."""
    printed = []
    for library in ("flambeau", "torch"):
        program = tmp_path / f"with_{library}.py"
        program.write_text(PROCESSES.replace("flambeau", library))
        environment = os.environ | {"PYTHONPATH": os.getcwd()}
        process = subprocess.run(
            [sys.executable, str(program)], capture_output=True, text=True, env=environment
        )
        assert process.returncode == 0, process.stderr
        printed.append(process.stdout)
    assert printed[0] == printed[1]
    assert printed[0].startswith("[1.0, 2.0] [[0.0, 0.0], [1.0, 1.0]]")


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU that JAX sees")
def test_a_gpu_is_described():
    cuda = flambeau.cuda
    assert cuda.is_available() and cuda.device_count() == len(jax.devices("gpu"))
    assert cuda.get_device_name() == jax.devices("gpu")[0].device_kind
    assert cuda.get_device_capability() >= (6, 0)
    assert cuda.get_device_properties(0).total_memory > 1 << 30
    x = flambeau.ones(1 << 20, device="cuda")
    assert x.is_cuda and cuda.memory_allocated() >= x.nbytes
    free, total = cuda.mem_get_info()
    assert 0 < free < total
    start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    start.record()
    with cuda.stream(cuda.Stream()):
        x.add_(1)
    end.record()
    cuda.synchronize()
    assert start.elapsed_time(end) > 0
    np.testing.assert_array_equal(x[:2].cpu().numpy(), [2, 2])
    assert flambeau.accelerator.current_accelerator().type == "cuda"
