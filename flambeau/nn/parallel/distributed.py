"""`DistributedDataParallel`: one model in several processes, its gradients averaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...core.modes import is_grad_enabled
from ...core.state import modes
from ...core.tensor import Tensor
from ...distributed.collectives import all_gather_object, store
from ...distributed.mesh import Processes
from ...distributed.process_group import default_group
from ..modules.module import Module

UNFINISHED = (
    "Expected to have finished reduction in the prior iteration before starting a new one. This "
    "error indicates that your module has parameters that were not used in producing loss. "
    "Parameters without a gradient: "
)


class DistributedDataParallel(Module):
    """Runs `module`; in the backward pass, gradients become their mean over all processes.

    Parameters and buffers become those of process 0 at construction, buffers again before each
    forward pass in training. Gradients are averaged, in one message per type, when the last of them
    has arrived. The module is a submodule of the name `module`, as in the keys of `state_dict()`.

    Args:
        module: the model, on the CPU; the same in all processes.
        device_ids, output_device: None on the CPU.
        broadcast_buffers: whether buffers follow process 0; yes by default.
        init_sync: whether parameters and buffers become those of process 0 at construction.
        process_group: the default group.
        bucket_cap_mb, gradient_as_bucket_view: accepted; they change no result.
        dim, find_unused_parameters, static_graph, mixed_precision and the others: the defaults.

    Raises:
        ValueError: there is no process group.
        RuntimeError: no parameter requires a gradient, or the processes' models differ.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Any = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool | None = None,
        init_sync: bool = True,
        process_group: Any = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        delay_all_reduce_named_params: Any = None,
        param_to_hook_all_reduce: Any = None,
        mixed_precision: Any = None,
        device_mesh: Any = None,
        skip_all_reduce_unused_params: bool = False,
        bucket_cap_mb_list: list[int] | None = None,
        batched_grad_copy: bool = False,
        forward_sync_buffers: bool | None = None,
    ) -> None:
        super().__init__()
        self._processes: Processes = default_group(
            "DistributedDataParallel", process_group
        ).processes
        refused = {
            "device_ids": device_ids,
            "output_device": output_device,
            "dim": dim,
            "find_unused_parameters": find_unused_parameters,
            "static_graph": static_graph,
            "delay_all_reduce_named_params": delay_all_reduce_named_params,
            "param_to_hook_all_reduce": param_to_hook_all_reduce,
            "mixed_precision": mixed_precision,
            "device_mesh": device_mesh,
            "skip_all_reduce_unused_params": skip_all_reduce_unused_params,
            "bucket_cap_mb_list": bucket_cap_mb_list,
            "batched_grad_copy": batched_grad_copy,
            "forward_sync_buffers": forward_sync_buffers,
        }
        for name, value in refused.items():
            if value:
                raise NotImplementedError(f"torch.nn.parallel.DistributedDataParallel({name}=)")
        self.module = module
        self.broadcast_buffers = broadcast_buffers is not False
        self.require_backward_grad_sync = True
        self._named: list[tuple[str, Any]] = [
            (name, value) for name, value in module.named_parameters() if value.requires_grad
        ]
        if not self._named:
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter "
                "that requires a gradient."
            )
        self._check_same_model()
        if init_sync:
            self._follow_first([*module.parameters(), *module.buffers()])
        self._sync_buffers = True
        self._waiting: set[int] | None = None
        for index, (_, parameter) in enumerate(self._named):
            parameter.register_post_accumulate_grad_hook(self._arrival(index))

    def _check_same_model(self) -> None:
        """An error in every process where a process's model differs from that of process 0."""
        ours = [(n, tuple(v.shape), str(v.dtype)) for n, v in self.module.named_parameters()]
        models: list[Any] = [None] * self._processes.size
        all_gather_object(models, ours)
        for rank, theirs in enumerate(models):
            if theirs != models[0]:
                pairs = zip([*models[0], None], [*theirs, None], strict=False)
                first, other = next(pair for pair in pairs if pair[0] != pair[1])
                raise RuntimeError(
                    "DDP expects same model across all ranks, but where rank 0 has the parameter "
                    f"{first}, rank {rank} has {other}"
                )

    def _follow_first(self, tensors: list[Any]) -> None:
        """Give tensors the values that they have in process 0."""
        values = [np.array(tensor.detach()._host(), order="C") for tensor in tensors]
        if self._processes.size == 1 or not values:
            return
        memory = np.concatenate([value.reshape(-1).view(np.uint8) for value in values])
        received = self._processes.broadcast(memory, 0).read()
        start = 0
        for tensor, value in zip(tensors, values, strict=True):
            part = received[start : start + value.nbytes]
            start += value.nbytes
            store(tensor, np.frombuffer(part.tobytes(), value.dtype).reshape(value.shape))

    def _arrival(self, index: int) -> Any:
        def hook(parameter: Tensor) -> None:
            if self._waiting is None:
                return
            self._waiting.discard(index)
            if not self._waiting:
                self._waiting = None
                self._average()

        return hook

    def _average(self) -> None:
        """Replace the gradients by their means over the processes, in one message per type."""
        if self._processes.size == 1:
            return
        by_type: dict[Any, list[Any]] = {}
        for name, parameter in self._named:
            if parameter.grad.is_sparse:
                raise NotImplementedError(
                    f"torch.nn.parallel.DistributedDataParallel: the sparse gradient of {name}"
                )
            by_type.setdefault(parameter.grad.dtype, []).append(parameter.grad)
        started = []
        for gradients in by_type.values():
            flat = np.concatenate([grad.detach()._host().reshape(-1) for grad in gradients])
            started.append((gradients, self._processes.reduce(flat, "AVG")))
        for gradients, pending in started:
            mean = pending.read()
            start = 0
            for grad in gradients:
                store(grad, mean[start : start + grad.numel()].reshape(tuple(grad.shape)))
                start += grad.numel()

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The module's result."""
        if modes.trace is not None:
            raise NotImplementedError(
                "torch.nn.parallel.DistributedDataParallel in a compiled function"
            )
        synchronise = is_grad_enabled() and self.require_backward_grad_sync
        if self._waiting is not None and len(self._waiting) < len(self._named):
            missing = [self._named[index][0] for index in sorted(self._waiting)]
            raise RuntimeError(UNFINISHED + ", ".join(missing))
        if self._sync_buffers and self.broadcast_buffers:
            self._follow_first(list(self.module.buffers()))
        result = self.module(*inputs, **kwargs)
        self._sync_buffers = synchronise
        self._waiting = set(range(len(self._named))) if synchronise else None
        return result

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Within it, forward and backward passes add up gradients without averaging them."""
        previous = self.require_backward_grad_sync
        self.require_backward_grad_sync = False
        try:
            yield
        finally:
            self.require_backward_grad_sync = previous
