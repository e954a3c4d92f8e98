"""Collective operations on tensors: every process of the group calls the same one.

A call takes its operands' values at once. With `async_op=True` the result is written into the
tensors by `Work.wait()`.
"""

from __future__ import annotations

import enum
import io
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.device import tensor_from_host
from ..core.modes import no_grad
from ..core.tensor import Tensor
from .mesh import Pending
from .process_group import ProcessGroup, default_group


class ReduceOp(enum.Enum):
    """How values of several processes are brought together."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7
    PREMUL_SUM = 8


BUILT = (ReduceOp.SUM, ReduceOp.AVG, ReduceOp.PRODUCT, ReduceOp.MIN, ReduceOp.MAX)


class Work:
    """A collective operation that has been started."""

    def __init__(self, pending: Pending, store: Callable[[np.ndarray], None]) -> None:
        self._pending: Pending | None = pending
        self._store = store

    def wait(self, timeout: Any = None) -> bool:
        """Wait for the operation to end, and write its result into the tensors."""
        if timeout is not None:
            raise NotImplementedError("torch.distributed.Work.wait(timeout=)")
        if self._pending is not None:
            value = self._pending.read()
            self._pending = None
            self._store(value)
        return True

    def is_completed(self) -> bool:
        """Whether `wait()` returns at once."""
        return self._pending is None or self._pending.ready()


def _started(pending: Pending, store: Callable[[np.ndarray], None], async_op: bool) -> Work | None:
    work = Work(pending, store)
    if async_op:
        return work
    work.wait()
    return None


def _check(tensor: Any, name: str, function: str) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor\n"
            f"             but got {type(tensor)} instead."
        )
    if tensor.is_sparse:
        raise NotImplementedError(f"torch.distributed.{function} of a sparse tensor")
    if tensor.device.type != "cpu":
        raise NotImplementedError(f"torch.distributed.{function} of a tensor on {tensor.device}")


def _check_list(tensors: Any, name: str, like: Tensor, size: int, function: str) -> None:
    """The tensors of a list: one per process, of the shape and type of `like`."""
    if not isinstance(tensors, list):
        raise TypeError(f"Invalid function argument. Expected parameter `{name}` of type List")
    for tensor in tensors:
        _check(tensor, name, function)
        if tensor.dtype is not like.dtype:
            raise ValueError(
                "Invalid usage of tensors with different dtypes"
                f"Found {tensor.dtype} and  {like.dtype}"
            )
    if len(tensors) != size:
        raise RuntimeError(
            f"torch.distributed.{function}: expected {size} tensors in `{name}`, got {len(tensors)}"
        )
    for index, tensor in enumerate(tensors):
        if tensor.shape != like.shape:
            raise RuntimeError(
                f"torch.distributed.{function}: invalid tensor size at index {index} "
                f"(expected {tuple(like.shape)}, got {tuple(tensor.shape)})"
            )


def _reduction(op: ReduceOp, tensor: Tensor, function: str) -> str:
    if op not in BUILT:
        raise NotImplementedError(f"torch.distributed.{function}(op={op})")
    if tensor.dtype.is_complex and op is not ReduceOp.SUM:
        raise NotImplementedError(f"torch.distributed.{function}(op={op}) of complex numbers")
    if op is ReduceOp.AVG and not tensor.dtype.is_floating_point:
        raise NotImplementedError(f"torch.distributed.{function}(op={op}) of {tensor.dtype}")
    return op.name


def _rank(rank: Any, group_rank: Any, world: ProcessGroup, function: str) -> int:
    """The process that `src=`/`dst=`, or `group_src=`/`group_dst=`, means."""
    if rank is not None and group_rank is not None:
        raise ValueError("Can't specify both group_rank and global_rank")
    chosen = group_rank if rank is None else rank
    if chosen is None:
        raise ValueError("Must specify global_rank or group_rank")
    if not 0 <= chosen < world.size():
        raise RuntimeError(f"torch.distributed.{function}: invalid root rank: {chosen}")
    return chosen


def store(tensor: Any, value: np.ndarray) -> None:
    """Write a result into a tensor, also into one that requires a gradient."""
    with no_grad():
        tensor.copy_(tensor_from_host(np.array(value)))


def _store_each(tensors: Sequence[Tensor]) -> Callable[[np.ndarray], None]:
    def function(values: np.ndarray) -> None:
        for tensor, value in zip(tensors, values, strict=True):
            store(tensor, value)

    return function


def _host(tensor: Any) -> np.ndarray:
    return np.array(tensor.detach()._host())


def all_reduce(
    tensor: Any, op: ReduceOp = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Replace `tensor` by the elementwise reduction of all processes' tensors.

    Args:
        tensor: of one shape and type in all processes.
        op: `ReduceOp.SUM`, `AVG`, `PRODUCT`, `MIN` or `MAX`.
        group: the default group.
        async_op: return a `Work`, whose `wait()` writes the result.
    """
    world = default_group("all_reduce", group)
    _check(tensor, "tensor", "all_reduce")
    reduction = _reduction(op, tensor, "all_reduce")
    pending = world.processes.reduce(_host(tensor), reduction)
    return _started(pending, lambda value: store(tensor, value), async_op)


def reduce(
    tensor: Any,
    dst: int | None = None,
    op: ReduceOp = ReduceOp.SUM,
    group: Any = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """As `all_reduce`, but only process `dst` receives the result; other tensors stay."""
    world = default_group("reduce", group)
    _check(tensor, "tensor", "reduce")
    target = _rank(dst, group_dst, world, "reduce")
    pending = world.processes.reduce(_host(tensor), _reduction(op, tensor, "reduce"))

    def keep(value: np.ndarray) -> None:
        if world.rank() == target:
            store(tensor, value)

    return _started(pending, keep, async_op)


def broadcast(
    tensor: Any,
    src: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Replace `tensor` by that of process `src`."""
    world = default_group("broadcast", group)
    _check(tensor, "tensor", "broadcast")
    source = _rank(src, group_src, world, "broadcast")
    pending = world.processes.broadcast(_host(tensor), source)
    return _started(pending, lambda value: store(tensor, value), async_op)


def all_gather(
    tensor_list: Any, tensor: Any, group: Any = None, async_op: bool = False
) -> Work | None:
    """Write the tensor of process number i into `tensor_list[i]`, in every process."""
    world = default_group("all_gather", group)
    _check(tensor, "tensor", "all_gather")
    _check_list(tensor_list, "tensor_list", tensor, world.size(), "all_gather")
    pending = world.processes.gather(_host(tensor))
    return _started(pending, _store_each(tensor_list), async_op)


def all_gather_into_tensor(
    output_tensor: Any, input_tensor: Any, group: Any = None, async_op: bool = False
) -> Work | None:
    """Write all processes' tensors into one, joined along the first axis."""
    world = default_group("all_gather_into_tensor", group)
    _check(input_tensor, "input_tensor", "all_gather_into_tensor")
    _check(output_tensor, "output_tensor", "all_gather_into_tensor")
    _check_sizes(output_tensor, input_tensor, world.size(), "all_gather_into_tensor")
    shape = tuple(output_tensor.shape)
    pending = world.processes.gather(_host(input_tensor))
    return _started(pending, lambda v: store(output_tensor, v.reshape(shape)), async_op)


def reduce_scatter_tensor(
    output: Any,
    input: Any,
    op: ReduceOp = ReduceOp.SUM,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Reduce all processes' `input`; `output` receives this process's part of the result.

    Args:
        output: one part.
        input: as many parts as there are processes, joined along the first axis.
        op: as for `all_reduce`.
        group: the default group.
        async_op: return a `Work`, whose `wait()` writes the result.
    """
    world = default_group("reduce_scatter_tensor", group)
    _check(output, "output", "reduce_scatter_tensor")
    _check(input, "input", "reduce_scatter_tensor")
    _check_sizes(input, output, world.size(), "reduce_scatter_tensor")
    rows = _host(input).reshape(world.size(), *output.shape)
    pending = world.processes.reduce_scatter(rows, _reduction(op, input, "reduce_scatter_tensor"))
    return _started(pending, lambda value: store(output, value), async_op)


def _check_sizes(whole: Any, part: Any, size: int, function: str) -> None:
    joined = (size * part.shape[0], *part.shape[1:]) if part.dim() else (size,)
    if tuple(whole.shape) != joined:
        raise RuntimeError(
            f"torch.distributed.{function}: a tensor of shape {tuple(whole.shape)} is not {size} "
            f"of shape {tuple(part.shape)} joined along the first axis"
        )
    if whole.dtype is not part.dtype:
        raise ValueError(
            f"Invalid usage of tensors with different dtypesFound {whole.dtype} and  {part.dtype}"
        )


def gather(
    tensor: Any,
    gather_list: Any = None,
    dst: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Write the tensor of process number i into `gather_list[i]` of process `dst` (default 0)."""
    world = default_group("gather", group)
    _check(tensor, "tensor", "gather")
    target = 0 if dst is None and group_dst is None else _rank(dst, group_dst, world, "gather")
    mine = world.rank() == target
    if mine and not gather_list:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    if not mine and gather_list:
        raise ValueError("Argument ``gather_list`` must NOT be specified on non-destination ranks.")
    if mine:
        _check_list(gather_list, "gather_list", tensor, world.size(), "gather")
    keep = _store_each(gather_list) if mine else lambda values: None
    return _started(world.processes.gather(_host(tensor)), keep, async_op)


def scatter(
    tensor: Any,
    scatter_list: Any = None,
    src: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Write `scatter_list[i]` of process `src` (default 0) into `tensor` of process number i."""
    world = default_group("scatter", group)
    _check(tensor, "tensor", "scatter")
    source = 0 if src is None and group_src is None else _rank(src, group_src, world, "scatter")
    mine = world.rank() == source
    if mine and not scatter_list:
        raise ValueError("Argument ``scatter_list`` must be specified on source rank.")
    if not mine and scatter_list:
        raise ValueError("Argument ``scatter_list`` must NOT be specified on non-source ranks.")
    own = _host(tensor)
    rows = np.zeros((world.size(), *own.shape), own.dtype)
    if mine:
        _check_list(scatter_list, "scatter_list", tensor, world.size(), "scatter")
        rows = np.stack([_host(part) for part in scatter_list])
    pending = world.processes.scatter(rows, source)
    return _started(pending, lambda value: store(tensor, value), async_op)


def barrier(
    group: Any = None, async_op: bool = False, device_ids: Any = None, timeout: Any = None
) -> Work | None:
    """Wait until all processes have come here."""
    world = default_group("barrier", group)
    if timeout is not None:
        raise NotImplementedError("torch.distributed.barrier(timeout=)")
    pending = world.processes.reduce(np.zeros(1, np.int32), "SUM")
    return _started(pending, lambda value: None, async_op)


def _pickled(value: Any) -> np.ndarray:
    buffer = io.BytesIO()
    pickle.dump(value, buffer)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def _padded(data: np.ndarray, longest: int) -> np.ndarray:
    """Of a length that few programs serve: the next power of two."""
    result = np.zeros(max(1 << (longest - 1).bit_length(), 64), np.uint8)
    result[: len(data)] = data
    return result


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """Put the object of process number i in `object_list[i]`. Objects travel as pickles.

    Only use it among processes that trust each other: unpickling may run code.
    """
    world = default_group("all_gather_object", group)
    if len(object_list) < world.size():
        raise ValueError(f"`object_list` has {len(object_list)} places for {world.size()} objects")
    data = _pickled(obj)
    lengths = world.processes.gather(np.array([len(data)])).read()[:, 0]
    rows = world.processes.gather(_padded(data, int(lengths.max()))).read()
    for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        object_list[index] = pickle.loads(row[:length].tobytes())


def broadcast_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: Any = None,
    device: Any = None,
    group_src: int | None = None,
) -> None:
    """Replace the objects of the list by those of process `src` (default 0), as pickles.

    Only use it among processes that trust each other: unpickling may run code.
    """
    world = default_group("broadcast_object_list", group)
    source = (
        0
        if src is None and group_src is None
        else _rank(src, group_src, world, "broadcast_object_list")
    )
    mine = world.rank() == source
    data = _pickled(list(object_list)) if mine else np.zeros(0, np.uint8)
    length = int(world.processes.broadcast(np.array([len(data)]), source).read()[0])
    received = world.processes.broadcast(_padded(data, length), source).read()
    if not mine:
        values = pickle.loads(received[:length].tobytes())
        if len(values) != len(object_list):
            raise ValueError(f"process {source} sent {len(values)} objects, not {len(object_list)}")
        object_list[:] = values
