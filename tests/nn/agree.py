"""Programs that run under both libraries, and must do the same: values, errors, warnings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.parity.compare import differences, run
from tests.parity.libraries import ORACLE, Library, subject


def assert_agree(program: Callable[[Any], Any], relative: float | None = None) -> Any:
    """`program(torch)` and `program(flambeau)` return, raise and warn the same.

    Each starts from the seed 0. Of tensors, type, shape, `requires_grad` and values are compared.
    The value that both return is returned, None where both raise.
    """

    def call(library: Library) -> Any:
        return plain(program(library.module), library)

    expected, actual = run(ORACLE, call), run(subject(), call)
    if actual.error:
        text = actual.error.text.replace(".core.tensor.", ".").replace("flambeau", "torch")
        actual = replace(actual, error=replace(actual.error, text=text))
    found = differences(expected, actual, relative=relative, strides=False, texts=True)
    if not found and expected.warned != actual.warned:
        found = [f"warned {sorted(actual.warned)}, expected {sorted(expected.warned)}"]
    assert not found, "\n".join(found)
    return expected.value


def plain(value: Any, library: Library) -> Any:
    """`value` with what names the library renamed, and states as plain dictionaries."""
    if isinstance(value, str):
        return value.replace("flambeau", "torch")
    if isinstance(value, dict):
        return {key: plain(item, library) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item, library) for item in value)
    return value


def outcome(program: Callable[[], Any]) -> Any:
    """What a program returns, or the class and text of its error."""
    try:
        return program()
    except Exception as error:
        return type(error).__name__, str(error)


def gradients(module: Any) -> dict[str, Any]:
    """The gradients of a module's parameters by name."""
    return {name: p.grad for name, p in module.named_parameters()}
