"""What the row tables and the sample sweep share: leaves, cotangents, one backward pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.parity.libraries import Library


def floating_tensors(library: Library, value: Any) -> list[Any]:
    """The floating tensors in an argument list, containers opened, in order."""
    if library.is_tensor(value):
        return [value] if value.is_floating_point() or value.is_complex() else []
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [t for item in value for t in floating_tensors(library, item)]
    return []


def cotangent(library: Library, tensor: Any, index: int) -> Any:
    """A fixed pseudo-random cotangent for output number `index`."""
    generator = np.random.default_rng(index)
    array = generator.uniform(0.5, 1.5, tuple(tensor.shape))
    return library.tensor(array).to(tensor.dtype)


def gradients(library: Library, result: Any, leaves: list[Any]) -> dict[str, Any]:
    """The gradients of all differentiable outputs in `result` with respect to `leaves`."""
    outputs = [t for t in floating_tensors(library, result) if t.requires_grad]
    grads = [cotangent(library, t, i) for i, t in enumerate(outputs)]
    library.module.autograd.backward(outputs, grads)
    return {"differentiable": len(outputs), "grads": [leaf.grad for leaf in leaves]}
