"""Compiled functions and models: what they ask for, what they give, how they are told apart."""

from __future__ import annotations

import copy
import io
import pickle
import traceback
import warnings

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.compiling import CompileError
from flambeau.nn import functional as F

from .test_whole_steps import close, network


def test_values_of_tensors_are_asked_for():
    @torch.compile
    def f(x):
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(CompileError, match=r"if x.sum\(\) > 0:") as caught:
        f(torch.ones(2))
    assert "fallback=True" in str(caught.value)

    for body in (
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: float(x.sum()),
        lambda x: x.numpy(),
        lambda x: x.tolist(),
    ):
        with pytest.raises(CompileError, match="needs the value of a tensor"):
            torch.compile(body)(torch.ones(2))


def test_fallback_is_visible():
    f = torch.compile(lambda x: x.sum().item(), fallback=True)
    with pytest.warns(UserWarning, match="runs without being compiled from now on"):
        assert f(torch.ones(2)) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f(torch.ones(3)) == 3


def test_printing_inside(capsys):
    @torch.compile
    def f(x):
        y = x * 2
        print("y is", y, end=";\n")
        print(f"again {y}")
        return y

    f(torch.ones(2))
    f(torch.zeros(2))
    out = capsys.readouterr().out
    assert out == (
        "y is tensor([2., 2.]);\nagain tensor([2., 2.])\n"
        "y is tensor([0., 0.]);\nagain tensor([0., 0.])\n"
    )


def test_random_draws_are_the_same_stream():
    def f(x):
        return F.dropout(x, 0.5) + torch.rand(4) + torch.randn(4) + torch.randint(0, 9, (4,))

    fast = torch.compile(f)
    x = torch.ones(4)
    torch.manual_seed(0)
    plain = [f(x) for _ in range(3)] + [torch.rand(2)]
    torch.manual_seed(0)
    compiled = [fast(x) for _ in range(3)] + [torch.rand(2)]
    for a, b in zip(plain, compiled, strict=True):
        close(a, b)
    assert fast.compilations == 1


def test_shapes_get_their_own_programs_and_come_back():
    f = torch.compile(lambda x: x.sum(0))
    for _ in range(2):
        for n in (2, 3, 4):
            assert f(torch.ones(n, 2))[0].item() == n
    assert f.compilations == 3
    assert f.reasons == ["the call changed: 2 became 3", "the call changed: 3 became 4"]


def test_a_compiled_model_is_a_module():
    model = network()
    fast = torch.compile(model)
    x = torch.randn(3, 6)
    fast.eval()
    assert not model.training
    close(fast(x), model(x))
    assert list(fast.state_dict()) == [f"_orig_mod.{k}" for k in model.state_dict()]
    twin = copy.deepcopy(fast)
    close(twin(x), fast(x))
    again = pickle.loads(pickle.dumps(fast))
    close(again(x), fast(x))
    buffer = io.BytesIO()
    torch.save(fast.state_dict(), buffer)
    fast.double()
    assert fast(x.double()).dtype is torch.float64
    fast[4] if hasattr(type(fast), "__getitem__") else None
    fast._orig_mod[4].requires_grad_(False)
    fast._orig_mod[2] = nn.Identity()
    close(fast(x.double()), model(x.double()))


def test_gradients_through_a_compiled_model():
    model = network().eval()
    fast = torch.compile(model)
    head = nn.Linear(3, 1)
    body = nn.Linear(4, 6)
    x = torch.randn(5, 4)

    def gradients(f):
        for m in (model, head, body):
            m.zero_grad()
        head(torch.tanh(f(body(x)))).sum().backward()
        return [p.grad.clone() for m in (model, head, body) for p in m.parameters()]

    for _ in range(2):
        for a, b in zip(gradients(model), gradients(fast), strict=True):
            close(a, b)
    y = fast(x.new_ones(2, 6))
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_higher_derivatives_through_a_compiled_function():
    f = torch.compile(lambda x: (x**3).sum())
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (first,) = torch.autograd.grad(f(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    close(second, 6 * x.detach())


def test_gradient_penalty_inside():
    def run(compiled):
        torch.manual_seed(0)
        critic = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = torch.optim.Adam(critic.parameters(), lr=0.01)

        def step(real, fake):
            optimizer.zero_grad()
            mix = (0.5 * real + 0.5 * fake).requires_grad_(True)
            (g,) = torch.autograd.grad(critic(mix).sum(), mix, create_graph=True)
            penalty = ((g.norm(2, dim=1) - 1) ** 2).mean()
            loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
            loss.backward()
            optimizer.step()
            return loss

        step = torch.compile(step) if compiled else step
        torch.manual_seed(1)
        return [step(torch.randn(4, 2), torch.randn(4, 2)).item() for _ in range(4)]

    assert run(True) == pytest.approx(run(False), rel=1e-5)


def test_explain_tells_inputs_state_and_guards():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()

    before = copy.deepcopy(model.state_dict())
    told = torch.compile.explain(step, torch.ones(2, 6))
    assert any("running_mean" in line for line in told.written)
    assert any("argument 0: float32[2, 6]" in line for line in told.inputs)
    assert any("training = True" in line for line in told.guards)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


def test_integers_are_facts_and_strings_too():
    @torch.compile
    def f(x, n, kind="sum"):
        return getattr(x * n, kind)()

    assert f(torch.ones(3), 2).item() == 6
    assert f(torch.ones(3), 3).item() == 9
    assert f(torch.ones(3), 3, kind="mean").item() == 3
    assert f.compilations == 3


def test_an_error_of_the_function_shows_the_function_alone():
    model = nn.Linear(3, 2)

    def step(x):
        try:
            return model(x)
        except RuntimeError:
            raise ValueError("wrong input")  # noqa: B904

    with pytest.raises(ValueError, match="wrong input") as plain:
        step(torch.ones(2, 5))
    with pytest.raises(ValueError, match="wrong input") as compiled:
        torch.compile(step)(torch.ones(2, 5))
    text = "".join(traceback.format_exception(compiled.value))
    assert "make_jaxpr" not in text
    assert "_trace" not in text
    assert "JAX" not in text
    assert compiled.traceback[-1].name == "step"
    assert str(compiled.value.__context__) == str(plain.value.__context__)
    assert not compiled.value.__suppress_context__
