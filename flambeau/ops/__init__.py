"""Floor 3: the functions of tensors, `torch.*` and `Tensor.*`."""

from . import convert, views, copying, subscript, pointwise, operators  # noqa: F401, I001
from .registry import FUNCTIONS

operators.attach()

__all__ = ["FUNCTIONS"]
