"""Transforms, constraints and their registry against PyTorch's."""

import copy
import pickle

import pytest

import flambeau
from tests.parity.lockstep import error_of, lockstep

# Each row: what makes the transform, and an input.
ROWS = {
    "abs": (lambda t, D: D.AbsTransform(), [-1.0, 2.0]),
    "affine": (lambda t, D: D.AffineTransform(1.0, -2.0), [-1.0, 2.0]),
    "affine tensors": (
        lambda t, D: D.AffineTransform(t.tensor([1.0, 2.0]), t.tensor([3.0, -0.5]), event_dim=1),
        [[-1.0, 2.0], [0.5, 3.0]],
    ),
    "cat": (
        lambda t, D: D.CatTransform([D.ExpTransform(), D.TanhTransform()], lengths=[2, 1]),
        [-1.0, 2.0, 0.3],
    ),
    "cat last": (
        lambda t, D: D.CatTransform([D.ExpTransform(), D.TanhTransform()], dim=-1),
        [[-1.0, 2.0], [0.3, 0.4]],
    ),
    "compose": (
        lambda t, D: D.ComposeTransform([D.AffineTransform(1.0, 0.5), D.StickBreakingTransform()]),
        [-1.0, 2.0],
    ),
    "compose none": (lambda t, D: D.ComposeTransform([]), [-1.0, 2.0]),
    "corr": (lambda t, D: D.CorrCholeskyTransform(), [[-1.0, 0.5, 0.3], [0.2, 0.0, 2.0]]),
    "cumulative": (
        lambda t, D: D.CumulativeDistributionTransform(D.Normal(0.0, 2.0)),
        [-1.0, 2.0],
    ),
    "exp": (lambda t, D: D.ExpTransform(), [-1.0, 2.0]),
    "independent": (lambda t, D: D.IndependentTransform(D.ExpTransform(), 1), [[-1.0, 2.0]]),
    "lower": (lambda t, D: D.LowerCholeskyTransform(), [[-1.0, 2.0], [0.3, 0.5]]),
    "definite": (lambda t, D: D.PositiveDefiniteTransform(), [[-1.0, 2.0], [0.3, 0.5]]),
    "power": (lambda t, D: D.PowerTransform(t.tensor(1.5)), [0.5, 2.0]),
    "reshape": (lambda t, D: D.ReshapeTransform((2, 2), (4,)), [[[-1.0, 2.0], [0.3, 0.5]]]),
    "sigmoid": (lambda t, D: D.SigmoidTransform(), [-1.0, 2.0, 200.0]),
    "softmax": (lambda t, D: D.SoftmaxTransform(), [-1.0, 2.0, 0.0]),
    "softplus": (lambda t, D: D.SoftplusTransform(), [-1.0, 2.0, 30.0]),
    "stack": (
        lambda t, D: D.StackTransform([D.ExpTransform(), D.TanhTransform()], dim=1),
        [[-1.0, 2.0], [0.3, 0.4]],
    ),
    "stick": (lambda t, D: D.StickBreakingTransform(), [[-1.0, 2.0], [0.5, 0.3]]),
    "tanh": (lambda t, D: D.TanhTransform(), [-1.0, 2.0]),
}
every_row = pytest.mark.parametrize("name", ROWS)


def answer(action):
    """What a call gives, or its error."""
    try:
        return action()
    except (NotImplementedError, ValueError) as error:
        return type(error).__name__, str(error)


def made(t, name):
    return ROWS[name][0](t, t.distributions)


@every_row
@lockstep(strides=False)
def test_values_and_jacobians(t, name):
    transform = made(t, name)
    x = t.tensor(ROWS[name][1], requires_grad=True)
    y = transform(x)
    jacobian = answer(lambda: transform.log_abs_det_jacobian(x, y))
    back = transform.inv(y)
    opposite = answer(lambda: transform.inv.log_abs_det_jacobian(y, back))
    total = y.sum() + (jacobian.sum() if isinstance(jacobian, t.Tensor) else 0.0)
    total.backward()
    return y, jacobian, back, opposite, x.grad


@every_row
@lockstep
def test_facts(t, name):
    transform = made(t, name)
    shape = t.Size(t.tensor(ROWS[name][1]).shape)
    facts = [repr(transform.domain), repr(transform.codomain), transform.bijective]
    facts.append(answer(lambda: tuple(transform.forward_shape(shape))))
    facts.append(answer(lambda: tuple(transform.inv.inverse_shape(shape))))
    facts.append(answer(lambda: tuple(transform.inverse_shape(transform.forward_shape(shape)))))
    facts.append(answer(lambda: transform.event_dim))
    facts.append(answer(lambda: transform.sign))
    facts.append(answer(lambda: transform.inv.sign))
    facts.append(transform == made(t, name))
    facts.append(transform.inv == made(t, name).inv)
    return facts, transform.inv.inv is transform, repr(transform), repr(transform.inv)


@every_row
@lockstep
def test_cache(t, name):
    transform = made(t, name)
    if name == "cumulative":
        transform = t.distributions.CumulativeDistributionTransform(
            t.distributions.Normal(0.0, 2.0)
        )
    kept = transform.with_cache(1)
    x = t.tensor(ROWS[name][1])
    y = kept(x)
    return (
        kept(x) is y,
        kept.inv(y) is x,
        kept.with_cache(1) is kept,
        type(kept.with_cache(0)).__name__,
        error_of(lambda: type(transform).__base__(cache_size=2)),
    )


@every_row
def test_copied_and_pickled(name):
    x = flambeau.tensor(ROWS[name][1])
    transform = made(flambeau, name)
    y, kept = transform(x), transform.inv
    for other in (copy.deepcopy(transform), pickle.loads(pickle.dumps(transform))):
        assert (other(x) == y).all()
    assert kept.inv is transform


@lockstep
def test_too_few_axes_and_bad_shapes(t):
    D = t.distributions
    scalar = t.tensor(1.0)
    return [
        error_of(lambda: D.IndependentTransform(D.ExpTransform(), 1)(scalar)),
        error_of(lambda: D.IndependentTransform(D.ExpTransform(), 1).inv(scalar)),
        error_of(lambda: D.ReshapeTransform((2, 2), (3,))),
        error_of(lambda: D.ReshapeTransform((2, 2), (4,)).forward_shape((2,))),
        error_of(lambda: D.ReshapeTransform((2, 2), (4,)).forward_shape(t.Size((2, 3)))),
        error_of(lambda: D.CorrCholeskyTransform().forward_shape((4,))),
        error_of(lambda: D.CorrCholeskyTransform().inverse_shape((4, 3))),
        error_of(lambda: D.CorrCholeskyTransform().inverse_shape((4,))),
        error_of(lambda: D.SoftmaxTransform().forward_shape(())),
        error_of(lambda: D.StickBreakingTransform().inverse_shape(())),
        error_of(lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), 3)),
        error_of(lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), [3])),
        error_of(lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), D.SoftmaxTransform())),
        error_of(lambda: D.Transform().sign),
    ]


CONSTRAINTS = {
    "boolean": lambda c, t: c.boolean,
    "cat": lambda c, t: c.cat([c.positive, c.real], dim=-1, lengths=[1, 1]),
    "corr_cholesky": lambda c, t: c.corr_cholesky,
    "greater_than": lambda c, t: c.greater_than(0.5),
    "greater_than_eq": lambda c, t: c.greater_than_eq(t.tensor([0.0, 1.0])),
    "half_open_interval": lambda c, t: c.half_open_interval(0.0, 1.0),
    "independent": lambda c, t: c.independent(c.positive, 1),
    "integer_interval": lambda c, t: c.integer_interval(0, 2),
    "interval": lambda c, t: c.interval(-1.0, 2.0),
    "less_than": lambda c, t: c.less_than(0.5),
    "lower_cholesky": lambda c, t: c.lower_cholesky,
    "lower_triangular": lambda c, t: c.lower_triangular,
    "multinomial": lambda c, t: c.multinomial(2),
    "nonnegative": lambda c, t: c.nonnegative,
    "nonnegative_integer": lambda c, t: c.nonnegative_integer,
    "one_hot": lambda c, t: c.one_hot,
    "positive": lambda c, t: c.positive,
    "positive_definite": lambda c, t: c.positive_definite,
    "positive_integer": lambda c, t: c.positive_integer,
    "positive_semidefinite": lambda c, t: c.positive_semidefinite,
    "real": lambda c, t: c.real,
    "real_vector": lambda c, t: c.real_vector,
    "simplex": lambda c, t: c.simplex,
    "square": lambda c, t: c.square,
    "stack": lambda c, t: c.stack([c.positive, c.real], dim=-1),
    "symmetric": lambda c, t: c.symmetric,
    "unit_interval": lambda c, t: c.unit_interval,
    "mixture": lambda c, t: c.MixtureSameFamilyConstraint(c.simplex),
}
VALUES = (
    [[1.0, 0.0], [0.0, 1.0]],
    [[1.0, 0.5], [0.5, 1.0]],
    [[1.0, 0.0], [0.6, 0.8]],
    [[0.4, 0.6], [-1.0, 2.0]],
    [[1.0, 2.0], [2.0, 4.0]],
    [[float("nan"), 0.0], [0.5, float("inf")]],
)


@pytest.mark.parametrize("name", CONSTRAINTS)
@lockstep(strides=False)
def test_constraints(t, name):
    c = t.distributions.constraints
    constraint = CONSTRAINTS[name](c, t)
    found = [constraint.check(t.tensor(value)) for value in VALUES[: 5 if "semi" in name else 6]]
    facts = (
        repr(constraint),
        constraint.is_discrete,
        constraint.event_dim,
        c.is_dependent(constraint),
    )
    return found, facts


@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
@pytest.mark.parametrize("name", CONSTRAINTS)
@lockstep(strides=False)
def test_registry(t, name, registry):
    constraint = CONSTRAINTS[name](t.distributions.constraints, t)

    def reached():
        transform = getattr(t.distributions, registry)(constraint)
        count = 3 if name == "corr_cholesky" else 2
        shape = (count, count) if transform.domain.event_dim == 2 else (count,)
        value = t.linspace(-1.0, 1.5, t.Size(shape).numel()).view(shape)
        return repr(transform), transform(value), constraint.check(transform(value))

    return answer(reached)


@lockstep
def test_dependent_constraints(t):
    c = t.distributions.constraints
    named = c.dependent(is_discrete=True, event_dim=1)
    uniform = t.distributions.Uniform
    return [
        repr(c.dependent),
        c.is_dependent(c.dependent),
        (named.is_discrete, named.event_dim),
        error_of(lambda: c.dependent.is_discrete),
        error_of(lambda: c.dependent.event_dim),
        error_of(lambda: c.dependent.check(t.zeros(2))),
        c.is_dependent(uniform.support),
        (uniform.support.event_dim, uniform.support.is_discrete),
        repr(uniform(0.0, 1.0).support),
        error_of(lambda: c.independent(c.real, 2).check(t.zeros(2))),
        error_of(lambda: c.Constraint().check(t.zeros(2))),
    ]


@lockstep
def test_registering(t):
    D = t.distributions
    registry = D.constraint_registry.ConstraintRegistry()

    @registry.register(D.constraints.positive)
    def factory(constraint):
        return D.ExpTransform()

    return (
        repr(registry(D.constraints.greater_than(3.0))),
        error_of(lambda: registry.register(3, factory)),
        error_of(lambda: registry(D.constraints.real)),
    )
