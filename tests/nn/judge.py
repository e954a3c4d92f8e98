"""PyTorch's own samples as the judge of `torch.nn`: every module, every functional.

    python -m tests.nn.judge                         # all samples and bad inputs, float32, float64
    python -m tests.nn.judge --failing --only nn.LSTM
    python -m tests.nn.judge --only 'nn.functional.*pool*' --dtype float32 --write report.md

One line per module or function with the share of its samples that agree, then the rates of the
whole. Complex, sparse, quantised and nested inputs are left aside. Exit status 1 when a sample
fails.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.nn import functiondb, moduledb
from tests.parity.libraries import subject
from tests.parity.opdb import Report

KINDS = ("modules", "functions")


@dataclass(frozen=True)
class Verdict:
    """The report on one module or function, and which of both it is."""

    kind: str
    report: Report

    @property
    def passed(self) -> int:
        return self.report.samples - self.report.failed_samples

    @property
    def green(self) -> bool:
        return self.passed == self.report.samples and not self.report.failures

    def line(self) -> str:
        r = self.report
        rate = f"{self.passed:>5} of {r.samples:<5}"
        return f"{r.name:<52} {r.dtype:<8} {rate} {r.seconds:6.1f} s  {r.missing or ''}".rstrip()


def verdicts(pattern: str, dtypes: list[str], seconds: int) -> Iterator[Verdict]:
    """The verdicts on everything whose name fits."""
    library = subject()
    for info in moduledb.database():
        if fnmatch.fnmatch(info.name, pattern):
            for dtype in dtypes:
                if moduledb.supported(info, dtype):
                    report = moduledb.check_module(info, dtype, library, seconds=seconds)
                    yield Verdict("modules", report)
    for op in functiondb.database():
        if fnmatch.fnmatch(op.name, pattern):
            for dtype in functiondb.dtypes_of(op, dtypes):
                report = functiondb.check_function(op, dtype, library, seconds=seconds)
                yield Verdict("functions", report)


def rates(found: Iterable[Verdict]) -> list[str]:
    """One line for the modules and one for the functions."""
    lines = []
    for kind in KINDS:
        own = [v for v in found if v.kind == kind and v.report.samples]
        samples = sum(v.report.samples for v in own)
        if not samples:
            continue
        passed = sum(v.passed for v in own)
        green = {v.report.name for v in own} - {v.report.name for v in own if not v.green}
        total = {v.report.name for v in own}
        lines.append(
            f"{kind}: {passed} of {samples} samples pass ({passed / samples:.2%}); "
            f"{len(green)} of {len(total)} {kind} pass all of theirs"
        )
    return lines


def failures(verdict: Verdict, longest: int) -> list[str]:
    common = verdict.report.failures.most_common(longest)
    return [f"    {count:>2}x {message}" for message, count in common]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.nn.judge")
    parser.add_argument("--only", default="*", help="a shell pattern over names, as nn.LSTM")
    parser.add_argument("--failing", action="store_true", help="print only what did not pass")
    parser.add_argument("--dtype", default="float32,float64", help="separated by commas")
    parser.add_argument("--seconds", type=int, default=600, help="time limit each; default 600")
    parser.add_argument("--longest", type=int, default=8, help="failures printed each")
    parser.add_argument("--write", type=Path, help="also write what is printed to this file")
    options = parser.parse_args(arguments)
    found: list[Verdict] = []
    written: list[str] = []

    def say(*lines: str) -> None:
        print(*lines, sep="\n", flush=True)
        written.extend(lines)
        if options.write:
            options.write.write_text("\n".join([*rates(found), "", *written, ""]))

    for verdict in verdicts(options.only, options.dtype.split(","), options.seconds):
        found.append(verdict)
        if not (options.failing and verdict.green):
            say(verdict.line(), *failures(verdict, options.longest))
    print("", *rates(found), sep="\n")
    return int(not all(v.green for v in found))


if __name__ == "__main__":
    sys.exit(main())
