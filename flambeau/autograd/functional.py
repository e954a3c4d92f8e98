"""`torch.autograd.functional`: Jacobians, Hessians, and their products with vectors.

Everything is made of backward passes. A forward derivative is two of them: v -> J^T v is linear in
v, so that its derivative with respect to v, times u, is J u (the double backward trick).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.batching import BatchLevel, over_leading_axis, unit_vectors
from ..core.forward import DualLevel
from ..core.gradients import grad
from ..core.modes import enable_grad
from ..core.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

_Tensors = tuple[Tensor, ...]
_STRICT = "This is not allowed in strict mode"
_OUTPUTS = "outputs of the user-provided function"
_SINGLE_INPUT = (
    "The vector v can only be None if the input to the user-provided function is a single Tensor "
    "with a single element."
)

# What comes in and goes out


def _as_tuple(value: Any, what: str, function: str) -> tuple[bool, _Tensors]:
    """Whether the user works with tuples, and the tensors."""
    several = isinstance(value, tuple)
    found = value if several else (value,)
    for i, item in enumerate(found):
        if not isinstance(item, Tensor):
            where = f"value at index {i}" if several else f"given {what}"
            raise TypeError(
                f"The {what} given to {function} must be either a Tensor or a tuple of Tensors "
                f"but the {where} has type {type(item)}."
            )
    return several, found


def _evaluate(func: Callable[..., Any], inputs: _Tensors, function: str) -> tuple[bool, _Tensors]:
    return _as_tuple(func(*inputs), _OUTPUTS, function)


def _scalar(func: Callable[..., Any], inputs: _Tensors, function: str) -> Tensor:
    """The value of a function that gives one tensor of one element."""
    several, outputs = _evaluate(func, inputs, function)
    if several:
        raise RuntimeError(f"The function given to {function} should return a single Tensor")
    if outputs[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {function} should contain a single "
            "element"
        )
    return outputs[0]


def _prepare(inputs: _Tensors, create_graph: bool) -> _Tensors:
    """Fresh tensors with the inputs' values; with `create_graph` connected to them."""
    return tuple(
        x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_()
        for x in inputs
    )


def _result(tensors: Sequence[Tensor], several: bool, create_graph: bool) -> Any:
    found = tuple(tensors) if create_graph else tuple(t.detach() for t in tensors)
    return found if several else found[0]


def _check_vector(v: Any, like: _Tensors, several: bool, function: str) -> _Tensors:
    """`v` as a tuple of tensors of the shapes of `like`."""
    _, v = _as_tuple(v, "v", function)
    if len(v) != len(like):
        if several:
            raise RuntimeError(
                f"v is a tuple of invalid length: should be {len(like)} but got {len(v)}."
            )
        raise RuntimeError("The given v should contain a single Tensor.")
    for i, (item, expected) in enumerate(zip(v, like, strict=True)):
        if item.shape != expected.shape:
            entry = f"Entry {i} in " if several else ""
            raise RuntimeError(
                f"{entry}v has invalid size: should be {expected.shape} but got {item.shape}."
            )
    return v


def _input_vector(v: Any, inputs: _Tensors, several: bool, function: str) -> _Tensors:
    """`v` for a product with the inputs; ones for a single input of one element."""
    if v is not None:
        return _check_vector(v, inputs, several, function)
    if len(inputs) != 1 or inputs[0].numel() != 1:
        raise RuntimeError(_SINGLE_INPUT)
    return (inputs[0].detach().new_ones(inputs[0].shape),)


# Derivatives


def _pull(
    outputs: Sequence[Tensor | None],
    inputs: _Tensors,
    v: Sequence[Tensor] | None,
    create_graph: bool,
) -> list[Tensor | None]:
    """v^T J: None for inputs that no output depends on."""
    recorded = [i for i, o in enumerate(outputs) if o is not None and o.requires_grad]
    if not recorded:
        return [None] * len(inputs)
    seeds = None if v is None else [v[i] for i in recorded]
    return list(
        grad(
            [outputs[i] for i in recorded],  # type: ignore[misc]
            inputs,
            seeds,
            allow_unused=True,
            create_graph=create_graph,
            retain_graph=True,
        )
    )


def _zeros_like(tensors: Sequence[Tensor], requires_grad: bool = False) -> _Tensors:
    return tuple(t.detach().new_zeros(t.shape).requires_grad_(requires_grad) for t in tensors)


def _filled(
    gradients: Sequence[Tensor | None],
    like: Sequence[Tensor],
    strict: bool,
    create_graph: bool,
    absent: str,
) -> list[Tensor]:
    """The gradients with zeros for the absent ones, which `strict` forbids.

    Args:
        absent: the error for an absent gradient.
    """
    found = []
    for i, (g, x) in enumerate(zip(gradients, like, strict=True)):
        if g is None:
            if strict:
                raise RuntimeError(f"{absent.format(i=i)} {_STRICT}.")
            g = _zeros_like((x,))[0]
        elif strict and create_graph and not g.requires_grad:
            raise RuntimeError(
                f"The jacobian of the user-provided function is independent of input {i}. "
                f"{_STRICT} when create_graph=True."
            )
        found.append(g)
    return found


_NO_OUTPUT = "The output of the user-provided function is independent of input {i}."
_NO_JACOBIAN = "The jacobian of the user-provided function is independent of input {i}."
_NO_TRICK = (
    "The gradient with respect to the input is independent of entry {i} in the grad_outputs when "
    "using the double backward trick to compute forward mode gradients."
)
_NO_HESSIAN_TRICK = (
    "The hessian of the user-provided function is independent of entry {i} in the grad_jacobian."
)


def _check_outputs(outputs: Sequence[Tensor], strict: bool) -> None:
    for i, o in enumerate(outputs):
        if strict and not o.requires_grad:
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs "
                "must be computed in a differentiable manner from the input when running in strict "
                "mode."
            )


def _check_jacobian(jacobian: Sequence[Tensor | None], strict: bool, product: bool = True) -> None:
    """Args: product: it is needed for a product with a vector."""
    for i, j in enumerate(jacobian):
        if not strict:
            return
        if j is None and product:
            raise RuntimeError(f"{_NO_OUTPUT.format(i=i)} {_STRICT}.")
        if j is None or not j.requires_grad:
            raise RuntimeError(
                "While computing the hessian, found that the jacobian of the user-provided "
                f"function with respect to input {i} is independent of the input. {_STRICT}. You "
                "should ensure that your function is twice differentiable and that the jacobian "
                "depends on the inputs (this would be violated by a linear function for example)."
            )


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """v^T J, the product of a vector and the Jacobian of `func` at `inputs`.

    Args:
        func: takes tensors, returns a tensor or a tuple of them.
        inputs: a tensor or a tuple of them.
        v: of the shapes of the outputs; may be left out for one output of one element.
        create_graph: record the computation.
        strict: raise where an output does not depend on an input, instead of giving zeros.

    Returns:
        `func(*inputs)`, and a tensor for every input.

    Raises:
        RuntimeError: `v` does not fit; `strict` forbids the function.
        TypeError: something is no tensor.

    >>> import flambeau as torch
    >>> torch.autograd.functional.vjp(lambda x: x * x, torch.ones(2), torch.ones(2))
    (tensor([1., 1.]), tensor([2., 2.]))
    """
    with enable_grad():
        several, given = _as_tuple(inputs, "inputs", "vjp")
        xs = _prepare(given, create_graph)
        several_out, outputs = _evaluate(func, xs, "vjp")
        _check_outputs(outputs, strict)
        if v is not None:
            v = _check_vector(v, outputs, several_out, "vjp")
        elif len(outputs) != 1 or outputs[0].numel() != 1:
            raise RuntimeError(
                "The vector v can only be None if the user-provided function returns a single "
                "Tensor with a single element."
            )
        found = _filled(_pull(outputs, xs, v, create_graph), xs, strict, create_graph, _NO_OUTPUT)
    return (
        _result(outputs, several_out, create_graph),
        _result(found, several, create_graph),
    )


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """J v, the product of the Jacobian of `func` at `inputs` and a vector.

    Args:
        func: takes tensors, returns a tensor or a tuple of them.
        inputs: a tensor or a tuple of them.
        v: of the shapes of the inputs; may be left out for one input of one element.
        create_graph: record the computation.
        strict: raise where an output does not depend on an input, instead of giving zeros.

    Returns:
        `func(*inputs)`, and a tensor for every output.

    >>> import flambeau as torch
    >>> torch.autograd.functional.jvp(lambda x: x * x, torch.ones(2), torch.ones(2))
    (tensor([1., 1.]), tensor([2., 2.]))
    """
    with enable_grad():
        several, given = _as_tuple(inputs, "inputs", "jvp")
        xs = _prepare(given, create_graph)
        v = _input_vector(v, given, several, "jvp")
        several_out, outputs = _evaluate(func, xs, "jvp")
        _check_outputs(outputs, strict)
        seeds = _zeros_like(outputs, requires_grad=True)
        pulled = _pull(outputs, xs, seeds, True)
        for i, g in enumerate(pulled):
            if strict and g is None:
                raise RuntimeError(f"{_NO_OUTPUT.format(i=i)} {_STRICT}.")
        found = _filled(
            _pull(pulled, seeds, v, create_graph), outputs, strict, create_graph, _NO_TRICK
        )
    return (
        _result(outputs, several_out, create_graph),
        _result(found, several_out, create_graph),
    )


_FORWARD_GRAPH = (
    "torch.autograd.functional.jacobian: `create_graph=True` and "
    '`strategy="forward-mode"` are not supported together (yet). Please either set '
    '`create_graph=False` or `strategy="reverse-mode"`.'
)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of `func` at `inputs`: d output / d input for every pair.

    Args:
        func: takes tensors, returns a tensor or a tuple of them.
        inputs: a tensor or a tuple of them.
        create_graph: record the computation.
        strict: raise where an output does not depend on an input, instead of giving zeros.
        vectorize: make one backward pass for all output elements, not one for each.
        strategy: "reverse-mode", or with `vectorize` "forward-mode", one pass forward.

    Shape:
        (*output, *input) for every pair; a tuple for tuples of inputs, and a tuple of those for
        tuples of outputs.

    >>> import flambeau as torch
    >>> torch.autograd.functional.jacobian(lambda x: x * x, torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    assert strategy in ("forward-mode", "reverse-mode"), (
        'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function '
        'has more outputs than inputs, "forward-mode" tends to be more performant. Otherwise, '
        'prefer to use "reverse-mode".'
    )
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(_FORWARD_GRAPH)
        _check_vectorized(vectorize)
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not "
            "supported together. Please either set `strict=False` or `vectorize=False`."
        )
    if strategy == "forward-mode":
        return _forward_jacobian(func, inputs)
    with enable_grad():
        several, given = _as_tuple(inputs, "inputs", "jacobian")
        xs = _prepare(given, create_graph)
        several_out, outputs = _evaluate(func, xs, "jacobian")
        _check_outputs(outputs, strict)
        if vectorize:
            found = _vectorized_rows(outputs, xs, create_graph)
        else:
            found = [_rows(o, i, xs, create_graph, strict) for i, o in enumerate(outputs)]
        rows = [_result(row, several, create_graph) for row in found]
    return tuple(rows) if several_out else rows[0]


def _check_vectorized(vectorize: bool) -> None:
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly "
            "implemented for `vectorize=True`."
        )


def _rows(
    output: Tensor, number: int, xs: _Tensors, create_graph: bool, strict: bool
) -> list[Tensor]:
    """d output / d input for every input, by one backward pass an output element."""
    from ..ops.joining import stack

    columns: list[list[Tensor]] = [[] for _ in xs]
    for element in output.reshape(-1):
        for i, (g, x) in enumerate(zip(_pull([element], xs, None, create_graph), xs, strict=True)):
            if g is None:
                if strict:
                    raise RuntimeError(
                        f"Output {number} of the user-provided function is independent of input "
                        f"{i}. {_STRICT}."
                    )
                g = _zeros_like((x,))[0]
            elif strict and create_graph and not g.requires_grad:
                raise RuntimeError(
                    f"The jacobian of the user-provided function is independent of input {i}. "
                    f"{_STRICT} when create_graph=True."
                )
            columns[i].append(g)
    return [stack(c).view(output.shape + x.shape) for c, x in zip(columns, xs, strict=True)]


def _vectorized_rows(outputs: _Tensors, xs: _Tensors, create_graph: bool) -> list[list[Tensor]]:
    """d output / d input for every pair, by one backward pass for all output elements."""
    seeds = unit_vectors(outputs)
    count = len(seeds[0])
    found = over_leading_axis(lambda *v: _pull(outputs, xs, v, create_graph), count, seeds)
    columns = [
        x.detach().new_zeros((count, *x.shape)) if g is None else g
        for g, x in zip(found, xs, strict=True)
    ]
    parts = [c.split([o.numel() for o in outputs]) for c in columns]
    return [
        [part[i].reshape(o.shape + x.shape) for part, x in zip(parts, xs, strict=True)]
        for i, o in enumerate(outputs)
    ]


def _forward_jacobian(func: Callable[..., Any], inputs: Any, requires_grad: bool = False) -> Any:
    """d output / d input for every pair, by one pass for all input elements.

    Args:
        requires_grad: `func` takes gradients with respect to its arguments.
    """
    several, given = _as_tuple(inputs, "inputs", "jacobian")
    xs = [x.detach() for x in given]
    seeds = unit_vectors(xs)
    with BatchLevel(len(seeds[0]), "different") as batch, DualLevel() as level:
        duals = [level.checked_dual(x, batch.batch(v)) for x, v in zip(xs, seeds, strict=True)]
        for x in duals:
            x._requires_grad = requires_grad
        several_out, outputs = _evaluate(func, tuple(duals), "jacobian")
        pairs = [level.parts(o) for o in outputs]
        with level.below():
            shapes = [o.shape for o, _ in pairs]
            columns = [
                batch.physical(o.new_zeros(o.shape) if t is None else t).detach() for o, t in pairs
            ]
    counts = [x.numel() for x in xs]
    rows: list[Any] = [
        [
            part.movedim(0, -1).reshape(shape + x.shape)
            for part, x in zip(column.split(counts), xs, strict=True)
        ]
        for column, shape in zip(columns, shapes, strict=True)
    ]
    if not several:  # where there are several inputs, PyTorch gives lists here
        rows = [row[0] for row in rows]
    if not several_out:
        return rows[0]
    return rows if several else tuple(rows)


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of `func`, a function with one output of one element, at `inputs`.

    Args:
        func: takes tensors, returns a tensor of one element.
        inputs: a tensor or a tuple of them.
        create_graph: record the computation.
        strict: raise where the gradient does not depend on an input, instead of giving zeros.
        vectorize: as for `jacobian`.
        outer_jacobian_strategy: "reverse-mode", or with `vectorize` "forward-mode".

    Shape:
        (*input_i, *input_j); a tuple of tuples for tuples of inputs.

    >>> import flambeau as torch
    >>> torch.autograd.functional.hessian(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    assert outer_jacobian_strategy in ("forward-mode", "reverse-mode"), (
        'Expected strategy to be either "forward-mode" or "reverse-mode".'
    )
    several, given = _as_tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy == "forward-mode":
        _check_vectorized(vectorize)

    def gradient(*xs: Tensor) -> _Tensors:
        output = _scalar(func, xs, "hessian")
        _check_outputs([output], strict)
        found = _pull([output], xs, None, True)
        _check_jacobian(found, strict, product=False)
        return tuple(_filled(found, xs, False, True, _NO_OUTPUT))

    if outer_jacobian_strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(_FORWARD_GRAPH)
        found = _forward_jacobian(gradient, given, requires_grad=True)
    else:
        found = jacobian(gradient, given, create_graph, strict, vectorize)
    return found if several else found[0][0]


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """v^T H, the product of a vector and the Hessian of `func` at `inputs`.

    Args:
        func: takes tensors, returns a tensor of one element.
        inputs: a tensor or a tuple of them.
        v: of the shapes of the inputs; may be left out for one input of one element.
        create_graph: record the computation.
        strict: raise where the gradient does not depend on an input, instead of giving zeros.

    Returns:
        `func(*inputs)`, and a tensor for every input.
    """
    with enable_grad():
        several, given = _as_tuple(inputs, "inputs", "vhp")
        xs = _prepare(given, create_graph)
        v = _input_vector(v, given, several, "vhp")
        output = _scalar(func, xs, "vhp")
        _check_outputs([output], strict)
        gradient = _pull([output], xs, None, True)
        _check_jacobian(gradient, strict)
        found = _filled(
            _pull(gradient, xs, v, create_graph), xs, strict, create_graph, _NO_JACOBIAN
        )
    return (
        _result([output], False, create_graph),
        _result(found, several, create_graph),
    )


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """H v, the product of the Hessian of `func` at `inputs` and a vector.

    It takes one backward pass more than `vhp`, which gives the same where H is symmetric.

    Args:
        func: takes tensors, returns a tensor of one element.
        inputs: a tensor or a tuple of them.
        v: of the shapes of the inputs; may be left out for one input of one element.
        create_graph: record the computation.
        strict: raise where the gradient does not depend on an input, instead of giving zeros.

    Returns:
        `func(*inputs)`, and a tensor for every input.
    """
    with enable_grad():
        several, given = _as_tuple(inputs, "inputs", "hvp")
        xs = _prepare(given, create_graph)
        v = _input_vector(v, given, several, "hvp")
        output = _scalar(func, xs, "hvp")
        _check_outputs([output], strict)
        gradient = _pull([output], xs, None, True)
        _check_jacobian(gradient, strict)
        seeds = _zeros_like(xs, requires_grad=True)
        pulled = _pull(gradient, xs, seeds, True)
        for i, g in enumerate(pulled):
            if strict and g is None:
                raise RuntimeError(f"{_NO_JACOBIAN.format(i=i)} {_STRICT}.")
        found = _filled(
            _pull(pulled, seeds, v, create_graph), xs, strict, create_graph, _NO_HESSIAN_TRICK
        )
    return (
        _result([output], False, create_graph),
        _result(found, several, create_graph),
    )
