"""The Kullback-Leibler divergence between distributions.

# Note [Divergences]
# KL(p || q) = H(p, q) - H(p): the cross entropy E_p[-log q] less the entropy. Many cross entropies
# need only a few expectations of p, so one function serves all p: a normal q needs the mean and
# the variance, an exponential q the mean, a gamma q the mean and E[log x], a Gumbel q the mean and
# E[exp(-x / scale)].
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from ..core.gradients import grad
from ..core.modes import enable_grad
from ..core.tensor import Tensor
from ..ops.activation import softplus
from ..ops.masks import where
from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .continuous_bernoulli import ContinuousBernoulli
from .dirichlet import Dirichlet
from .distribution import Distribution
from .exp_family import ExponentialFamily
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .gumbel import Gumbel
from .half_normal import HalfNormal
from .independent import Independent
from .laplace import Laplace
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .pareto import Pareto
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import EULER, sum_rightmost

__all__ = ["kl_divergence", "register_kl"]

_REGISTRY: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Any], Any]:
    """A decorator that makes a function the divergence between two classes of distributions.

    The function of the nearest parent classes is taken, those of p first.

    Example::

        @register_kl(Normal, Normal)
        def kl_normal_normal(p, q): ...
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def decorator(function: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
        _REGISTRY[type_p, type_q] = function
        return function

    return decorator


def _found(type_p: type, type_q: type) -> Callable[[Any, Any], Tensor] | None:
    """The registered function for the nearest parents."""
    ranks = [
        (type_p.__mro__.index(p), type_q.__mro__.index(q))
        for p, q in _REGISTRY
        if issubclass(type_p, p) and issubclass(type_q, q)
    ]
    if not ranks:
        return None
    by_p, by_q = min(ranks), min(ranks, key=lambda rank: rank[::-1])
    pairs = [(type_p.__mro__[i], type_q.__mro__[j]) for i, j in (by_p, by_q)]
    left, right = (_REGISTRY[pair] for pair in pairs)
    if left is not right:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). Please "
            f"register_kl({pairs[0][0].__name__}, {pairs[1][1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return left


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p || q), the integral of p(x) log(p(x) / q(x)).

    Raises:
        NotImplementedError: no formula is registered for the two classes.

    Example::

        >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
        tensor(0.5000)
    """
    function = _found(type(p), type(q))
    if function is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {p.__class__.__name__} and q type "
            f"{q.__class__.__name__}"
        )
    return function(p, q)


def _register(*pairs: tuple[type, type]) -> Callable[[Any], Any]:
    """Register one function for several pairs of classes."""

    def decorator(function: Any) -> Any:
        for pair in pairs:
            register_kl(*pair)(function)
        return function

    return decorator


def _infinite_where(condition: Tensor, value: Tensor) -> Tensor:
    return where(condition, value.new_tensor(math.inf), value)


# --- within one family ---


@register_kl(ExponentialFamily, ExponentialFamily)
def _kl_exponential_family(p: Any, q: Any) -> Tensor:
    """The Bregman divergence of the log-normaliser.

    Source: Nielsen and Nock, "Entropies and cross-entropies of exponential families", 2010.
    """
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot "
            "be computed using Bregman divergences"
        )
    natural_p = [x.detach().requires_grad_() for x in p._natural_params]
    natural_q = q._natural_params
    with enable_grad():
        normalizer = p._log_normalizer(*natural_p)
        slopes = grad(normalizer.sum(), natural_p, create_graph=True)
    result = q._log_normalizer(*natural_q) - normalizer
    for own, other, slope in zip(natural_p, natural_q, slopes, strict=True):
        result = result - sum_rightmost((other - own) * slope, len(q.event_shape))
    return result


@_register((Bernoulli, Bernoulli))
def _kl_bernoulli(p: Any, q: Any) -> Tensor:
    def term(probability: Tensor, other: Tensor, change: Tensor) -> Tensor:
        value = _infinite_where(other == 0, probability * change)
        return value.masked_fill(probability == 0, 0.0)

    ones = term(p.probs, q.probs, softplus(-q.logits) - softplus(-p.logits))
    return ones + term(1 - p.probs, 1 - q.probs, softplus(q.logits) - softplus(p.logits))


@_register((Binomial, Binomial))
def _kl_binomial(p: Any, q: Any) -> Tensor:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    trial = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return _infinite_where(p.total_count > q.total_count, p.total_count * trial)


@_register((Categorical, Categorical))
def _kl_categorical(p: Any, q: Any) -> Tensor:
    terms = _infinite_where(q.probs == 0, p.probs * (p.logits - q.logits))
    return terms.masked_fill(p.probs == 0, 0.0).sum(-1)


@_register((OneHotCategorical, OneHotCategorical))
def _kl_one_hot(p: Any, q: Any) -> Tensor:
    return _kl_categorical(p._categorical, q._categorical)


@_register((Dirichlet, Dirichlet))
def _kl_dirichlet(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    normalizers = total.lgamma() - b.sum(-1).lgamma() + (b.lgamma() - a.lgamma()).sum(-1)
    return normalizers + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@_register((Beta, Beta))
def _kl_beta(p: Any, q: Any) -> Tensor:
    return _kl_dirichlet(p._dirichlet, q._dirichlet)


@_register((Gamma, Gamma))
def _kl_gamma(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    return (
        b * (p.rate / q.rate).log()
        + (b.lgamma() - a.lgamma())
        + (a - b) * a.digamma()
        + (q.rate - p.rate) * (a / p.rate)
    )


@_register((Exponential, Exponential))
def _kl_exponential(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@_register((Geometric, Geometric))
def _kl_geometric(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@_register((Laplace, Laplace))
def _kl_laplace(p: Any, q: Any) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * (-distance / p.scale).exp() - 1


@_register((Normal, Normal))
def _kl_normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@_register((HalfNormal, HalfNormal))
def _kl_half_normal(p: Any, q: Any) -> Tensor:
    return _kl_normal(p.base_dist, q.base_dist)


@_register((Cauchy, Cauchy))
def _kl_cauchy(p: Any, q: Any) -> Tensor:
    """Source: Chyzak and Nielsen, "A closed-form formula for the Kullback-Leibler divergence
    between Cauchy distributions", 2019."""
    squares = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return squares.log() - (4 * p.scale * q.scale).log()


@_register((Pareto, Pareto))
def _kl_pareto(p: Any, q: Any) -> Tensor:
    ratio = q.alpha / p.alpha
    value = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return _infinite_where(p.scale < q.scale, value)


@_register((Poisson, Poisson))
def _kl_poisson(p: Any, q: Any) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@_register((TransformedDistribution, TransformedDistribution))
def _kl_transformed(p: Any, q: Any) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)


@_register((Independent, Independent))
def _kl_independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


# --- between families: see Note [Divergences] ---


@_register(*[(p, Normal) for p in (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel)])
@_register(*[(p, Normal) for p in (Laplace, Pareto, Uniform)])
def _kl_to_normal(p: Any, q: Any) -> Tensor:
    squares = p.variance + (p.mean - q.loc).pow(2)
    cross = 0.5 * math.log(2 * math.pi) + q.scale.log() + squares / (2 * q.scale.pow(2))
    return cross - p.entropy()


@_register((Beta, Exponential), (ContinuousBernoulli, Exponential), (Gamma, Exponential))
@_register((Pareto, Exponential))
def _kl_to_exponential(p: Any, q: Any) -> Tensor:
    return q.rate * p.mean - q.rate.log() - p.entropy()


@_register((Uniform, Exponential))
def _kl_uniform_exponential(p: Any, q: Any) -> Tensor:
    return _infinite_where(p.low < 0, _kl_to_exponential(p, q))


def _mean_log(p: Any) -> Tensor:
    """E[log x]"""
    if isinstance(p, Beta):
        return p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    if isinstance(p, Exponential):
        return -EULER - p.rate.log()
    if isinstance(p, Pareto):
        return p.scale.log() + p.alpha.reciprocal()
    return (p.high.xlogy(p.high) - p.low.xlogy(p.low)) / (p.high - p.low) - 1  # Uniform


@_register((Beta, Gamma), (Exponential, Gamma), (Pareto, Gamma))
def _kl_to_gamma(p: Any, q: Any) -> Tensor:
    a = q.concentration
    normalizer = a.lgamma() - a * q.rate.log()
    return normalizer - (a - 1) * _mean_log(p) + q.rate * p.mean - p.entropy()


@_register((Uniform, Gamma))
def _kl_uniform_gamma(p: Any, q: Any) -> Tensor:
    return _infinite_where(p.low < 0, _kl_to_gamma(p, q))


def _mean_power(p: Any, rate: Tensor) -> Tensor:
    """E[exp(-rate x)]"""
    if isinstance(p, Exponential):
        return p.rate / (p.rate + rate)
    if isinstance(p, Gamma):
        return (1 + rate / p.rate).pow(-p.concentration)
    if isinstance(p, Normal):
        return (0.5 * (rate * p.scale).pow(2) - rate * p.loc).exp()
    ends = (-rate * p.low).exp() - (-rate * p.high).exp()  # Uniform
    return ends / (rate * (p.high - p.low))


@_register((Exponential, Gumbel), (Gamma, Gumbel), (Normal, Gumbel), (Uniform, Gumbel))
def _kl_to_gumbel(p: Any, q: Any) -> Tensor:
    power = (q.loc / q.scale).exp() * _mean_power(p, q.scale.reciprocal())
    return q.scale.log() + (p.mean - q.loc) / q.scale + power - p.entropy()


@_register((Gumbel, Gumbel))
def _kl_gumbel(p: Any, q: Any) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc) / q.scale
    power = ((1 + ratio).lgamma() - distance).exp()
    return distance - ratio.log() + ratio * EULER + power - (1 + EULER)


@_register((Normal, Laplace))
def _kl_normal_laplace(p: Any, q: Any) -> Tensor:
    distance = p.loc - q.loc
    ratio = distance / (p.scale * math.sqrt(2))
    away = distance * ratio.erf() + p.scale * math.sqrt(2 / math.pi) * (-ratio.pow(2)).exp()
    return (2 * q.scale).log() + away / q.scale - p.entropy()


@_register((Beta, ContinuousBernoulli), (ContinuousBernoulli, ContinuousBernoulli))
def _kl_to_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    cross = -p.mean * q.logits - (-q.probs).log1p() - q._log_norm()
    return cross - p.entropy()


@_register((Uniform, ContinuousBernoulli))
def _kl_uniform_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    outside = (p.high >= 1) | (p.low <= 0)
    return _infinite_where(outside, _kl_to_continuous_bernoulli(p, q))


@_register((Uniform, Uniform))
def _kl_uniform(p: Any, q: Any) -> Tensor:
    value = ((q.high - q.low) / (p.high - p.low)).log()
    return _infinite_where((q.low > p.low) | (q.high < p.high), value)


@_register((Beta, Uniform))
def _kl_beta_uniform(p: Any, q: Any) -> Tensor:
    value = (q.high - q.low).log() - p.entropy()
    return _infinite_where((q.low > 0) | (q.high < 1), value)


@_register((ContinuousBernoulli, Uniform))
def _kl_continuous_bernoulli_uniform(p: Any, q: Any) -> Tensor:
    value = (q.high - q.low).log() - p.entropy()
    return _infinite_where((q.low >= 0) | (q.high <= 1), value)


@_register((Uniform, Beta))
def _kl_uniform_beta(p: Any, q: Any) -> Tensor:
    a, b = q.concentration1, q.concentration0
    mirrored = Uniform(1 - p.high, 1 - p.low, validate_args=False)
    normalizer = a.lgamma() + b.lgamma() - (a + b).lgamma()
    powers = (a - 1) * _mean_log(p) + (b - 1) * _mean_log(mirrored)
    return _infinite_where((p.high > 1) | (p.low < 0), normalizer - powers - p.entropy())


@_register((Uniform, Pareto))
def _kl_uniform_pareto(p: Any, q: Any) -> Tensor:
    cross = (q.alpha + 1) * _mean_log(p) - q.alpha.log() - q.alpha * q.scale.log()
    return _infinite_where(p.low < q.scale, cross - p.entropy())


@_register((Bernoulli, Poisson))
def _kl_bernoulli_poisson(p: Any, q: Any) -> Tensor:
    return q.rate - p.probs * q.rate.log() - p.entropy()


# --- where q gives no probability to what p allows ---

# For each class p: a parameter that gives the shape, and the classes q.
_INFINITE: dict[type, tuple[str, tuple[type, ...]]] = {
    Beta: ("concentration1", (Pareto,)),
    ContinuousBernoulli: ("probs", (Pareto,)),
    Exponential: ("rate", (Beta, ContinuousBernoulli, Pareto, Uniform)),
    Gamma: ("concentration", (Beta, ContinuousBernoulli, Pareto, Uniform)),
    Gumbel: ("loc", (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform)),
    Laplace: ("loc", (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform)),
    Normal: ("loc", (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform)),
    Pareto: ("scale", (Beta, ContinuousBernoulli, Uniform)),
    Poisson: ("rate", (Bernoulli, Binomial)),
}


def _infinite(parameter: str) -> Callable[[Any, Any], Tensor]:
    def divergence(p: Any, q: Any) -> Tensor:
        like = getattr(p, parameter)
        return like.new_full(like.shape, math.inf)

    return divergence


for _type_p, (_parameter, _types) in _INFINITE.items():
    for _type_q in _types:
        register_kl(_type_p, _type_q)(_infinite(_parameter))
