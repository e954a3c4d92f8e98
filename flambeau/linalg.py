"""Linear algebra: `flambeau.linalg`, as `torch.linalg`.

>>> import flambeau as torch
>>> torch.linalg.solve(torch.eye(2) * 4, torch.ones(2))
tensor([0.2500, 0.2500])
"""

from . import errors
from .ops.namespaces import LINALG

LinAlgError = errors.LinAlgError
globals().update(LINALG)

__all__ = sorted(["LinAlgError", *LINALG])
