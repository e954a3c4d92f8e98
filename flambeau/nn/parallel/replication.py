"""The parts of data parallelism in one process: copies of a module, pieces of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.device import accelerator_count
from ...core.tensor import Tensor
from ...devices import device as Device
from ...ops.registry import FUNCTIONS
from ..modules.module import Module


def _accelerator(device: Any) -> Device:
    found = Device("cuda", device) if isinstance(device, int) else Device(device)
    if found.type == "cpu":
        raise ValueError("Expected a non cpu device, but got: cpu")
    return found


def scatter(inputs: Any, target_gpus: Any, dim: int = 0) -> Any:
    """Divide the tensors in nested tuples, lists and dictionaries among accelerators.

    Args:
        inputs: tensors are cut along `dim`; anything else is repeated.
        target_gpus: the accelerators.

    Returns:
        For each accelerator the same structure with its piece.

    Raises:
        ValueError: for the CPU.
    """
    devices = [_accelerator(d) for d in target_gpus]

    def pieces(value: Any) -> list[Any]:
        if isinstance(value, Tensor):
            parts = FUNCTIONS["chunk"](value, len(devices), dim)
            return [p.to(d) for p, d in zip(parts, devices, strict=False)]
        if isinstance(value, (tuple, list)) and value:
            kind = type(value)
            columns = zip(*map(pieces, value), strict=False)
            return [kind(*c) if hasattr(kind, "_fields") else kind(c) for c in columns]
        if isinstance(value, dict) and value:
            rows = zip(*(pieces(v) for v in value.values()), strict=False)
            return [type(value)(zip(value, row, strict=True)) for row in rows]
        return [value for _ in devices]

    return pieces(inputs)


def gather(outputs: Any, target_device: int | Device, dim: int = 0) -> Any:
    """Put the results of several accelerators together on one.

    Raises:
        AssertionError: for tensors on the CPU.
    """
    first = outputs[0]
    if isinstance(first, Tensor):
        if any(x.device.type == "cpu" for x in outputs):
            raise AssertionError("Gather function not implemented for CPU tensors")
        parts = [x.to(target_device) for x in outputs]
        if not first.ndim:
            parts = [x.view(1) for x in parts]
        return FUNCTIONS["cat"](parts, dim)
    if first is None:
        return None
    if isinstance(first, dict):
        if not all(len(first) == len(d) for d in outputs):
            raise ValueError("All dicts must have the same number of keys")
        return type(first)((k, gather([d[k] for d in outputs], target_device, dim)) for k in first)
    columns = [gather(list(c), target_device, dim) for c in zip(*outputs, strict=True)]
    kind = type(first)
    return kind(*columns) if hasattr(kind, "_fields") else kind(columns)


def replicate(
    network: Module, devices: Sequence[int | Device], detach: bool = False
) -> list[Module]:
    """Copies of a module, one for each accelerator, whose gradients flow to the module's own.

    Args:
        detach: cut that flow.

    Raises:
        ValueError: for the CPU.
    """
    return [_copied(network, _accelerator(d), detach, {}) for d in devices]


def _copied(module: Module, device: Device, detach: bool, known: dict[int, Any]) -> Module:
    if id(module) in known:
        return known[id(module)]
    copy = known[id(module)] = module._replicate_for_data_parallel()
    for name in ("_parameters", "_buffers"):
        table = getattr(copy, name)
        for key, value in table.items():
            if value is not None:
                table[key] = (value.detach() if detach else value).to(device)
    for key, child in copy._modules.items():
        if child is not None:
            copy._modules[key] = _copied(child, device, detach, known)
    return copy


def parallel_apply(
    modules: Sequence[Module],
    inputs: Sequence[Any],
    kwargs_tup: Sequence[dict[str, Any]] | None = None,
    devices: Sequence[int | Device | None] | None = None,
) -> list[Any]:
    """Call each module with its inputs; the accelerators compute side by side.

    Raises:
        RuntimeError: where there is no accelerator.
    """
    if len(modules) != len(inputs):
        raise AssertionError(
            f"The number of modules {len(modules)} is not equal to the number of inputs "
            f"{len(inputs)}"
        )
    if not accelerator_count():
        raise RuntimeError("Cannot access accelerator device when none is available.")
    keywords = kwargs_tup or [{}] * len(modules)
    results = []
    for module, given, options in zip(modules, inputs, keywords, strict=True):
        arguments = given if isinstance(given, (tuple, list)) else (given,)
        results.append(module(*arguments, **options))
    return results
