"""`jacrev`, `jacfwd` and `hessian`: Jacobians as functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..core.batching import unit_vectors
from ..core.tensor import Tensor
from ..ops.pieces import split
from .derivatives import Argnums, chosen, jvp, replaced, vjp
from .mapping import check_randomness, vmap
from .tree import flatten, map_leaves, rebuild


def _check_real(function: str, what: str, values: Any) -> None:
    for i, x in enumerate(flatten(values)[0]):
        if isinstance(x, Tensor) and x.dtype.is_complex:
            raise RuntimeError(
                f"{function}: Expected all {what} to be real but received complex tensor at "
                f"flattened input idx: {i}"
            )


def jacrev(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of `func` in reverse mode, one backward pass for all elements of the results.

    Args:
        func: takes tensors, returns tensors.
        argnums: which argument, or which ones, to differentiate by.
        has_aux: `func` returns (results, auxiliary results).
        chunk_size: how many elements of the results at once; all by default.

    Shape:
        (*result, *argument) for every pair, in nests of the form of the results, of the form of
        the arguments.

    >>> import flambeau as torch
    >>> torch.func.jacrev(torch.square)(torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        _check_real("jacrev", "inputs", args)
        primals = chosen(args, argnums)
        leaves, structure = flatten(primals)

        def of_chosen(*found: Any) -> Any:
            given = replaced(args, argnums, rebuild(list(found), structure))
            return func(*given, **kwargs)

        output, pull, *aux = vjp(of_chosen, *leaves, has_aux=has_aux)
        outputs, form = flatten(output)
        _check_real("jacrev", "outputs", outputs)
        seeds = unit_vectors(outputs)
        pulled = vmap(lambda *parts: pull(rebuild(list(parts), form)), chunk_size=chunk_size)
        rows = pulled(*seeds)
        blocks = []
        counts = [t.numel() for t in outputs]
        columns = [
            [
                part.reshape(*t.shape, *x.shape)
                for part, t in zip(split(row, counts, 0), outputs, strict=True)
            ]
            for row, x in zip(rows, leaves, strict=True)
        ]
        for i in range(len(outputs)):
            blocks.append(rebuild([column[i] for column in columns], structure))
        result = rebuild(blocks, form)
        return (result, aux[0]) if has_aux else result

    return jacobian


def jacfwd(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
) -> Callable[..., Any]:
    """The Jacobian of `func` in forward mode, one pass for all elements of the arguments.

    Args:
        func: takes tensors, returns tensors.
        argnums: which argument, or which ones, to differentiate by.
        has_aux: `func` returns (results, auxiliary results).
        randomness: as for `vmap`.

    Shape:
        (*result, *argument) for every pair, in nests of the form of the results, of the form of
        the arguments.

    >>> import flambeau as torch
    >>> torch.func.jacfwd(torch.square)(torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        check_randomness(randomness)
        _check_real("jacfwd", "inputs", args)
        primals = chosen(args, argnums)
        leaves, structure = flatten(primals)

        def of_chosen(*found: Any) -> Any:
            given = replaced(args, argnums, rebuild(list(found), structure))
            return func(*given, **kwargs)

        def push(*seeds: Any) -> Any:
            _, *found = jvp(of_chosen, tuple(leaves), seeds, has_aux=has_aux)
            return tuple(found)

        result, *aux = vmap(push, randomness=randomness)(*unit_vectors(leaves))
        tangents, form = flatten(result)
        _check_real("jacfwd", "outputs", tangents)
        counts = [x.numel() for x in leaves]
        blocks = []
        for tangent in tangents:
            shape = tangent.shape[1:]
            parts = [
                part.movedim(0, -1).reshape(*shape, *x.shape)
                for part, x in zip(split(tangent, counts, 0), leaves, strict=True)
            ]
            blocks.append(rebuild(parts, structure))
        result = rebuild(blocks, form)
        return (result, map_leaves(lambda t: t[0], aux[0])) if has_aux else result

    return jacobian


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The Jacobian in forward mode of the Jacobian of `func` in reverse mode.

    Args:
        func: takes tensors, returns a tensor.
        argnums: which argument, or which ones, to differentiate by.

    >>> import flambeau as torch
    >>> torch.func.hessian(lambda x: (x**3).sum())(torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
