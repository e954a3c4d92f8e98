"""Special functions: `flambeau.special`, as `torch.special`.

>>> import flambeau as torch
>>> torch.special.expit(torch.zeros(2))
tensor([0.5000, 0.5000])
"""

from .ops.namespaces import SPECIAL

globals().update(SPECIAL)

__all__ = sorted(SPECIAL)
