"""A few hundred random programs; twenty thousand when asked for with `-m slow`."""

import pytest

from tests.fuzz.views import show, sow


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_programs_agree(start):
    tally = sow(start, 50, length=14, stop=3)
    assert not tally.failures, show(tally)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 21000, 1000))
def test_many_programs_agree(start):
    tally = sow(start, 1000, length=14, stop=3)
    assert not tally.failures, show(tally)
