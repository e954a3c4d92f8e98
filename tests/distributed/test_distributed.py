"""Two processes on this machine: collectives as PyTorch's, data parallelism as one process."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SECONDS = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def clean_environment(**more):
    ours = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    return {**os.environ, **ours, **more}


def start(arguments, **more):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=clean_environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process):
    """What a process printed; the process and its children do not outlive the time limit."""
    try:
        output = process.communicate(timeout=SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"no end after {SECONDS} s:\n{process.communicate()[0]}")
    return output


def results_of(output):
    lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
    assert lines, output
    return json.loads(lines[0].removeprefix("RESULT "))


def in_two_processes(*arguments):
    port = free_port()
    places = [
        {"RANK": str(r), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        for r in range(2)
    ]
    processes = [start(arguments, **place) for place in places]
    outputs = [finish(process) for process in processes]
    return [results_of(output) for output in outputs]


def test_collectives_are_pytorchs():
    expected = in_two_processes(HERE / "collectives_program.py", "torch")
    found = in_two_processes(HERE / "collectives_program.py", "flambeau")
    for rank in range(2):
        assert found[rank] == expected[rank]


def test_two_processes_train_as_one():
    alone = results_of(finish(start([HERE / "training_program.py"])))
    first, second = in_two_processes(HERE / "training_program.py")
    assert first["losses"] == second["losses"]
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    assert alone["losses"][-1] < 0.5 * alone["losses"][0]
    assert first["keys"][:3] == ["module.number", "module.0.weight", "module.0.bias"]
    assert first["local"] != second["local"]
    for results in (first, second):
        assert results["buffer"] == 0.0 and results["buffer after forward"] == 5.0
        assert results["unused"].startswith("Expected to have finished reduction in the prior")
        assert results["unused"].endswith("1.weight, 1.bias")
        assert results["synchronised"] == "torch.nn.SyncBatchNorm in several processes"
        assert results["different"].startswith("DDP expects same model across all ranks, but")


def test_data_parallelism_is_pytorchs():
    expected = in_two_processes(HERE / "convolution_program.py", "torch")
    found = in_two_processes(HERE / "convolution_program.py", "flambeau")
    for rank in range(2):
        assert found[rank] == pytest.approx(expected[rank], rel=1e-5, abs=1e-6)


PROGRAM = r"""
import os, sys
import torch
import torch.distributed as dist
torch.cuda.is_available()
dist.init_process_group("gloo", init_method="env://")
x = torch.ones(2) * (dist.get_rank() + 1)
dist.all_reduce(x)
place = os.environ["LOCAL_RANK"] + " " + os.environ["WORLD_SIZE"]
os.write(1, f"SUM {x.tolist()} {place} {sys.argv[1:]}\n".encode())
if sys.argv[1:] == ["raise"] and dist.get_rank() == 1:
    raise OSError("no more")
if sys.argv[1:] == ["kill"] and dist.get_rank() == 1:
    os.kill(os.getpid(), 9)
if sys.argv[1:] != ["--flag", "3"]:
    dist.barrier()
    raise AssertionError("rank 0 went on alone")
dist.destroy_process_group()
"""


def launch(tmp_path, *arguments):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    options = ["-m", "flambeau.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = start([*options, script, *arguments])
    output = finish(process)
    return process.returncode, output


def test_the_launcher(tmp_path):
    code, output = launch(tmp_path, "--flag", "3")
    assert code == 0, output
    for rank in "01":
        assert f"SUM [3.0, 3.0] {rank} 2 ['--flag', '3']" in output


@pytest.mark.parametrize(
    ("how", "said"), [("raise", "OSError: no more"), ("kill", "failed: SIGKILL")]
)
def test_a_process_that_fails_ends_the_others(tmp_path, how, said):
    code, output = launch(tmp_path, how)
    assert code == 1
    assert said in output
    assert "the other processes are ended" in output
    assert "RuntimeError: a collective operation failed: another process has ended" in output
    assert "went on alone" not in output


ALONE = """
import socket
import flambeau as torch, flambeau.distributed as dist
import jax
kept = jax.numpy.ones(3) + 1
def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
def error(call):
    try:
        call()
    except Exception as problem:
        print(type(problem).__name__, problem)
unused = "tcp://127.0.0.1:" + str(free())
error(lambda: dist.init_process_group("gloo", unused, rank=0, world_size=2))
error(lambda: dist.init_process_group("nccl", "tcp://127.0.0.1:29999", rank=0, world_size=1))
error(lambda: dist.init_process_group("gloo", "tcp://127.0.0.1:29999"))
error(lambda: dist.send(torch.ones(1), 0))
busy = socket.socket()
busy.bind(("", 0))
busy.listen()
address = "tcp://127.0.0.1:" + str(busy.getsockname()[1])
error(lambda: dist.init_process_group("gloo", address, rank=0, world_size=2))
busy.close()
dist.init_process_group("gloo", "tcp://127.0.0.1:29999", rank=0, world_size=1)
error(lambda: dist.send(torch.ones(1), 0))
error(lambda: dist.new_group([0]))
x = torch.ones(2)
error(lambda: torch.compile(dist.all_reduce)(x))
dist.all_reduce(x)
parts = [torch.zeros(2)]
dist.all_gather(parts, x)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
model(x).sum().backward()
print(x.tolist(), parts, model.module.bias.grad, dist.get_world_size())
dist.destroy_process_group()
"""


def test_one_process_and_what_is_not_there():
    lines = finish(start(["-c", ALONE])).splitlines()
    assert lines[0].startswith("RuntimeError init_process_group was called after JAX had begun")
    assert lines[1] == ("NotImplementedError torch.distributed.init_process_group(backend='nccl')")
    assert lines[2] == (
        "ValueError Error initializing torch.distributed using tcp:// rendezvous: "
        "rank parameter missing"
    )
    assert lines[3].startswith("ValueError Default process group has not been initialized")
    assert lines[4].startswith("RuntimeError the coordinator cannot listen on port")
    assert lines[5] == "NotImplementedError torch.distributed.send"
    assert lines[6] == "NotImplementedError torch.distributed.new_group"
    assert lines[7].startswith("NotImplementedError torch.distributed.all_reduce in a compiled")
    assert lines[8] == "[1.0, 1.0] [tensor([1., 1.])] tensor([1.]) 1"
