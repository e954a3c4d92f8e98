"""Weight normalisation as a hook before `forward`; see `parametrizations.weight_norm`, too."""

from __future__ import annotations

import warnings
from typing import Any

from ...core.execute import Op
from ...core.op import apply
from ...core.tensor import Tensor
from ...kernels import weight_norm as kernels
from ...ops.registry import FUNCTIONS
from ..modules.module import Module
from ..parameter import Parameter, UninitializedParameter

__all__ = ["WeightNorm", "remove_weight_norm", "weight_norm"]

WEIGHT_NORM = Op(kernels.weight_norm, name="WeightNormInterface")


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """g * v / ||v||, with one norm for each index of `dim`, or, for -1, one of all elements."""
    if dim in (0, v.ndim - 1) and v.ndim:
        return apply(WEIGHT_NORM, (v, g), (dim,))
    return v * (g / FUNCTIONS["norm_except_dim"](v, 2, dim))


class WeightNorm:
    """The hook that recomputes a weight from its length and direction before each `forward`."""

    name: str
    dim: int

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Tensor:
        """The weight of the present length and direction."""
        g, v = (getattr(module, self.name + suffix) for suffix in ("_g", "_v"))
        return _weight_norm(v, g, self.dim)

    @staticmethod
    def apply(module: Module, name: str, dim: int | None) -> WeightNorm:
        """Put a hook on a module; its parameter `name` becomes two."""
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm) and hook.name == name:
                raise RuntimeError(
                    f"Cannot register two weight_norm hooks on the same parameter {name}"
                )
        made = WeightNorm(name, dim)
        weight = getattr(module, name)
        if isinstance(weight, UninitializedParameter):
            raise ValueError(
                "The module passed to `WeightNorm` can't have uninitialized parameters. Make sure "
                "to run the dummy forward before applying weight normalization"
            )
        del module._parameters[name]
        length = FUNCTIONS["norm_except_dim"](weight, 2, made.dim)
        module.register_parameter(name + "_g", Parameter(length.data))
        module.register_parameter(name + "_v", Parameter(weight.data))
        setattr(module, name, made.compute_weight(module))
        module.register_forward_pre_hook(made)
        return made

    def remove(self, module: Module) -> None:
        """Make the weight one parameter again."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[self.name + "_g"]
        del module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight.data))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """Train a weight as a length times a direction (Salimans and Kingma 2016, arXiv:1602.07868).

    The parameter `weight` becomes `weight_g` and `weight_v`, and `weight` is computed from them
    before each `forward`. Deprecated in favour of `parametrizations.weight_norm`.

    Args:
        module: the owner of the weight.
        name: the weight's name.
        dim: one length for each index of this dimension; None for a single one.

    Returns:
        The module.
    """
    warnings.warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of "
        "`torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: Any, name: str = "weight") -> Any:
    """Make a weight that `weight_norm` took apart one parameter again.

    Raises:
        ValueError: `weight_norm` was not applied to it.
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
