"""Run a program in several processes: `python -m flambeau.distributed.run script.py [argument...]`.

    python -m flambeau.distributed.run --nproc-per-node 2 train.py --epochs 3
    python -m flambeau.distributed.run --nnodes 2 --node-rank 1 --master-addr host0 ... train.py

Each process finds RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, GROUP_RANK, MASTER_ADDR and
MASTER_PORT in its environment, as under PyTorch's `torchrun`. `import torch` means flambeau in it.
When a process fails the others are ended, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

GRACE_SECONDS = 5.0
POLL_SECONDS = 0.05


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flambeau.distributed.run")

    def option(name: str, **facts: Any) -> None:
        parser.add_argument(f"--{name}", f"--{name.replace('-', '_')}", **facts)

    option("nproc-per-node", type=int, default=1, help="processes on this machine")
    parser.add_argument("--nnodes", type=int, default=1, help="machines")
    option("node-rank", type=int, default=0, help="this machine's number")
    option("master-addr", default="127.0.0.1", help="the machine of rank 0")
    option("master-port", type=int, default=29500, help="its port")
    parser.add_argument("--standalone", action="store_true", help="one machine, on a free port")
    parser.add_argument("-m", "--module", action="store_true", help="the program is a module")
    parser.add_argument("program", help="the script, or the module's name")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the program's own arguments")
    return parser


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(options: argparse.Namespace, local_rank: int) -> dict[str, str]:
    """What a process of the job finds in its environment."""
    count = options.nproc_per_node
    facts = {
        "RANK": options.node_rank * count + local_rank,
        "LOCAL_RANK": local_rank,
        "WORLD_SIZE": options.nnodes * count,
        "LOCAL_WORLD_SIZE": count,
        "GROUP_RANK": options.node_rank,
        "GROUP_WORLD_SIZE": options.nnodes,
        "ROLE_RANK": options.node_rank * count + local_rank,
        "ROLE_WORLD_SIZE": options.nnodes * count,
        "ROLE_NAME": "default",
        "MASTER_ADDR": options.master_addr,
        "MASTER_PORT": options.master_port,
        "TORCHELASTIC_RUN_ID": "none",
        "TORCHELASTIC_RESTART_COUNT": 0,
        "TORCHELASTIC_MAX_RESTARTS": 0,
    }
    threads = {"OMP_NUM_THREADS": "1"} if count > 1 else {}
    return threads | dict(os.environ) | {name: str(value) for name, value in facts.items()}


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End the processes: politely, then not."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _reason(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _watch(processes: list[subprocess.Popen[bytes]], first_rank: int) -> int:
    """Wait for all to end well, or for the first that does not."""
    while True:
        codes = [process.poll() for process in processes]
        failed = [index for index, code in enumerate(codes) if code]
        for index in failed:
            name = f"rank {first_rank + index} (process {processes[index].pid})"
            print(f"{name} failed: {_reason(processes[index].returncode)}", file=sys.stderr)
        if failed:
            print("the other processes are ended", file=sys.stderr)
            return 1
        if all(code == 0 for code in codes):
            return 0
        time.sleep(POLL_SECONDS)


def _interrupt(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


def main(arguments: list[str]) -> int:
    """Run a program in several processes; returns the exit code: 0 if all of them ended well.

    Args:
        arguments: options, the script (or "-m" and a module), and the program's own arguments.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.nproc_per_node < 1 or not 0 <= options.node_rank < options.nnodes:
        parser.error("--nproc-per-node must be positive, --node-rank less than --nnodes")
    if options.standalone:
        if options.nnodes != 1:
            parser.error("--standalone is for one machine")
        options.master_addr, options.master_port = "127.0.0.1", _free_port()
    command = [sys.executable, "-m", "flambeau.run"]
    command += (["-m"] if options.module else []) + [options.program, *options.arguments]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for local_rank in range(options.nproc_per_node):
            processes.append(subprocess.Popen(command, env=environment(options, local_rank)))
        return _watch(processes, options.node_rank * options.nproc_per_node)
    finally:
        _stop(processes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
