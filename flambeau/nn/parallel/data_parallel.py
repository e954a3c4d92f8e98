"""`DataParallel`: a module's batch divided among the accelerators of one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.device import accelerator_count
from ..modules.module import Module


def _devices(device_ids: Sequence[Any] | None) -> list[Any]:
    """The accelerators to use: none where there are none, whatever was asked for."""
    if not accelerator_count():
        return []
    chosen = list(range(accelerator_count())) if device_ids is None else list(device_ids)
    if len(chosen) > 1:
        raise NotImplementedError("torch.nn.DataParallel on more than one accelerator")
    return chosen


class DataParallel(Module):
    """Runs `module`, its batch divided among accelerators; without any, simply runs it.

    The module is a submodule of the name `module`, as in the keys of `state_dict()`.

    Args:
        module: the module to run.
        device_ids: the accelerators; all by default. More than one is not built.
        output_device: where the results are gathered.
        dim: the dimension that is divided.

    Example::

        >>> model = nn.DataParallel(nn.Linear(2, 3))
        >>> model(torch.ones(4, 2)).shape
        torch.Size([4, 3])
        >>> list(model.state_dict())
        ['module.weight', 'module.bias']
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids = _devices(device_ids)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The module's result."""
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: Any = None,
) -> Any:
    """Run a module once as `DataParallel` does; it needs an accelerator.

    Raises:
        RuntimeError: there is no accelerator.
    """
    if not accelerator_count():
        raise RuntimeError("device type could not be determined")
    _devices(device_ids)
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*arguments, **(module_kwargs or {}))
