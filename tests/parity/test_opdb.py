"""PyTorch's own sample inputs, a few per op. The full sweep: `python -m tests.parity.opdb`."""

import pytest

from tests.parity import opdb
from tests.parity.libraries import subject

pytest.importorskip("expecttest", reason="PyTorch's sample inputs import it")


def pytest_generate_tests(metafunc):
    """One test an op; PyTorch's database takes seconds to import, so only when asked for."""
    if "op" in metafunc.fixturenames:
        asked = "not slow" not in (metafunc.config.option.markexpr or "")
        metafunc.parametrize("op", opdb.database() if asked else [None], ids=opdb.title)


@pytest.mark.slow
def test_op_agrees_on_sample_inputs(op):
    report = opdb.check_op(op, "float32", limit=3, seconds=60, errors=True, library=subject())
    assert report.missing is None, report.missing
    assert not report.failures, "\n".join(report.failures)
