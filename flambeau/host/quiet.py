"""NumPy without its floating-point warnings, for the length of a call.

`np.errstate` takes a microsecond. What it does is set a context variable; where NumPy has that
variable under the name it has today, it is set directly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    _QUIET = _make_extobj(all="ignore")
    _set = _extobj_contextvar.set
    unhush = _extobj_contextvar.reset

    def hush() -> Any:
        """Switch the warnings off; `unhush(token)` with what is returned ends it."""
        return _set(_QUIET)

except ImportError:

    def hush() -> Any:
        """Switch the warnings off; `unhush(token)` with what is returned ends it."""
        return np.seterr(all="ignore")

    def unhush(token: Any) -> None:
        """As it was before `hush`."""
        np.seterr(**token)
