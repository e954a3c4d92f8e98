"""NumPy without its floating-point warnings, for the length of a call.

`np.errstate` takes a microsecond. What it does is set a context variable; where NumPy has that
variable under the name it has today, it is set directly.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

try:
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    _variable: Any = _extobj_contextvar
    _quiet: Any = _make_extobj(all="ignore")
except ImportError:  # the names are NumPy's own
    _variable = _quiet = None


def _hush() -> Any:
    """Switch the warnings off; `unhush(token)` with what is returned ends it."""
    return np.seterr(all="ignore")


def _unhush(token: Any) -> None:
    """As it was before `hush`."""
    np.seterr(**token)


hush: Any = _hush if _variable is None else functools.partial(_variable.set, _quiet)
unhush: Any = _unhush if _variable is None else _variable.reset
