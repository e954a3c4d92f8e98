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
    generator,
    random_fill,
    random,
    dropout,
    pointwise,
    transcendental,
    rounding,
    power,
    logic,
    limits,
    reduction,
    sorting,
    cumulative,
    masks,
    indexing,
    scatter,
    joining,
    shape,
    unique,
    matmul,
    tensor_products,
    linalg,
    decompositions,
    norms,
    activation,
    linear,
    convolution,
    pooling,
    normalization,
    embedding,
    losses,
    operators,
)
from .registry import FUNCTIONS

operators.attach()

__all__ = ["FUNCTIONS"]
