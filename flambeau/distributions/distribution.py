"""The base class of all distributions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from ..core.modes import no_grad
from ..core.tensor import Tensor
from ..ops.checks import values
from ..size import Size
from . import constraints
from .utils import lazy_property

__all__ = ["Distribution"]

NO_SIZE = Size()


def _holds(condition: Tensor) -> bool:
    """Whether a condition holds everywhere, as far as that is known: not while a function is being
    compiled."""
    known = values(condition)
    return known is None or bool(known.all())


def _unknown(self: Any) -> Any:
    raise NotImplementedError


class Distribution:
    """A family of probability distributions, one for each place of `batch_shape`.

    A sample has shape `sample_shape + batch_shape + event_shape`.

    Args:
        batch_shape: the shape of the parameters, less the axes that belong to one distribution.
        event_shape: the shape of one draw.
        validate_args: check parameters and values (not in compiled functions, where they are not
            known); None: as `set_default_validate_args` says.

    Attributes:
        arg_constraints: for each parameter, where its values must be.
        support: where the values are.
        has_rsample: gradients flow through `rsample` to the parameters.
        has_enumerate_support: the values can be listed.
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args: bool = __debug__

    # What `expand` treats besides the parameters: distributions to be expanded with this one,
    # and attributes that stay as they are.
    _parts: tuple[str, ...] = ()
    _kept: tuple[str, ...] = ()

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Say whether distributions check their arguments unless told otherwise."""
        if value not in [True, False]:
            raise ValueError
        Distribution._validate_args = value

    def __init__(
        self,
        batch_shape: Sequence[int] = NO_SIZE,
        event_shape: Sequence[int] = NO_SIZE,
        validate_args: bool | None = None,
    ):
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._validate_parameters()

    def _validate_parameters(self) -> None:
        try:
            arg_constraints = self.arg_constraints
        except NotImplementedError:
            arg_constraints = {}
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. Please set `arg_constraints "
                "= {}` or initialize the distribution with `validate_args=False` to turn off "
                "validation.",
                stacklevel=3,
            )
        for name, constraint in arg_constraints.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(getattr(type(self), name), lazy_property):
                continue  # computed from a parameter that is checked
            value = getattr(self, name)
            if not _holds(constraint.check(value)):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{value}"
                )

    # Shapes

    @property
    def batch_shape(self) -> Size:
        """The shape of the family: one distribution for each place."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one draw."""
        return self._event_shape

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The same distributions, with parameters expanded to `batch_shape`; memory is shared."""
        new = self._get_checked_instance(self._own_class(), _instance)
        batch_shape = Size(batch_shape)
        self._expand_into(new, batch_shape)
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _expand_into(self, new: Any, batch_shape: Size) -> None:
        """Give `new` the parameters, expanded."""
        for name in self._parameters():
            value = self.__dict__[name]
            own = value.shape[len(value.shape) - self._event_dim(name) :]
            setattr(new, name, value.expand(batch_shape + own))
        for name in self._parts:
            setattr(new, name, getattr(self, name).expand(batch_shape))
        for name in self._kept:
            setattr(new, name, getattr(self, name))

    def _parameters(self) -> list[str]:
        """The parameters that were given, in the order of `arg_constraints`."""
        try:
            return [name for name in self.arg_constraints if name in self.__dict__]
        except NotImplementedError:
            return []

    def _event_dim(self, name: str) -> int:
        return self.arg_constraints[name].event_dim

    @classmethod
    def _own_class(cls) -> type:
        """The nearest class of this package among the parents."""
        return next(c for c in cls.__mro__ if c.__module__.startswith(__package__ or ""))

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        """An empty instance for `expand` to fill; a subclass must know how to expand itself."""
        if cls.__dict__.get("arg_constraints") is Distribution.__dict__["arg_constraints"]:
            raise NotImplementedError
        if _instance is None and type(self).__init__ is not cls.__init__:
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ "
                "method must also define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    def _extended_shape(self, sample_shape: Sequence[int] = NO_SIZE) -> Size:
        """The shape of a sample."""
        return Size(sample_shape) + self._batch_shape + self._event_shape

    # What a family may know of itself

    arg_constraints: Any = property(_unknown)
    support: Any = property(_unknown)

    @property
    def mean(self) -> Tensor:
        """The expected value."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        raise NotImplementedError(f"{self.__class__} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The expected square of the distance from the mean."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        """Draw; no gradient flows to the parameters."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        """Draw so that gradients flow to the parameters."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Tensor:
        """`n` draws; a former name of `sample((n,))`."""
        warnings.warn(
            "sample_n(n) will be deprecated. Use .sample((n,)) instead.",
            FutureWarning,
            stacklevel=2,
        )
        return self.sample(Size((n,)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at `value`."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw up to `value`."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of `cdf`."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values along a new first axis; expanded to `batch_shape`, or with ones for it."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The expected value of `-log_prob`."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """exp(entropy)"""
        return self.entropy().exp()

    # Checks and printing

    def _validate_sample(self, value: Any) -> None:
        """Raise where `value` does not fit the shapes, or is not in the support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        start = value.dim() - len(self._event_shape)
        if value.shape[start:] != self._event_shape:
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{value.shape} vs {self._event_shape}."
            )
        expected = self._batch_shape + self._event_shape
        for i, j in zip(reversed(value.shape), reversed(expected), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {value.shape} vs "
                    f"{expected}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable sample validation. Please "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if support is None:
            raise AssertionError("support is None")
        if not _holds(support.check(value)):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) "
                f"to be within the support ({support!r}) of the distribution {self!r}, but found "
                f"invalid values:\n{value}"
            )

    def _checked(self, value: Tensor) -> Tensor:
        """`value`, after the checks that were asked for."""
        if self._validate_args:
            self._validate_sample(value)
        return value

    def __repr__(self) -> str:
        shown = []
        for name in self._parameters():
            value = self.__dict__[name]
            shown.append(f"{name}: {value if value.numel() == 1 else value.size()}")
        return f"{type(self).__name__}({', '.join(shown)})"
