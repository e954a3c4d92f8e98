"""`backward` and `grad`: where a user starts a walk over the tape."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np

from ..dtypes import BY_NUMPY
from ..errors import BACKWARD_IN_TRANSFORM, NO_GRAD_ROOT, REFERENCE_CYCLE
from ..size import Size
from .state import modes
from .tape import Edge, edge_of, retain, run_backward
from .tensor import Tensor, wrap


def _sequence_of(value: Any) -> list[Any]:
    if isinstance(value, (Tensor, Edge)):
        return [value]
    return list(value.values()) if isinstance(value, dict) else list(value)


def _facts(target: Any) -> tuple[tuple[int, ...], np.dtype, Any]:
    """Shape, element type and device of a tensor, or of the output that an edge stands for."""
    if isinstance(target, Edge):
        info = target.node.outputs[target.index]
        return tuple(info.shape), np.dtype(info.dtype), target.node.device
    return target._dims(), target._dtype_numpy(), target.device


def _root_gradients(
    tensors: list[Tensor], gradients: list[Tensor | None], create_graph: bool
) -> list[tuple[Edge, Any]]:
    roots = []
    for number, (tensor, gradient) in enumerate(zip(tensors, gradients, strict=True)):
        edge = edge_of(tensor)
        shape, dtype, device = _facts(tensor)
        if gradient is None:
            if edge is not None:
                if int(np.prod(shape)) != 1:
                    raise RuntimeError("grad can be implicitly created only for scalar outputs")
                if dtype.kind == "c":
                    raise RuntimeError(
                        "grad can be implicitly created only for real scalar outputs but got "
                        f"{BY_NUMPY[dtype]}"
                    )
            gradient = wrap(_ones(shape, dtype), device)
        elif isinstance(gradient, Tensor):
            wanted = BY_NUMPY[dtype]
            if gradient._dims() != shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{number}] has a shape of {gradient.shape} and "
                    f"output[{number}] has a shape of {Size(shape)}."
                )
            if gradient.dtype.is_complex != wanted.is_complex:
                raise RuntimeError(
                    "For complex Tensors, both grad_output and output are required to have the "
                    f"same dtype. Mismatch in dtype: grad_output[{number}] has a dtype of "
                    f"{gradient.dtype} and output[{number}] has a dtype of {wanted}."
                )
            if gradient.dtype is not wanted:
                gradient = gradient.to(wanted)  # type: ignore[attr-defined]
        else:
            raise TypeError(
                f"gradients can be either Tensors or None, but got {type(gradient).__name__}"
            )
        if edge is None:
            raise RuntimeError(NO_GRAD_ROOT.format(number))
        if modes.levels:
            gradient = modes.levels[-1].seed(gradient)
        roots.append((edge, gradient if create_graph else gradient._array()))
    return roots


_ones_cache: dict[Any, Any] = {}


def _ones(shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """An array of ones, kept: the seed of every scalar loss's backward pass."""
    if shape:
        return jax.device_put(np.ones(shape, dtype))
    if dtype not in _ones_cache:
        with jax.ensure_compile_time_eval():  # not a tracer of the function being compiled
            _ones_cache[dtype] = jax.device_put(np.ones(shape, dtype))
    return _ones_cache[dtype]


def _gradient_list(gradients: Any, count: int) -> list[Tensor | None]:
    if gradients is None:
        return [None] * count
    values: list[Any] = [gradients] if isinstance(gradients, Tensor) else list(gradients)
    if len(values) < count:
        raise RuntimeError(f"got {count} tensors and {len(values)} gradients")
    return values[:count]


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Accumulate the gradients of `tensors` into the leaves that they were computed from.

    Args:
        tensors: a tensor, or several.
        grad_tensors: for each, what to multiply from the left; None for a single element.
        retain_graph: keep what the graph saved, for another call; by default as `create_graph`.
        create_graph: record the computation of the gradients too.
        inputs: accumulate into these tensors alone.
    """
    if any(level.of_function for level in modes.levels):
        raise RuntimeError(BACKWARD_IN_TRANSFORM)
    if grad_variables is not None:
        warnings.warn(
            "`grad_variables` is deprecated. Use `grad_tensors` instead.",
            FutureWarning,
            stacklevel=2,
        )
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to "
                "`backward()`. Please only use `grad_tensors`."
            )
        grad_tensors = grad_variables
    outputs = _sequence_of(tensors)
    keep = create_graph if retain_graph is None else retain_graph
    if create_graph:
        warnings.warn(REFERENCE_CYCLE, UserWarning, stacklevel=3)
    captures: dict[Edge, list[int]] | None = None
    targets: list[Tensor] = []
    if inputs is not None:
        targets = _sequence_of(inputs)
        if not targets:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        captures = {}
        for slot, target in enumerate(targets):
            edge = edge_of(target)
            if edge is None:
                raise RuntimeError("One of the differentiated Tensors does not require grad")
            captures.setdefault(edge, []).append(slot)
    roots = _root_gradients(outputs, _gradient_list(grad_tensors, len(outputs)), create_graph)
    caught = run_backward(roots, keep, create_graph, captures, accumulate_captured=True)
    for slot, target in enumerate(targets):
        if isinstance(target, Tensor) and target._node is not None and caught.get(slot) is not None:
            gradient = caught[slot]
            retain(
                target, gradient if isinstance(gradient, Tensor) else wrap(gradient, target.device)
            )


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of `outputs` with respect to `inputs`, without touching any `.grad`.

    Args:
        outputs, inputs: a tensor or several.
        grad_outputs: for each output, what to multiply from the left.
        retain_graph: keep what the graph saved; by default as `create_graph`.
        create_graph: record the computation of the gradients too.
        allow_unused: give None for inputs that the outputs do not depend on, instead of raising.
        is_grads_batched: `grad_outputs` have a leading axis, one product for each entry.
        materialize_grads: give zeros for such inputs.
    """
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To "
            "accumulate gradient for other parts of the graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    if allow_unused is None:
        allow_unused = materialize_grads
    results = _sequence_of(outputs)
    targets = _sequence_of(inputs)
    keep = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        return _batched(
            results, targets, grad_outputs, keep, create_graph, allow_unused, materialize_grads
        )
    captures: dict[Edge, list[int]] = {}
    for slot, target in enumerate(targets):
        edge = edge_of(target)
        if edge is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
        captures.setdefault(edge, []).append(slot)
    roots = _root_gradients(results, _gradient_list(grad_outputs, len(results)), create_graph)
    caught = run_backward(roots, keep, create_graph, captures)
    found: list[Any] = []
    for slot, target in enumerate(targets):
        gradient = caught.get(slot)
        if gradient is None:
            if not allow_unused:
                raise RuntimeError(
                    f"The differentiated Tensor at index {slot} appears to not have been used in "
                    "the graph. Set allow_unused=True if this is the desired behavior."
                )
            if materialize_grads:
                shape, dtype, device = _facts(target)
                gradient = wrap(np.zeros(shape, dtype), device)
                gradient._requires_grad = create_graph
        elif not isinstance(gradient, Tensor):
            gradient = wrap(gradient, _facts(target)[2])
        found.append(gradient)
    return tuple(found)


def _batched(
    results: list[Tensor],
    targets: list[Tensor],
    grad_outputs: Any,
    keep: bool,
    create_graph: bool,
    allow_unused: bool,
    materialize_grads: bool,
) -> tuple[Tensor, ...]:
    """One walk for all entries along the leading axis of `grad_outputs`."""
    from .batching import over_leading_axis

    def walk(*row: Tensor | None) -> tuple[Tensor, ...]:
        return grad(
            results,
            targets,
            row,
            keep,
            create_graph,
            allow_unused=allow_unused,
            materialize_grads=materialize_grads,
        )

    batches = _gradient_list(grad_outputs, len(results))
    for number, (batch, result) in enumerate(zip(batches, results, strict=True)):
        shape = None if batch is None else batch._dims()[1:]
        if shape is not None and shape != _facts(result)[0]:
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output "
                "as the batch dimension. The sizes of the remaining dimensions are expected to "
                "match the shape of corresponding output, but a mismatch was detected: "
                f"grad_output[{number}] has a shape of {Size(shape)} and output[{number}] has a "
                f"shape of {Size(_facts(result)[0])}. If you only want some tensors in "
                "`grad_output` to be considered batched, consider using vmap."
            )
    sizes = [len(b) for b in batches if b is not None]
    if any(size != sizes[0] for size in sizes):
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    return tuple(over_leading_axis(walk, sizes[0], batches))
