"""PyTorch's own sample inputs, a few per op. The full sweep: `python -m tests.parity.opdb`."""

import pytest

from tests.parity import opdb
from tests.parity.libraries import subject

pytest.importorskip("expecttest", reason="PyTorch's sample inputs import it")


@pytest.mark.slow
@pytest.mark.parametrize("op", opdb.database(), ids=opdb.title)
def test_op_agrees_on_sample_inputs(op):
    report = opdb.check_op(op, "float32", limit=3, seconds=60, errors=True, library=subject())
    assert report.missing is None, report.missing
    assert not report.failures, "\n".join(report.failures)
