"""What programs do around their models goes under `alias_torch` as in PyTorch.

Each habit runs in fresh names in both libraries; what it prints, its error and its warnings agree.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DRIVER = """
import contextlib, io, json, sys, warnings
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F

found = []
for habit in sys.stdin.read().split(2 * chr(10)):
    torch.manual_seed(0)
    printed, error = io.StringIO(), None
    names = {"torch": torch, "nn": nn, "F": F, "np": np, "x": torch.ones(2), "io": io}
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            exec(habit, names)
        except Exception as raised:
            error = [type(raised).__name__, str(raised)]
    told = [[w.category.__name__, str(w.message).split(" (Triggered")[0]] for w in caught]
    found.append([printed.getvalue(), error, told])
print(json.dumps(found))
"""

HABITS = r"""
print(torch.cuda.is_available(), torch.cuda.device_count(), torch.backends.mps.is_available())

print(torch.accelerator.is_available(), torch.accelerator.current_accelerator())

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
print(x.to(device).device)

torch.ones(2).cuda()

nn.Linear(2, 2).cuda()

torch.ones(2, device="cuda")

nn.Linear(2, 2).to("cuda:0")

torch.cuda.set_device(0)

torch.cuda.get_device_name(0)

torch.cuda.synchronize()

torch.cuda.manual_seed_all(3)
torch.cuda.manual_seed(4)
print(torch.initial_seed())

torch.cuda.empty_cache()
print(torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated())

print(torch.cuda.is_bf16_supported(), torch.cuda.get_rng_state_all())

with torch.cuda.stream(None): print(1)

torch.backends.cudnn.benchmark = True; print(torch.backends.cudnn.benchmark)

torch.backends.cudnn.deterministic = "x"

torch.backends.cuda.matmul.allow_tf32 = True
print(torch.get_float32_matmul_precision())

torch.set_float32_matmul_precision("high"); print(torch.get_float32_matmul_precision())

torch.set_num_threads(1); print(torch.get_num_threads())

torch.set_num_threads(0)

torch.autograd.set_detect_anomaly(False); print(torch.is_anomaly_enabled())

with torch.autograd.detect_anomaly(check_nan=False): print(torch.is_anomaly_enabled())

with torch.profiler.record_function("forward"): print(1)

with torch.autograd.profiler.record_function("forward"): print(1)

print(torch.utils.data.get_worker_info())

print(torch.jit.script(nn.Linear(2, 2)) is not None, torch.jit.is_scripting())

print(torch.compiler.is_compiling(), torch._dynamo.is_compiling())

torch._dynamo.config.suppress_errors = True; print(torch._dynamo.config.suppress_errors)

torch._dynamo.config.cache_size_limit = 64; torch._dynamo.reset()

torch._dynamo.config.no_such_setting = 1

import torch._inductor.config as c
c.coordinate_descent_tuning = True
print(c.coordinate_descent_tuning)

torch._inductor.config.triton.unique_kernel_names = True
print(torch._inductor.config.triton.unique_kernel_names)

torch._inductor.config.triton.no_such_setting = 1

with torch._dynamo.config.patch(suppress_errors=False, verbose=True):
    print(torch._dynamo.config.verbose)

torch._C._jit_set_profiling_executor(False)
torch._C._log_api_usage_once("x")
print(torch._C._get_tracing_state())

torch._assert(True, "a message")

torch._assert(False, "a message")

torch.fx.wrap("len")
print(torch.fx.wrap(len))

torch.fx.wrap(3)

def inside():
    torch.fx.wrap("len")
inside()

print(torch.version.cuda, torch.version.hip, torch.version.debug)

print(nn.DataParallel(nn.Linear(2, 3)), nn.DataParallel(nn.Linear(2, 3), device_ids=[0]).device_ids)

m = nn.DataParallel(nn.Linear(2, 3))
print(list(m.state_dict()), m(torch.ones(4, 2)).shape, m(input=torch.ones(1, 2)).shape)

nn.parallel.data_parallel(nn.Linear(2, 3), torch.ones(1, 2))

import torch.distributed as dist; print(dist.is_initialized(), dist.is_nccl_available())

torch.distributed.get_rank()

torch.distributed.get_world_size()

from torch.distributed import init_process_group, destroy_process_group, barrier, ReduceOp
destroy_process_group()

torch.distributed.all_reduce(x, op=torch.distributed.ReduceOp.SUM)

torch.distributed.barrier()

from torch.nn.parallel import DistributedDataParallel as DDP; DDP(nn.Linear(2, 2))

from torch.hub import load_state_dict_from_url, get_dir, set_dir
set_dir("/x")
print(get_dir())

import os
os.environ["TORCH_HOME"] = "~/y"
print(torch.hub.get_dir() == os.path.expanduser("~/y/hub"))

import os
os.environ.pop("TORCH_HOME", None)
os.environ["XDG_CACHE_HOME"] = "/cache"
print(torch.hub._get_torch_home(), torch.hub.get_dir())

from torch.utils.model_zoo import load_url; print(load_url.__name__)

from torch.optim.optimizer import Optimizer
from torch.optim.lr_scheduler import LRScheduler, _LRScheduler
print(1)

from torch.optim.adam import Adam
from torch.optim.sgd import SGD
print(Adam is torch.optim.Adam, SGD is torch.optim.SGD)

from torch.optim.lbfgs import LBFGS
from torch.optim.swa_utils import AveragedModel, SWALR
print(LBFGS is torch.optim.LBFGS)

from torch.nn.modules.utils import _pair, _single, _triple, _ntuple
print(_pair(2), _ntuple(3)(1))

from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
print(1)

from torch.nn.modules.loss import _Loss, _WeightedLoss
from torch.nn.common_types import _size_2_t
print(1)

from torch.nn.init import _calculate_fan_in_and_fan_out as f; print(f(torch.ones(2, 3)))

from torch.utils.data.dataloader import default_collate
from torch.utils.data._utils.collate import default_convert
print(1)

from torch.utils.data.sampler import RandomSampler
from torch.utils.data.distributed import DistributedSampler
print(1)

from torch.autograd import Variable, Function, gradcheck
from torch.autograd.function import once_differentiable
print(1)

from torch.functional import einsum, norm
from torch.utils.hooks import RemovableHandle
print(norm is torch.norm)

from torch.types import Number, Device
from torch.storage import UntypedStorage
print(1)

from torch.nn.attention import SDPBackend, sdpa_kernel; print(1)

from torch._six import string_classes

import torch.no_such_module

print(torch.typename(x), x.type(), isinstance(x, torch.FloatTensor))
print(x.type(torch.LongTensor), torch.LongTensor([1, 2]))

print(x.is_cuda, x.get_device(), x.is_leaf, x.data, x.grad)

print(f"{torch.tensor(3).item():5d} {torch.tensor(1.5):.2f}")
print(int(torch.tensor(3)), range(3)[torch.tensor(2)])

print(torch.from_numpy(np.ones(2)), np.asarray(x), torch.as_tensor(np.float32(2)))
print(np.mean(x.numpy()))

w = torch.ones(2, requires_grad=True)
w.register_hook(lambda g: g * 2)
w.sum().backward()
print(w.grad)

m = nn.Linear(2, 2)
print(m.load_state_dict({"weight": torch.ones(2, 2)}, strict=False))

m = nn.Linear(2, 2); m.load_state_dict({"weight": torch.ones(3, 2), "x": torch.ones(1)})

print(sum(p.numel() for p in nn.Linear(2, 2).parameters() if p.requires_grad))

print(nn.Linear(2, 2).half().float().double().bfloat16().weight.dtype)

print(nn.Linear(2, 2).share_memory().weight.is_shared())

b = io.BytesIO()
torch.save({"a": torch.ones(2), "b": [1, "x"]}, b)
b.seek(0)
print(torch.load(b, map_location="cpu"))

torch.set_default_tensor_type(torch.FloatTensor); print(torch.get_default_dtype())

g = torch.Generator(device="cpu")
g.manual_seed(1)
print(torch.rand(2, generator=g))

torch.random.manual_seed(0); print(torch.rand(1), torch.random.get_rng_state().shape)

print(torch.utils.data.random_split(range(10), [0.7, 0.3])[1].indices)

print(len(torch.utils.data.DataLoader([1, 2, 3], batch_size=2, drop_last=True, pin_memory=False)))

with torch.no_grad(), torch.inference_mode():
    print(torch.ones(1).is_inference(), torch.is_grad_enabled())

print(torch.finfo(torch.float32).eps, torch.iinfo(torch.int64).max, torch.inf, torch.pi)

torch.set_printoptions(precision=3, sci_mode=False); print(torch.tensor([1.23456, 1e5]))
"""


def outcomes(*command):
    process = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=HABITS.strip(),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    driver = tmp_path_factory.mktemp("idioms") / "driver.py"
    driver.write_text(DRIVER)
    return outcomes("-m", "flambeau.run", str(driver)), outcomes(str(driver))


@pytest.mark.parametrize("number", range(len(HABITS.strip().split("\n\n"))))
def test_against_the_oracle(number, both):
    ours, theirs = both
    assert ours[number] == theirs[number], HABITS.strip().split("\n\n")[number]
