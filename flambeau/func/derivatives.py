"""`grad`, `vjp`, `jvp` and `linearize`: derivatives as functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..core import gradients
from ..core.forward import DualLevel, LinearLevel
from ..core.levels import GradLevel, write_back
from ..core.tensor import Tensor
from ..ops.filling import zeros_like
from .tree import Structure, flatten, rebuild

Argnums = int | tuple[int, ...]


# Arguments


def chosen(args: Sequence[Any], argnums: Argnums) -> Any:
    """The arguments to differentiate by: one, or a tuple of them."""
    if isinstance(argnums, int):
        return args[_position(argnums, len(args))]
    if not isinstance(argnums, tuple):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    if not argnums:
        raise RuntimeError("argnums must be non-empty")
    places = [_position(i, len(args)) for i in argnums]
    if len(set(places)) != len(places):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return tuple([args[i] for i in places])


def replaced(args: Sequence[Any], argnums: Argnums, new: Any) -> tuple[Any, ...]:
    """The arguments with the chosen ones replaced."""
    result = list(args)
    if isinstance(argnums, int):
        result[argnums] = new
    else:
        for i, value in zip(argnums, new, strict=True):
            result[i] = value
    return tuple(result)


def _position(argnum: int, count: int) -> int:
    if not -count <= argnum < count:
        raise RuntimeError(f"Got argnum={argnum}, but only {count} positional inputs")
    return argnum % count


def with_aux(output: Any, where: str) -> tuple[Any, Any]:
    """The two parts of a result of a function with auxiliary results."""
    if not (isinstance(output, tuple) and len(output) == 2):
        raise RuntimeError(
            f"{where}: output of function f should be a tuple: (output, aux) if has_aux is True"
        )
    return output


def _lowered(level: Any, aux: Any, has_aux: bool) -> Any:
    """Auxiliary results, below the level."""
    if not has_aux:
        return None
    leaves, structure = flatten(aux)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(f"Expected tensors, got unsupported type {type(leaf)}")
    return rebuild([level.lower(t) for t in leaves], structure)


# Reverse mode


def _leaf(level: GradLevel, x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
    return level.leaf(x)


def _pulled(
    level: GradLevel,
    outputs: list[Tensor],
    inputs: list[Tensor],
    cotangents: list[Any] | None,
    retain: bool,
    create_graph: bool | None = None,
) -> list[Tensor]:
    """Gradients at the level below; zeros for inputs that no output depends on."""
    recorded = [i for i, t in enumerate(outputs) if t.requires_grad and level.lifted(t)]
    found: Sequence[Any] = [None] * len(inputs)
    if recorded:
        seeds = None if cotangents is None else [cotangents[i] for i in recorded]
        level.walking = True
        try:
            found = gradients.grad(
                [outputs[i] for i in recorded],
                inputs,
                seeds,
                retain_graph=retain,
                create_graph=bool(create_graph),
                allow_unused=True,
            )
        finally:
            level.walking = False
    lowers = [level.lower(x) for x in inputs]
    given = [level.lower(g) for g in found]
    with level.below():
        return [zeros_like(x) if g is None else g for g, x in zip(given, lowers, strict=True)]


def grad_and_value(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """The gradient of `func`, a function with one 0-d result, together with its value.

    Args:
        func: takes tensors, returns a tensor of no axes.
        argnums: which argument, or which ones, to differentiate by.
        has_aux: `func` returns (value, auxiliary results).

    Returns:
        A function that gives (gradient, value), or (gradient, (value, auxiliary results)).

    >>> import flambeau as torch
    >>> torch.func.grad_and_value(lambda x: (x**2).sum())(torch.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """

    @functools.wraps(func)
    def differentiated(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        where = "grad_and_value(f)(*args)"
        with GradLevel() as level:
            leaves, structure = flatten(chosen(args, argnums))
            inputs = [_leaf(level, x) for x in leaves]
            others, form = flatten((args, kwargs))
            lifted = [level.lift(x) if isinstance(x, Tensor) else x for x in others]
            given, named = rebuild(lifted, form)
            given = replaced(given, argnums, rebuild(inputs, structure))
            output, aux = func(*given, **named), None
            if has_aux:
                output, aux = with_aux(output, where)
            if not isinstance(output, Tensor):
                raise RuntimeError(
                    f"{where}: Expected f(*args) to return a Tensor, got {type(output)}"
                )
            if output.dim() != 0:
                raise RuntimeError(
                    f"{where}: Expected f(*args) to return a scalar Tensor, got tensor with "
                    f"{output.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            found = rebuild(_pulled(level, [output], inputs, None, False), structure)
            value = level.lower(output)
            pairs = zip(lifted, others, strict=True)
            write_back(level, [(t, x, x) for t, x in pairs if isinstance(x, Tensor)])
            if not has_aux:
                return found, value
            return found, (value, _lowered(level, aux, True))

    return differentiated


def grad(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The gradient of `func`, a function with one 0-d result, as a function.

    Args:
        func: takes tensors, returns a tensor of no axes.
        argnums: which argument, or which ones, to differentiate by.
        has_aux: `func` returns (value, auxiliary results).

    Returns:
        A function that gives the gradient, or (gradient, auxiliary results).

    >>> import flambeau as torch
    >>> torch.func.grad(torch.func.grad(torch.sin))(torch.tensor(0.5)) == -torch.tensor(0.5).sin()
    tensor(True)
    """

    @functools.wraps(func)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        found, value = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return differentiated


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of `func`, and the function v -> v^T J for its Jacobian J there.

    Args:
        func: takes tensors, returns tensors.
        primals: its arguments.
        has_aux: `func` returns (results, auxiliary results).

    Returns:
        (results, function), or (results, function, auxiliary results); the function takes one
        cotangent for each result, in a nest of the same form, and gives one for each argument.

    >>> import flambeau as torch
    >>> value, pull = torch.func.vjp(torch.sin, torch.zeros(2))
    >>> pull(torch.ones(2))
    (tensor([1., 1.]),)
    """
    level = GradLevel()
    with level:
        leaves, structure = flatten(primals)
        inputs = [_leaf(level, x) for x in leaves]
        output, aux = func(*rebuild(inputs, structure)), None
        if has_aux:
            output, aux = with_aux(output, "vjp(f, *primals)")
        outputs, form = _tensors(output, "vjp(f, *primals)")
        for t in outputs:
            if not (t.dtype.is_floating_point or t.dtype.is_complex):
                raise RuntimeError(
                    "vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got "
                    f"Tensor with dtype {t.dtype}"
                )
        results = rebuild([level.lower(t) for t in outputs], form)
        aux = _lowered(level, aux, has_aux)

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        seeds, shape = flatten(cotangents)
        if shape != form:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {shape.example()}, primal output: "
                f"{form.example()}"
            )
        with level:
            found = _pulled(level, outputs, inputs, seeds, retain_graph, create_graph)
        return rebuild(found, structure)

    return (results, pull, aux) if has_aux else (results, pull)


def _tensors(output: Any, where: str) -> tuple[list[Tensor], Structure]:
    leaves, form = flatten(output)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(
                f"{where}: expected f(*primals) to return only tensors, got unsupported type "
                f"{type(leaf)}"
            )
    return leaves, form


# Forward mode


def jvp(
    func: Callable[..., Any],
    primals: Any,
    tangents: Any,
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """The value of `func` and the product J v of its Jacobian there and a vector.

    Args:
        func: takes tensors, returns tensors.
        primals: a tuple of its arguments.
        tangents: the vector, in a nest of the same form.
        strict: raise where a result does not depend on the arguments, instead of giving zeros.
        has_aux: `func` returns (results, auxiliary results).

    Returns:
        (results, their tangents), or (results, their tangents, auxiliary results).

    >>> import flambeau as torch
    >>> torch.func.jvp(torch.sin, (torch.zeros(2),), (torch.ones(2),))
    (tensor([0., 0.]), tensor([1., 1.]))
    """
    where = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{where}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    leaves, structure = flatten(primals)
    given, form = flatten(tangents)
    if structure != form:
        raise RuntimeError(
            f"{where}: Expected primals and tangents to have the same python structure. For "
            "example, if primals is a tuple of 3 tensors, tangents also must be. Got primals with "
            f"structure {structure} and tangents with structure {form}"
        )
    _check_tensors(where, "primals", leaves)
    _check_tensors(where, "tangents", given)
    with DualLevel() as level:
        for x, t in zip(leaves, given, strict=True):
            _check_differentiable("primal", x)
            _check_differentiable("tangent", t)
        duals = [level.checked_dual(x, t) for x, t in zip(leaves, given, strict=True)]
        output, aux = func(*rebuild(duals, structure)), None
        if has_aux:
            output, aux = with_aux(output, where)
        outputs, form = _tensors(output, where)
        pairs = [level.parts(t) for t in outputs]
        aux = _lowered(level, aux, has_aux)
        write_back(level, zip(duals, leaves, leaves, strict=True))
    if strict and any(tangent is None for _, tangent in pairs):
        raise RuntimeError(
            f"{where[:-1]}, strict=True): The output of f is independent of the inputs. This is "
            "not allowed with strict=True."
        )
    values = rebuild([x for x, _ in pairs], form)
    found = rebuild([zeros_like(x) if t is None else t for x, t in pairs], form)
    return (values, found, aux) if has_aux else (values, found)


def _check_tensors(where: str, what: str, leaves: list[Any]) -> None:
    if not leaves:
        raise RuntimeError(f"{where}: Expected {what} to contain at least one Tensor.")
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(
                f"{where}: Expected {what} to only contain Tensors, got {type(leaf)}"
            )


def _check_differentiable(what: str, x: Tensor) -> None:
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        raise ValueError(f"Expected {what} to be floating point or complex, but got: {x.dtype}")


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of `func`, and the function v -> J v for its Jacobian J there.

    `func` runs once; the function that is returned replays its derivative.

    Args:
        func: takes tensors, returns tensors.
        primals: its arguments.

    >>> import flambeau as torch
    >>> value, push = torch.func.linearize(torch.sin, torch.zeros(2))
    >>> push(torch.ones(2))
    tensor([1., 1.])
    """
    leaves, structure = flatten(primals)
    with LinearLevel() as level:
        given = [level.variable(x) if isinstance(x, Tensor) else x for x in leaves]
        output = func(*rebuild(given, structure))
        outputs, form = flatten(output)
        pairs = [level.parts(t) if isinstance(t, Tensor) else (t, None) for t in outputs]
    values = rebuild([x for x, _ in pairs], form)
    shapes = [(x.shape, x.dtype) if isinstance(x, Tensor) else None for x in leaves]

    def push(*tangents: Any) -> Any:
        found, shape = flatten(tangents)
        if shape != structure:
            raise RuntimeError(
                f"Expected the tangents {shape} to have the same argspec as the primals {structure}"
            )
        for i, (t, facts) in enumerate(zip(found, shapes, strict=True)):
            if facts is not None and isinstance(t, Tensor):
                _check_tangent(i, t, *facts)
        made = level.replay(dict(enumerate(found)), [number for _, number in pairs])
        return rebuild(
            [
                zeros_like(x) if t is None and isinstance(x, Tensor) else x if t is None else t
                for (x, _), t in zip(pairs, made, strict=True)
            ],
            form,
        )

    return values, push


def _check_tangent(position: int, tangent: Tensor, shape: Any, dtype: Any) -> None:
    where = f"tangent:{position} with"
    if tangent.shape != shape:
        raise RuntimeError(
            f"{where} shape {tangent.shape} in flattened pytree doesn't match the shape {shape} of "
            "the corresponding primal."
        )
    if tangent.dtype is not dtype:
        raise RuntimeError(
            f"{where} dtype {tangent.dtype} in flattened pytree doesn't match the dtype {dtype} of "
            "the corresponding primal."
        )
