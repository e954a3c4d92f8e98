"""The distributions under test: what makes them, on either library.

Each row is `make(t, D, p)`: `t` is the library's module, `D` its `distributions`, and `p(*values)`
makes a parameter that requires a gradient, and remembers it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Make = Callable[[Any, Any, Any], Any]
SPREAD = [[2.0, 0.3], [0.3, 1.0]]
FACTOR = [[1.5, 0.0], [0.4, 0.8]]

ROWS: dict[str, Make] = {
    "Bernoulli": lambda t, D, p: D.Bernoulli(p(0.2, 0.5, 0.9)),
    "Bernoulli logits": lambda t, D, p: D.Bernoulli(logits=p(-1.0, 0.0, 2.0)),
    "Bernoulli number": lambda t, D, p: D.Bernoulli(0.25),
    "Beta": lambda t, D, p: D.Beta(p(0.5, 2.0, 3.0), p(1.5, 1.0, 0.7)),
    "Binomial": lambda t, D, p: D.Binomial(6, p(0.2, 0.5, 0.9)),
    "Binomial logits": lambda t, D, p: D.Binomial(12, logits=p(-1.0, 0.1, 0.7)),
    "Binomial counts": lambda t, D, p: D.Binomial(t.tensor([3.0, 9.0]), p(0.2, 0.6)),
    "Categorical": lambda t, D, p: D.Categorical(p([1.0, 2.0, 3.0], [0.5, 0.1, 0.4])),
    "Categorical logits": lambda t, D, p: D.Categorical(logits=p(0.3, -1.0, 2.0)),
    "Cauchy": lambda t, D, p: D.Cauchy(p(0.0, 1.0), p(0.5, 2.0)),
    "Chi2": lambda t, D, p: D.Chi2(p(0.7, 3.0)),
    "ContinuousBernoulli": lambda t, D, p: D.ContinuousBernoulli(p(0.1, 0.5, 0.4999, 0.9)),
    "ContinuousBernoulli logits": lambda t, D, p: D.ContinuousBernoulli(logits=p(-2.0, 1.0)),
    "Dirichlet": lambda t, D, p: D.Dirichlet(p([0.5, 1.5, 3.0], [2.0, 1.0, 4.0])),
    "Exponential": lambda t, D, p: D.Exponential(p(0.5, 2.0)),
    "Exponential number": lambda t, D, p: D.Exponential(1.5),
    "FisherSnedecor": lambda t, D, p: D.FisherSnedecor(p(3.0, 1.0), p(5.0, 3.5)),
    "Gamma": lambda t, D, p: D.Gamma(p(0.5, 2.0, 9.0), p(1.0, 0.5, 3.0)),
    "GeneralizedPareto": lambda t, D, p: D.GeneralizedPareto(p(0.0, 1.0), p(1.0, 2.0), p(0.4, 0.2)),
    "GeneralizedPareto bounded": lambda t, D, p: D.GeneralizedPareto(p(0.0), p(1.0), p(-0.5)),
    "GeneralizedPareto exponential": lambda t, D, p: D.GeneralizedPareto(p(0.0), p(2.0), p(0.0)),
    "Geometric": lambda t, D, p: D.Geometric(p(0.2, 0.7)),
    "Geometric logits": lambda t, D, p: D.Geometric(logits=p(-0.5, 1.0)),
    "Gumbel": lambda t, D, p: D.Gumbel(p(0.0, 1.0), p(0.5, 2.0)),
    "HalfCauchy": lambda t, D, p: D.HalfCauchy(p(0.5, 2.0)),
    "HalfNormal": lambda t, D, p: D.HalfNormal(p(0.5, 2.0)),
    "Independent": lambda t, D, p: D.Independent(
        D.Normal(p([0.0, 1.0], [2.0, 3.0]), p(1.0, 2.0)), 1
    ),
    "Independent none": lambda t, D, p: D.Independent(D.Bernoulli(p(0.2, 0.6)), 0),
    "InverseGamma": lambda t, D, p: D.InverseGamma(p(1.5, 3.0), p(1.0, 0.5)),
    "Kumaraswamy": lambda t, D, p: D.Kumaraswamy(p(0.5, 2.0), p(1.5, 3.0)),
    "LKJCholesky": lambda t, D, p: D.LKJCholesky(3, p(0.8, 2.0)),
    "Laplace": lambda t, D, p: D.Laplace(p(0.0, 1.0), p(0.5, 2.0)),
    "LogNormal": lambda t, D, p: D.LogNormal(p(0.0, 1.0), p(0.5, 0.3)),
    "LogisticNormal": lambda t, D, p: D.LogisticNormal(p(0.0, 1.0), p(0.5, 0.3)),
    "LogitRelaxedBernoulli": lambda t, D, p: D.relaxed_bernoulli.LogitRelaxedBernoulli(
        p(0.7), p(0.2, 0.6)
    ),
    "LowRankMultivariateNormal": lambda t, D, p: D.LowRankMultivariateNormal(
        p(0.0, 1.0, 2.0), p([1.0], [0.5], [0.2]), p(1.0, 0.5, 0.3)
    ),
    "MixtureSameFamily": lambda t, D, p: D.MixtureSameFamily(
        D.Categorical(p(1.0, 3.0)), D.Normal(p(-1.0, 2.0), p(0.5, 1.0))
    ),
    "MixtureSameFamily vectors": lambda t, D, p: D.MixtureSameFamily(
        D.Categorical(p(1.0, 3.0)), D.Independent(D.Normal(p([-1.0, 0.0], [2.0, 1.0]), 1.0), 1)
    ),
    "Multinomial": lambda t, D, p: D.Multinomial(5, p([1.0, 2.0, 3.0], [0.5, 0.1, 0.4])),
    "Multinomial logits": lambda t, D, p: D.Multinomial(4, logits=p(0.3, -1.0)),
    "MultivariateNormal": lambda t, D, p: D.MultivariateNormal(p(0.0, 1.0), p(*SPREAD)),
    "MultivariateNormal precision": lambda t, D, p: D.MultivariateNormal(
        p([0.0, 1.0], [2.0, 0.5]), precision_matrix=p(*SPREAD)
    ),
    "MultivariateNormal factor": lambda t, D, p: D.MultivariateNormal(
        p(0.0, 1.0), scale_tril=p(*FACTOR)
    ),
    "NegativeBinomial": lambda t, D, p: D.NegativeBinomial(p(3.0, 1.5), p(0.2, 0.6)),
    "NegativeBinomial logits": lambda t, D, p: D.NegativeBinomial(4, logits=p(-0.5, 0.3)),
    "Normal": lambda t, D, p: D.Normal(p(0.0, 1.0, -2.0), p(0.5, 2.0, 1.0)),
    "Normal numbers": lambda t, D, p: D.Normal(1.0, 2.0),
    "Normal double": lambda t, D, p: D.Normal(t.zeros(20, dtype=t.float64), 2.0),
    "OneHotCategorical": lambda t, D, p: D.OneHotCategorical(p([1.0, 2.0, 3.0], [0.5, 0.1, 0.4])),
    "OneHotCategoricalStraightThrough": lambda t, D, p: D.OneHotCategoricalStraightThrough(
        logits=p(0.3, -1.0, 0.0)
    ),
    "Pareto": lambda t, D, p: D.Pareto(p(1.0, 0.5), p(3.0, 1.5)),
    "Poisson": lambda t, D, p: D.Poisson(p(0.5, 3.0, 20.0)),
    "RelaxedBernoulli": lambda t, D, p: D.RelaxedBernoulli(p(0.7), p(0.2, 0.6)),
    "RelaxedBernoulli logits": lambda t, D, p: D.RelaxedBernoulli(
        t.tensor(0.7), logits=p(0.2, 0.6)
    ),
    "RelaxedOneHotCategorical": lambda t, D, p: D.RelaxedOneHotCategorical(
        p(0.7), p([1.0, 2.0, 3.0], [0.5, 0.1, 0.4])
    ),
    "StudentT": lambda t, D, p: D.StudentT(p(0.5, 1.5, 3.0), p(0.0, 1.0, 2.0), p(1.0, 2.0, 0.5)),
    "TransformedDistribution": lambda t, D, p: D.TransformedDistribution(
        D.Normal(p(0.0, 1.0), p(0.5, 0.2)),
        [D.AffineTransform(1.0, 2.0), D.SigmoidTransform(), D.AffineTransform(3.0, -2.0)],
    ),
    "TransformedDistribution event": lambda t, D, p: D.TransformedDistribution(
        D.Normal(p([0.0, 1.0, 2.0], [0.0, 0.5, 1.0]), 1.0), D.StickBreakingTransform()
    ),
    "Uniform": lambda t, D, p: D.Uniform(p(0.0, -1.0), p(1.0, 3.0)),
    "VonMises": lambda t, D, p: D.VonMises(p(0.0, 1.0, 3.0), p(0.5, 2.0, 3.0)),
    "Weibull": lambda t, D, p: D.Weibull(p(1.0, 2.0), p(1.5, 0.8)),
    "Wishart": lambda t, D, p: D.Wishart(p(4.0), p(*SPREAD)),
    "Wishart factor": lambda t, D, p: D.Wishart(p(3.0, 5.0), scale_tril=p(*FACTOR)),
    "Wishart precision": lambda t, D, p: D.Wishart(t.tensor(4.0), precision_matrix=p(*SPREAD)),
}


@dataclass
class Parameters:
    """Makes leaf parameters of one library, and keeps them."""

    t: Any
    grad: bool = True

    def __post_init__(self) -> None:
        self.made: list[Any] = []

    def __call__(self, *values: Any) -> Any:
        plain = values[0] if len(values) == 1 and not isinstance(values[0], list) else list(values)
        tensor = self.t.tensor(plain, requires_grad=self.grad)
        self.made.append(tensor)
        return tensor


def made(t: Any, name: str, grad: bool = True) -> tuple[Any, list[Any]]:
    """The distribution of a row on one library, and its parameters."""
    parameters = Parameters(t, grad)
    return ROWS[name](t, t.distributions, parameters), parameters.made
