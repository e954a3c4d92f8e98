"""Averages of a model's weights over the course of training, and what goes with them.

Stochastic weight averaging (Izmailov et al. 2018, arXiv:1803.05407), exponential moving averages
(Polyak averaging).
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any, Literal, cast

from .. import dtypes
from ..core.modes import no_grad
from ..core.state import modes
from ..core.tensor import Tensor
from ..nn.modules.batchnorm import _BatchNorm
from ..nn.modules.module import Module
from ..ops.registry import FUNCTIONS
from .lr_scheduler import _GET_LR_WARNING, LRScheduler
from .optimizer import Optimizer

PARAM_LIST = tuple[Tensor, ...] | list[Tensor]


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """The update of many exponential moving averages in place.

    Args:
        decay: how much of an average each update keeps.
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param_list: Any, current_param_list: Any, _: Any) -> None:
        for average, current in zip(ema_param_list, current_param_list, strict=True):
            if average.dtype.is_floating_point or average.dtype.is_complex:
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(average * decay + current * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> Callable[..., None]:
    """The update of many equally weighted averages in place."""

    @no_grad()
    def swa_update(
        averaged_param_list: Any, current_param_list: Any, num_averaged: Tensor | int
    ) -> None:
        for average, current in zip(averaged_param_list, current_param_list, strict=True):
            average.copy_(average + (current - average) / (num_averaged + 1))

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Any]:
    """decay * average + (1 - decay) * current"""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> Callable[..., Any]:
    """average + (current - average) / (number + 1)"""

    @no_grad()
    def swa_update(averaged_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of the model's, taken now and then.

    Args:
        device: where the copy is kept.
        avg_fn: (average, current, number of updates) -> the new average; equal weights by default.
        multi_avg_fn: the same for lists of parameters, in place.
        use_buffers: average the buffers, too, rather than copy them.

    Example::

        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = torch.optim.swa_utils.AveragedModel(model)
        >>> for value in (1.0, 3.0):
        ...     _ = nn.init.constant_(model.weight, value)
        ...     average.update_parameters(model)
        >>> average(torch.ones(1, 1)).item()
        2.0
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[..., Any] | None = None,
        multi_avg_fn: Callable[..., None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        number = FUNCTIONS["zeros"]((), dtype=dtypes.int64, device=device)
        self.register_buffer("n_averaged", number)
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model computes."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the model's present parameters into the averages."""
        with no_grad():
            averages, currents = _tensors(self, model, self.use_buffers)
            if modes.trace is not None:  # the number of updates is not known
                self._average(averages, currents)
                first = self.n_averaged == 0
                for average, current in zip(averages, currents, strict=True):
                    average.copy_(FUNCTIONS["where"](first, current, average))
            elif self.n_averaged == 0:
                for average, current in zip(averages, currents, strict=True):
                    average.copy_(current)
            else:
                self._average(averages, currents)
            if not self.use_buffers:
                pairs = zip(self.module.buffers(), model.buffers(), strict=True)
                for average, current in pairs:
                    cast(Any, average).copy_(current)
            cast(Any, self.n_averaged).add_(1)

    def _average(self, averages: list[Any], currents: list[Any]) -> None:
        """One update of the averages, after the first."""
        if self.multi_avg_fn is not None:
            self.multi_avg_fn(averages, currents, self.n_averaged)
            return
        function = self.avg_fn or get_swa_avg_fn()
        for average, current in zip(averages, currents, strict=True):
            number = cast(Any, self.n_averaged).to(average.device)
            average.copy_(function(average, current, number))


def _tensors(averaged: AveragedModel, model: Module, buffers: bool) -> tuple[list[Any], list[Any]]:
    """What is averaged, and the model's values, without history and on the averages' devices."""
    sources: list[Any] = [averaged.module, model]
    lists = [list(itertools.chain(m.parameters(), m.buffers() if buffers else ())) for m in sources]
    averages = [t.detach() for t in lists[0]]
    currents = [
        t.detach().to(average.device) for t, average in zip(lists[1], averages, strict=True)
    ]
    return averages, currents


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the statistics of all batch normalisations anew, in one pass over the data.

    Args:
        loader: gives batches; of a list or tuple the first element is the input.
        device: where the batches are moved.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean of all batches
    training = model.training
    model.train()
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x if device is None else x.to(device))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """From the present rates to `swa_lr` in `anneal_epochs` steps, and no further.

    Args:
        swa_lr: the rate to end with, one or one for each group.
        anneal_strategy: 'cos' or 'linear'.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        groups = optimizer.param_groups
        several = isinstance(swa_lr, (list, tuple))
        rates: Any = swa_lr if several else [swa_lr] * len(groups)
        if len(rates) != len(groups):
            raise ValueError(
                "swa_lr must have the same length as optimizer.param_groups. swa_lr has "
                f"{len(rates)} values, param_groups has {len(groups)}."
            )
        for group, rate in zip(groups, rates, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How far the rates have come after some steps, from 0 to 1."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[Any]:
        """The rates for the current step."""
        if not self._get_lr_called_within_step:
            warnings.warn(_GET_LR_WARNING, UserWarning, stacklevel=2)
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            lr, final = group["lr"], group["swa_lr"]
            first = final if before == 1 else (lr - final * before) / (1 - before)
            rates.append(final * now + first * (1 - now))
        return rates


__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]
