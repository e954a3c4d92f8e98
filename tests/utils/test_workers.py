"""DataLoader with worker processes: PyTorch's values, and nothing left behind."""

import gc
import io
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import flambeau
from flambeau.utils.data import DataLoader, TensorDataset
from flambeau.utils.data.channel import Channel, Shipment

from . import loading

ROOT = Path(__file__).resolve().parents[2]


def started(command, **options):
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, **options
    )


def finished(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def test_as_pytorch():
    """Every case of `worker_programs.py`: values, warnings and errors."""
    command = [sys.executable, "-m", "tests.utils.worker_programs"]
    processes = [started([*command, library]) for library in ("torch", "flambeau")]
    theirs, ours = (json.loads(finished(process)) for process in processes)
    assert len(theirs) > 30
    differing = {case: (theirs[case], ours[case]) for case in theirs if theirs[case] != ours[case]}
    assert differing == {}


# JAX


def test_workers_do_without_jax():
    batches = list(DataLoader(loading.Reports(), num_workers=2))
    assert not any(batch["JAX"].any() or batch["environment"].any() for batch in batches)
    assert len({int(batch["process"]) for batch in batches} | {os.getpid()}) == 3
    tensors = TensorDataset(flambeau.arange(12.0).reshape(6, 2), flambeau.arange(6))
    (rows, numbers), *_ = DataLoader(tensors, batch_size=4, num_workers=1)
    assert rows.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert numbers.tolist() == [0, 1, 2, 3]


def test_augmentations_may_use_operations():
    (plain,) = DataLoader(loading.Augmented(), batch_size=4)
    (loaded,) = DataLoader(loading.Augmented(), batch_size=4, num_workers=1)
    assert loaded[0].tolist() == plain[0].tolist()
    assert loaded[1].tolist() == plain[1].tolist()
    assert loaded[2].tolist() == [True] * 4


WITHOUT_JAX = """
import sys
import flambeau, flambeau.nn, flambeau.optim, flambeau.utils.data, flambeau.serialization
import numpy as np
x = flambeau.from_numpy(np.arange(6.0).reshape(2, 3))
flambeau.manual_seed(0)
flambeau.rand(3), flambeau.randint(5, (2,)), flambeau.randperm(4), flambeau.zeros(2)
flambeau.utils.data.default_collate([(x[0], 1, 2.0, "a", np.ones(2), x.t()[1:])] * 2)
assert "jax" not in sys.modules and "jaxlib" not in sys.modules
from flambeau import deferred
held = [f"{n}.{k}" for n, m in sys.modules.items() if n.startswith("flambeau.kernels")
        for k, v in vars(m).items() if isinstance(v, deferred.Deferred)]
assert held
results = [(x * 2).sum().item(), flambeau.zeros(2).index_add(0, flambeau.tensor([1]),
           flambeau.ones(1)).tolist(), round(flambeau.digamma(flambeau.ones(1)).item(), 5)]
assert "jaxlib" in sys.modules
held = [f"{n}.{k}" for n, m in sys.modules.items() if n.startswith("flambeau.")
        for k, v in vars(m).items() if isinstance(v, deferred.Deferred)]
print(results, held)
"""


def test_jax_is_imported_when_an_operation_needs_it():
    """If this fails: a module calls JAX while it is imported, which workers are to do without."""
    environment = {**os.environ, "FLAMBEAU_WORKER": "1"}
    out = finished(started([sys.executable, "-W", "error", "-c", WITHOUT_JAX], env=environment))
    assert out.strip() == "[30.0, [0.0, 1.0], -0.57722] []"


# Ways of starting


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_methods(method):
    context = multiprocessing.get_context(method)
    loader = DataLoader(loading.Images(), 2, num_workers=1, multiprocessing_context=context)
    assert loader.multiprocessing_context is context
    for number, (images, more) in enumerate(loader):
        assert images.shape == (2, 3, 64, 64)
        assert images[:, 0, 0, 0].tolist() == [2 * number, 2 * number + 1]
        assert more[:, -1].tolist() == [2 * number, 2 * number + 1]


FORKED = """
import warnings
import flambeau as torch
from flambeau.utils.data import DataLoader, Dataset

class Local(Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return self.function(index)

local = Local()
local.function = lambda index: torch.tensor([index, 1.0])
torch.ones(2) + 1  # XLA has its threads
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # JAX and Python 3.12 warn of forks in a process with threads
    batches = list(DataLoader(local, 2, num_workers=2, multiprocessing_context="fork"))
print([batch.tolist() for batch in batches])
"""


def test_fork_does_without_pickling():
    out = finished(started([sys.executable, "-c", FORKED]))
    assert out.strip() == "[[[0.0, 1.0], [1.0, 1.0]], [[2.0, 1.0], [3.0, 1.0]]]"


def test_what_cannot_be_pickled_is_explained():
    with pytest.raises((AttributeError, pickle.PicklingError)) as caught:
        iter(DataLoader([1], num_workers=1, collate_fn=lambda items: items))
    assert "at the top level of a module" in caught.value.__notes__[0]
    loader = DataLoader(loading.Unsendable(), num_workers=1, collate_fn=loading.as_list)
    with pytest.raises((AttributeError, RuntimeError), match="in DataLoader worker process 0"):
        list(loader)


ALIASED = """
import sys
import torch
from torch.utils.data import DataLoader, Dataset

class Rows(Dataset):
    def __init__(self):
        self.x = torch.arange(8.0).reshape(4, 2)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.x[index], torch.rand(1), "jaxlib" in sys.modules

if __name__ == "__main__":
    torch.manual_seed(0)
    print(list(DataLoader(Rows(), num_workers=2, batch_size=2)))
"""


def test_a_program_written_for_pytorch(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(ALIASED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    theirs = started([sys.executable, str(script)], env=environment)
    ours = started([sys.executable, "-m", "flambeau.run", str(script)], env=environment)
    assert finished(ours) == finished(theirs)


UNGUARDED = """
from flambeau.utils.data import DataLoader
list(DataLoader(range(4), num_workers=1))
"""


def test_a_script_without_a_guard_is_explained(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    process = started([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.strip().endswith('belongs under `if __name__ == "__main__":`.')


# Memory


def test_the_data_set_is_shared_and_written_to_privately():
    dataset = loading.Written()
    values = list(DataLoader(dataset, num_workers=2, collate_fn=loading.as_list))
    assert sorted(value for (value,) in values) == [1, 1, 2, 2]
    assert dataset.array.sum() == 0
    assert dataset.shared.tolist() == [2, 2, 0]


class Starting:
    """Stands for the process that is being started, in whose arguments a shipment is."""

    DupFd = int

    def duplicate_for_child(self, descriptor):
        return descriptor


def test_its_memory_is_written_once(monkeypatch):
    shipment = Shipment([np.zeros(5000), flambeau.zeros(5000)])
    monkeypatch.setattr(multiprocessing.context._tls, "spawning_popen", Starting(), raising=False)
    small = len(pickle.dumps(shipment))
    first = shipment._descriptor
    assert os.fstat(first).st_size >= 60000
    assert len(pickle.dumps(shipment)) == small < 2000
    assert shipment._descriptor == first
    shipment.close()


@pytest.fixture
def pipe():
    ends = multiprocessing.Pipe()
    yield tuple(map(Channel, ends))
    for end in ends:
        end.close()


def passed(pipe, value):
    pipe[0].send(value)
    return pipe[1].receive()


@pytest.mark.parametrize("count", [0, 1, 3, 5000])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "bool", "complex64", "float8_e5m2"])
def test_tensors_travel(pipe, dtype, count):
    tensor = flambeau.arange(count).to(getattr(flambeau, dtype))
    found = passed(pipe, {"x": tensor, "array": tensor.detach().cpu()._host(), "n": 1})
    assert found["x"].dtype is tensor.dtype
    assert found["x"]._host().tobytes() == tensor._host().tobytes()
    assert found["array"].dtype == tensor._host().dtype
    found["x"].zero_()


def test_kinds_of_tensors_travel(pipe):
    base = flambeau.arange(6000.0).reshape(2, 3, 1000)
    last = flambeau.ones(2, 3, 40, 40).contiguous(memory_format=flambeau.channels_last)
    parameter = flambeau.nn.Parameter(flambeau.ones(3))
    parameter.label = "a"
    values = [base, base[:, 1:], last, parameter, base[0, 0, :3], base.permute(2, 0, 1)]
    found = passed(pipe, values)
    for one, other in zip(values, found, strict=True):
        assert one.tolist() == other.tolist()
        assert type(one) is type(other)
    assert found[2].stride() == last.stride()
    assert found[3].requires_grad
    assert found[3].label == "a"
    assert found[5].stride() == values[5].stride()
    found[0].zero_()
    assert found[1].sum() == 0  # they share memory, as they did
    assert found[4].tolist() == [0, 1, 2]  # a small part of a large tensor travels alone
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor"):
        pipe[0].send(parameter * 2)


def test_batches_are_writable_and_leave_no_descriptors():
    def descriptors():
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    loader = DataLoader(loading.Images(), 2, num_workers=2, collate_fn=loading.as_list)
    list(loader)
    before = descriptors()
    batches = list(loader)
    batches[0][0][0][:] = 5
    assert batches[0][0][0].sum() == 5 * 3 * 64 * 64
    assert descriptors() - before <= 2
    del batches
    assert descriptors() - before <= 2


# Ends


def processes_of(loader_pass):
    return [worker.process.pid for worker in loader_pass._workers]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids, seconds=10):
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(alive, pids))


def test_no_process_is_left():
    loader = DataLoader(loading.Images(), num_workers=2)
    one = iter(loader)
    pids = processes_of(one)
    assert all(map(alive, pids))
    list(one)
    assert gone(pids)
    abandoned = iter(loader)
    next(abandoned)
    pids = processes_of(abandoned)
    del abandoned
    gc.collect()
    assert gone(pids)
    persistent = DataLoader(loading.Images(), num_workers=2, persistent_workers=True)
    list(persistent)
    pids = processes_of(persistent._workers)
    assert all(map(alive, pids))
    del persistent
    gc.collect()
    assert gone(pids)
    assert multiprocessing.active_children() == []


ABANDONED = """
import sys
from flambeau.utils.data import DataLoader
from tests.utils.loading import Slow

if __name__ == "__main__":
    batches = iter(DataLoader(Slow(float(sys.argv[1])), num_workers=2, batch_size=None))
    next(batches)
    print(*[worker.process.pid for worker in batches._workers], flush=True)
    while True:
        {rest}
"""


@pytest.mark.parametrize(
    ("rest", "number", "seconds"),
    [
        ("next(batches)", signal.SIGINT, 0.5),
        ("next(batches)", signal.SIGKILL, 0.05),
        ("sys.exit()", None, 0.05),
        ("raise ValueError", None, 0.05),
    ],
    ids=["Ctrl-C", "kill -9", "exit", "error"],
)
def test_no_process_outlives_the_program(rest, number, seconds, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(ABANDONED).replace("{rest}", rest))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = started(
        [sys.executable, str(script), str(seconds)], env=environment, start_new_session=True
    )
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2
    if number is not None:
        os.killpg(process.pid, number) if number == signal.SIGINT else process.kill()
    _, err = process.communicate(timeout=60)
    assert gone(pids)
    if number == signal.SIGINT:
        assert err.count("KeyboardInterrupt") == 1


def test_a_worker_that_is_killed_while_waiting():
    loader = DataLoader(loading.Images(), num_workers=2, persistent_workers=True)
    list(loader)
    pids = processes_of(loader._workers)
    os.kill(pids[1], signal.SIGKILL)
    assert gone(pids[1:])
    with pytest.raises(RuntimeError, match=rf"\(pid\(s\) {pids[1]}\) exited unexpectedly"):
        list(loader)


def test_out_of_order():
    loader = DataLoader(TensorDataset(flambeau.arange(40)), num_workers=2, in_order=False)
    assert sorted(int(batch) for (batch,) in loader) == list(range(40))


def test_many_large_tasks_do_not_block():
    """Neither side waits for the other one to read."""
    indices = [list(range(20000))] * 12
    dataset = TensorDataset(flambeau.zeros(20000))
    loader = DataLoader(
        dataset, batch_sampler=indices, num_workers=1, prefetch_factor=12, timeout=60
    )
    assert [len(batch) for (batch,) in loader] == [20000] * 12
    short = DataLoader([1] * 3000, num_workers=1, prefetch_factor=1500, batch_size=None)
    assert sum(short) == 3000


def test_the_pickler_leaves_small_things_in_the_stream():
    from flambeau.utils.data.channel import pack

    data, buffers = pack([np.arange(3), flambeau.ones(2), "text"])
    assert buffers == []
    assert pickle.load(io.BytesIO(data))[2] == "text"
