"""Every row of the tables in every form that PyTorch has of it."""

import pytest

from tests.parity.libraries import subject
from tests.parity.rows import problems
from tests.parity.tables import ROWS


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row):
    found = problems(row, subject())
    assert not found, "\n".join(found)
