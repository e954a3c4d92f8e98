"""How soon a script has trained its first step: flambeau against PyTorch, in fresh processes.

    python benchmarks/first_step.py [--rounds 5] [--only NAME...] [--json FILE]

Every figure is from a process of its own, with empty compilation caches; the libraries take turns,
and a figure is the median over the rounds. For a model: seconds from the start of the process to
the end of the first training step (forward, backward, optimiser), and the milliseconds that are
left without the imports and without building the model. For the character RNN: seconds of the first
and of the second pass over 200 words of 40 lengths, a step of the optimiser after each word.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

MODELS = ("mlp", "lenet", "lstm", "transformer")
WORDS = ("rnn of cells", "nn.RNN")
# Ratios to PyTorch that are aimed at: whole process, or first and second pass.
BARS = {
    "mlp": (0.5,),
    "lenet": (0.5,),
    "lstm": (0.5,),
    "transformer": (1.2,),
    "rnn of cells": (2.0, 1.2),
    "nn.RNN": (1.5, 1.0),
}
STEP_BARS = {"mlp": 60, "lenet": 150, "lstm": 150}


# What runs in the fresh process


def mlp(torch):
    nn = torch.nn
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    return model, torch.rand(32, 1, 28, 28), torch.randint(10, (32,))


def lenet(torch):
    nn = torch.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    return model, torch.rand(32, 1, 28, 28), torch.randint(10, (32,))


def lstm(torch):
    nn = torch.nn

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(100, 32)
            self.lstm = nn.LSTM(32, 64, batch_first=True)
            self.output = nn.Linear(64, 10)

        def forward(self, x):
            return self.output(self.lstm(self.embedding(x))[0][:, -1])

    return Classifier(), torch.randint(100, (16, 20)), torch.randint(10, (16,))


def transformer(torch):
    nn = torch.nn

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(100, 64)
            layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2)
            self.output = nn.Linear(64, 10)

        def forward(self, x):
            return self.output(self.encoder(self.embedding(x)).mean(1))

    return Classifier(), torch.randint(100, (16, 20)), torch.randint(10, (16,))


def first_step(torch, name):
    """Milliseconds of the first step, and of building the model before it."""
    start = time.perf_counter()
    torch.manual_seed(0)
    model, x, target = globals()[name](torch)
    optimizer = (
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        if name in ("mlp", "lenet")
        else torch.optim.Adam(model.parameters(), lr=1e-3)
    )
    built = time.perf_counter()
    loss = torch.nn.functional.cross_entropy(model(x), target)
    loss.backward()
    optimizer.step()
    loss.item()
    for parameter in model.parameters():
        parameter.detach().numpy()
    end = time.perf_counter()
    return {"build": (built - start) * 1e3, "step": (end - built) * 1e3}


def words(torch, count=200, lengths=40):
    """Words as one-hot letters (length, 1, 26), and a class for each."""
    order = torch.randperm(count).tolist()
    found = []
    for i in order:
        letters = torch.randint(26, (3 + i % lengths,))
        found.append((torch.nn.functional.one_hot(letters, 26).float()[:, None], i % 10))
    return found


def character_rnn(torch, whole):
    """Seconds of two passes over the words, by a loop of cells or by `nn.RNN`."""
    torch.manual_seed(0)
    nn = torch.nn

    class Cells(nn.Module):
        def __init__(self):
            super().__init__()
            self.i2h = nn.Linear(26, 32)
            self.h2h = nn.Linear(32, 32)
            self.h2o = nn.Linear(32, 10)

        def forward(self, word):
            hidden = torch.zeros(1, 32)
            for letter in word:
                hidden = torch.tanh(self.i2h(letter) + self.h2h(hidden))
            return self.h2o(hidden)

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(26, 32)
            self.h2o = nn.Linear(32, 10)

        def forward(self, word):
            return self.h2o(self.rnn(word)[1][0])

    model = Whole() if whole else Cells()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    data = words(torch)
    passes = []
    for _ in range(2):
        start = time.perf_counter()
        for word, label in data:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(word), torch.tensor([label]))
            loss.backward()
            optimizer.step()
        loss.item()
        passes.append(time.perf_counter() - start)
    return {"first pass": passes[0], "second pass": passes[1]}


def measure(library, name):
    """The figures of one fresh process, printed as JSON."""
    start = time.perf_counter()
    if library == "torch":
        import torch
    else:
        import flambeau as torch
    torch.nn, torch.optim  # noqa: B018 (flambeau imports its parts at their first use)
    imported = (time.perf_counter() - start) * 1e3
    torch.set_num_threads(1)
    figures = first_step(torch, name) if name in MODELS else character_rnn(torch, name == "nn.RNN")
    print(json.dumps({"imports": imported, **figures}))


# What starts the processes


def fresh(library, name):
    """Run one case in a process of its own."""
    with tempfile.TemporaryDirectory() as cache:
        hidden = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
        environment = {k: v for k, v in os.environ.items() if k not in hidden}
        environment["XDG_CACHE_HOME"] = cache
        start = time.perf_counter()
        process = subprocess.run(
            [sys.executable, __file__, "--library", library, "--case", name],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        figures = json.loads(process.stdout)
        figures["process"] = time.perf_counter() - start
    return figures


def compared(name, rounds):
    """Medians of both libraries."""
    samples = {"flambeau": [], "torch": []}
    for number in range(rounds + 1):
        for library in sorted(samples, reverse=bool(number % 2)):
            figures = fresh(library, name)
            if number:  # the first round fills the file system's cache
                samples[library].append(figures)
    return {
        library: {key: statistics.median(s[key] for s in taken) for key in taken[0]}
        for library, taken in samples.items()
    }


def report(name, medians):
    """One line, with the bars."""
    ours, theirs = medians["flambeau"], medians["torch"]
    if name in MODELS:
        ratio = ours["process"] / theirs["process"]
        step = f"step {ours['step']:6.0f} ms, {theirs['step']:6.0f}"
        bar = f" (bar {STEP_BARS[name]} ms)" if name in STEP_BARS else ""
        print(
            f"{name:14s}{ours['process']:6.2f} s, PyTorch {theirs['process']:5.2f}: "
            f"{ratio:5.2f} (bar {BARS[name][0]})   {step}{bar}   "
            f"imports {ours['imports']:.0f}, {theirs['imports']:.0f}   "
            f"building {ours['build']:.0f}, {theirs['build']:.0f}",
            flush=True,
        )
        return
    cells = []
    for key, bar in zip(("first pass", "second pass"), BARS[name], strict=True):
        ratio = ours[key] / theirs[key]
        cells.append(f"{key} {ours[key]:6.2f} s, {theirs[key]:5.2f}: {ratio:5.2f} (bar {bar})")
    print(f"{name:14s}" + "   ".join(cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", help=f"of {', '.join((*MODELS, *WORDS))}")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--library", help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.library:
        measure(options.library, options.case)
        return
    results = {}
    for name in options.only or (*MODELS, *WORDS):
        results[name] = compared(name, options.rounds)
        report(name, results[name])
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file)


if __name__ == "__main__":
    main()
