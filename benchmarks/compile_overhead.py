"""What a call of a compiled step costs beyond its XLA program: 60 parameters, AdamW.

    python benchmarks/compile_overhead.py [--rounds 9] [--calls 200]

Two figures, in turns: the compiled function's call, and the XLA program alone with the same inputs
already gathered. Both are medians over the rounds, in microseconds; their difference is what
flambeau itself does in each call.
"""

import argparse
import statistics
import time

import jax

import flambeau as torch
from flambeau import nn
from flambeau.compiling.program import Run


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(30)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    @torch.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = torch.randn(16, 8), torch.randint(0, 8, (16,))
    for _ in range(3):
        step(x, y)
    program = next(iter(step.programs.values()))[0]
    bare = jax.jit(program.forward.__wrapped__, donate_argnums=program.donated)
    written = [(place, output) for place, _, output, *_ in program.written]

    def copies():
        run = Run(program.bound.handles, [x, y])
        program.refusal(run)
        arrays = program.bound.inputs
        for position, read in program.live_numbers:
            arrays[position] = read()
        return [jax.numpy.array(a) if hasattr(a, "shape") else a for a in arrays]

    def calls(count):
        start = time.perf_counter()
        for _ in range(count):
            loss = step(x, y)
        float(loss)
        return (time.perf_counter() - start) / count

    def programs(count):
        arrays = copies()
        start = time.perf_counter()
        for _ in range(count):
            outputs = bare(*arrays)
            for place, output in written:
                arrays[place] = outputs[output]
        jax.block_until_ready(outputs)
        return (time.perf_counter() - start) / count

    calls(5)
    programs(5)
    pairs = [(calls(options.calls), programs(options.calls)) for _ in range(options.rounds)]
    call, alone = (1e6 * statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{len(list(model.parameters()))} parameters, {len(program.order)} inputs")
    print(f"compiled call {call:7.0f} us")
    print(f"XLA program   {alone:7.0f} us")
    print(f"difference    {call - alone:7.0f} us")


if __name__ == "__main__":
    main()
