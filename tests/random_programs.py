"""Texts of programs about random numbers, run under both libraries from the same seed.

Values, types, strides, node names, what is drawn next, and the class and text of errors have to
agree.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch

import flambeau

from .oracle_stream import leaves_stream

INF, NAN = float("inf"), float("nan")
INVALID = "received an invalid combination of arguments"


def outcome(library, program: str):
    """What `program` gives: its facts, or its error; with what it draws next."""
    library.manual_seed(5)
    x = library.linspace(-1, 2, 24)
    names = {
        "T": library,
        "F32": library.float32,
        "x": x,
        "p": library.linspace(0, 1, 24),
        "m": library.linspace(0.1, 1, 24).reshape(4, 6),
        "leaf": library.linspace(0.1, 1, 24).requires_grad_(),
        "i": library.zeros(24, dtype=library.int64),
        "u": library.zeros(24, dtype=library.uint8),
        "h": library.zeros(24, dtype=library.float16),
        "d": library.zeros(24, dtype=library.float64),
        "b": library.zeros(24, dtype=library.bool),
        "c": library.zeros(24, dtype=library.complex64),
        "inf": INF,
        "nan": NAN,
        "np": np,
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = eval(program, names)
        except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
            return ("error", type(error).__name__, str(error).split("\n")[0]), ()
    texts = [str(w.message).split(" (Triggered")[0] for w in caught]
    after = library.rand(1).item(), library.randn(1).item()
    return describe(library, result), (after, texts)


def describe(library, result):
    if not isinstance(result, library.Tensor):
        return result
    facts = (str(result.dtype), tuple(result.shape), result.requires_grad, str(result.device))
    node = result.grad_fn.name() if result.grad_fn is not None else None
    if result.device.type == "meta":
        return (*facts, node)
    value = result.detach()
    if value.dtype == library.bfloat16:
        value = value.float()
    return (*facts, result.stride(), node, value.numpy().tolist())


def rows(*texts: str) -> list[str]:
    return [line for text in texts for line in text.strip().split("\n")]


def check_values(program: str) -> None:
    """What the program gives, and what is drawn after it, is the same."""
    expected, expected_after = outcome(torch, program)
    actual, after = outcome(flambeau, program)
    assert not (isinstance(expected, tuple) and expected[0] == "error"), expected
    if leaves_stream(program) and isinstance(expected, tuple):  # see Note [MKL streams]
        assert actual[:-1] == expected[:-1]
        return
    # repr() tells nan from nan, and -0.0 from 0.0
    assert repr(actual) == repr(expected)
    assert after == expected_after


def check_error(program: str) -> None:
    """The program ends in the same error."""
    expected, _ = outcome(torch, program)
    assert isinstance(expected, tuple)
    assert expected[0] == "error"
    actual, _ = outcome(flambeau, program)
    if INVALID in expected[2]:  # PyTorch lists all its overloads then
        assert actual[:2] == expected[:2]
    else:
        assert actual == expected
