"""What one eager operation costs: flambeau against PyTorch, on 16 x 16 tensors.

    python benchmarks/eager.py [--rounds 9] [--repeats 200] [--only NAME...] [--json FILE]

At this size the time is the libraries' own work around the arithmetic. Three figures an operation:
the forward pass with recording, the forward pass without, and the backward pass. The libraries take
turns in one process, round by round; a figure is the median over the rounds, in microseconds.
"""

import argparse
import json
import statistics
import time

import torch

import flambeau

SIZE = 16

# name: (how to make the inputs, the operation); `t` is the library.
UNARY = {
    "neg": lambda t, x: -x,
    "exp": lambda t, x: x.exp(),
    "log": lambda t, x: x.log(),
    "sqrt": lambda t, x: x.sqrt(),
    "square": lambda t, x: x**2,
    "relu": lambda t, x: t.relu(x),
    "sigmoid": lambda t, x: t.sigmoid(x),
    "tanh": lambda t, x: t.tanh(x),
    "gelu": lambda t, x: t.nn.functional.gelu(x),
    "clamp": lambda t, x: x.clamp(0.2, 0.8),
    "softmax": lambda t, x: x.softmax(-1),
    "log_softmax": lambda t, x: x.log_softmax(-1),
    "sum": lambda t, x: x.sum(),
    "sum over a dim": lambda t, x: x.sum(1),
    "mean over a dim": lambda t, x: x.mean(1, keepdim=True),
    "amax": lambda t, x: x.amax(1),
    "transpose": lambda t, x: x.t(),
    "view": lambda t, x: x.view(4, 64),
    "row": lambda t, x: x[3],
    "slice": lambda t, x: x[2:10, ::2],
    "scale": lambda t, x: x * 0.5,
    "layer_norm": lambda t, x: t.nn.functional.layer_norm(x, (SIZE,)),
}
BINARY = {
    "add": lambda t, x, y: x + y,
    "mul": lambda t, x, y: x * y,
    "div": lambda t, x, y: x / y,
    "add a row": lambda t, x, y: x + y[0],
    "matmul": lambda t, x, y: x @ y,
    "linear": lambda t, x, y: t.nn.functional.linear(x, y),
    "cat": lambda t, x, y: t.cat([x, y]),
    "where": lambda t, x, y: t.where(x > y, x, y),
    "mse_loss": lambda t, x, y: t.nn.functional.mse_loss(x, y),
}
OTHER = {
    "gather rows": lambda t, x: x[t.arange(8)],
    "cross_entropy": lambda t, x: t.nn.functional.cross_entropy(x, t.arange(SIZE)),
}


def inputs(library, count):
    generator = library.Generator().manual_seed(0)
    return [
        (library.rand(SIZE, SIZE, generator=generator) + 0.1).requires_grad_() for _ in range(count)
    ]


def rows():
    for table, count in ((UNARY, 1), (BINARY, 2), (OTHER, 1)):
        for name, operation in table.items():
            yield name, operation, count


def wait(value):
    """Until `value` is computed."""
    value.detach().numpy()


def timed(call, repeats):
    """Microseconds for one call, the mean over `repeats`."""
    wait(call())
    start = time.perf_counter()
    for _ in range(repeats):
        value = call()
    wait(value)
    return (time.perf_counter() - start) / repeats * 1e6


class Case:
    """One operation in one library."""

    def __init__(self, library, operation, count):
        self.library = library
        self.arguments = inputs(library, count)
        self.operation = operation
        self.result = self.forward()
        self.gradient = library.ones_like(self.result)

    def forward(self):
        return self.operation(self.library, *self.arguments)

    def backward(self):
        return self.library.autograd.grad(
            self.result, self.arguments, self.gradient, retain_graph=True
        )[0]

    def round(self, repeats):
        recorded = timed(self.forward, repeats)
        with self.library.no_grad():
            unrecorded = timed(self.forward, repeats)
        return {
            "forward": recorded,
            "forward without grad": unrecorded,
            "backward": timed(self.backward, repeats),
        }


FIGURES = ("forward", "forward without grad", "backward")


def measure(operation, count, rounds, repeats):
    """Medians of both libraries and their ratios."""
    cases = {
        "flambeau": Case(flambeau, operation, count),
        "torch": Case(torch, operation, count),
    }
    samples = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name in sorted(cases, reverse=bool(number % 2)):
            sample = cases[name].round(repeats if number else 3)
            if number:  # the first round compiles and warms up
                samples[name].append(sample)
    return {
        figure: {
            name: statistics.median(sample[figure] for sample in taken)
            for name, taken in samples.items()
        }
        for figure in FIGURES
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--only", nargs="+", help="names of operations")
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)

    print(f"{'microseconds, and ours / PyTorch':20s}")
    print(f"{'':18s}{'forward':>22s}{'without grad':>22s}{'backward':>22s}")
    results = {}
    for name, operation, count in rows():
        if options.only and name not in options.only:
            continue
        results[name] = measured = measure(operation, count, options.rounds, options.repeats)
        cells = [(measured[figure]["flambeau"], measured[figure]["torch"]) for figure in FIGURES]
        print(
            f"{name:18s}"
            + "".join(f"{ours:8.1f} {theirs:6.1f} {ours / theirs:6.2f}" for ours, theirs in cells),
            flush=True,
        )
    medians = [
        statistics.median(
            row[figure]["flambeau"] / row[figure]["torch"] for row in results.values()
        )
        for figure in FIGURES
    ]
    print(f"{'median ratio':18s}" + "".join(f"{ratio:22.2f}" for ratio in medians))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(
                {"operations": results, "median ratios": dict(zip(FIGURES, medians, strict=True))},
                file,
            )


if __name__ == "__main__":
    main()
