"""How long `import flambeau` takes, and how much of it is `import jax`.

    python benchmarks/import_time.py [--rounds 11] [--json FILE]

Every import happens in a fresh process; the modules take turns, and a figure is the median over the
rounds. PyTorch's import is timed for comparison where it is installed.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys

TIMER = """
import time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""


def seconds(module):
    """The time that one import takes in a fresh process."""
    process = subprocess.run(
        [sys.executable, "-c", TIMER.format(module=module)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(process.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args()
    modules = [m for m in ("jax", "flambeau", "torch") if importlib.util.find_spec(m)]
    samples = {module: [] for module in modules}
    for number in range(options.rounds + 1):
        for module in modules if number % 2 else reversed(modules):
            taken = seconds(module)
            if number:  # the first round fills the file system's cache
                samples[module].append(taken)
    medians = {module: statistics.median(taken) for module, taken in samples.items()}
    for module, median in medians.items():
        low, high = min(samples[module]), max(samples[module])
        print(f"import {module:9s} {median * 1e3:7.0f} ms   ({low * 1e3:.0f} to {high * 1e3:.0f})")
    ratio = medians["flambeau"] / medians["jax"]
    print(f"flambeau / jax   {ratio:7.2f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"seconds": medians, "flambeau over jax": ratio}, file)


if __name__ == "__main__":
    main()
