"""Custom functions inside transformed functions, and dual numbers, against the oracle."""

import pytest

import flambeau
from tests.parity.compare import differences, run
from tests.parity.libraries import ORACLE, subject


def square(t, **members):
    """A square whose derivatives are recognisably the user's: 3x backward, 5x forward."""

    def forward(x):
        return x * x

    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    def backward(ctx, g):
        return 3 * ctx.saved_tensors[0] * g

    def jvp(ctx, tangent):
        return 5 * ctx.saved_tensors[0] * tangent

    found = {"forward": forward, "setup_context": setup_context, "backward": backward, "jvp": jvp}
    found = {k: staticmethod(v) for k, v in (found | members).items() if callable(v)}
    plain = {k: v for k, v in members.items() if not callable(v)}
    return type("Square", (t.autograd.Function,), found | plain)


def product(t, **members):
    """x * y + n, with the gradients 2y and 7x."""

    def forward(x, y, n):
        return x * y + n

    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:2])
        ctx.n = inputs[2]

    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return 2 * y * g if ctx.needs_input_grad[0] else None, 7 * x * g, None

    found = {"forward": forward, "setup_context": setup_context, "backward": backward}
    found = {k: staticmethod(v) for k, v in found.items()}
    return type("Product", (t.autograd.Function,), found | members)


def pair(t):
    """Two results, of which the second has no gradient."""

    def forward(x):
        return x * 2, (x > 0).float()

    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])

    def backward(ctx, g, _):
        return g * 4

    found = {"forward": forward, "setup_context": setup_context, "backward": backward}
    found = {k: staticmethod(v) for k, v in found.items()}
    return type("Pair", (t.autograd.Function,), found | {"generate_vmap_rule": True})


def by_hand(t, result):
    """`square` with a `vmap` of its own."""
    made = square(t)

    def vmap(info, in_dims, x):
        return result(t, made, info, in_dims, x)

    made.vmap = staticmethod(vmap)
    return made


def old_style(t):
    class Old(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_forward(x)
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return ctx.saved_tensors[0] * g

        @staticmethod
        def jvp(ctx, tangent):
            return ctx.saved_tensors[0] * tangent

    return Old


def dual(t, function, x, v):
    with t.autograd.forward_ad.dual_level():
        made = t.autograd.forward_ad.make_dual(x, v)
        return tuple(t.autograd.forward_ad.unpack_dual(function(made)))


# Evaluated with `t` as either library, `F` its func module, `D` its forward_ad, `v`, `w`, `x`
# tensors of 2, 2 and 3 x 2 elements, `g` one of 2 that requires grad.
FUNCTIONS = """
F.grad(lambda a: square(t).apply(a).sum())(v)
F.grad(lambda a: F.grad(lambda b: square(t).apply(b).sum())(a).sum())(v)
F.vjp(square(t).apply, v)[1](w)
F.jvp(square(t).apply, (v,), (w,))
F.jvp(square(t, jvp=None).apply, (v,), (w,))
F.jacrev(square(t, generate_vmap_rule=True).apply)(v)
F.jacfwd(square(t, generate_vmap_rule=True).apply)(v)
F.vmap(square(t).apply)(x)
F.vmap(square(t, generate_vmap_rule=True).apply)(x)
F.vmap(F.grad(lambda a: square(t, generate_vmap_rule=True).apply(a).sum()))(x)
F.grad(lambda a: F.vmap(square(t, generate_vmap_rule=True).apply)(a).sum())(x)
F.vmap(F.vmap(square(t, generate_vmap_rule=True).apply))(x)
F.vmap(lambda a: F.jvp(square(t, generate_vmap_rule=True).apply, (a,), (a,)))(x)
F.vmap(P.apply, (0, None, None))(x, v, 2)
F.vmap(P.apply, (None, 0, None))(v, x, 2)
F.grad(lambda b: F.vmap(P.apply, (0, None, None))(x, b, 2).sum())(v)
F.vmap(F.grad(lambda a, b: P.apply(a, b, 1).sum(), (0, 1)), (0, None))(x, v)
t.autograd.grad(F.vmap(P.apply, (0, None, None))(x, g, 2).sum(), g)
F.vmap(pair(t).apply)(x)
F.vmap(F.grad(lambda a: sum(r.sum() for r in pair(t).apply(a))))(x)
F.vmap(by_hand(t, lambda t, f, info, dims, a: (f.apply(a) + info.batch_size, 0)).apply)(x)
F.vmap(by_hand(t, lambda t, f, info, dims, a: (f.apply(a), dims[0])).apply, in_dims=1)(x)
F.vmap(by_hand(t, lambda t, f, info, dims, a: (f.apply(a).t(), 1)).apply)(x)
F.vmap(by_hand(t, lambda t, f, info, dims, a: (a.sum(0), None)).apply, out_dims=None)(x)
F.vmap(by_hand(t, lambda t, f, info, dims, a: a).apply)(x)
F.vmap(F.grad(lambda a: by_hand(t, lambda t, f, info, dims, a: (f.apply(a), 0)).apply(a).sum()))(x)
F.vmap(square(t, vmap=lambda info, dims, a: (a, 0), generate_vmap_rule=True).apply)(x)
F.grad(lambda a: old_style(t).apply(a).sum())(v)
F.vmap(old_style(t).apply)(x)
F.vmap(lambda a: a * old_style(t).apply(v))(x)
dual(t, old_style(t).apply, v, w)
dual(t, square(t).apply, v, w)
""".strip().splitlines()

DUALS = """
dual(t, lambda a: a * a, v, w)
dual(t, lambda a: (a * g).sum(), v, w)
dual(t, lambda a: v * 2, v, w)
dual(t, lambda a: a.detach(), v, w)
dual(t, lambda a: t.zeros(2).copy_(a), v, w)
dual(t, lambda a: v.clone().mul_(a), v, w)
dual(t, lambda a: a[0], v, w)
dual(t, lambda a: a.view(1, 2).t(), v, w)
dual(t, lambda a: t.autograd.grad((a ** 3).sum(), a)[0], g, w)
dual(t, lambda a: t.autograd.grad((a ** 3).sum(), a, create_graph=True)[0], g, w)
dual(t, lambda a: t.nn.functional.max_pool1d(a, 2), t.ones(1, 4), t.arange(4.).view(1, 4))
t.autograd.grad(dual(t, lambda a: (a ** 3).sum(), g, w)[1], g)
t.autograd.grad(dual(t, lambda a: (a * g).sum(), v, w)[1], g)
dual(t, lambda a: a, v, t.ones(3))
dual(t, lambda a: a, v, w.double())
dual(t, lambda a: a, t.arange(2), w)
dual(t, lambda a: a, v, t.arange(2))
dual(t, lambda a: D.make_dual(a, w), v, w)
dual(t, lambda a: D.make_dual(v, w, level=3), v, w)
dual(t, lambda a: D.enter_dual_level(), v, w)
D.make_dual(v, w)
D.unpack_dual(v)
D.exit_dual_level()
""".strip().splitlines()


def evaluate(text, library):
    t = library.module
    names = globals() | {
        "t": t,
        "F": t.func,
        "D": t.autograd.forward_ad,
        "P": product(t, generate_vmap_rule=True),
        "v": t.tensor([0.5, -1.5]),
        "w": t.tensor([2.0, 0.25]),
        "x": t.tensor([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]),
        "g": t.tensor([0.3, -0.7], requires_grad=True),
    }
    return eval(text, names)


def check(text):
    expected = run(ORACLE, lambda library: evaluate(text, library))
    actual = run(subject(), lambda library: evaluate(text, library))
    texts = "torch.Tensor" not in (expected.error.text if expected.error else "")
    assert differences(expected, actual, strides=False, texts=texts) == []


@pytest.mark.parametrize("text", FUNCTIONS)
def test_custom_function(text):
    check(text)


@pytest.mark.parametrize("text", DUALS)
def test_dual_number(text):
    check(text)


def backward_after_the_level(t):
    x, w = t.ones(2, requires_grad=True), t.ones(2, requires_grad=True)
    D = t.autograd.forward_ad
    with D.dual_level():
        a = D.make_dual(x, t.tensor([1.0, 2.0]))
        kept = (a * w).sin()
        loss = kept.sum()
    loss.backward()
    return kept, D.unpack_dual(kept).tangent is None, x.grad, w.grad


def test_dual_numbers_are_ordinary_tensors_afterwards():
    expected = run(ORACLE, lambda library: backward_after_the_level(library.module))
    assert expected.error is None
    assert (
        differences(
            expected, run(subject(), lambda library: backward_after_the_level(library.module))
        )
        == []
    )


def test_gradcheck_in_forward_mode():
    t = flambeau
    x = t.tensor([1.0, 2.0], dtype=t.float64, requires_grad=True)
    z = t.tensor([1.0 + 2.0j, 2.0], dtype=t.complex128, requires_grad=True)
    check = t.autograd.gradcheck
    wrong = type("Wrong", (t.autograd.Function,), dict(square(t).__dict__))
    with pytest.raises(RuntimeError, match="Jacobian computed with forward mode mismatch"):
        check(wrong.apply, x, check_forward_ad=True, check_backward_ad=False)
    assert check(lambda a: (a.sin() * a, a.prod()), x, check_forward_ad=True)
    assert check(lambda a: a.sin() * a.abs(), z, check_forward_ad=True)
