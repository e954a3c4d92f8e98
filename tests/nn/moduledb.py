"""PyTorch's own sample inputs of modules: built, called and differentiated by both libraries.

A sample is what `torch.testing._internal.common_modules.module_db` says of a module: arguments of
its constructor and of its `forward`. Compared are the printed form, the `state_dict` before and
after, outputs, the gradients of all inputs and parameters, and a twin that loads the state; for
PyTorch's bad inputs, the error.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch

from tests.parity.calls import cotangent, floating_tensors
from tests.parity.compare import RELATIVE, Outcome, differences, run
from tests.parity.libraries import ORACLE, Library, dtype_name, transfer
from tests.parity.opdb import Report, is_dense, time_limit

# Constructor arguments that are themselves made of classes of `torch.nn`.
ARGUMENT_CLASSES = ("TransformerEncoderLayer", "LinearCrossEntropyOptions")
# Layers in a row hand on and enlarge each other's rounding errors.
TOLERANCES = {
    "nn.CTCLoss": 1e-4,  # sums of logarithms over all paths
    "nn.Transformer": 2e-4,
    "nn.TransformerEncoder": 1e-4,
    "nn.TransformerEncoderLayer": 1e-4,
    "nn.TransformerDecoderLayer": 1e-4,
}


@dataclass(frozen=True)
class Deferred:
    """An object of `torch.nn`, to be made by the library that runs the sample."""

    name: str
    args: tuple
    kwargs: dict

    def make(self, library: Library) -> Any:
        return getattr(library.module.nn, self.name)(
            *carry(self.args, library), **carry(self.kwargs, library)
        )


@functools.cache
def functional_names() -> dict[int, str]:
    """The names of the oracle's functions by identity."""
    return {id(f): name for name, f in vars(torch.nn.functional).items() if callable(f)}


def carry(value: Any, library: Library) -> Any:
    """`value`, a sample's argument, rebuilt for `library`."""
    if isinstance(value, Deferred):
        return value.make(library)
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        fields = [carry(field, library) for field in value]
        return library.module.nn.utils.rnn.PackedSequence(*fields)
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        return type(value)(carry(item, library) for item in value)
    if isinstance(value, dict):
        return {key: carry(item, library) for key, item in value.items()}
    if isinstance(value, torch.nn.Module):
        return library.resolve(f"nn.{type(value).__name__}")()
    if callable(value) and id(value) in functional_names():
        return getattr(library.module.nn.functional, functional_names()[id(value)])
    return transfer(value, library)


@dataclass(frozen=True)
class Sample:
    """One module and one call of it."""

    name: str
    dtype: str
    training: bool
    constructor: Any
    forward: Any

    def construct(self, library: Library) -> Any:
        args, kwargs = (carry(v, library) for v in (self.constructor.args, self.constructor.kwargs))
        module = library.resolve(self.name)(*args, **kwargs)
        return module.to(library.dtype(self.dtype)).train(self.training)

    def call(self, library: Library) -> Any:
        """Build and call, as far as a bad input lets it."""
        module = self.construct(library)
        if self.forward is None:
            return None
        args, kwargs = (carry(v, library) for v in (self.forward.args, self.forward.kwargs))
        return module(*args, **kwargs)

    def judge(self, library: Library) -> dict[str, Any]:
        """All that is compared, by name."""
        module = self.construct(library)
        found: dict[str, Any] = {"repr": repr(module)}
        lazy = any(hasattr(p, "cls_to_become") for p in module.parameters())
        if not lazy:
            found["state"] = detached(module.state_dict())
        args, kwargs = (carry(v, library) for v in (self.forward.args, self.forward.kwargs))
        leaves = [t for t in floating_tensors(library, (args, kwargs)) if t.requires_grad]
        found["output"] = output = module(*args, **kwargs)
        results = [t for t in floating_tensors(library, output) if t.requires_grad]
        seeds = [cotangent(library, t, i) for i, t in enumerate(results)]
        if results:
            library.module.autograd.backward(results, seeds)
        found["gradients"] = {
            **{f"input {i}": t.grad for i, t in enumerate(leaves)},
            **{name: p.grad for name, p in module.named_parameters()},
        }
        found["state after"] = detached(module.state_dict())
        twin = self.construct(library)
        found["loaded"] = repr(twin.load_state_dict(module.state_dict()))
        found["state of the twin"] = detached(twin.state_dict())
        return found


def detached(state: dict[str, Any]) -> dict[str, Any]:
    """A copy of a state that later steps do not change."""
    return {k: v.clone() if hasattr(v, "clone") else v for k, v in state.items()}


@functools.cache
def database() -> list[Any]:
    """PyTorch's module database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_modules import module_db
    return [info for info in module_db if info.name.startswith("nn.")]


def generated(make: Any, info: Any, dtype: str, training: bool, **options: Any) -> list[Any]:
    """What PyTorch's generator of inputs gives, with arguments of `torch.nn`'s classes deferred."""
    torch.manual_seed(0)
    with mock.patch.multiple(
        torch.nn,
        **{
            name: functools.partial(lambda name, *a, **k: Deferred(name, a, k), name)
            for name in ARGUMENT_CLASSES
        },
    ):
        return list(
            make(
                info,
                device="cpu",
                dtype=getattr(torch, dtype),
                training=training,
                **options,
            )
        )


def samples_of(info: Any, dtype: str) -> Iterator[Sample]:
    """All samples, in training and, where it matters, in evaluation mode."""
    for training in (True, False) if info.train_and_eval_differ else (True,):
        made = generated(info.module_inputs_func, info, dtype, training, requires_grad=True)
        for sample in made:
            yield Sample(info.name, dtype, training, sample.constructor_input, sample.forward_input)


def bad_samples_of(info: Any, dtype: str) -> Iterator[Sample]:
    """Inputs that PyTorch says must raise."""
    if info.module_error_inputs_func is None:
        return
    made = generated(info.module_error_inputs_func, info, dtype, True, requires_grad=False)
    for error in made:
        sample = error.module_error_input
        yield Sample(info.name, dtype, True, sample.constructor_input, sample.forward_input)


def disagreements(sample: Sample, expected: Outcome, actual: Outcome) -> list[str]:
    relative = TOLERANCES.get(sample.name) if sample.dtype == "float32" else None
    if expected.error or actual.error:
        return differences(expected, actual)
    wanted, got = dict(expected.value), dict(actual.value)
    gradients = gradient_differences(wanted.pop("gradients"), got.pop("gradients"), relative)
    outcomes = Outcome(wanted, None, expected.warned), Outcome(got, None, actual.warned)
    return differences(*outcomes, relative=relative) + gradients


def gradient_differences(
    expected: dict[Any, Any], actual: dict[Any, Any], relative: float | None
) -> list[str]:
    """Where gradients depart from the expected ones.

    What arrives is of the order of 1, and so are the terms that cancel in a small gradient; the
    absolute tolerance is measured by the largest gradient of the sample, or 1.
    """
    if list(expected) != list(actual):
        return [f"gradients of {list(actual)}, expected {list(expected)}"]
    known = [g.array for g in expected.values() if g is not None and g.array.size]
    scale = max([1.0, *(np.abs(a[np.isfinite(a)]).max(initial=0) for a in known)])
    found = []
    for name, wanted in expected.items():
        got = actual[name]
        if wanted is None or got is None:
            found += [] if wanted is got else [f"gradient of {name} is {got}, expected {wanted}"]
            continue
        if (wanted.dtype, wanted.shape) != (got.dtype, got.shape):
            found.append(f"gradient of {name}: {got.dtype} {got.shape}, expected {wanted.dtype}")
            continue
        rate = relative or RELATIVE[wanted.dtype]
        same = np.isclose(got.array, wanted.array, rate, rate * scale, equal_nan=True)
        if not same.all():
            at = tuple(int(i) for i in np.argwhere(~same)[0])
            pair = f"{got.array[at]!r}, expected {wanted.array[at]!r}"
            found.append(f"gradient of {name} at {list(at)} is {pair}")
    return found


def check_module(
    info: Any, dtype: str, library: Library, *, seconds: int, limit: int | None = None
) -> Report:
    """The report on one module at one dtype."""
    report, start = Report(info.name, dtype), time.monotonic()
    if not supported(info, dtype):
        return report
    try:
        library.resolve(info.name)
    except (AttributeError, NotImplementedError) as error:
        report.missing = str(error) or info.name
    try:
        with time_limit(seconds):
            for number, sample in enumerate(samples_of(info, dtype)):
                if limit is None or number < limit:
                    check_sample(sample, number, report, library)
            for number, sample in enumerate(bad_samples_of(info, dtype)):
                check_bad_sample(sample, number, report, library)
    except TimeoutError as error:
        report.fail("time", str(error), report.samples)
        report.failed_samples += 1
    report.seconds = time.monotonic() - start
    return report


def supported(info: Any, dtype: str) -> bool:
    return dtype in {dtype_name(d) for d in info.dtypes}


def check_sample(sample: Sample, number: int, report: Report, library: Library) -> None:
    if not is_dense((sample.forward.args, sample.forward.kwargs)):
        return
    expected = run(ORACLE, sample.judge)
    if expected.error:
        report.unsuited += 1
        return
    report.samples += 1
    if report.missing:
        report.failed_samples += 1
        return
    found = disagreements(sample, expected, run(library, sample.judge))
    report.failed_samples += bool(found)
    for message in found:
        report.fail("train" if sample.training else "eval", message, number)


def check_bad_sample(sample: Sample, number: int, report: Report, library: Library) -> None:
    expected = run(ORACLE, sample.call)
    if expected.error is None:
        return
    report.samples += 1
    if report.missing:
        report.failed_samples += 1
        return
    found = differences(expected, run(library, sample.call), texts=True)
    report.failed_samples += bool(found)
    for message in found:
        report.fail("error", message, number)
