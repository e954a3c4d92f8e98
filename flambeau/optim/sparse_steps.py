"""What optimisers do with sparse gradients: only the rows that the gradient has are changed."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ..core.tensor import Tensor


def rows(gradient: Any) -> tuple[tuple[Any, ...], Tensor]:
    """The subscript of a sparse gradient's rows, and their values."""
    return tuple(gradient._indices()), gradient._values()


def add_rows(x: Any, gradient: Any, factor: float) -> None:
    """x += factor * gradient, the gradient sparse; equal coordinates add up."""
    where, values = rows(gradient)
    x.index_put_(where, values * factor, accumulate=True)


def sgd_momentum(
    parameter: Any, states: defaultdict[Any, dict[str, Any]], group: dict[str, Any]
) -> Any:
    """The sparse direction of `SGD`, after its momentum, which is sparse, too."""
    gradient, momentum = parameter._grad, group["momentum"]
    if group["maximize"]:
        gradient = gradient.neg()
    if not momentum:
        return gradient
    state = states[parameter]
    buffer = state.get("momentum_buffer")
    if buffer is None:
        buffer = state["momentum_buffer"] = gradient.clone().detach()
    else:
        buffer.mul_(momentum).add_(gradient, alpha=1 - group["dampening"])
    return gradient.add(buffer, alpha=momentum) if group["nesterov"] else buffer


def adagrad_rows(parameter: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
    """s' = s + g^2;  p' = p - lr * g / (sqrt(s') + eps), in the rows of a sparse gradient."""
    state["step"].add_(1)
    step = state["step"].item()
    rate = float(group["lr"]) / (1 + (step - 1) * group["lr_decay"])
    where, values = rows(parameter._grad.coalesce())
    if group["maximize"]:
        values = -values
    total = state["sum"]
    total.index_put_(where, values * values, accumulate=True)
    root = total[where].sqrt().add_(group["eps"])
    parameter.index_put_(where, values / root * -rate, accumulate=True)


def adam_rows(parameter: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
    """Adam's step in the rows of a sparse gradient; the running means of other rows stay."""
    where, values = rows(parameter._grad.coalesce())
    if not values.numel():
        return
    if group["maximize"]:
        values = -values
    beta1, beta2 = group["betas"]
    step = state["step"]
    average, square = state["exp_avg"], state["exp_avg_sq"]
    old_average, old_square = average[where], square[where]
    average_change = (values - old_average).mul_(1 - beta1)
    square_change = (values * values - old_square).mul_(1 - beta2)
    average.index_put_(where, average_change, accumulate=True)
    square.index_put_(where, square_change, accumulate=True)
    direction = (old_average + average_change) / (
        (old_square + square_change).sqrt().add_(group["eps"])
    )
    size = float(group["lr"]) * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
    parameter.index_put_(where, direction * -size, accumulate=True)
