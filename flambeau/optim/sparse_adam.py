"""`SparseAdam`: Adam for tables of which few rows are looked up."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from ..core.modes import no_grad
from ..core.tensor import Tensor
from .optimizer import Optimizer, closure_loss
from .rule_optimizer import check_betas, zeros
from .sparse_steps import adam_rows


class SparseAdam(Optimizer):
    """Adam by sparse gradients: rows without a gradient, and their running means, stay.

    Kingma and Ba 2014, arXiv:1412.6980.

    Args:
        betas: how much of the running means of the gradient and of its square each step keeps.
        maximize: go up rather than down.

    Example::

        >>> table = nn.Embedding(10, 3, sparse=True)
        >>> optimizer = torch.optim.SparseAdam(table.parameters(), lr=0.1)
        >>> table(torch.tensor([1, 4])).sum().backward()
        >>> optimizer.step()
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        places = [
            [i, j]
            for i, group in enumerate(self.param_groups)
            for j, parameter in enumerate(group["params"])
        ]
        parameters = list(chain.from_iterable(g["params"] for g in self.param_groups))
        sparse = [at for at, p in zip(places, parameters, strict=True) if p.is_sparse]
        if sparse:
            raise ValueError(
                f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors"
            )
        complex_ = [at for at, p in zip(places, parameters, strict=True) if p.dtype.is_complex]
        if complex_:
            raise ValueError(
                f"Complex params at indices {complex_}: SparseAdam does not support complex "
                "parameters"
            )

    @no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the rows of the parameters that have gradients."""
        loss = closure_loss(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter._grad
                if gradient is None:
                    continue
                if not gradient.is_sparse:
                    raise RuntimeError(
                        "SparseAdam does not support dense gradients, please consider Adam instead"
                    )
                state = self.state[parameter]
                if not state:
                    state["step"] = 0
                    state["exp_avg"] = zeros(parameter)
                    state["exp_avg_sq"] = zeros(parameter)
                state["step"] += 1
                adam_rows(parameter, state, group)
        return loss


__all__ = ["SparseAdam"]
