"""Batches on their way to a device while the step before them is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from ...core.tensor import Tensor

__all__ = ["prefetch_to_device"]


def prefetch_to_device(batches: Iterable[Any], device: Any, ahead: int = 1) -> Iterator[Any]:
    """The batches with their tensors on `device`, each sent `ahead` batches before its turn.

    Copies to a device are asynchronous: the copy of the next batch is begun before the step on
    this one, so that it is not waited for, even if the step reads a value such as the loss. (On
    the CPU there is nothing to copy; `num_workers` is what loads ahead there.)

    Args:
        batches: a `DataLoader`, or anything that yields tensors or containers of them.
        device: where they go.
        ahead: how many batches are on the device and not in use yet.

    Returns:
        An iterator over the batches, in their order.

    Example::

        >>> from flambeau.utils.data import DataLoader, prefetch_to_device
        >>> for x in prefetch_to_device(DataLoader(range(4), batch_size=2), "cpu"):
        ...     print(x)
        tensor([0, 1])
        tensor([2, 3])
    """
    if ahead < 0:
        raise ValueError(f"prefetch_to_device: ahead must not be negative, got {ahead}")
    return _sent_ahead((_moved(batch, device) for batch in batches), ahead)


def _sent_ahead(sent: Iterator[Any], ahead: int) -> Iterator[Any]:
    waiting = deque(islice(sent, ahead))
    for batch in sent:
        waiting.append(batch)
        yield waiting.popleft()
    yield from waiting


def _moved(value: Any, device: Any) -> Any:
    """A batch with its tensors on the device; containers keep their types."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)  # type: ignore[attr-defined]
    if isinstance(value, Mapping):
        pairs = {key: _moved(item, device) for key, item in value.items()}
        return pairs if type(value) is dict else type(value)(pairs)  # type: ignore[call-arg]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_moved(item, device) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(_moved(item, device) for item in value)
    return value
