"""PyTorch's own sample inputs of `torch.nn.functional`: all of them, and its bad inputs.

The samples are those of `tests.parity.opdb`; here all of them run, and gradients are compared by
the measure of a whole sample (see `moduledb.gradient_differences`).
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from tests.nn.moduledb import carry, gradient_differences
from tests.parity import opdb
from tests.parity.compare import differences, run
from tests.parity.libraries import ORACLE, Library
from tests.parity.opdb import Report, is_dense, time_limit

EVERY = 10_000
# Softmax of scores in the hundreds: a relative rounding error of a score is an absolute one of
# hundreds of them in the exponent.
ATTENTION = 2e-4
TOLERANCES = {
    "nn.functional.multi_head_attention_forward": ATTENTION,
    "nn.functional.scaled_dot_product_attention": ATTENTION,
}


@dataclass(frozen=True)
class Sample(opdb.Sample):
    """A call whose arguments may be functions and modules, too."""

    def arguments(self, library: Library) -> tuple[tuple, dict]:
        return carry(self.args, library), carry(self.kwargs, library)


@functools.cache
def database() -> list[Any]:
    """The `nn.functional` part of PyTorch's op database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return [op for op in op_db if op.name.startswith("nn.functional.")]


def dtypes_of(op: Any, asked: list[str]) -> list[str]:
    """Those of the types asked for that the function takes; int64 where it takes only integers."""
    if not any(dtype.is_floating_point or dtype.is_complex for dtype in op.dtypes):
        return ["int64"]
    return [dtype for dtype in asked if getattr(torch, dtype) in op.dtypes]


def check_sample(op: Any, sample: Sample, number: int, report: Report, library: Library) -> None:
    """Run one sample in every form and put the differences into `report`."""
    relative = opdb.tolerance(op.name, report.dtype)
    if report.dtype == "float32":
        relative = TOLERANCES.get(op.name, relative)
    failed = False
    for form, program in opdb.programs(op, sample):
        expected = run(ORACLE, program)
        if expected.error:
            if form == "function":
                report.unsuited += 1
                return
            continue
        if form == "gradient" and not expected.value["differentiable"]:
            continue
        report.samples += form == "function"
        if report.missing:
            break
        actual = run(library, program)
        if form == "gradient" and not actual.error:
            wanted, got = (dict(enumerate(o.value["grads"])) for o in (expected, actual))
            found = gradient_differences(wanted, got, relative)
        else:
            found = differences(expected, actual, relative=relative)
        failed |= bool(found)
        for message in found:
            report.fail(form, message, number)
    report.failed_samples += failed or bool(report.missing)


def check_bad_sample(sample: Sample, number: int, report: Report, library: Library) -> None:
    expected = run(ORACLE, sample.function)
    if expected.error is None:
        return
    report.samples += 1
    found = [] if report.missing else differences(expected, run(library, sample.function))
    report.failed_samples += bool(found or report.missing)
    for message in found:
        report.fail("error", message, number)


def usable(samples: list[opdb.Sample]) -> Iterator[tuple[int, Sample]]:
    """The dense ones among samples, with their numbers."""
    for number, sample in enumerate(samples):
        if is_dense((sample.args, sample.kwargs)):
            yield number, Sample(sample.name, sample.args, sample.kwargs)


def check_function(
    op: Any, dtype: str, library: Library, *, seconds: int, limit: int = EVERY
) -> Report:
    """The report on one function at one dtype."""
    report, start = Report(opdb.title(op) or "", dtype), time.monotonic()
    try:
        opdb.caller(library, op.name)
    except (AttributeError, NotImplementedError) as error:
        report.missing = str(error)
    try:
        with time_limit(seconds):
            for number, sample in usable(opdb.samples_of(op, getattr(torch, dtype), limit)):
                check_sample(op, sample, number, report, library)
            for number, sample in usable(opdb.bad_samples_of(op, limit)):
                check_bad_sample(sample, number, report, library)
    except TimeoutError as error:
        report.fail("time", str(error), report.samples)
        report.failed_samples += 1
    report.seconds = time.monotonic() - start
    return report
