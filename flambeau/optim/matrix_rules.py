"""Optimisers that see matrices: Adafactor, Muon."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from ..ops.registry import FUNCTIONS
from .rule_optimizer import RuleOptimizer, zero_step, zeros


def _check(words: dict[str, Any]) -> None:
    """ValueError for a negative setting; keys are the words that the message uses."""
    for word, value in words.items():
        if not value >= 0.0:
            raise ValueError(f"{word} should be >= 0 but is: {value}")


def _check_one_element(lr: Any) -> None:
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")


class Adafactor(RuleOptimizer):
    """Adam in little memory: of the mean squares of a matrix, the rows' and the columns' are kept.

    Shazeer and Stern 2018, arXiv:1804.04235.

    Args:
        beta2_decay: the running means take the share step**beta2_decay of the new value.
        eps: what keeps the mean square (None: the machine epsilon) and the step's size from 0.
        d: updates are scaled down to this root mean square.

    Example::

        >>> p = nn.Parameter(torch.ones(2, 3))
        >>> optimizer = torch.optim.Adafactor([p])
        >>> p.grad = torch.ones(2, 3)
        >>> optimizer.step()
        >>> {k: tuple(v.shape) for k, v in optimizer.state[p].items()}
        {'step': (), 'row_var': (2, 1), 'col_var': (1, 3)}
    """

    rule = "adafactor"
    differentiable = False

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        _check_one_element(lr)
        _check({"Learning rate": lr})
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None:
            _check({"epsilon1": eps[0]})
        _check({"epsilon2": eps[1]})
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        _check({"weight_decay": weight_decay})
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """Settings."""
        first, second = group["eps"]
        names = ("lr", "beta2_decay", "d", "weight_decay")
        settings = {name: group[name] for name in names}
        return {**settings, "eps1": first or 0.0, "eps2": second}

    def flags(self, group: dict[str, Any]) -> dict[str, Any]:
        """Static choices."""
        return {"machine_epsilon": group["eps"][0] is None, **super().flags(group)}

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """No steps, zero means."""
        if parameter.dtype.is_complex:
            raise RuntimeError("Adafactor does not support complex parameters")
        if parameter.ndim < 2:
            return {"step": zero_step(), "variance": zeros(parameter)}
        new, shape = FUNCTIONS["zeros"], parameter._dims()
        place = {"dtype": parameter.dtype, "device": parameter.device}
        return {
            "step": zero_step(),
            "row_var": new((*shape[:-1], 1), **place),
            "col_var": new((*shape[:-2], 1, shape[-1]), **place),
        }


class Muon(RuleOptimizer):
    """Steps along the orthogonal matrix nearest to the momentum, by Newton-Schulz iterations.

    For matrices only. Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/.

    Args:
        ns_coefficients: a, b, c of the iteration x' = a x + (b y + c y y) x with y = x x^T.
        eps: what keeps the norm that the matrix is divided by from 0.
        ns_steps: how many iterations.
        adjust_lr_fn: 'original' (sqrt(max(1, rows / columns)), the default) or
            'match_rms_adamw' (0.2 sqrt(max(rows, columns))), the factor of the learning rate.

    Example::

        >>> p = nn.Parameter(torch.eye(2))
        >>> optimizer = torch.optim.Muon([p], lr=0.1)
        >>> p.grad = torch.eye(2)
        >>> optimizer.step()
    """

    rule = "muon"
    differentiable = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        _check_one_element(lr)
        _check({"Learning rate": lr, "momentum": momentum, "weight decay": weight_decay})
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(
                        "Muon only supports 2D parameters whereas we found a parameter with size: "
                        f"{parameter.size()}"
                    )

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """Settings."""
        return {name: group[name] for name in ("lr", "weight_decay", "momentum", "eps")}

    def flags(self, group: dict[str, Any]) -> dict[str, Any]:
        """Static choices."""
        coefficients, steps = group["ns_coefficients"], group["ns_steps"]
        if steps >= 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if len(coefficients) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        return {
            "nesterov": bool(group["nesterov"]),
            "coefficients": tuple(float(c) for c in coefficients),
            "steps": int(steps),
            "match_adamw": group["adjust_lr_fn"] == "match_rms_adamw",
        }

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """No momentum."""
        if parameter.dtype.is_complex:
            raise RuntimeError("Muon does not support complex parameters")
        return {"momentum_buffer": zeros(parameter)}


__all__ = ["Adafactor", "Muon"]
