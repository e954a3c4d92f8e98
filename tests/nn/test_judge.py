"""All of PyTorch's samples of `torch.nn`; by hand: `python -m tests.nn.judge`."""

import pytest

from tests.nn import functiondb, moduledb
from tests.parity import opdb
from tests.parity.libraries import subject

pytest.importorskip("expecttest", reason="PyTorch's sample inputs import it")

DTYPES = ("float32", "float64")
# What does not agree, and why; docs/differences.md says so, too.
KNOWN = {
    ("nn.functional.layer_norm", "float32"): "a vector of one element: the gradient is 0 exactly, "
    "the oracle's is rounding errors divided by the root of eps",
}
SECONDS = 300


def pytest_generate_tests(metafunc):
    """One test each; PyTorch's databases take seconds to import, so only when asked for."""
    asked = "not slow" not in (metafunc.config.option.markexpr or "")
    if "info" in metafunc.fixturenames:
        found = moduledb.database() if asked else [None]
        metafunc.parametrize("info", found, ids=lambda info: info and info.name)
    if "op" in metafunc.fixturenames:
        metafunc.parametrize("op", functiondb.database() if asked else [None], ids=opdb.title)


def assert_green(report):
    assert report.missing is None, report.missing
    reason = KNOWN.get((report.name, report.dtype))
    if reason is None:
        assert not report.failures, "\n".join(report.failures)
    else:
        assert report.failed_samples == 1, f"agrees now: {reason}"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_module(info, dtype):
    assert_green(moduledb.check_module(info, dtype, subject(), seconds=SECONDS))


@pytest.mark.slow
@pytest.mark.parametrize("asked", DTYPES)
def test_function(op, asked):
    for dtype in functiondb.dtypes_of(op, [asked]):
        assert_green(functiondb.check_function(op, dtype, subject(), seconds=SECONDS))


@pytest.mark.parametrize("name", ["nn.Conv1d", "nn.GroupNorm", "nn.LSTMCell", "nn.LazyLinear"])
def test_modules_at_every_run(name):
    for info in moduledb.database():
        if info.name == name:
            assert_green(moduledb.check_module(info, "float32", subject(), seconds=SECONDS))


def test_judge_sees_differences():
    """The judge is not blind: weights from another seed fail."""
    library = subject()
    info = next(info for info in moduledb.database() if info.name == "nn.Linear")
    sample = next(moduledb.samples_of(info, "float32"))
    expected = moduledb.run(moduledb.ORACLE, sample.judge)

    def other_seed(library):
        library.module.manual_seed(1)
        return sample.judge(library)

    assert not moduledb.disagreements(sample, expected, moduledb.run(library, sample.judge))
    assert moduledb.disagreements(sample, expected, moduledb.run(library, other_seed))
