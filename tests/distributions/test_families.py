"""Every family against PyTorch's: draws, densities, moments, gradients, shapes, texts."""

import warnings

import numpy as np
import pytest
import torch

import flambeau
from tests.distributions.rows import ROWS, made
from tests.parity.lockstep import error_of, lockstep

every_row = pytest.mark.parametrize("name", ROWS)
MOMENTS = ("mean", "mode", "variance", "stddev")


def moments_of(name):
    """PyTorch's mode of a Kumaraswamy distribution is NaN."""
    return [m for m in MOMENTS if (name, m) != ("Kumaraswamy", "mode")]


def answer(action):
    """What a property or a method gives, or the class of its error."""
    try:
        return action()
    except NotImplementedError as error:
        return "not implemented", str(error).replace("flambeau", "torch")


def gradients(t, result, parameters):
    """The gradients of a weighted sum of `result`."""
    if not result.requires_grad:
        return "none"
    weights = t.linspace(0.5, 1.5, result.numel(), dtype=result.dtype).view(result.shape)
    leaves = [p for p in parameters if p.requires_grad]
    total = (result * weights).sum()
    return t.autograd.grad(total, leaves, allow_unused=True, retain_graph=True)


@every_row
@lockstep(strides=False)
def test_draws(t, name):
    d, _ = made(t, name, grad=False)
    t.manual_seed(3)
    return d.sample(), d.sample((4,)), d.sample(t.Size([2, 2])), t.rand(3)


@every_row
@lockstep(strides=False)
def test_moments_and_entropy(t, name):
    d, parameters = made(t, name)
    found = {m: answer(lambda m=m: getattr(d, m)) for m in moments_of(name)}
    found["entropy"] = entropy = answer(d.entropy)
    if isinstance(entropy, t.Tensor):
        found["perplexity"] = d.perplexity()
        found["slopes"] = gradients(t, entropy, parameters)
    return found


@every_row
@lockstep(strides=False)
def test_densities_and_their_gradients(t, name):
    d, parameters = made(t, name)
    t.manual_seed(5)
    value = d.sample((3,))
    if value.is_floating_point() and not d.support.is_discrete:
        value.requires_grad_()
    log_prob = d.log_prob(value)
    return log_prob, gradients(t, log_prob, [*parameters, value])


@every_row
@lockstep(strides=False)
def test_distribution_functions(t, name):
    d, parameters = made(t, name)
    t.manual_seed(7)
    value = d.sample((2,))
    if name in (
        "Chi2",
        "Gamma",
        "InverseGamma",
    ):  # PyTorch has no derivative of igamma in its first argument
        d, parameters = made(t, name, grad=False)
    cdf = answer(lambda: d.cdf(value))
    levels = t.tensor([0.1, 0.5, 0.9], dtype=value.dtype).view((3,) + (1,) * len(d.batch_shape))
    icdf = answer(lambda: d.icdf(levels))
    slopes = [gradients(t, x, parameters) for x in (cdf, icdf) if isinstance(x, t.Tensor)]
    return cdf, icdf, slopes


def gradients_through_draws(t, name):
    d, parameters = made(t, name)
    t.manual_seed(9)
    draws = answer(lambda: d.rsample((2,)))
    if not isinstance(draws, t.Tensor):
        return draws
    return draws, gradients(t, draws, parameters)


# PyTorch approximates the derivative of gamma and beta variates; ours is exact.
IMPLICIT = ["Beta", "Chi2", "Dirichlet", "FisherSnedecor", "Gamma", "InverseGamma", "StudentT"]
# PyTorch's own backward raises: it wrote to a mask that it had saved.
BROKEN = [name for name in ROWS if name.startswith("Wishart")]
through_draws = {
    None: [name for name in ROWS if name not in (*IMPLICIT, *BROKEN, "LogitRelaxedBernoulli")],
    1e-4: ["LogitRelaxedBernoulli"],  # a sum of terms that nearly cancel
    1e-3: IMPLICIT,
}


@pytest.mark.parametrize("name", through_draws[None])
@lockstep(strides=False)
def test_gradients_through_draws(t, name):
    return gradients_through_draws(t, name)


@pytest.mark.parametrize("name", through_draws[1e-4])
@lockstep(strides=False, relative=1e-4)
def test_gradients_that_nearly_cancel(t, name):
    return gradients_through_draws(t, name)


@pytest.mark.parametrize("name", through_draws[1e-3])
@lockstep(strides=False, relative=1e-3)
def test_implicit_gradients_through_draws(t, name):
    return gradients_through_draws(t, name)


@pytest.mark.parametrize("name", BROKEN)
def test_gradients_through_wishart_draws(name):
    d, parameters = made(flambeau, name)
    with pytest.warns(UserWarning, match="Singular sample"):
        draws = d.rsample((2,))
    assert all((g.isfinite() & (g != 0)).any() for g in gradients(flambeau, draws, parameters))


@every_row
@lockstep
def test_facts(t, name):
    d, _ = made(t, name, grad=False)
    return {
        "batch": tuple(d.batch_shape),
        "event": tuple(d.event_shape),
        "has": (d.has_rsample, d.has_enumerate_support),
        "support": (repr(d.support), d.support.event_dim, d.support.is_discrete),
        "constraints": repr(sorted((k, repr(v)) for k, v in d.arg_constraints.items())),
        "repr": repr(d),
        "parents": [c.__name__ for c in type(d).__mro__ if c.__name__ in t.distributions.__all__],
    }


@every_row
@lockstep(strides=False, relative=1e-4)  # the last row of LKJ's factor is what is left of 1
def test_expand(t, name):
    d, _ = made(t, name, grad=False)
    wide = d.expand(t.Size([2, *d.batch_shape]))
    t.manual_seed(1)
    value = wide.sample((2,))
    facts = (tuple(wide.batch_shape), tuple(wide.event_shape), type(wide).__name__, repr(wide))
    again = wide.expand([3, *wide.batch_shape])
    moments = [answer(lambda m=m: getattr(again, m)) for m in moments_of(name)]
    return facts, value, wide.log_prob(value), tuple(again.batch_shape), moments


@every_row
@lockstep(strides=False)
def test_enumerate_support(t, name):
    d, _ = made(t, name, grad=False)
    return answer(d.enumerate_support), answer(lambda: d.enumerate_support(expand=False))


@every_row
@lockstep
def test_bad_values(t, name):
    d, _ = made(t, name, grad=False)
    shape = (*d.batch_shape, *d.event_shape)
    return [
        error_of(lambda: d.log_prob(1.0)),
        error_of(lambda: d.log_prob(t.full(shape, float("nan")))),
        error_of(lambda: d.log_prob(t.zeros((*shape, 7)))),
        error_of(lambda: d.log_prob(t.zeros((3, *[n + 1 for n in shape])))),
    ]


@every_row
def test_pickled_and_copied(name):
    import copy
    import pickle

    d, _ = made(flambeau, name, grad=False)
    text = repr(d)
    others = (pickle.loads(pickle.dumps(d)), copy.deepcopy(d))
    for other in others:
        assert repr(other) == text
        found = []
        for drawn_from in (d, other):
            flambeau.manual_seed(2)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Wishart's, about singular samples
                found.append(drawn_from.sample((2,)))
        assert (found[0] == found[1]).all()


EXACT = (
    "Bernoulli|Bernoulli logits|Binomial|Binomial counts|Categorical|Exponential|Gamma|Geometric"
    "|Multinomial|NegativeBinomial|Normal|Normal double|OneHotCategorical|Poisson|Uniform|VonMises"
)


@pytest.mark.parametrize("name", EXACT.split("|"))
def test_draws_are_bit_equal(name):
    found = []
    for t in (torch, flambeau):
        d, _ = made(t, name, grad=False)
        t.manual_seed(11)
        found.append(d.sample((50,)).numpy())
    assert np.array_equal(*found)
