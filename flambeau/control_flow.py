"""`torch.cond` and `torch.while_loop`, run eagerly: by Python's own `if` and `while`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .core.tensor import Tensor

__all__ = ["cond", "while_loop"]


def _only_tensors(nest: Any, numbers: bool = False) -> bool:
    if isinstance(nest, (tuple, list)):
        return all(_only_tensors(item, numbers) for item in nest)
    if isinstance(nest, dict):
        return all(_only_tensors(item, numbers) for item in nest.values())
    return isinstance(nest, Tensor) or (numbers and isinstance(nest, int))


def cond(
    pred: bool | int | float | Tensor,
    true_fn: Callable[..., Any],
    false_fn: Callable[..., Any],
    operands: tuple[Any, ...] | list[Any] = (),
) -> Any:
    """`true_fn(*operands)` where `pred` holds, else `false_fn(*operands)`; the other is not run.

    Args:
        pred: a truth value, or a tensor of one element.
        true_fn: takes and returns tensors, or nests of them.
        false_fn: the same.
        operands: the tensors.

    Raises:
        RuntimeError: an argument is of another kind.

    Example::

        >>> import flambeau as torch
        >>> x = torch.tensor([1.0, -2.0])
        >>> torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: -x, (x,))
        tensor([-1.,  2.])
    """
    if not isinstance(pred, (bool, int, float, Tensor)):
        raise RuntimeError(f"Expected pred to be bool or tensor, but got {pred}.")
    if isinstance(pred, Tensor) and pred.numel() != 1:
        raise RuntimeError(f"Expected pred to be bool or single-element tensor, but got {pred}.")
    if not (callable(true_fn) and callable(false_fn)):
        raise RuntimeError("Expect both branches to be callable.")
    if not isinstance(operands, (tuple, list)) or not _only_tensors(operands):
        raise RuntimeError(
            "Expect operands to be a tuple of possibly nested dict/list/tuple that only consists "
            f"of tensor leaves, but got {operands}."
        )
    return true_fn(*operands) if pred else false_fn(*operands)


def while_loop(
    cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Any
) -> Any:
    """Replace the inputs by `body_fn(*inputs)` as long as `cond_fn(*inputs)` holds.

    Args:
        cond_fn: gives a truth value, or a tensor of one element.
        body_fn: takes the carried tensors and returns as many.
        carried_inputs: the tensors at the start.

    Raises:
        RuntimeError: an argument is of another kind, or `body_fn` returns another number of them.

    Example::

        >>> import flambeau as torch
        >>> torch.while_loop(lambda i: i < 100, lambda i: (i * 3,), (torch.tensor(1),))
        (tensor(243),)
    """
    if not (callable(cond_fn) and callable(body_fn)):
        raise RuntimeError("Expect cond_fn and body_fn to be callable.")
    if not isinstance(carried_inputs, (tuple, list)) or not _only_tensors(carried_inputs, True):
        raise RuntimeError(
            "Expect carried_inputs to be a tuple of possibly nested dict/list/tuple that only "
            f"consists of tensor or int leaves, but got {carried_inputs}."
        )
    values = tuple(carried_inputs)
    while cond_fn(*values):
        results = tuple(body_fn(*values))
        if len(results) != len(values):
            raise RuntimeError(
                f"while_loop: body_fn must return {len(values)} values, but returned {len(results)}"
            )
        values = results
    return values
