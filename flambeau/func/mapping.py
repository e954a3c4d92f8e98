"""`vmap`: a function of one example as a function of many."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..core.batching import BatchLevel
from ..core.levels import write_back
from ..core.tensor import Tensor
from ..ops.generator import default_generator
from ..ops.joining import cat
from ..ops.views import movedim
from .tree import Structure, flatten, rebuild, spread


def name_of(function: Callable[..., Any]) -> str:
    """A function's name for messages."""
    return getattr(function, "__name__", None) or repr(function)


def check_randomness(randomness: str) -> None:
    """Raise for a value that `vmap` does not know."""
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            "Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """`func` mapped over an axis of its arguments, all examples at once.

    Args:
        func: takes tensors (in nests of tuples, lists and dictionaries), returns such.
        in_dims: the axis of each argument that the examples lie along, None for an argument that
            they share; one for all, or a nest of the form of the arguments.
        out_dims: where the axis goes in the results; one for all, or a nest of their form.
        randomness: random functions raise an "error", draw "different" values for each example, or
            the "same".
        chunk_size: how many examples at once; all by default.

    Raises:
        ValueError: the arguments or results do not fit `in_dims` and `out_dims`.

    >>> import flambeau as torch
    >>> torch.vmap(torch.dot)(torch.ones(2, 3), torch.ones(2, 3))
    tensor([3., 3.])
    """
    check_randomness(randomness)
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        return call_mapped(func, in_dims, out_dims, randomness, chunk_size, args, kwargs)

    return mapped


def call_mapped(
    func: Callable[..., Any],
    in_dims: Any,
    out_dims: Any,
    randomness: str,
    chunk_size: int | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """`vmap(func, ...)(*args, **kwargs)`."""
    _check_out_dims(out_dims, func)
    size, axes, leaves, structure = _arguments(in_dims, args, func)
    given = [
        x if axis is None else movedim(x, axis, 0) for x, axis in zip(leaves, axes, strict=True)
    ]
    if chunk_size is None or size <= chunk_size:
        found, places, form = _run(func, size, randomness, out_dims, axes, given, structure, kwargs)
        return rebuild([_placed(t, p) for t, p in zip(found, places, strict=True)], form)
    state = default_generator.get_state() if randomness == "same" else None
    chunks = []
    for start in range(0, size, chunk_size):
        stop = min(start + chunk_size, size)
        if state is not None:
            default_generator.set_state(state)
        part = [x if axis is None else x[start:stop] for x, axis in zip(given, axes, strict=True)]
        chunks.append(_run(func, stop - start, randomness, out_dims, axes, part, structure, kwargs))
    _, places, form = chunks[0]
    columns = zip(*(found for found, _, _ in chunks), strict=True)
    joined = [
        c[0] if p is None else _placed(cat(c, 0), p) for c, p in zip(columns, places, strict=True)
    ]
    return rebuild(joined, form)


def _placed(tensor: Any, place: int | None) -> Any:
    return tensor if place is None or not isinstance(tensor, Tensor) else movedim(tensor, 0, place)


def _run(
    func: Callable[..., Any],
    size: int,
    randomness: str,
    out_dims: Any,
    axes: list[int | None],
    given: list[Any],
    structure: Structure,
    kwargs: dict[str, Any],
) -> tuple[list[Any], list[int | None], Structure]:
    """The results with the examples along axis 0, where the axis is to go, and their form."""
    with BatchLevel(size, randomness) as level:
        lifted = [
            x if axis is None else level.batch(x) for x, axis in zip(given, axes, strict=True)
        ]
        output = func(*rebuild(lifted, structure), **kwargs)
        leaves, form = flatten(output)
        places = _places(out_dims, output, form, func)
        found = []
        for leaf, place in zip(leaves, places, strict=True):
            if not isinstance(leaf, Tensor):
                if place is not None:
                    raise ValueError(
                        f"vmap({name_of(func)}, ...): `{name_of(func)}` must only return Tensors, "
                        f"got type {type(leaf)}. Did you mean to set out_dims= to None for output?"
                    )
                found.append(leaf)
            elif place is None:
                if level.lifted(leaf) is not None:
                    raise ValueError(
                        f"vmap({name_of(func)}, ...): `{name_of(func)}` can not return a "
                        "BatchedTensor when out_dim is None"
                    )
                found.append(leaf)
            else:
                found.append(level.physical(leaf))
        write_back(level, zip(lifted, given, axes, strict=True))
    return found, places, form


# What comes in


def _arguments(
    in_dims: Any, args: tuple[Any, ...], func: Callable[..., Any]
) -> tuple[int, list[int | None], list[Any], Structure]:
    """The number of examples, an axis for every leaf of the arguments, the leaves, their form."""
    name = name_of(func)
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): expected `in_dims` to be int or a "
            f"(potentially nested) tuple matching the structure of inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are "
            "trying to vmap over a function with no inputs. The latter is unsupported."
        )
    leaves, structure = flatten(args)
    axes = spread(in_dims, structure)
    if axes is None:
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): in_dims is not compatible with the "
            f"structure of `inputs`. in_dims has structure {flatten(in_dims)[1]} but inputs has "
            f"structure {structure}."
        )
    for i, (leaf, axis) in enumerate(zip(leaves, axes, strict=True)):
        axes[i] = _axis(leaf, axis, f"vmap({name}, in_dims={in_dims}, ...)(<inputs>)")
    sizes = [x._dims()[axis] for x, axis in zip(leaves, axes, strict=True) if axis is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any(size != sizes[0] for size in sizes):
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    return sizes[0], axes, leaves, structure


def _axis(leaf: Any, axis: Any, where: str) -> int | None:
    if not isinstance(axis, int) and axis is not None:
        raise ValueError(
            f"{where}: Got in_dim={axis} for an input but in_dim must be either an integer "
            "dimension or None."
        )
    if axis is None:
        return None
    if not isinstance(leaf, Tensor):
        raise ValueError(
            f"{where}: Got in_dim={axis} for an input but the input is of type {type(leaf)}. We "
            "cannot vmap over non-Tensor arguments, please use None as the respective in_dim"
        )
    ndim = leaf.dim()
    if not -ndim <= axis < ndim:
        raise ValueError(
            f"{where}: Got in_dim={axis} for some input, but that input is a Tensor of "
            f"dimensionality {ndim} so expected in_dim to satisfy -{ndim} <= in_dim < {ndim}."
        )
    return axis % ndim


# What goes out


def _check_out_dims(out_dims: Any, func: Callable[..., Any]) -> None:
    if isinstance(out_dims, int) or out_dims is None:
        return
    if not all(isinstance(d, int) or d is None for d in flatten(out_dims)[0]):
        raise ValueError(
            f"vmap({name_of(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, None or "
            "a python collection of ints representing where in the outputs the vmapped dimension "
            "should appear."
        )


def _places(
    out_dims: Any, output: Any, form: Structure, func: Callable[..., Any]
) -> list[int | None]:
    """For every leaf of the results, where the axis of the examples goes."""
    found = None
    if isinstance(output, Tensor):
        if isinstance(out_dims, int) or out_dims is None:
            found = [out_dims]
        elif isinstance(out_dims, tuple) and len(out_dims) == 1:
            found = list(out_dims)
    else:
        found = spread(out_dims, form)
    if found is None:
        raise ValueError(
            f"vmap({name_of(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not "
            "compatible with the structure of `outputs`. out_dims has structure "
            f"{flatten(out_dims)[1]} but outputs has structure {form}."
        )
    return found
