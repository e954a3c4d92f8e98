"""Random programs of views, in-place writes, grad modes and backward passes.

    python -m tests.fuzz.views --programs 20000 --seed 0 --jobs 1

A program is a list of Python lines over registers `r0, r1, ...`, grown line by line by looking
at the oracle's registers, then run on the library under test. After every line the layout,
versions and flags of all registers must agree, and so must every value that is read, every
error, and at the end all values and gradients. A failing program is reduced to its smallest
failing form and printed, ready to be run with `import torch as t`.

All arithmetic is in float64, so that no tolerance hides a slip; shapes are few and small, so
that few programs have to be compiled.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch

from tests.parity.compare import ErrorRecord, compare, record
from tests.parity.libraries import ORACLE, Library, subject

SHAPES = ((6,), (2, 3), (3, 2), (2, 2, 3))
CONSTANTS = ("0.5", "-1.5", "2.0", "1.0")
LARGEST = 1e6
MOST_REGISTERS = 10

Steps = list[tuple[str, Any]]


@dataclass
class Machine:
    """The registers of one library, and what running lines on them has shown so far."""

    library: Library
    texts: bool = False
    torn: bool = False
    names: dict[str, Any] = field(default_factory=dict)
    reads: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names["t"] = self.library.module
        self.names["read"] = lambda tensor: self.reads.append(record(self.library, tensor))
        self.names["read_values"] = self.read_values

    def read_values(self, tensor: Any) -> None:
        """Read a gradient: how it lies in memory is the engine's own affair."""
        self.reads.append(None if tensor is None else self.library.array(tensor))

    def registers(self) -> dict[str, Any]:
        return {name: value for name, value in self.names.items() if re.fullmatch(r"r\d+", name)}

    def execute(self, line: str) -> ErrorRecord | None:
        """Run one line; the error it ended with, if any."""
        try:
            exec(line, self.names)
        except Exception as error:
            self.torn = self.torn or "backward" in line
            if any(text in str(error) for text in BEYOND):
                return NOT_COMPARED
            if not self.texts:  # which of two mistakes is seen first is nobody's contract
                return ErrorRecord("error", "")
            return ErrorRecord(type(error).__name__, stable_text(str(error)))
        return None

    def layout(self) -> dict[str, Any]:
        """What is known of every register without reading its values."""
        named, facts = self.registers(), {}
        for name, tensor in named.items():
            try:
                facts[name] = tensor_facts(tensor, named)
            except RuntimeError as error:  # a view from no_grad mode whose base was written
                facts[name] = str(error) if self.texts else "error"
        return facts

    def finish(self) -> Steps:
        """All values, a last backward pass over everything, all gradients."""
        named = self.registers()
        steps: Steps = [("value", {n: record(self.library, x) for n, x in named.items()})]
        for index, name in enumerate(n for n, x in named.items() if x.requires_grad):
            line = f"({name}.sum() * {index + 1}).backward(retain_graph=True)"
            steps.append((line, self.execute(line)))
        # How far a backward pass gets before it raises depends on the order of its nodes.
        for name in [] if self.torn else named:
            line = f"read_values({name}.grad)"
            steps.append((line, (self.execute(line), list(self.reads))))
        return steps


# Nothing after these errors of PyTorch can be compared: its own bug (it asks for a report of it),
# and a value that a node saved being `detach_()`ed since (ours gives its gradient).
BEYOND = ("INTERNAL ASSERT", "Trying to use a saved tensor that has been detached in-place")
NOT_COMPARED = ErrorRecord("not compared", "")


def tensor_facts(tensor: Any, named: dict[str, Any]) -> tuple:
    """Layout, flags, version, and which registers are its base or share its memory."""
    base = tensor._base
    return (
        tuple(tensor.shape),
        tuple(s for n, s in zip(tensor.shape, tensor.stride(), strict=True) if n != 1)
        if tensor.numel()
        else (),  # the strides of nothing are nobody's contract
        tensor.storage_offset(),
        tensor.is_contiguous(),
        tensor.requires_grad,
        tensor.is_leaf,
        tensor._version,
        tensor._is_view(),
        sorted(n for n, other in named.items() if other is base),
        sorted(n for n, other in named.items() if other is tensor),
    )


def stable_text(text: str) -> str:
    """An error's text, less the part that depends on the order in which nodes run."""
    head, mark, _ = text.partition("modified by an inplace operation: ")
    return head + mark


def play(lines: list[str], library: Library, texts: bool = False) -> Steps:
    """Run a program; one record for each line, then those of the finish."""
    machine, steps = Machine(library, texts), []
    with library.restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for line in lines:
            error = machine.execute(line)
            steps.append((line, (error, machine.layout(), list(machine.reads))))
            machine.reads.clear()
        return steps + machine.finish()


def disagreement(lines: list[str], library: Library, texts: bool = False) -> str | None:
    """The first way in which `library` departs from the oracle on this program."""
    expected, actual = play(lines, ORACLE, texts), play(lines, library, texts)
    for (line, wanted), (_, got) in zip(expected, actual, strict=False):
        if NOT_COMPARED in (wanted, wanted[0] if isinstance(wanted, tuple) else None):
            return None
        found = compare(wanted, got, "", 1e-9, False)
        if found:
            return f"{line}: {found[0]}"
    return None


def undefined(lines: list[str]) -> bool:
    """Whether some line uses a register that no earlier line has made."""
    known: set[str] = set()
    for line in lines:
        line = line.removeprefix("with t.no_grad(): ")
        made = re.match(r"(r\d+) = ", line)
        used = set(re.findall(r"\br\d+\b", line[made.end() :] if made else line))
        if not used <= known:
            return True
        if made:
            known.add(made.group(1))
    return False


def reduce(lines: list[str], library: Library, texts: bool = False) -> list[str]:
    """Leave out lines, latest first, as long as the program still fails."""
    shrunk = True
    while shrunk:
        shrunk = False
        for index in reversed(range(len(lines))):
            shorter = lines[:index] + lines[index + 1 :]
            if not undefined(shorter) and disagreement(shorter, library, texts):
                lines, shrunk = shorter, True
    return lines


# --- Growing programs ---


def dense(x: torch.Tensor) -> bool:
    """Whether the elements of `x` fill a block of memory, each at a place of its own."""
    sizes = sorted((s, n) for n, s in zip(x.shape, x.stride(), strict=True) if n != 1)
    return all(
        s == (1 if i == 0 else sizes[i - 1][0] * sizes[i - 1][1]) for i, (s, _) in enumerate(sizes)
    )


def overlapping(x: torch.Tensor) -> bool:
    """Whether several elements of `x` lie in one place of memory, as after `expand`."""
    return any(s == 0 and n > 1 for n, s in zip(x.shape, x.stride(), strict=True))


def unconnected(x: torch.Tensor) -> bool:
    """Whether `x` says that it requires a gradient, but no edge leads on from it: a view made
    under no_grad. What its operations save is an accident of PyTorch's code."""
    try:
        return x._is_view() and x.requires_grad and x.grad_fn is None
    except RuntimeError:
        return True


class Gardener:
    """Grows one program; knows the oracle's registers while it does."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.machine = Machine(ORACLE)
        self.lines: list[str] = []
        self.failed = 0

    def pick(self, *options: Any) -> Any:
        return self.random.choice(options)

    def register(self) -> tuple[str, torch.Tensor]:
        """A random register; recent ones, which are often views, come more often."""
        named = list(self.machine.registers().items())
        return self.random.choice(named + named[-3:])

    def operand(self, x: torch.Tensor, part: bool = False) -> tuple[str, torch.Tensor]:
        """A register to read while `x`, or a part of it, is written: where the result would depend
        on the order in which the elements are visited, a copy of it."""
        name, y = self.register()
        shared = x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
        layouts = [(v.shape, v.stride(), v.storage_offset()) for v in (x, y)]
        if shared and layouts[0] != layouts[1] and (part or not (dense(x) and dense(y))):
            return f"{name}.clone()", y
        return name, y

    def alone(self, x: torch.Tensor) -> bool:
        """Whether no other register shares the memory of `x`."""
        place = x.untyped_storage().data_ptr()
        others = self.machine.registers().values()
        return sum(y.untyped_storage().data_ptr() == place for y in others) == 1

    def fresh(self) -> str:
        return f"r{len(self.machine.registers())}"

    def grow(self, length: int) -> list[str]:
        with ORACLE.restored(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.add(self.creation())
            while len(self.lines) < length and self.small():
                self.add(self.line())
        return self.lines

    def small(self) -> bool:
        """Values must stay where float64 can be compared without thought."""
        tensors = self.machine.registers().values()
        return all((x.detach().abs() < LARGEST).all() for x in tensors)

    def add(self, line: str) -> None:
        self.failed += self.machine.execute(line) is not None
        self.lines.append(line)

    def line(self) -> str:
        crowded = len(self.machine.registers()) >= MOST_REGISTERS
        makers = (self.view, self.view, self.several, self.fresh_result, self.creation)
        changers = (self.scalar_write, self.scalar_write, self.tensor_write, self.assignment)
        others = (self.flag, self.reading, self.backward)
        kinds = changers * 2 + others + (() if crowded else makers * 2)
        line = self.random.choice(kinds)()
        # Under no_grad, PyTorch lets `t_()` break the graph of a tensor that has one.
        quiet = self.random.random() < 0.12 and not re.search(r"(t|squeeze)_\(", line)
        return f"with t.no_grad(): {line}" if quiet else line

    def creation(self) -> str:
        shape = self.pick(*SHAPES)
        start = self.pick("0.3", "-0.8", "1.0")
        count = torch.Size(shape).numel()
        grad = self.pick("", ".requires_grad_()", ".requires_grad_().mul(1.5)")
        values = f"t.linspace({start}, 1.7, {count}, dtype=t.float64)"
        return f"{self.fresh()} = {values}.view{shape}.clone(){grad}".replace(",)", ")")

    def view(self) -> str:
        name, x = self.register()
        n = x.dim()
        calls = ["view(-1)", "reshape(-1)", "detach()", "view_as({})", "unsqueeze(0)", "squeeze()"]
        calls += ["flatten()", "contiguous()", "expand(2, *{}.shape)", "unsqueeze(-1)", "data"]
        if n:
            d = self.random.randrange(n)
            size = x.shape[d]
            if size:
                i = self.random.randrange(-size, size)
                calls += [f"select({d}, {i})", f"narrow({d}, {i % size}, 1)"]
                calls += [f"unfold({d}, {size}, 1)", f"narrow({d}, 0, {size})"]
            calls += [f"transpose(0, {d})", "t()", "permute(*range({}.dim())[::-1])"]
            calls += ["view(tuple({}.shape) + (1,))", f"flatten({d})", "movedim(0, -1)"]
        if n >= 2:
            calls += ["diagonal()", "view(3, -1)", "reshape(2, -1)", "mT"]
            if x.untyped_storage().nbytes() == x.numel() * x.element_size() and dense(x):
                calls.append("as_strided((2,), (1,))")
        if self.random.random() < 0.3:
            item = self.pick("0", "1:", "::2", "..., 0", "..., None", ":, 1:", "None", "-1", "...")
            return f"{self.fresh()} = {name}[{item}]"
        return f"{self.fresh()} = {name}.{self.random.choice(calls)}".replace("{}", name)

    def several(self) -> str:
        name, _ = self.register()
        calls = ("unbind(0)[0]", "chunk(2)[-1]", "split(1)[0]", "unbind(-1)[-1]", "split(2, -1)[0]")
        return f"{self.fresh()} = {name}.{self.pick(*calls)}"

    def fresh_result(self) -> str:
        name, x = self.register()
        if unconnected(x):
            return self.creation()
        other, _ = self.register()
        c = self.pick(*CONSTANTS)
        forms = [f"{name} + {other}", f"{name} * {other}", f"{name} * {c}", f"{name}.clone()"]
        forms += [f"{name}.sin()", f"{name}.tanh()", f"{name}.sum()", f"{name}.relu()"]
        forms += [f"t.where({name} > 0.4, {name}, {other})", f"{name}.sigmoid()", f"-{name}"]
        if x.dim():
            forms += [
                f"{name}.sum(0)",
                f"{name}[[0, -1]].contiguous()",
                f"{name}.sum(-1, keepdim=True)",
            ]
            forms += [f"t.cat([{name}, {other}])", f"t.stack([{name}, {other}])"]
            forms += [
                f"{name}[{name} > 0.4]",
                f"{name}.flip(0).contiguous()",
                f"{name}.softmax(-1)",
            ]
        return f"{self.fresh()} = {self.random.choice(forms)}"

    def scalar_write(self) -> str:
        name, x = self.register()
        c = self.pick(*CONSTANTS)
        if overlapping(x):
            return f"{name}.neg_()" if x.requires_grad else f"{name}.fill_({c})"
        calls = [
            f"mul_({c})",
            f"add_({c})",
            f"fill_({c})",
            "zero_()",
            "sin_()",
            "tanh_()",
            "neg_()",
        ]
        calls += [f"clamp_(-1, {c})", "relu_()", "sigmoid_()", f"masked_fill_({name} > 0.4, {c})"]
        calls += ["exp_().clamp_(max=3)", "t_()", "unsqueeze_(0)", "squeeze_(0)", "abs_()"]
        return f"{name}.{self.random.choice(calls)}"

    def tensor_write(self) -> str:
        name, x = self.register()
        (other, y), (third, _) = self.operand(x), self.operand(x)
        calls = [f"add_({other})", f"mul_({other})", f"copy_({other})", f"sub_({other}, alpha=2)"]
        calls += [f"addcmul_({other}, {third})", f"lerp_({other}, 0.25)", f"copy_({other}.sum())"]
        calls += [f"add_({other}.sum())", f"mul_({other}.detach())"]
        if (
            x.shape == y.shape and "clone" not in other
        ):  # an `out` of another size would be resized, memory and all
            calls.append(f"mul_(2), t.mul({other}, 2.0, out={name})")
        return f"{name}.{self.random.choice(calls)}"

    def assignment(self) -> str:
        name, x = self.register()
        other, _ = self.operand(x, part=True)
        value = self.pick(*CONSTANTS, other, f"{other}.sum()")
        items = [
            "0",
            "1:",
            "...",
            ":, 0",
            "..., -1",
            "::2",
            "[0, -1]",
            f"{name} > 0.4",
            "[-1], [0]",
        ]
        # A bad index makes PyTorch raise half-way through the write.
        index = "t.tensor([0, 1, 0])" if x.dim() and x.shape[0] > 1 else "t.tensor([0, 0])"
        calls = [
            f"index_put_(({index},), t.tensor(0.75, dtype=t.float64), accumulate=True)",
            f"index_fill_(0, t.tensor([0]), {self.pick(*CONSTANTS)})",
            f"index_add_(0, {index}, {other}[{index}])",
        ]
        if x.dim() == 1:
            calls.append(f"scatter_(0, {index}, {self.pick(*CONSTANTS)})")
        if overlapping(x):  # PyTorch lets writes through a mask pass, with a warning
            return f"{name}[0] = {value}"
        if self.random.random() < 0.3 and x.numel():
            return f"{name}.{self.random.choice(calls)}"
        item = self.random.choice(items)
        change = self.pick("=", "=", "=", "+=", "*=")
        return f"{name}[{item}] {change} {value}"

    def flag(self) -> str:
        name, x = self.register()
        calls = [] if x._backward_hooks else ["detach_()"]
        if self.alone(x):
            calls.append("requires_grad_()")
        if not x._is_view():  # a hook on a view whose base was written can crash PyTorch itself
            calls.append("register_hook(lambda g: g * 2)")
            if x.dim() > 2:  # `t_()` after `retain_grad()` breaks PyTorch
                calls.append("retain_grad()")
        if not calls:
            return self.reading()
        return f"{name}.{self.random.choice(calls)}"

    def reading(self) -> str:
        return f"read({self.register()[0]})"

    def backward(self) -> str:
        retain = self.pick("retain_graph=True", "")
        return f"{self.register()[0]}.sum().backward({retain})"


# --- Runs ---


@dataclass
class Tally:
    """What a run of programs has come to."""

    programs: int = 0
    lines: int = 0
    errors: int = 0
    failures: list[tuple[int, list[str], str]] = field(default_factory=list)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.programs + other.programs,
            self.lines + other.lines,
            self.errors + other.errors,
            self.failures + other.failures,
        )


def sow(first: int, count: int, *, length: int, stop: int, texts: bool = False) -> Tally:
    """Run `count` programs from the seed `first` on; stop after `stop` failures."""
    tally, library = Tally(), subject()
    for seed in range(first, first + count):
        gardener = Gardener(seed)
        lines = gardener.grow(length)
        tally += Tally(1, len(lines), gardener.failed)
        if disagreement(lines, library, texts):
            smallest = reduce(lines, library, texts)
            why = disagreement(smallest, library, texts) or ""
            tally.failures.append((seed, smallest, why))
            if len(tally.failures) >= stop:
                break
    return tally


def show(tally: Tally) -> str:
    """The failing programs, one of each kind, and the totals."""
    kinds: Counter[str] = Counter()
    text = []
    for seed, lines, why in tally.failures:
        kind = re.sub(r"r\d+|[-\d.]+", "#", why)[:120]
        kinds[kind] += 1
        if kinds[kind] == 1:
            text.append("\n".join([f"# seed {seed}", *lines, f"# {why}", ""]))
    text.append(
        f"{tally.programs} programs, {tally.lines} lines ({tally.errors} ended in an error), "
        f"{len(tally.failures)} programs failed in {len(kinds)} ways"
    )
    return "\n".join(text)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.views")
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--length", type=int, default=14, help="lines a program")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--stop", type=int, default=20, help="failures after which a job stops")
    parser.add_argument("--texts", action="store_true", help="compare what the errors say, too")
    options = parser.parse_args(arguments)
    share = -(-options.programs // options.jobs)
    starts = range(options.seed, options.seed + options.programs, share)
    more = {"length": options.length, "stop": options.stop, "texts": options.texts}
    if options.jobs == 1:
        tally = sow(options.seed, options.programs, **more)
    else:
        with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
            runs = [pool.apply_async(sow, (start, share), more) for start in starts]
            tally = sum((r.get() for r in runs), Tally())
    print(show(tally))
    return int(bool(tally.failures))


if __name__ == "__main__":
    sys.exit(main())
