"""The LKJ distribution of correlation matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..core.modes import no_grad
from ..core.tensor import Tensor
from ..dtypes import finfo
from ..ops.joining import cat
from ..ops.random import randn
from ..ops.ranges import arange
from ..size import Size
from . import constraints
from .beta import Beta
from .distribution import NO_SIZE, Distribution
from .utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Cholesky factors of correlation matrices M with p(M) ~ det(M)^(concentration - 1).

    Args:
        dim: the number of rows.
        concentration: 1 makes all correlation matrices equally probable.

    Source: Lewandowski, Kurowicka and Joe, "Generating random correlation matrices based on vines
    and extended onion method", 2009, section 3.

    Example::

        >>> LKJCholesky(3, 0.5).event_shape
        torch.Size([3, 3])
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    _parts: tuple[str, ...] = ()
    _kept = ("dim",)

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None):
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}."
            )
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        self._beta = self._squared_lengths()
        super().__init__(self.concentration.size(), (dim, dim), validate_args=validate_args)

    def _squared_lengths(self) -> Beta:
        """The distribution of the squared length of each row but for its diagonal element."""
        marginal = self.concentration + 0.5 * (self.dim - 2)
        places = arange(self.dim - 1, dtype=marginal.dtype, device=marginal.device)
        places = cat([places.new_zeros((1,)), places])
        return Beta(places + 0.5, marginal.unsqueeze(-1) - 0.5 * places)

    def _expand_into(self, new: Any, batch_shape: Size) -> None:
        super()._expand_into(new, batch_shape)
        new._beta = self._beta.expand(batch_shape + (self.dim,))

    def sample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        with no_grad():
            squares = self._beta.sample(sample_shape).unsqueeze(-1)
            shape = self._extended_shape(sample_shape)
            directions = randn(shape, dtype=squares.dtype, device=squares.device).tril(-1)
            directions = directions / directions.norm(dim=-1, keepdim=True)
            directions[..., 0, :].fill_(0.0)  # the first row has no direction: 0 / 0
            below = squares.sqrt() * directions
            rest = 1 - (below**2).sum(dim=-1)
            return below + rest.clamp(min=finfo(below.dtype).tiny).sqrt().diag_embed()

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = arange(2, self.dim + 1, device=self.concentration.device)
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - order
        unnormalized = (order * diagonal.log()).sum(dim=-1)
        less = self.dim - 1
        alpha = self.concentration + 0.5 * less
        normalizer = (alpha - 0.5).mvlgamma(less) - alpha.lgamma() * less
        return unnormalized - 0.5 * less * math.log(math.pi) - normalizer
