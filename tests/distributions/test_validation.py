"""Refused parameters, switches of validation, user-defined families, helpers."""

import pytest

import flambeau
from tests.parity.lockstep import error_of, lockstep

BAD = {
    "Normal": lambda t, D: D.Normal(t.tensor([0.0, 1.0]), t.tensor([1.0, -1.0])),
    "Normal nan": lambda t, D: D.Normal(float("nan"), 1.0),
    "Normal text": lambda t, D: D.Normal("a", 1.0),
    "Bernoulli both": lambda t, D: D.Bernoulli(0.5, 0.5),
    "Bernoulli none": lambda t, D: D.Bernoulli(),
    "Bernoulli": lambda t, D: D.Bernoulli(1.5),
    "Beta": lambda t, D: D.Beta(-1.0, 2.0),
    "Binomial": lambda t, D: D.Binomial(-1, t.tensor(0.5)),
    "Binomial counts": lambda t, D: D.Binomial(t.tensor([1.0, 2.0]), t.tensor(0.5)).entropy(),
    "Categorical": lambda t, D: D.Categorical(t.tensor([-1.0, 2.0])),
    "Categorical number": lambda t, D: D.Categorical(t.tensor(1.0)),
    "Categorical logits": lambda t, D: D.Categorical(logits=t.tensor(1.0)),
    "ContinuousBernoulli": lambda t, D: D.ContinuousBernoulli(t.tensor(1.5), validate_args=True),
    "Dirichlet": lambda t, D: D.Dirichlet(t.tensor(1.0)),
    "Gamma": lambda t, D: D.Gamma(0.0, 1.0),
    "Geometric": lambda t, D: D.Geometric(t.tensor([0.0, 0.5])),
    "Independent": lambda t, D: D.Independent(D.Normal(0.0, 1.0), 1),
    "LKJCholesky": lambda t, D: D.LKJCholesky(1),
    "LowRank loc": lambda t, D: D.LowRankMultivariateNormal(t.tensor(0.0), t.ones(2, 1), t.ones(2)),
    "LowRank factor": lambda t, D: D.LowRankMultivariateNormal(t.zeros(2), t.ones(2), t.ones(2)),
    "LowRank rows": lambda t, D: D.LowRankMultivariateNormal(t.zeros(2), t.ones(3, 1), t.ones(2)),
    "LowRank diagonal": lambda t, D: D.LowRankMultivariateNormal(
        t.zeros(2), t.ones(2, 1), t.ones(3)
    ),
    "LowRank batch": lambda t, D: D.LowRankMultivariateNormal(
        t.zeros(2, 2), t.ones(3, 2, 1), t.ones(2)
    ),
    "Mixture first": lambda t, D: D.MixtureSameFamily(1, D.Normal(t.zeros(2), 1.0)),
    "Mixture second": lambda t, D: D.MixtureSameFamily(D.Categorical(t.ones(2)), 3),
    "Mixture count": lambda t, D: D.MixtureSameFamily(
        D.Categorical(t.ones(3)), D.Normal(t.zeros(2), 1.0)
    ),
    "Mixture batch": lambda t, D: D.MixtureSameFamily(
        D.Categorical(t.ones(3, 2)), D.Normal(t.zeros(4, 2), 1.0)
    ),
    "Multinomial": lambda t, D: D.Multinomial(t.tensor(3), t.ones(2)),
    "MultivariateNormal loc": lambda t, D: D.MultivariateNormal(t.tensor(0.0), t.eye(2)),
    "MultivariateNormal none": lambda t, D: D.MultivariateNormal(t.zeros(2)),
    "MultivariateNormal both": lambda t, D: D.MultivariateNormal(t.zeros(2), t.eye(2), t.eye(2)),
    "MultivariateNormal flat": lambda t, D: D.MultivariateNormal(t.zeros(2), t.ones(2)),
    "MultivariateNormal factor": lambda t, D: D.MultivariateNormal(
        t.zeros(2), scale_tril=t.ones(2)
    ),
    "MultivariateNormal precision": lambda t, D: D.MultivariateNormal(
        t.zeros(2), precision_matrix=t.ones(2)
    ),
    "MultivariateNormal definite": lambda t, D: D.MultivariateNormal(t.zeros(2), -t.eye(2)),
    "NegativeBinomial": lambda t, D: D.NegativeBinomial(2.0, t.tensor(1.0)),
    "Uniform": lambda t, D: D.Uniform(1.0, 0.0),
    "Wishart": lambda t, D: D.Wishart(t.tensor(0.5), t.eye(2)),
    "Wishart flat": lambda t, D: D.Wishart(t.tensor(3.0), t.ones(2)),
}


@pytest.mark.parametrize("name", BAD)
@lockstep(raises=True)
def test_refused(t, name):
    return BAD[name](t, t.distributions)


@lockstep
def test_switches(t):
    D = t.distributions
    before = error_of(lambda: D.Normal(0.0, -1.0, validate_args=False))
    D.Distribution.set_default_validate_args(False)
    try:
        off = (
            error_of(lambda: D.Normal(0.0, -1.0)),
            error_of(lambda: D.Normal(0.0, -1.0, validate_args=True)),
        )
        unchecked = D.Uniform(0.0, 1.0).log_prob(t.tensor(3.0))
    finally:
        D.Distribution.set_default_validate_args(True)
    kept = D.Normal(0.0, 1.0, validate_args=False).expand([2])
    return (
        before,
        off,
        unchecked,
        kept._validate_args,
        error_of(lambda: D.Distribution.set_default_validate_args(None)),
    )


@lockstep
def test_families_of_the_user(t):
    D = t.distributions

    class Plain(D.Distribution):
        pass

    class Constant(D.Distribution):
        arg_constraints = {}
        support = D.constraints.real

        def __init__(self, value):
            self.value = value
            super().__init__(value.shape)

        def rsample(self, sample_shape=()):
            return self.value.expand(self._extended_shape(sample_shape))

    class Shifted(D.Normal):
        def __init__(self, loc):
            super().__init__(loc, 1.0)

    class Same(D.Normal):
        pass

    value = t.tensor([1.0, 2.0], requires_grad=True)
    constant = Constant(value)
    plain = Plain(validate_args=False)
    return (
        constant.sample((2,)),
        constant.rsample((2,)),
        repr(constant),
        error_of(lambda: constant.expand([3, 2])),
        error_of(lambda: constant.log_prob(value)),
        error_of(lambda: Shifted(0.0).expand([2])),
        repr(Same(0.0, 1.0).expand([2])),
        [error_of(lambda m=m: getattr(plain, m)) for m in ("mean", "mode", "variance", "support")],
        error_of(plain.sample),
        error_of(lambda: plain.cdf(value)),
        error_of(lambda: plain.enumerate_support()),
    )


@lockstep
def test_former_name_of_sample(t):
    t.manual_seed(0)
    return t.distributions.Normal(0.0, 1.0).sample_n(3)


@lockstep
def test_types_of_parameters(t):
    D = t.distributions
    return [
        D.Normal(0, 1).loc,
        D.Normal(t.zeros(2, dtype=t.float64), 1).scale,
        D.Normal(1, t.ones(3, dtype=t.float16)).loc,
        D.Bernoulli(t.tensor([0.2], dtype=t.float64)).logits,
        D.Uniform(0.0, t.tensor([[1.0], [2.0]])).low,
        D.Binomial(3, logits=t.zeros(2, dtype=t.float64)).total_count,
    ]


@lockstep(strides=False)
def test_helpers(t):
    u = t.distributions.utils
    matrix = t.arange(9.0).view(3, 3)
    vectors = [u.tril_matrix_to_vec(matrix, diag) for diag in (-2, -1, 0, 1, 2)]
    back = [u.vec_to_tril_matrix(v, diag) for v, diag in zip(vectors, (-2, -1, 0), strict=False)]
    probs = t.tensor([0.0, 0.3, 1.0])
    return (
        vectors,
        back,
        u.clamp_probs(probs),
        u.probs_to_logits(probs),
        u.probs_to_logits(probs, is_binary=True),
        u.logits_to_probs(probs),
        u.logits_to_probs(probs, is_binary=True),
        u.broadcast_all(1, t.zeros(2, 1), t.ones(3)),
        u.broadcast_all(1, 2.5),
        error_of(lambda: u.broadcast_all("a", 1)),
        error_of(lambda: u.tril_matrix_to_vec(matrix, 3)),
        error_of(lambda: u.vec_to_tril_matrix(t.zeros(4))),
    )


def test_lazy_properties_are_kept_and_carry_gradients():
    probs = flambeau.tensor([0.2, 0.7], requires_grad=True)
    d = flambeau.distributions.Bernoulli(probs)
    with flambeau.no_grad():
        logits = d.logits
    assert d.logits is logits
    assert logits.requires_grad
    assert isinstance(type(d).logits, flambeau.distributions.utils.lazy_property)


def test_compiled_functions_draw_the_same():
    scale = flambeau.ones(2, requires_grad=True)

    @flambeau.compile
    def loss(value):
        normal = flambeau.distributions.Normal(0.0, scale * 1.0)
        return -normal.log_prob(normal.rsample() + value).sum()

    flambeau.manual_seed(0)
    found = [loss(flambeau.zeros(2)).item() for _ in range(3)]
    flambeau.manual_seed(0)
    normal = flambeau.distributions.Normal(flambeau.zeros(2), 1.0)
    expected = [-normal.log_prob(normal.sample()).sum().item() for _ in range(3)]
    assert found == pytest.approx(expected)
