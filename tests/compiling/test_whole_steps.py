"""Compiled training steps give what the same steps give without being compiled."""

from __future__ import annotations

import copy

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.nn import functional as F


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 8, bias=False),  # before a normalisation its gradient is 0, up to rounding
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(8, 3),
    )


def batches(count: int, size: int = 5):
    generator = torch.Generator().manual_seed(7)
    for _ in range(count):
        x = torch.randn(size, 6, generator=generator)
        yield x, torch.randint(0, 3, (size,), generator=generator)


def close(a, b, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance * 10, atol=tolerance)


def train(compiled: bool, steps: int = 6, make=None, schedule: bool = False, clip: bool = False):
    model = network()
    make = make or (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9))
    optimizer = make(model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5) if schedule else None

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss

    run = torch.compile(step) if compiled else step
    torch.manual_seed(3)
    losses = []
    for x, y in batches(steps):
        losses.append(run(x, y))
        if scheduler:
            scheduler.step()
    return losses, model, optimizer, run


OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "dampening": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, eps=1e-3, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, eps=1e-3, momentum=0.9),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01, eps=1e-3),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_losses_weights_and_state_are_those_of_the_plain_step(name):
    plain, model, optimizer, _ = train(False, make=OPTIMISERS[name], schedule=True, clip=True)
    losses, other, fast, run = train(True, make=OPTIMISERS[name], schedule=True, clip=True)
    assert run.compilations == (2 if name == "dampening" else 1), run.reasons
    for a, b in zip(plain, losses, strict=True):
        close(a.detach(), b.detach())
        assert type(a.grad_fn).__name__ == type(b.grad_fn).__name__
    for key, value in model.state_dict().items():
        close(value, other.state_dict()[key], 2e-6)
    theirs, ours = optimizer.state_dict(), fast.state_dict()
    assert theirs["param_groups"] == ours["param_groups"]
    for number, entry in theirs["state"].items():
        assert list(entry) == list(ours["state"][number])
        for key, value in entry.items():
            if isinstance(value, torch.Tensor):
                close(value, ours["state"][number][key], 2e-6)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        close(p.grad, q.grad, 2e-6)


def test_a_thousand_learning_rates_are_one_program():
    w = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([w], lr=1.0)

    @torch.compile
    def step():
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()

    expected = 1.0
    for i in range(1000):
        lr = optimizer.param_groups[0]["lr"] = 1.0 / (i + 3)
        expected -= lr * 2 * expected
        step()
    assert step.compilations == 1
    assert w[0].item() == pytest.approx(expected, rel=1e-4)


def test_backward_through_a_walked_graph_raises_as_without_compile():
    losses, *_ = train(True, steps=1)
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        losses[0].backward()


def test_results_of_three_calls_stay_distinct():
    @torch.compile
    def f(x):
        return x + 1, [x * 2]

    results = [f(torch.full((2,), float(i))) for i in range(3)]
    assert [r[0][0].item() for r in results] == [1, 2, 3]
    assert [r[1][0][0].item() for r in results] == [0, 2, 4]
    results[0][0].zero_()
    assert results[1][0][0].item() == 2
    assert f.compilations == 1


def test_rebinding_is_seen():
    model = network().eval()
    run = torch.compile(lambda x: model(x))
    x = torch.ones(2, 6)
    with torch.no_grad():
        close(run(x), model(x))
        model[4] = nn.Linear(8, 3)
        close(run(x), model(x))
        model[4].weight.data = torch.ones(3, 8)
        close(run(x), model(x))
        model.load_state_dict(network(5).state_dict())
        close(run(x), model(x))
        model[4].weight = nn.Parameter(torch.zeros(3, 8))
        close(run(x), model(x))
        model[2] = nn.Tanh()
        close(run(x), model(x))


def test_eval_between_calls():
    model = network()
    run = torch.compile(lambda x: model(x))
    x = torch.randn(4, 6)
    with torch.no_grad():
        run(x)
        model.eval()
        close(run(x), model(x))
        before = model[1].running_mean.clone()
        run(x)
        assert torch.equal(before, model[1].running_mean)
        model.train()
        run(x)
        assert not torch.equal(before, model[1].running_mean)
    assert run.compilations == 2


def test_frozen_layers():
    model = network()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)

    @torch.compile
    def step(x, y):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    frozen = model[0].weight.clone()
    for x, y in batches(2):
        step(x, y)
    assert torch.equal(frozen, model[0].weight)
    assert model[0].weight.grad is None
    model[0].requires_grad_(True)
    step(x, y)
    assert model[0].weight.grad is not None


def test_one_tensor_passed_twice():
    @torch.compile
    def f(a, b):
        a.add_(1)
        return a + b

    x, y = torch.ones(2), torch.ones(2)
    assert f(x, y)[0].item() == 3
    assert f(x, x)[0].item() == 6
    assert f(y, x)[0].item() == 5
    assert x[0].item() == 3


def test_a_view_of_captured_state_as_argument():
    state = torch.zeros(2, 3)

    @torch.compile
    def f(row):
        state.add_(1)
        row.mul_(10)
        return row + 0

    plain = torch.zeros(2, 3)
    for _ in range(2):
        plain.add_(1)
        plain[1].mul_(10)
        assert torch.equal(f(state[1]), plain[1])
        assert torch.equal(state, plain)
    other = torch.ones(3)
    f(other)
    assert other[0].item() == 10


def test_an_output_that_is_an_input():
    w = torch.ones(2)

    @torch.compile
    def f(x):
        w.add_(1)
        return x, w, x.view(2, 1)

    x = torch.zeros(2)
    for _ in range(2):
        a, b, c = f(x)
        assert a is x
        assert b is w
        c[0] = 5
        assert x[0].item() == 5
    assert w[0].item() == 3


def test_an_output_that_is_a_view_of_another():
    @torch.compile
    def f(x):
        y = x * 2
        return y, y[0], y.t()

    for _ in range(2):
        y, row, turned = f(torch.ones(2, 3))
        row.zero_()
        assert y[0].sum().item() == 0
        assert turned.stride() == (1, 3)
        assert turned[:, 0].sum().item() == 0


def test_a_hook_that_appends_to_a_list():
    seen = []
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda m, i, o: seen.append(o.detach()))
    run = torch.compile(lambda x: layer(x))
    with torch.no_grad():
        for i in range(3):
            run(torch.full((1, 2), float(i)))
    assert len(seen) == 3
    for i in range(3):
        close(seen[i], layer(torch.full((1, 2), float(i))).detach())


def test_gradient_accumulation():
    def run(compiled):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def micro(x, y):
            F.cross_entropy(model(x), y).backward()

        micro = torch.compile(micro) if compiled else micro
        torch.manual_seed(0)
        for i, (x, y) in enumerate(batches(6)):
            micro(x, y)
            if i % 3 == 2:
                optimizer.step()
                optimizer.zero_grad()
        return model, micro

    plain, _ = run(False)
    fast, micro = run(True)
    assert micro.compilations == 2  # without and with gradients to add to
    for p, q in zip(plain.parameters(), fast.parameters(), strict=True):
        close(p, q)


def test_gradients_can_be_dropped_and_zeroed():
    w = nn.Parameter(torch.ones(2))

    @torch.compile
    def f(x):
        (w * x).sum().backward()

    f(torch.ones(2))
    f(torch.ones(2))
    assert w.grad[0].item() == 2
    w.grad = None
    f(torch.ones(2))
    assert w.grad[0].item() == 1
    w.grad.zero_()
    f(torch.ones(2))
    assert w.grad[0].item() == 1
    assert f.compilations == 2


def test_an_exception_leaves_the_state_of_the_step_before():
    model = network()
    optimizer = torch.optim.Adam(model.parameters())

    @torch.compile
    def step(x, y, fail):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        if fail:
            raise KeyError("mine")
        return loss

    (x, y), *_ = batches(1)
    step(x, y, False)
    step(x, y, False)
    weights = copy.deepcopy(model.state_dict())
    state = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(KeyError, match="mine"):
        step(x, y, True)
    for key, value in model.state_dict().items():
        assert torch.equal(value, weights[key])
    for number, entry in optimizer.state_dict()["state"].items():
        for key, value in entry.items():
            assert torch.equal(value, state["state"][number][key])
    assert "Traced" not in repr(model[0].weight.grad)
    step(x, y, False)


def test_an_exception_in_the_first_call_leaves_nothing_behind():
    model = network()
    optimizer = torch.optim.Adam(model.parameters())

    @torch.compile
    def step(x):
        model(x).sum().backward()
        optimizer.step()
        model.extra = x * 2
        raise KeyError("mine")

    with pytest.raises(KeyError):
        step(torch.ones(2, 6))
    assert not optimizer.state
    assert not hasattr(model, "extra")
    assert all(p.grad is None for p in model.parameters())


def test_two_models_through_one_function():
    one, two = nn.Linear(2, 1), nn.Linear(2, 1)

    @torch.compile
    def f(model, x):
        return model(x)

    x = torch.ones(3, 2)
    with torch.no_grad():
        for _ in range(2):
            close(f(one, x), one(x))
            close(f(two, x), two(x))


def test_tied_weights():
    def run(compiled):
        torch.manual_seed(0)
        embedding, head = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
        head.weight = embedding.weight
        optimizer = torch.optim.AdamW(embedding.parameters(), lr=0.1)

        def step(t):
            optimizer.zero_grad()
            loss = F.cross_entropy(head(embedding(t)), t)
            loss.backward()
            optimizer.step()
            return loss

        step = torch.compile(step) if compiled else step
        return [step(torch.arange(5)).item() for _ in range(4)], head.weight is embedding.weight

    plain, fast = run(False), run(True)
    assert fast[1]
    assert plain[0] == pytest.approx(fast[0], rel=1e-5)


average = {}


def test_an_average_of_the_weights_in_a_global():
    def run(compiled):
        model = nn.Linear(3, 1)
        nn.init.ones_(model.weight)
        nn.init.zeros_(model.bias)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        average.clear()
        average.update({k: v.detach().clone() for k, v in model.state_dict().items()})

        def step(x):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
            with torch.no_grad():
                for k, v in model.state_dict().items():
                    average[k].mul_(0.9).add_(v, alpha=0.1)

        step = torch.compile(step) if compiled else step
        for i in range(4):
            step(torch.full((2, 3), float(i)))
        return {k: v.clone() for k, v in average.items()}

    plain, fast = run(False), run(True)
    for k in plain:
        close(plain[k], fast[k])


def test_snapshots_are_not_given_away():
    w = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([w], lr=0.1)

    @torch.compile
    def step():
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()

    step()
    step()
    clone, array, alias = w.detach().clone(), w.detach().numpy().copy(), w.detach()
    jaxed = w.detach().jax()
    step()
    step()
    assert clone[0].item() == pytest.approx(0.8)
    assert array[0] == pytest.approx(0.8)
    assert float(jaxed[0]) == pytest.approx(0.8)
    assert alias[0].item() == pytest.approx(0.6)


def test_memory_shared_with_numpy_is_written():
    import numpy as np

    a = np.zeros(3, np.float32)
    x = torch.from_numpy(a)

    @torch.compile
    def f():
        x.add_(1)

    f()
    f()
    assert a.tolist() == [2, 2, 2]
    a[0] = 7
    f()
    assert a.tolist() == [8, 3, 3]


def test_python_numbers_in_closures_globals_and_attributes():
    scale = 2.0

    class Holder:
        count = 0
        factor = 3

    holder = Holder()

    @torch.compile
    def f(x):
        return x * scale * holder.factor

    x = torch.ones(1)
    assert f(x).item() == 6
    scale = 5.0
    assert f(x).item() == 15
    holder.factor = 1
    assert f(x).item() == 5
    holder.unrelated = 4
    assert f(x).item() == 5
    assert f.compilations == 3
    assert any("scale" in r and "2.0" in r and "5.0" in r for r in f.reasons), f.reasons
    assert any("factor" in r for r in f.reasons), f.reasons


def test_a_counter_in_the_module_counts():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return x + self.calls

    model = Counting()
    run = torch.compile(model)
    assert [run(torch.zeros(1)).item() for _ in range(4)] == [1, 2, 3, 4]
    assert model.calls == 4


def test_state_in_an_attribute():
    class Running(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = None
            self.pair = (torch.zeros(1), torch.zeros(1))

        def forward(self, x):
            self.hidden = x if self.hidden is None else self.hidden + x
            self.pair = (self.pair[1], x)
            return self.hidden * 2

    model = Running()
    run = torch.compile(model)
    with torch.no_grad():
        assert [run(torch.full((1,), float(i))).item() for i in range(5)] == [0, 2, 6, 12, 20]
    assert model.hidden.item() == 10
    assert [t.item() for t in model.pair] == [3, 4]
    assert run._compiled.compilations <= 3
