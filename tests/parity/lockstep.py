"""A test written once as a program over `t`, run on both libraries and compared."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from tests.parity.compare import describe, differences, run, stable_text
from tests.parity.libraries import ORACLE, Library, subject

# Errors that a mistake in the test program itself would raise.
SLIPS = {"AttributeError", "NameError", "UnboundLocalError", "AssertionError"}


# NumPy's about the oracle's `__array__`, which does not know the argument `copy`.
ORACLE_ONLY = {"DeprecationWarning"}


def lockstep(
    program: Callable | None = None,
    *,
    strides: bool = True,
    texts: bool = True,
    raises: bool = False,
    relative: float | None = None,
) -> Callable:
    """Turn `program(t, ...)` into a test: what it returns must be the same on both libraries.

    `t` is the library's module. With `raises=True` the program must end in an error, whose
    class and (with `texts`) text must agree; otherwise the oracle must not raise. Either way a
    slip in the program cannot pass as agreement. `relative` replaces the tolerance of floats.
    """
    if program is None:
        return functools.partial(
            lockstep, strides=strides, texts=texts, raises=raises, relative=relative
        )

    @functools.wraps(program)
    def test(*args, **kwargs):
        def play(library: Library):
            return program(library.module, *args, **kwargs)

        expected = run(ORACLE, play)
        if raises:
            assert expected.error is not None, "the oracle did not raise"
            assert expected.error.kind not in SLIPS, describe(expected.error)
        else:
            assert expected.error is None, f"the oracle raised {describe(expected.error)}"
            assert expected.value is not None, "nothing to compare"
        actual = run(subject(), play)
        found = differences(expected, actual, relative=relative, strides=strides, texts=texts)
        if absent := expected.warned - actual.warned - ORACLE_ONLY:
            found.append(f"did not warn {sorted(absent)}")
        assert not found, "\n".join(found)

    signature = inspect.signature(program)
    test.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
    del test.__wrapped__
    return test


def error_of(action: Callable[[], object]) -> tuple[str, str]:
    """The class name and the text of the error that `action` ends with."""
    try:
        action()
    except Exception as error:
        return type(error).__name__, stable_text(error)
    return "no error", ""
