"""Sweep over PyTorch's own sample inputs: the work list of everybody who writes ops.

    python -m tests.parity.opdb                            # every op, float32
    python -m tests.parity.opdb --ops add,mul,nn.functional.conv2d
    python -m tests.parity.opdb --match 'linalg.*' --dtype float64 --max-samples 20
    python -m tests.parity.opdb --failing --json report.json

Each sample is taken over to the library under test and called by the op's name as a function,
as a method and in place; results, gradients of all floating inputs and, with `--errors`, the
classes of the errors for PyTorch's own bad inputs are compared. One line per op:

    add                                  float32   10 samples   ok
    addr                                 float32    6 samples   2 failed
        2x gradient  .input value at [0] is ... (sample 3)

`missing` means that the name isn't there (or raises NotImplementedError). Expectations are
computed by calling PyTorch under the same name, so an op whose samples fit only PyTorch's
private adapter is listed as `unsuited`. Needs `expecttest` besides PyTorch. Exit status 1 when
anything failed or is missing.

Left aside: complex, sparse, quantised and nested dtypes and layouts, accelerator-only ops.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import functools
import json
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from tests.parity.calls import floating_tensors, gradients
from tests.parity.compare import Outcome, differences, run
from tests.parity.libraries import ORACLE, Library, subject, transfer

EXCLUDED = (
    "jiterator_*",  # compiles CUDA source
    "torch.*",  # private kernels, named by their full path
    "sparse.*",
    "to_sparse",
    "_*",  # private, and operators of Python, which tests/test_dtype_promotion.py covers
    "empty*",  # uninitialised memory: nothing to compare
    "new_empty*",
    "masked.*",  # prototype namespace
    "hash_tensor",
    "slice",  # private: the plain slicing of Python
    "max_pool2d_with_indices_backward",  # private
    "native_dropout_backward",  # private
    "nn.functional.linear_cross_entropy",  # unreleased
)


# Samples that come in another order of arguments than the public function takes.
ADAPTED = {
    "einsum": lambda args: (args[1], *args[0]),
    "nn.functional.embedding": lambda args: (args[1], args[0], *args[2:]),
    "polygamma": lambda args: (args[1], args[0]),
    "special.polygamma": lambda args: (args[1], args[0]),
    "where": lambda args: (args[1], args[0], *args[2:]),
}
# Factorisations and long sums of logarithms multiply rounding errors by their condition.
CONDITIONED = ("linalg.*", "*svd*", "pinverse", "lu*", "*ctc_loss", "cholesky*", "*solve*")


def tolerance(name: str, dtype: str) -> float | None:
    """The relative tolerance for an op, None for the dtype's own."""
    conditioned = any(fnmatch.fnmatch(name, pattern) for pattern in CONDITIONED)
    return 1e-4 if conditioned and dtype == "float32" else None


IN_PLACE_ONLY = {"cauchy", "exponential", "geometric", "log_normal", "uniform"}


@dataclass
class Report:
    """The verdict on one op."""

    name: str
    dtype: str
    samples: int = 0
    unsuited: int = 0
    failed_samples: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    missing: str | None = None
    seconds: float = 0.0

    def fail(self, form: str, message: str, sample: int) -> None:
        self.failures[f"{form:<17} {message} (sample {sample})"] += 1

    @property
    def status(self) -> str:
        if self.missing:
            return f"missing   {self.missing}"
        if self.failures:
            return f"{self.failed_samples} failed"
        return "ok" if self.samples else "unsuited" if self.unsuited else "no samples"


@functools.cache
def database() -> list[Any]:
    """PyTorch's op database, less what is left aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return [
        op for op in op_db if not any(fnmatch.fnmatch(op.name, pattern) for pattern in EXCLUDED)
    ]


def title(op: Any) -> str | None:
    if op is None:
        return None
    return f"{op.name}:{op.variant_test_name}" if op.variant_test_name else op.name


def caller(library: Library, name: str) -> Callable:
    """The function `name`, or, where PyTorch only has the method (or property), that one."""
    if name in IN_PLACE_ONLY:
        name = f"{name}_"
    if callable(functools.reduce(lambda o, part: getattr(o, part, None), name.split("."), torch)):
        return library.resolve(name)
    if not hasattr(torch.Tensor, name):
        raise AttributeError(f"PyTorch has no public function or method {name}")
    if not callable(getattr(torch.Tensor, name)):
        return lambda tensor: getattr(tensor, name)
    return lambda tensor, *args, **kwargs: getattr(tensor, name)(*args, **kwargs)


@dataclass(frozen=True)
class Sample:
    """One call: the op's name and PyTorch's arguments for it."""

    name: str
    args: tuple
    kwargs: dict

    def arguments(self, library: Library) -> tuple[tuple, dict]:
        return transfer(self.args, library), transfer(self.kwargs, library)

    def function(self, library: Library) -> Any:
        args, kwargs = self.arguments(library)
        return caller(library, self.name)(*args, **kwargs)

    def gradient(self, library: Library) -> Any:
        args, kwargs = self.arguments(library)
        leaves = [t.requires_grad_() for t in floating_tensors(library, (args, kwargs))]
        result = caller(library, self.name)(*args, **kwargs)
        return gradients(library, result, leaves)

    def method(self, library: Library) -> Any:
        (first, *rest), kwargs = self.arguments(library)
        return getattr(first, self.name)(*rest, **kwargs)

    def in_place(self, library: Library) -> Any:
        (first, *rest), kwargs = self.arguments(library)
        result = getattr(first, f"{self.name}_")(*rest, **kwargs)
        return {"self": first, "is self": result is first, "version": first._version}


def programs(op: Any, sample: Sample) -> Iterator[tuple[str, Callable]]:
    """The forms in which PyTorch itself has the op, by name."""
    yield "function", sample.function
    if not sample.args or not isinstance(sample.args[0], torch.Tensor):
        return
    if op.method_variant and callable(getattr(torch.Tensor, op.name, None)):
        yield "method", sample.method
    if op.inplace_variant and hasattr(torch.Tensor, f"{op.name}_"):
        yield "in place", sample.in_place
    if op.supports_autograd:
        yield "gradient", sample.gradient


def samples_of(op: Any, dtype: torch.dtype, limit: int) -> list[Sample]:
    """At most `limit` of the op's samples, evenly spread over all of them."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = list(op.sample_inputs("cpu", dtype, requires_grad=False))
    chosen = np.unique(np.linspace(0, len(every) - 1, min(limit, len(every))).astype(int))
    return [sample_call(op, every[i]) for i in chosen]


def sample_call(op: Any, sample: Any) -> Sample:
    args = (sample.input, *sample.args)
    return Sample(op.name, ADAPTED.get(op.name, tuple)(args), dict(sample.kwargs))


def bad_samples_of(op: Any, limit: int) -> list[Sample]:
    """Inputs that PyTorch says must raise."""
    if op.error_inputs_func is None:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = list(op.error_inputs("cpu"))[:limit]
    return [sample_call(op, error.sample_input) for error in every]


def is_dense(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.layout is torch.strided and not value.is_nested and not value.is_complex()
    if isinstance(value, dict):
        value = list(value.values())
    return all(is_dense(item) for item in value) if isinstance(value, (tuple, list)) else True


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def expire(signum, frame):
        raise TimeoutError(f"op took more than {seconds} s")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def absence(library: Library, name: str, outcome: Outcome) -> str | None:
    """Why the op counts as missing, or None where `outcome` is a real answer."""
    try:
        caller(library, name)
    except (AttributeError, NotImplementedError) as error:
        return str(error) or name
    error = outcome.error
    if error and error.kind == "NotImplementedError":
        return f"NotImplementedError: {error.text[:120]}"
    if error and error.kind == "AttributeError" and f"'{name}" in error.text:
        return error.text
    return None


def check_sample(op: Any, sample: Sample, number: int, report: Report, library: Library) -> None:
    """Run one sample in every form and put the differences into `report`."""
    failed = False
    for form, program in programs(op, sample):
        expected = run(ORACLE, program)
        if expected.error:
            if form == "function":
                report.unsuited += 1
                return
            continue
        if form == "gradient" and not expected.value["differentiable"]:
            continue
        actual = run(library, program)
        if form == "function":
            report.samples += 1
            if actual.error and (reason := absence(library, op.name, actual)):
                report.missing = reason
                return
        relative, strides = tolerance(op.name, report.dtype), form != "gradient"
        for message in differences(expected, actual, relative=relative, strides=strides):
            failed = True
            report.fail(form, message, number)
    report.failed_samples += failed


def check_bad_sample(sample: Sample, number: int, report: Report, library: Library) -> None:
    expected = run(ORACLE, sample.function)
    if expected.error is None:
        return
    report.samples += 1
    found = differences(expected, run(library, sample.function))
    report.failed_samples += bool(found)
    for message in found:
        report.fail("error", message, number)


def check_op(
    op: Any, dtype: str, *, limit: int, seconds: int, errors: bool, library: Library
) -> Report:
    """The report on one op at one dtype."""
    report, start = Report(title(op), dtype), time.monotonic()
    try:
        with time_limit(seconds):
            samples = samples_of(op, getattr(torch, dtype), limit)
            for number, sample in enumerate(samples):
                if is_dense((sample.args, sample.kwargs)) and not report.missing:
                    check_sample(op, sample, number, report, library)
            for number, sample in enumerate(bad_samples_of(op, limit) if errors else []):
                if is_dense((sample.args, sample.kwargs)) and not report.missing:
                    check_bad_sample(sample, number, report, library)
    except TimeoutError as error:
        report.fail("time", str(error), report.samples)
        report.failed_samples += 1
    report.seconds = time.monotonic() - start
    return report


def select(names: str | None, pattern: str | None, dtype: str) -> list[Any]:
    """The ops asked for that have samples of `dtype`."""
    wanted = set(names.split(",")) if names else None
    supported = [op for op in database() if getattr(torch, dtype) in op.dtypes]
    if wanted is not None:
        return [op for op in supported if op.name in wanted or title(op) in wanted]
    return [op for op in supported if not pattern or fnmatch.fnmatch(op.name, pattern)]


def print_report(report: Report, longest: int) -> None:
    line = f"{report.name:<40} {report.dtype:<9} {report.samples:>3} samples   {report.status}"
    print(line, flush=True)
    for message, count in report.failures.most_common(longest):
        print(f"    {count:>2}x {message}")


def print_summary(reports: list[Report]) -> None:
    judged = [r for r in reports if r.samples or r.missing]
    passed = [r for r in judged if r.status == "ok"]
    missing = [r.name for r in judged if r.missing]
    failed = [r.name for r in judged if r.failures and not r.missing]
    print(f"\n{len(passed)} of {len(judged)} ops passed")
    print(f"failed ({len(failed)}): {' '.join(failed)}")
    print(f"missing ({len(missing)}): {' '.join(missing)}")
    print(f"unsuited: {' '.join(r.name for r in reports if r.status == 'unsuited')}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parity.opdb")
    parser.add_argument("--ops", help="names, separated by commas; `max` means all its variants")
    parser.add_argument("--match", help="a shell pattern over names, such as 'linalg.*'")
    parser.add_argument("--dtype", default="float32", help="one or more, separated by commas")
    parser.add_argument("--max-samples", type=int, default=5, help="per op; default 5")
    parser.add_argument("--seconds", type=int, default=60, help="time limit per op; default 60")
    parser.add_argument("--errors", action="store_true", help="also PyTorch's bad inputs")
    parser.add_argument("--failing", action="store_true", help="print only what did not pass")
    parser.add_argument("--longest", type=int, default=6, help="failures printed per op")
    parser.add_argument("--json", help="write the reports to this file")
    options = parser.parse_args(arguments)
    reports = []
    for dtype in options.dtype.split(","):
        for op in select(options.ops, options.match, dtype):
            report = check_op(
                op,
                dtype,
                limit=options.max_samples,
                seconds=options.seconds,
                errors=options.errors,
                library=subject(),
            )
            reports.append(report)
            if not (options.failing and report.status in ("ok", "unsuited", "no samples")):
                print_report(report, options.longest)
    print_summary(reports)
    if options.json:
        with open(options.json, "w") as file:
            json.dump([vars(r) for r in reports], file, indent=1)
    return int(any(r.failures or r.missing for r in reports))


if __name__ == "__main__":
    sys.exit(main())
