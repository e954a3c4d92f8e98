"""The judges judged: the oracle against itself is green, a broken library is red."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

from tests.fuzz import views
from tests.parity import lockstep as lockstep_module
from tests.parity import opdb
from tests.parity.compare import compare_arrays, record, run
from tests.parity.libraries import ORACLE, Library
from tests.parity.rows import P, S, call, problems, table


@contextlib.contextmanager
def replaced(owner, name, value):
    """`owner.name` is `value` for the time of the block."""
    old = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, old)


def broken(owner, name, value):
    """PyTorch with one function or method replaced."""
    return Library("broken", torch, lambda: replaced(owner, name, value))


TRUE = {name: getattr(torch, name) for name in ("add", "abs", "relu", "cat")}
METHODS = {name: getattr(torch.Tensor, name) for name in ("add", "add_", "abs", "mul_", "t")}
ADD = table("add", call(S(2, 3), S(2, 3)))[0]
ABS = table("abs", call(P(2, 3)))[0]

FAULTS = {
    "value": (ADD, torch, "add", lambda a, b, **k: TRUE["add"](a, b * 1.0001, **k)),
    "dtype": (ADD, torch, "add", lambda a, b, **k: TRUE["add"](a, b, **k).double()),
    "shape": (ADD, torch, "add", lambda a, b, **k: TRUE["add"](a, b, **k)[None]),
    "stride": (ADD, torch, "add", lambda a, b: TRUE["add"](a, b).t().contiguous().t()),
    "raised": (ADD, torch, "add", lambda a: a),
    "detached": (ABS, torch, "abs", lambda a, **k: TRUE["abs"](a.detach(), **k)),
    "gradient": (ABS, torch, "abs", lambda a, **k: TRUE["abs"](a, **k) + (a - a.detach())),
    "method": (ABS, torch.Tensor, "abs", lambda a: METHODS["abs"](a) + 1),
    "argument": (ABS, torch, "abs", lambda a: a.detach().neg_().neg() + a * 0),
    "in place": (ADD, torch.Tensor, "add_", lambda a, b: METHODS["add"](a, b)),
    "version": (ADD, torch.Tensor, "add_", lambda a, b: METHODS["add_"](a, b).mul_(1)),
    "out": (ADD, torch, "add", lambda a, b, out=None: TRUE["add"](a, b)),
    "no error": (
        table("cat", call([S(2, 3), S(2, 2)]))[0],
        torch,
        "cat",
        lambda tensors, **k: tensors[0],
    ),
    "error class": (
        table("cat", call([S(2, 3), S(2, 2)]))[0],
        torch,
        "cat",
        lambda tensors, **k: [][0],
    ),
}


@pytest.mark.parametrize("row", [ADD, ABS], ids=str)
def test_the_oracle_agrees_with_itself_on_a_row(row):
    assert problems(row, Library("again", torch)) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_turns_a_row_red(fault):
    row, owner, name, value = FAULTS[fault]
    assert problems(row, broken(owner, name, value))


@pytest.mark.parametrize("fault", ["value", "gradient"])
def test_the_sample_sweep_turns_red(fault):
    pytest.importorskip("expecttest", reason="PyTorch's sample inputs import it")
    row, owner, name, value = FAULTS[fault]
    (op,) = opdb.select(row.name, None, "float32")
    more = {"limit": 2, "seconds": 30, "errors": False}
    assert opdb.check_op(op, "float32", library=ORACLE, **more).status == "ok"
    assert opdb.check_op(op, "float32", library=broken(owner, name, value), **more).failures


def test_the_sample_sweep_reports_a_missing_name():
    library = Library("empty", SimpleNamespace(is_grad_enabled=None))
    sample = opdb.Sample("add", (torch.ones(2), torch.ones(2)), {})
    assert "add" in opdb.absence(library, "add", run(library, sample.function))


LINES = [
    "r0 = t.ones(2, 3, dtype=t.float64).requires_grad_() * 2",
    "r1 = r0.t()",
    "r2 = r0 + 1",
    "r1.mul_(2.0)",
    "read(r1)",
]


def test_the_fuzzer_finds_a_view_that_copies_and_shrinks_the_program():
    assert views.disagreement(LINES, ORACLE) is None
    copying = broken(torch.Tensor, "t", lambda x: METHODS["t"](x).clone())
    assert views.disagreement(LINES, copying)
    assert views.reduce(LINES, copying) == [LINES[0], LINES[1]]


def test_the_fuzzer_finds_a_wrong_gradient():
    wrong = broken(torch.Tensor, "mul_", lambda x, y: METHODS["mul_"](x, y).detach_())
    assert views.disagreement([LINES[0].replace(" * 2", ".mul(2)"), "r0.mul_(2.0)"], wrong)


def test_programs_of_the_fuzzer_say_something():
    programs = [views.Gardener(seed) for seed in range(40)]
    lines = [line for gardener in programs for line in gardener.grow(14)]
    errors = sum(gardener.failed for gardener in programs)
    assert 0.02 < errors / len(lines) < 0.4
    assert any("backward" in line for line in lines)


def play_lockstep(program, library, monkeypatch, **options):
    monkeypatch.setattr(lockstep_module, "subject", lambda: library)
    lockstep_module.lockstep(program, **options)()


def test_lockstep_sees_values_errors_and_slips(monkeypatch):
    wrong = broken(torch, "relu", lambda x: x)

    def negative(t):
        return t.relu(-t.ones(2))

    play_lockstep(negative, ORACLE, monkeypatch)
    with pytest.raises(AssertionError, match="value at"):
        play_lockstep(negative, wrong, monkeypatch)
    with pytest.raises(AssertionError, match="oracle did not raise"):
        play_lockstep(negative, ORACLE, monkeypatch, raises=True)
    with pytest.raises(AssertionError, match="nonsense"):
        play_lockstep(lambda t: t.nonsense, ORACLE, monkeypatch, raises=True)
    with pytest.raises(AssertionError, match="oracle raised"):
        play_lockstep(lambda t: t.nonsense, ORACLE, monkeypatch)


def test_lockstep_sees_a_text(monkeypatch):
    def fail(x):
        raise IndexError("other words")

    silent = broken(torch, "relu", fail)
    monkeypatch.setattr(lockstep_module, "ORACLE", broken(torch, "relu", lambda x: [][x]))

    def program(t):
        return t.relu(0)

    with pytest.raises(AssertionError, match="other words"):
        play_lockstep(program, silent, monkeypatch, raises=True)
    play_lockstep(program, silent, monkeypatch, raises=True, texts=False)


@pytest.mark.parametrize(
    ("expected", "actual", "equal"),
    [
        ([1.0, float("nan")], [1.0, float("nan")], True),
        ([1.0, float("inf")], [1.0, float("-inf")], False),
        ([1.0], [1.0 + 5e-6], True),
        ([1.0], [1.0 + 5e-5], False),
        ([1.0, 0.0], [1.0, 5e-7], True),
        ([0.0], [1e-12], False),
    ],
)
def test_tolerance(expected, actual, equal):
    a, b = (torch.tensor(v, dtype=torch.float64).numpy() for v in (expected, actual))
    assert (compare_arrays(a, b, "float32", None) is None) == equal


def test_records_keep_the_names_of_fields():
    assert list(record(ORACLE, torch.ones(2, 2).max(0))) == ["values", "indices"]
