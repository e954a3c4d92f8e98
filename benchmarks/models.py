"""Training steps and inference of ten networks: flambeau against PyTorch on the CPU.

    python benchmarks/models.py [--rounds 3] [--only CASE...] [--modes train infer]
                                [--sides ...] [--seconds 2] [--json FILE] [--chart FILE]

The same network, seed and batch in each library, float32, all cores. The libraries take turns, each
time in a process of its own, round by round; a figure is the median over the rounds of the median
step. PyTorch runs eagerly and with `torch.compile`; the faster of the two counts. Times of the
first step hold whatever the library compiles then, with empty caches.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIDES = ("pytorch", "pytorch-compile", "flambeau", "flambeau-eager")


def measure(side, case, mode, seconds):
    """One process's work: seconds of the first step, of a later one, and peak memory."""
    if side.startswith("pytorch"):
        import torch
    else:
        import flambeau as torch
    import networks

    model, batch = networks.build(torch, case, mode == "train")
    functional = torch.nn.functional
    compiled = side in ("pytorch-compile", "flambeau")
    if mode == "train":
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

        def step(x, y):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        if side == "pytorch-compile":  # PyTorch compiles the forward and backward passes
            model = torch.compile(model)
        run = torch.compile(step) if side == "flambeau" else step
    else:
        model.eval()
        fast = torch.compile(model) if compiled else model

        def run(x, y):
            with torch.no_grad():
                return fast(x).sum()

    inputs = [batch() for _ in range(4)]
    start = time.perf_counter()
    value = float(run(*inputs[0]))
    first = time.perf_counter() - start
    for x, y in inputs[1:]:
        float(run(x, y))
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        x, y = inputs[len(times) % len(inputs)]
        start = time.perf_counter()
        float(run(x, y))
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"first": first, "step": statistics.median(times), "mib": peak, "v": value}))


def child(side, case, mode, seconds):
    """Measure in a fresh process with empty compile caches."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "TORCHINDUCTOR_CACHE_DIR": folder,
            "JAX_COMPILATION_CACHE_DIR": folder,
            "XDG_CACHE_HOME": folder,
        }
        command = [sys.executable, __file__, "--child", side, case, mode, str(seconds)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(results):
    """The printed lines: one for each case and mode."""
    head = f"{'':24}{'PyTorch':>10}{'compiled':>10}{'flambeau':>10}{'eager':>10}"
    lines = [head + f"{'speed-up':>10}{'eager x':>9}{'first s':>9}{'MiB':>7}{'theirs':>7}"]
    for (case, mode), sides in results.items():
        step = {s: statistics.median(r["step"] for r in runs) for s, runs in sides.items() if runs}
        row = "".join(f"{1e3 * step[s]:10.2f}" if s in step else f"{'-':>10}" for s in SIDES)
        theirs = [step[s] for s in SIDES[:2] if s in step]
        ratio = f"{min(theirs) / step['flambeau']:10.2f}" if theirs and "flambeau" in step else ""
        eager = (
            f"{step['pytorch'] / step['flambeau-eager']:9.2f}"
            if {"pytorch", "flambeau-eager"} <= step.keys()
            else f"{'':9}"
        )
        extra = ""
        if sides.get("flambeau"):
            extra = f"{statistics.median(r['first'] for r in sides['flambeau']):9.1f}"
            extra += f"{statistics.median(r['mib'] for r in sides['flambeau']):7.0f}"
            if sides.get("pytorch"):
                extra += f"{statistics.median(r['mib'] for r in sides['pytorch']):7.0f}"
        lines.append(f"{case + ' ' + mode:24}{row}{ratio}{eager}{extra}")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--modes", nargs="*", default=["train", "infer"])
    parser.add_argument("--sides", nargs="*", default=list(SIDES), choices=SIDES)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--json")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        side, case, mode, seconds = options.child
        measure(side, case, mode, float(seconds))
        return
    import networks

    results = {}
    for case in options.only or networks.CASES:
        for mode in options.modes:
            sides = results[case, mode] = {side: [] for side in options.sides}
            for _ in range(options.rounds):
                for side in options.sides:
                    found = child(side, case, mode, options.seconds)
                    if found is not None:
                        sides[side].append(found)
            print("\n".join(table({(case, mode): sides})[0 if len(results) == 1 else 1 :]))
            sys.stdout.flush()
    if options.json:
        keyed = {f"{case} {mode}": sides for (case, mode), sides in results.items()}
        Path(options.json).write_text(json.dumps(keyed, indent=1))


if __name__ == "__main__":
    main()
