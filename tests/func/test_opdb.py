"""Every op of PyTorch's database, transformed. The full sweep: `python -m tests.func.opdb`."""

import fnmatch

import pytest

from tests.func import opdb
from tests.parity.libraries import subject
from tests.parity.opdb import database, title

pytest.importorskip("expecttest", reason="PyTorch's sample inputs import it")

KNOWN = {
    "*_copy": "not built",
    "histogram": "reads values on the host",
    "linalg.ldl*": "reads values on the host",
    "linalg.lstsq*": "reads values on the host",
    "linspace:tensor_overload": "reads values on the host",
    "nonzero_static": "reads values on the host",
    "argwhere": "PyTorch's rule for empty results is not followed",
    "linalg.eig*": "signs of eigenvectors are free",
    "linalg.cholesky*": "tangents that are not symmetric are taken for their symmetric part",
    "triangular_solve": "tangents that are not triangular are taken for their triangular part",
    "linalg.pinv:singular": "the samples fit PyTorch's adapter alone",
    "nn.functional.triplet_margin_with_distance_loss": "the samples hold PyTorch's own functions",
    "scatter_reduce:prod": "PyTorch gives zeros in forward mode",
    "var_mean*": "where the variance is NaN, so is PyTorch's tangent of the mean",
    "std_mean*": "where the deviation is NaN, so is PyTorch's tangent of the mean",
    "corrcoef": "zero up to rounding",
    "*group_norm": "zero up to rounding",
    "nn.functional.layer_norm": "zero up to rounding",
    "nn.functional.multi_head_attention_forward": "zero up to rounding",
    "logcumsumexp": "rounding in float32",
    "nn.functional.ctc_loss": "rounding in float32",
}


def pytest_generate_tests(metafunc):
    """One test an op; PyTorch's database takes seconds to import, so only when asked for."""
    if "op" in metafunc.fixturenames:
        asked = "not slow" not in (metafunc.config.option.markexpr or "")
        metafunc.parametrize("op", database() if asked else [None], ids=title)


@pytest.mark.slow
def test_op_agrees_when_transformed(op):
    if any(fnmatch.fnmatch(title(op), pattern) for pattern in KNOWN):
        pytest.skip(next(w for p, w in KNOWN.items() if fnmatch.fnmatch(title(op), p)))
    report = opdb.check_op(op, "float32", limit=2, seconds=60, library=subject())
    assert not report.failures, "\n".join(report.failures)
