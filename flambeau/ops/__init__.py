"""Floor 3: the functions of tensors, `torch.*` and `Tensor.*`."""

from . import (  # noqa: F401, I001
    convert,
    views,
    copying,
    creation,
    filling,
    ranges,
    facts,
    subscript,
    pointwise,
    operators,
)
from .registry import FUNCTIONS

operators.attach()

__all__ = ["FUNCTIONS"]
