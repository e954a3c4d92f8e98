"""Gradient modes, anomaly detection, gradcheck, the functional interface.

Every test is one program run on both libraries, what it returns must agree; where it returns
gradients on their way, their strides are the engine's own affair (`strides=False`).
"""

import pytest

from tests.parity.libraries import subject
from tests.parity.lockstep import error_of, lockstep


def leaf(t, *values, dtype=None):
    return t.tensor(values or (1.0, 2.0, 3.0), dtype=dtype, requires_grad=True)


# --- Modes ---


@lockstep
def test_modes_as_contexts(t):
    x, seen = leaf(t), []

    def look():
        seen.append((t.is_grad_enabled(), (x * 2).requires_grad, t.is_inference_mode_enabled()))

    look()
    with t.no_grad():
        look()
        with t.enable_grad():
            look()
            with t.set_grad_enabled(False):
                look()
        look()
    with t.inference_mode():
        look()
        with t.enable_grad():
            look()
    with t.inference_mode(False):
        look()
    t.set_grad_enabled(False)
    look()
    t.set_grad_enabled(True)
    look()
    return seen


@lockstep
def test_modes_as_decorators(t):
    @t.no_grad()
    def called(x):
        """Doc."""
        return x * 2

    @t.no_grad
    def bare(x):
        return x * 2

    @t.inference_mode()
    def inferred(x):
        return x * 2

    @t.enable_grad()
    def enabled(x):
        return x * 2

    @t.set_grad_enabled(False)
    def disabled(x):
        return x * 2

    x = leaf(t)
    with t.no_grad():
        inner = enabled(x).requires_grad
    return (
        called(x).requires_grad,
        bare(x).requires_grad,
        inferred(x).is_inference(),
        inner,
        disabled(x).requires_grad,
        called.__name__,
        called.__doc__,
        t.is_grad_enabled(),
    )


@lockstep
def test_no_grad_on_a_generator_suspends_at_yield(t):
    x, seen = leaf(t), []

    @t.no_grad()
    def numbers():
        for _ in range(2):
            received = yield (x * 2).requires_grad
            seen.append((received, t.is_grad_enabled()))

    generator = numbers()
    seen.append((next(generator), t.is_grad_enabled()))
    seen.append((generator.send("hello"), t.is_grad_enabled()))
    generator.close()
    return seen, t.is_grad_enabled()


@lockstep
def test_mode_is_restored_after_an_exception(t):
    def fail():
        with t.no_grad():
            raise KeyError("inside")

    return error_of(fail), t.is_grad_enabled()


@lockstep
def test_inference_tensors(t):
    with t.inference_mode():
        x = t.ones(3)
        x.add_(1)
        y = x[1:]
    return (
        x.is_inference(),
        y.is_inference(),
        x.requires_grad,
        (x * 2).is_inference(),
        x.clone().is_inference(),
        error_of(lambda: x._version),
    )


@lockstep
def test_requires_grad_propagates(t):
    x, c = leaf(t), t.ones(3)
    return (
        (c * 2).requires_grad,
        (c * 2).is_leaf,
        (c * x).requires_grad,
        (c * x).is_leaf,
        x.detach().requires_grad,
        x.clone().is_leaf,
        t.zeros_like(x).requires_grad,
        t.ones(2, requires_grad=True).is_leaf,
        x.long().requires_grad,
        t.tensor(x.detach()).requires_grad,
        x.new_zeros(2).requires_grad,
    )


@lockstep
def test_detach_in_place(t):
    x = leaf(t)
    y = x * 2
    y.detach_()
    return y.requires_grad, y.is_leaf, y.grad_fn is None, y.requires_grad_().is_leaf


@lockstep
def test_in_place_makes_a_tensor_require_grad(t):
    x, c = leaf(t), t.ones(3)
    c.mul_(x)
    (c * c).sum().backward()
    return c.requires_grad, c.is_leaf, x.grad, c.grad_fn.name()


@lockstep
def test_zero_grad_by_assignment_and_in_place(t):
    x = leaf(t)
    x.grad = t.full((3,), 5.0)
    x.sum().backward()
    first = x.grad.clone()
    x.grad.zero_()
    x.sum().backward()
    del x.grad
    return first, x.grad is None


# --- Anomaly detection ---


@lockstep(texts=False)
def test_anomaly_mode_finds_the_nan(t):
    x = leaf(t, -1.0, 4.0)

    def fail():
        with t.autograd.detect_anomaly(check_nan=True):
            y = x.sqrt()
            (y * 0).sum().backward()

    kind, text = error_of(fail)
    return kind, text, t.is_anomaly_enabled()


@lockstep
def test_anomaly_mode_as_switch(t):
    seen = [t.is_anomaly_enabled()]
    with t.autograd.set_detect_anomaly(True):
        seen.append(t.is_anomaly_enabled())
    with t.autograd.set_detect_anomaly(False):
        seen.append(t.is_anomaly_enabled())
    return seen


def test_anomaly_mode_names_the_forward_line():
    t = subject().module
    x = t.tensor([-1.0], requires_grad=True)
    with (
        pytest.warns(UserWarning, match=r"(?s)SqrtBackward0.*guilty = x\.sqrt\(\)"),
        pytest.raises(RuntimeError, match="returned nan values in its 0th output"),
        t.autograd.set_detect_anomaly(True),
    ):
        guilty = x.sqrt()
        (guilty * 0).sum().backward()


# --- gradcheck ---


@lockstep
def test_gradcheck_passes_and_fails(t):
    x = t.linspace(0.3, 1, 4, dtype=t.float64).requires_grad_()

    class Wrong(t.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    check = t.autograd.gradcheck
    return (
        check(lambda a: a.sin() * a, (x,)),
        check(Wrong.apply, (x,), raise_exception=False),
        error_of(lambda: check(Wrong.apply, (x,)))[0],
        t.autograd.gradgradcheck(lambda a: a.exp() * a, (x,)),
        check(lambda a: (a.exp(), a.sum()), (x,)),
    )


@lockstep
def test_gradcheck_without_inputs_that_require_grad(t):
    return error_of(lambda: t.autograd.gradcheck(t.sin, (t.ones(2, dtype=t.float64),)))


# --- The functional interface ---


@lockstep
def test_functional_interface(t):
    f = t.autograd.functional
    x, v = t.tensor([1.0, 2.0, 3.0]), t.tensor([1.0, 0.5, 2.0])

    def cube(a):
        return a**3 * a.sum()

    return (
        f.jacobian(cube, x),
        f.hessian(lambda a: (a**3).sum(), x),
        f.vjp(cube, x, v),
        f.jvp(cube, x, v),
        f.hvp(lambda a: (a**3).sum(), x, v),
        f.vhp(lambda a: (a**3).sum(), x, v),
        f.jacobian(lambda a, b: a * b, (x, v)),
    )
