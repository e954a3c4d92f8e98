"""Transformations of every op on PyTorch's own sample inputs, judged by PyTorch's.

    python -m tests.func.opdb                       # every op, float32
    python -m tests.func.opdb --match 'linalg.*'

Each op's sample is taken as a function of its floating tensors, and `jvp`, `vmap` and `vmap` of
`grad` of that function are compared. What PyTorch itself cannot transform is left aside.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

from tests.parity.calls import floating_tensors
from tests.parity.compare import differences, run
from tests.parity.libraries import ORACLE, Library, subject, transfer
from tests.parity.opdb import (
    Report,
    Sample,
    caller,
    is_dense,
    print_report,
    print_summary,
    samples_of,
    select,
    time_limit,
    title,
    tolerance,
)


def leaves_of(sample: Sample) -> list[torch.Tensor]:
    """The floating tensors among the arguments."""
    return list(floating_tensors(ORACLE, (sample.args, sample.kwargs)))


def with_leaves(value: Any, leaves: Iterator[Any], like: dict[int, Any]) -> Any:
    """`value` with the floating tensors replaced, in the order of `floating_tensors`."""
    if isinstance(value, (tuple, list)):
        return type(value)([with_leaves(v, leaves, like) for v in value])
    if isinstance(value, dict):
        return {k: with_leaves(v, leaves, like) for k, v in value.items()}
    return next(leaves) if id(value) in like else value


def as_function(sample: Sample, library: Library) -> Callable[..., Any]:
    """The call as a function of its floating tensors."""
    args, kwargs = sample.arguments(library)
    like = {id(t): t for t in floating_tensors(library, (args, kwargs))}
    function = caller(library, sample.name)

    def call(*tensors: Any) -> Any:
        given, named = with_leaves((args, kwargs), iter(tensors), like)
        return function(*given, **named)

    return call


def direction(t: torch.Tensor) -> torch.Tensor:
    """A tangent for a tensor: numbers that do not repeat soon."""
    steps = torch.arange(t.numel(), dtype=torch.float64).reshape(t.shape)
    return (steps * 0.7).sin().to(t.dtype)


def pushed(sample: Sample) -> Callable[[Library], Any]:
    """The derivative in a direction."""
    leaves = leaves_of(sample)
    tangents = [direction(t) for t in leaves]

    def program(library: Library) -> Any:
        given = tuple(transfer(t.clone(), library) for t in leaves)
        seeds = tuple(transfer(t, library) for t in tangents)
        return library.module.func.jvp(as_function(sample, library), given, seeds)

    return program


def weight(library: Library, result: Any) -> Any:
    """What a result is multiplied with before it is summed."""
    steps = library.module.arange(result.numel(), dtype=library.module.float64)
    return ((steps * 0.7).sin() + 0.1).reshape(result.shape).to(result.dtype)


def batches(sample: Sample) -> list[torch.Tensor]:
    """Two examples of every leaf."""
    return [torch.stack([t, t * 0.75]) for t in leaves_of(sample)]


def mapped(sample: Sample) -> Callable[[Library], Any]:
    """Two examples at once."""
    stacked = batches(sample)

    def program(library: Library) -> Any:
        given = [transfer(t, library) for t in stacked]
        return library.module.func.vmap(as_function(sample, library))(*given)

    return program


def per_sample(sample: Sample) -> Callable[[Library], Any]:
    """The gradients of a sum of the results, for each of two examples."""
    stacked = batches(sample)

    def program(library: Library) -> Any:
        function = as_function(sample, library)

        def total(*tensors: Any) -> Any:
            found = function(*tensors)
            found = found if isinstance(found, (tuple, list)) else (found,)
            sums = [(t * weight(library, t)).sum() for t in found if t.is_floating_point()]
            return sum(sums[1:], sums[0])

        given = [transfer(t, library) for t in stacked]
        places = tuple(range(len(given)))
        return library.module.func.vmap(library.module.func.grad(total, argnums=places))(*given)

    return program


FORMS = {"jvp": pushed, "vmap": mapped, "vmap of grad": per_sample}


def check_op(op: Any, dtype: str, *, limit: int, seconds: int, library: Library) -> Report:
    """The report on one op at one dtype."""
    report = Report(title(op), dtype)
    try:
        with time_limit(seconds):
            for number, sample in enumerate(samples_of(op, getattr(torch, dtype), limit)):
                if is_dense((sample.args, sample.kwargs)) and leaves_of(sample):
                    _check_sample(sample, number, report, library)
    except TimeoutError as error:
        report.fail("time", str(error), report.samples)
        report.failed_samples += 1
    return report


def _check_sample(sample: Sample, number: int, report: Report, library: Library) -> None:
    failed = False
    for form, make in FORMS.items():
        expected = run(ORACLE, make(sample))
        if expected.error:
            report.unsuited += 1
            continue
        report.samples += 1
        actual = run(library, make(sample))
        relative = max(tolerance(sample.name, report.dtype) or 0, 2e-5)
        for message in differences(expected, actual, relative=relative, strides=False):
            failed = True
            report.fail(form, message, number)
    report.failed_samples += failed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.func.opdb")
    parser.add_argument("--ops", help="names, separated by commas")
    parser.add_argument("--match", help="a pattern of names")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--max-samples", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args(arguments)
    reports = []
    for op in select(options.ops, options.match, options.dtype):
        report = check_op(
            op, options.dtype, limit=options.max_samples, seconds=options.seconds, library=subject()
        )
        print_report(report, 4)
        reports.append(report)
    print_summary(reports)
    return int(any(r.failures for r in reports))


if __name__ == "__main__":
    sys.exit(main())
