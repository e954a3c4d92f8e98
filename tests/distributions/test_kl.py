"""kl_divergence for every pair of classes that PyTorch knows, and how a function is found."""

import warnings

import pytest
import torch

from tests.distributions.rows import Parameters
from tests.parity.lockstep import error_of, lockstep

# Two distributions of each class: p's parameters, q's parameters.
PAIRS = {
    "Bernoulli": (((0.2, 1.0),), ((0.4, 0.7),)),
    "Beta": (((0.5, 2.0), (1.5, 3.0)), ((1.5, 0.7), (2.0, 1.0))),
    "Binomial": (None, None),
    "Categorical": ((([0.2, 0.3, 0.5], [0.0, 0.4, 0.6]),), (([0.3, 0.3, 0.4], [0.5, 0.0, 0.5]),)),
    "Cauchy": (((0.0, 1.0), (0.5, 2.0)), ((1.0, 1.5), (2.0, 0.7))),
    "ContinuousBernoulli": (((0.1, 0.85),), ((0.4, 0.9),)),
    "Dirichlet": ((([0.5, 1.5, 3.0], [2.0, 1.0, 4.0]),), (([1.5, 1.0, 2.0], [0.2, 1.0, 3.0]),)),
    "Exponential": (((0.5, 2.0),), ((1.5, 0.7),)),
    "Gamma": (((0.5, 2.0), (1.0, 0.5)), ((1.5, 0.7), (2.0, 3.0))),
    "Geometric": (((0.2, 0.5),), ((0.4, 0.7),)),
    "Gumbel": (((0.0, 1.0), (0.5, 2.0)), ((1.0, 1.5), (2.0, 0.7))),
    "HalfNormal": (((0.5, 2.0),), ((1.5, 0.7),)),
    "Laplace": (((0.0, 1.0), (0.5, 2.0)), ((1.0, 1.5), (2.0, 0.7))),
    "LowRankMultivariateNormal": (
        ((0.0, 1.0), ([1.0], [0.5]), (1.0, 0.5)),
        ((1.0, -1.0), ([0.3], [0.7]), (0.4, 0.9)),
    ),
    "MultivariateNormal": (
        ((0.0, 1.0), ([2.0, 0.3], [0.3, 1.0])),
        ((1.0, -1.0), ([1.5, -0.2], [-0.2, 0.7])),
    ),
    "Normal": (((0.0, 1.0), (0.5, 2.0)), ((1.0, 1.5), (2.0, 0.7))),
    "OneHotCategorical": ((([0.2, 0.3, 0.5],),), (([0.3, 0.3, 0.4],),)),
    "Pareto": (((1.0, 0.5), (3.0, 1.5)), ((0.7, 0.6), (2.0, 2.5))),
    "Poisson": (((0.5, 3.0),), ((1.5, 2.0),)),
    "Uniform": (((0.2, 0.5), (0.8, 0.9)), ((0.0, 0.6), (1.0, 2.0))),
}
KEYS = [
    (p.__name__, q.__name__)
    for p, q in torch.distributions.kl._KL_REGISTRY
    if p.__name__ in PAIRS and q.__name__ in PAIRS
]


def build(t, name, side, parameters):
    if name == "Binomial":
        return t.distributions.Binomial(6 - side, parameters(0.3, 0.6 + 0.1 * side))
    return getattr(t.distributions, name)(*(parameters(*values) for values in PAIRS[name][side]))


@pytest.mark.parametrize("pair", KEYS, ids="-".join)
@lockstep(strides=False)
def test_divergence_and_its_gradients(t, pair):
    parameters = Parameters(t)
    p, q = (build(t, name, side, parameters) for side, name in enumerate(pair))
    if pair == ("Binomial", "Binomial"):
        q = build(t, "Binomial", 0, Parameters(t))
    result = t.distributions.kl_divergence(p, q)
    if not result.requires_grad or not result.isfinite().all():
        return (result,)
    weights = t.linspace(0.5, 1.5, result.numel()).view(result.shape)
    slopes = t.autograd.grad((result * weights).sum(), parameters.made, allow_unused=True)
    return result, slopes


@pytest.mark.parametrize("low,high", [(0.0, 1.0), (-1.0, 2.0), (0.2, 0.7)])
@lockstep
def test_supports_that_end(t, low, high):
    D = t.distributions
    uniform = D.Uniform(low, high)
    pairs = [
        (D.Beta(2.0, 3.0), uniform),
        (D.ContinuousBernoulli(t.tensor(0.3)), uniform),
        (uniform, D.Beta(2.0, 3.0)),
        (uniform, D.ContinuousBernoulli(t.tensor(0.3))),
        (uniform, D.Exponential(2.0)),
        (uniform, D.Gamma(2.0, 3.0)),
        (uniform, D.Pareto(0.1, 3.0)),
        (D.Uniform(0.1, 0.9), uniform),
    ]
    return [D.kl_divergence(p, q) for p, q in pairs]


@lockstep
def test_impossible_and_certain_values(t):
    D = t.distributions
    p, q = D.Bernoulli(t.tensor([0.0, 1.0, 0.5, 0.5])), D.Bernoulli(t.tensor([0.5, 0.5, 0.0, 1.0]))
    return D.kl_divergence(p, q), D.kl_divergence(q, p)


@lockstep
def test_binomials_of_other_counts(t):
    D = t.distributions
    few, many = D.Binomial(3, t.tensor(0.3)), D.Binomial(5, t.tensor(0.3))
    return D.kl_divergence(many, few), error_of(lambda: D.kl_divergence(few, many))


@lockstep
def test_made_of_other_distributions(t):
    D = t.distributions
    p, q = (D.Normal(t.tensor([[0.0, 1.0]]), s) for s in (1.0, 2.0))
    logs = [D.LogNormal(0.0, s) for s in (1.0, 2.0)]
    other = D.TransformedDistribution(D.Normal(0.0, 1.0), D.AffineTransform(1.0, 2.0))
    return (
        D.kl_divergence(D.Independent(p, 1), D.Independent(q, 1)),
        D.kl_divergence(*logs),
        error_of(lambda: D.kl_divergence(D.Independent(p, 1), D.Independent(q, 2))),
        error_of(lambda: D.kl_divergence(logs[0], other)),
        error_of(lambda: D.kl_divergence(p, D.Cauchy(0.0, 1.0))),
        error_of(lambda: D.kl_divergence(D.Chi2(t.tensor(2.0)), p)),
        D.kl_divergence(D.Chi2(t.tensor(2.0)), D.Gamma(1.0, 3.0)),
    )


@lockstep
def test_wishart_by_the_exponential_family(t):
    D = t.distributions
    p = D.Wishart(t.tensor(4.0), t.tensor([[2.0, 0.3], [0.3, 1.0]]))
    q = D.Wishart(t.tensor(5.0), t.eye(2))
    return error_of(lambda: D.kl_divergence(p, p)), error_of(lambda: D.kl_divergence(p, q))


@lockstep
def test_normals_of_other_sizes(t):
    D = t.distributions
    a = D.MultivariateNormal(t.zeros(2), t.eye(2))
    b = D.MultivariateNormal(t.zeros(3), t.eye(3))
    c = D.LowRankMultivariateNormal(t.zeros(3), t.ones(3, 1), t.ones(3))
    return [error_of(lambda p=p, q=q: D.kl_divergence(p, q)) for p, q in ((a, b), (a, c), (c, a))]


@lockstep
def test_registering(t):
    D = t.distributions

    class Mine(D.Normal):
        pass

    class Yours(Mine):
        pass

    before = D.kl_divergence(Mine(0.0, 1.0), Yours(1.0, 2.0))

    @D.register_kl(Mine, D.Normal)
    def left(p, q):
        return "left"

    @D.register_kl(D.Normal, Mine)
    def right(p, q):
        return "right"

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ambiguous = D.kl_divergence(Yours(0.0, 1.0), Yours(0.0, 1.0))
    return (
        before,
        ambiguous,
        [(w.category.__name__, str(w.message)) for w in caught],
        D.kl_divergence(Yours(0.0, 1.0), D.Normal(0.0, 1.0)),
    )
