"""`torch.autograd.functional` and the small names of `torch.autograd` against the oracle."""

import re
import warnings

import numpy as np
import pytest
import torch

import flambeau

# Evaluated with `t` as either library, `F` its autograd.functional, `x` a 2 x 3 tensor, `g` one
# that requires grad, `f` a function that squares.
CASES = """
F.vjp(f, x, v=t.ones(2,3))
F.vjp(lambda a: a.sum(), x)
F.vjp(f, x)
F.vjp(f, (x,), (t.ones(2,3),))
F.vjp(lambda a: (a, a*2), x, (t.ones(2,3), t.ones(2,3)))
F.vjp(f, x, t.ones(3))
F.vjp(f, x, (t.ones(2,3), t.ones(2,3)))
F.vjp(lambda a: (a, a*2), x, t.ones(2,3))
F.vjp(lambda a: 1, x, t.ones(2,3))
F.vjp(lambda a: (a, 1), x, (t.ones(2,3), t.ones(2,3)))
F.vjp(f, 1, t.ones(2,3))
F.vjp(f, (x, 1), t.ones(2,3))
F.vjp(f, [x], t.ones(2,3))
F.vjp(lambda a, b: a*b, (x, x), t.ones(2,3))
F.vjp(lambda a, b: a, (x, x), t.ones(2,3))
F.vjp(lambda a, b: a, (x, x), t.ones(2,3), strict=True)
F.vjp(lambda a: a.detach(), x, t.ones(2,3), strict=True)
F.vjp(lambda a: t.ones(2,3), x, t.ones(2,3), strict=True)
F.vjp(lambda a: t.ones(2,3), x, t.ones(2,3))
F.vjp(lambda a: a*2, x, t.ones(2,3), create_graph=True, strict=True)
F.vjp(lambda a: a.detach()*2, x, t.ones(2,3), create_graph=True)
F.vjp(f, g, t.ones(2), create_graph=True)
F.vjp(f, g, t.ones(2))
F.jvp(f, x, t.ones(2,3))
F.jvp(lambda a: a.sum(), x, t.ones(2,3))
F.jvp(f, t.tensor(2.))
F.jvp(f, x)
F.jvp(f, t.ones(1))
F.jvp(f, (t.ones(1),t.ones(1)))
F.jvp(lambda a, b: a*b, (x, x), (x, x))
F.jvp(lambda a: (a*a, a.sum()), x, x)
F.jvp(f, x, t.ones(3))
F.jvp(lambda a: a.detach(), x, x, strict=True)
F.jvp(lambda a: a*2, x, x, create_graph=True, strict=True)
F.jvp(lambda a: a*2, x, x, create_graph=True)
F.jvp(lambda a: a*a, g, g.detach(), create_graph=True)
F.jvp(lambda a: (a*a, t.ones(2)), g, g.detach())
F.jvp(lambda a: (a*a, t.ones(2)), g, g.detach(), strict=True)
F.jacobian(f, x)
F.jacobian(lambda a: a.sum(), x)
F.jacobian(lambda a: (a.sum(), a*2), t.ones(2))
F.jacobian(lambda a, b: a*b, (t.ones(2), t.ones(2)))
F.jacobian(lambda a, b: (a*b, a.sum()), (t.ones(2), t.ones(2)))
F.jacobian(lambda a: a*a, t.ones(2), create_graph=True)
F.jacobian(lambda a: a*a, g, create_graph=True)
F.jacobian(lambda a: a*2, t.ones(2), create_graph=True, strict=True)
F.jacobian(lambda a: t.ones(2), t.ones(3))
F.jacobian(lambda a: t.ones(2), t.ones(3), strict=True)
F.jacobian(lambda a: a.detach(), t.ones(3), strict=True)
F.jacobian(lambda a, b: a, (t.ones(2), t.ones(2)), strict=True)
F.jacobian(lambda a, b: a, (t.ones(2), t.ones(2)))
F.jacobian(f, x, strategy='forward-mode')
F.jacobian(f, x, strategy='forward-mode', vectorize=True)
F.jacobian(f, x, strategy='foo')
F.jacobian(f, x, vectorize=True)
F.jacobian(f, x, vectorize=True, strict=True)
F.jacobian(f, x, vectorize=True, create_graph=True)
F.jacobian(f, x, strategy='forward-mode', vectorize=True, create_graph=True)
F.jacobian(f, 1)
F.jacobian(lambda a: 1, x)
F.jacobian(lambda a: a.long(), t.ones(2))
F.jacobian(lambda a: a, t.ones(0))
F.hessian(lambda a: (a**3).sum(), t.ones(2))
F.hessian(lambda a: a**3, t.ones(2))
F.hessian(lambda a: (a**3).sum().reshape(1), t.ones(2))
F.hessian(lambda a: (a.sum(), a.sum()), t.ones(2))
F.hessian(lambda a: 1, t.ones(2))
F.hessian(lambda a, b: (a*b).sum(), (t.ones(2), t.ones(2)))
F.hessian(lambda a: a.sum(), t.ones(2))
F.hessian(lambda a: a.sum(), t.ones(2), strict=True)
F.hessian(lambda a: (a**2).sum(), t.ones(2), strict=True)
F.hessian(lambda a: (a**3).sum(), t.ones(2), create_graph=True)
F.hessian(lambda a: (a**3).sum(), t.ones(2), vectorize=True)
F.hessian(lambda a: (a**3).sum(), t.ones(2), outer_jacobian_strategy='forward-mode')
F.hessian(lambda a: (a**3).sum(), t.ones(2), outer_jacobian_strategy='x')
F.hvp(lambda a: (a**3).sum(), t.ones(2), t.ones(2))
F.hvp(lambda a: (a**3).sum(), t.ones(2))
F.hvp(lambda a: (a**3).sum(), t.ones(1))
F.hvp(lambda a: (a**3).sum(), t.ones(2), t.ones(3))
F.hvp(lambda a: a**3, t.ones(2), t.ones(2))
F.hvp(lambda a: (a.sum(), a.sum()), t.ones(2), t.ones(2))
F.hvp(lambda a: a.sum(), t.ones(2), t.ones(2))
F.hvp(lambda a: a.sum(), t.ones(2), t.ones(2), strict=True)
F.hvp(lambda a: (a**3).sum(), t.ones(2), t.ones(2), strict=True, create_graph=True)
F.hvp(lambda a: (a**3).sum(), t.ones(2), t.ones(2), create_graph=True)
F.hvp(lambda a: (a**3).sum(), g, t.ones(2), create_graph=True)
F.hvp(lambda a, b: (a*b*b).sum(), (t.ones(2), t.ones(2)), (t.ones(2), t.ones(2)))
F.vhp(lambda a: (a**3).sum(), t.ones(2), t.ones(2))
F.vhp(lambda a: (a**3).sum(), t.ones(2))
F.vhp(lambda a: (a**3).sum(), t.ones(1))
F.vhp(lambda a: a**3, t.ones(2), t.ones(2))
F.vhp(lambda a: (a.sum(), a.sum()), t.ones(2), t.ones(2))
F.vhp(lambda a: a.sum(), t.ones(2), t.ones(2))
F.vhp(lambda a: a.sum(), t.ones(2), t.ones(2), strict=True)
F.vhp(lambda a: (a**3).sum(), t.ones(2), t.ones(2), strict=True, create_graph=True)
F.vhp(lambda a: (a**3).sum(), g, t.ones(2), create_graph=True)
F.vhp(lambda a, b: (a*b*b).sum(), (t.ones(2), t.ones(2)), (t.ones(2), t.ones(2)))
F.vhp(lambda a, b: (a*b*b).sum(), (t.ones(2), t.ones(2)), (t.ones(2), t.ones(3)))
F.vhp(lambda a, b: (a*b*b).sum(), (t.ones(2), t.ones(2)), t.ones(2))
F.vhp(lambda a, b: (a*a).sum(), (t.ones(2), t.ones(2)), (t.ones(2), t.ones(2)))
F.vhp(lambda a, b: (a*a).sum(), (t.ones(2), t.ones(2)), (t.ones(2), t.ones(2)), strict=True)
F.vhp(lambda a: t.ones(()), t.ones(2), t.ones(2), strict=True)
F.hvp(lambda a: t.ones(()), t.ones(2), t.ones(2), strict=True)
F.hvp(lambda a: t.ones(()), t.ones(2), t.ones(2))
F.vhp(lambda a: t.ones(()), t.ones(2), t.ones(2))
F.hessian(lambda a: t.ones(()), t.ones(2), strict=True)
F.hessian(lambda a: t.ones(()), t.ones(2))
F.vjp(f, x, v=t.ones(2,3), create_graph=True)
F.vjp(lambda a: a.sum(), x, t.ones(1))
F.vjp(lambda a: a.sum().reshape(1), x)
F.vjp(lambda a: (a.sum(),), x)
F.vjp(lambda a: (a.sum(), a.sum()), x)
F.jacobian(lambda a: a*1j, t.ones(2, dtype=t.complex64))
F.jacobian(f, x.double())
F.vjp(f, x, t.ones(2,3,dtype=t.float64))
F.jvp(lambda a: t.ones(2) * 2, t.ones(2), t.ones(2), strict=True)
F.jvp(lambda a, b: a * 2, (x, x), (x, x), strict=True)
F.jvp(lambda a, b: a * 2, (x, x), (x, x))
F.hvp(lambda a, b: (a * a).sum(), (x, x), (x, x), strict=True)
F.hvp(lambda a, b: (a * a).sum() + b.sum(), (x, x), (x, x), strict=True)
F.hvp(lambda a, b: (a * a).sum(), (x, x), (x, x))
F.vhp(lambda a: (a.detach() * a).sum(), t.ones(2), t.ones(2))
F.hvp(lambda a: (a.detach() * a).sum(), t.ones(2), t.ones(2))
F.hessian(lambda a: (a.detach() * a).sum(), t.ones(2))
F.hessian(lambda a, b: (a * a).sum(), (t.ones(2), t.ones(2)), strict=True)
F.hessian(lambda a, b: (a * a).sum() + (b * b).sum(), (t.ones(2), t.ones(2)), strict=True)
F.hessian(lambda a, b: (a * a).sum() + (b * b).sum(), (t.ones(2), t.ones(2)))
F.jacobian(lambda a: a.exp(), t.zeros(3))
F.vjp(f, x, 3)
F.jvp(f, x, 3)
F.vjp(f, x, [t.ones(2, 3)])
F.jacobian(lambda a: a.sum(), g, create_graph=True, strict=True)
""".strip().splitlines()

NODE = re.compile(r"grad_fn=<\w+>")


def outcome(library, case):
    names = {"t": library, "F": library.autograd.functional, "f": lambda v: v * v}
    names |= {"x": library.arange(6.0).reshape(2, 3), "g": library.ones(2, requires_grad=True)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = repr(eval(case, names))
        except Exception as error:
            text = str(error).replace("flambeau.core.tensor", "torch")
            return type(error).__name__, text
    # Which operation a recorded result ends with depends on how the derivatives are made.
    return NODE.sub("grad_fn", result)


@pytest.mark.parametrize("case", CASES)
def test_against_the_oracle(case):
    assert outcome(flambeau, case) == outcome(torch, case)


def test_graphs_lead_to_the_inputs():
    """Third derivatives through recorded Hessians."""
    found = []
    for t in (flambeau, torch):
        x = t.tensor([1.0, 2.0], requires_grad=True)
        h = t.autograd.functional.hessian(lambda v: (v**4).sum(), x, create_graph=True)
        h.sum().backward()
        j = t.autograd.functional.jacobian(lambda v: v**3, x, create_graph=True)
        (g,) = t.autograd.grad(j.sum(), x)
        _, p = t.autograd.functional.hvp(lambda v: (v**4).sum(), x, t.ones(2), create_graph=True)
        (q,) = t.autograd.grad(p.sum(), x)
        found.append([v.detach().numpy() for v in (x.grad, g, q)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


NAMES = """
t.autograd.variable(3)
t.autograd.Variable(3)
t.autograd.Variable([1.0, 2.0])
t.autograd.Variable(x), t.autograd.Variable(x) is x, t.autograd.Variable(x, requires_grad=True)
t.autograd.Variable(g).requires_grad, t.autograd.Variable(g * 2).grad_fn
t.autograd.Variable(x).data_ptr() == x.data_ptr(), t.autograd.Variable()
t.autograd.Variable(x, True)
isinstance(x, t.autograd.Variable), isinstance(1, t.autograd.Variable)
t.autograd.variable.Variable is t.autograd.Variable
t.autograd.grad_mode.no_grad is t.no_grad, t.autograd.inference_mode is t.inference_mode
t.autograd.anomaly_mode.detect_anomaly is t.autograd.detect_anomaly
t.autograd.set_multithreading_enabled(False).__enter__()
t.autograd.set_multithreading_enabled(True).mode
t.autograd.set_multithreading_enabled(3)
t.autograd.enforce_grad_layout_policy(False).__enter__()
t.autograd.enforce_grad_layout_policy(True).__enter__()
t.autograd.set_multithreading_enabled(True)(len)([1])
t.autograd.enforce_grad_layout_policy()(len)([1])
t.autograd.function.FunctionCtx().save_for_backward(x)
t.autograd.function.FunctionCtx().mark_dirty(x)
t.autograd.function.FunctionCtx().save_for_forward(3)
t.autograd.function.FunctionCtx().set_materialize_grads(False)
[n for n in dir(t.autograd.function.FunctionCtx) if not n.startswith('_')]
type(t.autograd.Function) is t.autograd.function.FunctionMeta
issubclass(t.autograd.Function, t.autograd.function.FunctionCtx)
issubclass(t.autograd.function.BackwardCFunction, t.autograd.function.FunctionCtx)
issubclass(t.autograd.function.InplaceFunction, t.autograd.Function)
t.autograd.function.InplaceFunction(True).inplace
t.autograd.NestedIOFunction is t.autograd.function.NestedIOFunction
t.autograd.graph.region_activation_memory_budget(0.5).__enter__()
t.autograd.graph.region_activation_memory_budget(2).__enter__()
t.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(True)
t.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(3)
t.autograd.graph.set_override_stale_capture_stream(False)
t.autograd.forward_ad.unpack_dual(x)
t.autograd.forward_ad.exit_dual_level()
""".strip().splitlines()


@pytest.mark.parametrize("case", NAMES)
def test_names(case):
    assert outcome(flambeau, case) == outcome(torch, case)


def test_volatile_warns():
    with pytest.warns(UserWarning, match="volatile was removed"):
        flambeau.autograd.Variable(flambeau.ones(1), volatile=True)


def mutated(t, backward_inside, mutate):
    with t.autograd.graph.allow_mutation_on_saved_tensors():
        a = t.ones(3, requires_grad=True)
        b = a.exp()
        y = (b * b).sum()
        mutate(b)
        if backward_inside:
            y.backward()
    if not backward_inside:
        y.backward()
    return a.grad.tolist()


@pytest.mark.parametrize(
    "mutate",
    [lambda b: b, lambda b: b.mul_(2), lambda b: b.detach().zero_(), lambda b: b[0].sin_()],
)
def test_mutation_of_saved_tensors(mutate):
    found = [mutated(t, True, mutate) for t in (flambeau, torch)]
    np.testing.assert_allclose(*found, rtol=1e-5)
    for t in (flambeau, torch):
        with pytest.raises(AssertionError, match="Trying to backward outside of the"):
            mutated(t, False, mutate)


def test_mutation_keeps_second_derivatives_and_custom_functions():
    class Square(flambeau.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return 2 * x * gradient

    a = flambeau.ones(2, requires_grad=True)
    with flambeau.autograd.graph.allow_mutation_on_saved_tensors():
        b = a * 3
        y = Square.apply(b).sum()
        b.zero_()
        (first,) = flambeau.autograd.grad(y, a, create_graph=True)
        (second,) = flambeau.autograd.grad(first.sum(), a)
    assert first.tolist() == [18, 18] and second.tolist() == [18, 18]


def test_mutation_contexts_do_not_nest():
    allow = flambeau.autograd.graph.allow_mutation_on_saved_tensors
    with allow(), pytest.raises(RuntimeError, match="cannot be nested"), allow():
        pass


def test_no_grad_around_does_not_matter():
    with flambeau.no_grad():
        found = flambeau.autograd.functional.jacobian(lambda v: v * v, flambeau.ones(2))
    assert found.tolist() == [[2, 0], [0, 2]]
