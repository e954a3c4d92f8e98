"""What may stand inside a compiled function: layers with state, precision, transforms, hooks."""

from __future__ import annotations

import copy

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.compiling import CompileError
from flambeau.nn import functional as F


def close(a, b, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance * 10, atol=tolerance)


def both(make, steps: int = 3, tolerance: float = 1e-6):
    """Run `make() -> (step, inputs)` plain and compiled; compare what the steps return."""
    results = []
    for compiled in (False, True):
        torch.manual_seed(0)
        step, inputs = make()
        run = torch.compile(step) if compiled else step
        torch.manual_seed(1)
        results.append([run(*inputs(i)) for i in range(steps)])
    for a, b in zip(*results, strict=True):
        close(a, b, tolerance)
    return run


MODELS = {
    "lstm": (lambda: nn.LSTM(3, 4, 2, dropout=0.2, batch_first=True), (2, 5, 3)),
    "gru": (lambda: nn.GRU(3, 4, bidirectional=True, batch_first=True), (2, 5, 3)),
    "encoder": (lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), (2, 5, 4)),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
        ),
        (2, 2, 8, 8),
    ),
    "norms": (
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.GroupNorm(2, 4), nn.GELU(), nn.LayerNorm(6)),
        (2, 2, 8),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_training_steps_of_models(name):
    build, shape = MODELS[name]

    def make():
        model = build()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, eps=1e-3)

        def step(x):
            optimizer.zero_grad()
            out = model(x)
            loss = (out[0] if isinstance(out, tuple) else out).square().mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step, lambda i: (torch.randn(*shape),)

    assert both(make).compilations == 1


def test_tokens_and_masks():
    def make():
        embedding, head = nn.Embedding(11, 8), nn.Linear(8, 11)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        modules = nn.ModuleList([embedding, layer, head])
        optimizer = torch.optim.SGD(modules.parameters(), lr=0.1)

        def step(tokens):
            optimizer.zero_grad()
            mask = nn.Transformer.generate_square_subsequent_mask(tokens.size(1) - 1)
            hidden = layer(embedding(tokens[:, :-1]), src_mask=mask, is_causal=True)
            loss = F.cross_entropy(head(hidden).transpose(1, 2), tokens[:, 1:])
            loss.backward()
            nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
            optimizer.step()
            return loss.detach()

        return step, lambda i: (torch.randint(0, 11, (2, 6)),)

    both(make)


def test_autocast():
    def make():
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def step(x):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = model(x).float().square().mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step, lambda i: (torch.randn(5, 4),)

    both(make, tolerance=1e-4)


def test_autocast_around_is_a_fact():
    layer = nn.Linear(2, 2)
    f = torch.compile(lambda x: layer(x))
    x = torch.ones(1, 2)
    with torch.no_grad():
        assert f(x).dtype is torch.float32
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert f(x).dtype is torch.bfloat16
        assert f(x).dtype is torch.float32
    assert f.compilations == 2


def test_modes_around_are_facts():
    layer = nn.Linear(2, 2)
    f = torch.compile(lambda x: layer(x))
    x = torch.ones(1, 2)
    assert f(x).requires_grad
    with torch.no_grad():
        assert not f(x).requires_grad
    with torch.inference_mode():
        assert f(x).is_inference()
    assert f(x).requires_grad


def test_checkpointing():
    from flambeau.utils.checkpoint import checkpoint

    def make():
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def step(x):
            optimizer.zero_grad()
            loss = checkpoint(model, x, use_reentrant=False).square().mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step, lambda i: (torch.randn(5, 4),)

    both(make)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "orthogonal"])
def test_parametrizations(kind):
    def make():
        layer = getattr(nn.utils.parametrizations, kind)(nn.Linear(4, 4))
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)

        def step(x):
            optimizer.zero_grad()
            loss = layer(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step, lambda i: (torch.randn(5, 4),)

    both(make, tolerance=1e-5)


def test_function_transforms():
    def make():
        layer = nn.Linear(3, 1)
        weights = dict(layer.named_parameters())

        def loss(p, x):
            return torch.func.functional_call(layer, p, (x,)).square().sum()

        def step(x):
            per_sample = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)
            return per_sample["weight"].detach()

        return step, lambda i: (torch.randn(5, 3),)

    both(make)


def test_hooks_inside():
    def make():
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        model[0].register_forward_pre_hook(lambda m, args: (args[0] * 2,))
        model[1].register_forward_hook(lambda m, args, out: out + 1)
        model[0].register_full_backward_hook(lambda m, gin, gout: (gin[0] * 0.5,))
        model[1].weight.register_hook(lambda g: g * 3)

        def step(x):
            x.requires_grad_(True)
            model.zero_grad()
            (model(x) ** 2).sum().backward()
            return torch.cat([p.grad.reshape(-1) for p in model.parameters()])

        return step, lambda i: (torch.randn(5, 3),)

    both(make)


def test_custom_functions():
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x**2 * g

    def make():
        w = nn.Parameter(torch.randn(3))

        def step(x):
            w.grad = None
            Cube.apply(w * x).sum().backward()
            return w.grad.clone()

        return step, lambda i: (torch.randn(3),)

    both(make)


def test_an_outer_graph_is_refused():
    layer = nn.Linear(2, 2)

    @torch.compile
    def step(h):
        h.sum().backward()

    with pytest.raises(CompileError, match="recorded outside"):
        step(layer(torch.ones(1, 2)))
    assert layer.weight.grad is None


def test_writes_into_views_of_arguments():
    def plain(x):
        x[0].add_(1)
        x[:, 1:] *= 2
        x.t()[0].fill_(7)
        return x.sum()

    f = torch.compile(plain)
    a, b = torch.arange(6.0).view(2, 3), torch.arange(6.0).view(2, 3)
    for _ in range(2):
        close(plain(a), f(b))
        close(a, b)


def test_versions_count_writes():
    w = torch.zeros(2)

    @torch.compile
    def f():
        w.add_(1)
        w.mul_(2)

    f()
    before = w._version
    f()
    assert w._version == before + 2


def test_a_saved_tensor_written_by_a_compiled_function_is_noticed():
    w = torch.ones(2)
    x = torch.ones(2, requires_grad=True)

    @torch.compile
    def f():
        w.add_(1)

    f()
    y = (x * w).sum()
    f()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_compiled_functions_nest_and_are_methods():
    class Trainer:
        def __init__(self):
            self.model = nn.Linear(2, 1)
            self.steps = 0

        @torch.compile
        def step(self, x):
            return self.forward(x).sum()

        @torch.compile
        def forward(self, x):
            return self.model(x)

    trainer = Trainer()
    x = torch.ones(3, 2)
    with torch.no_grad():
        for _ in range(3):
            close(trainer.step(x), trainer.model(x).sum())
            trainer.steps += 1
    assert Trainer.step.compilations == 1


def test_a_compiled_model_can_be_trained_by_a_plain_loop():
    def losses(compiled):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
        run = torch.compile(model) if compiled else model
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01, eps=1e-3)
        found = []
        for _ in range(4):
            loss = run(torch.randn(6, 3)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    assert losses(True) == pytest.approx(losses(False), rel=1e-5)


def test_deepcopied_models_have_their_own_program():
    model = torch.compile(nn.Linear(2, 2))
    x = torch.ones(1, 2)
    with torch.no_grad():
        first = model(x)
        twin = copy.deepcopy(model)
        twin._orig_mod.weight.zero_()
        assert not torch.equal(twin(x), first)
        assert torch.equal(model(x), first)


def test_indices_out_of_range_are_noticed_in_every_call():
    embedding, head = nn.Embedding(4, 3), nn.Linear(3, 2)
    parameters = [*embedding.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)

    @torch.compile
    def step(tokens, target):
        optimizer.zero_grad()
        loss = F.cross_entropy(head(embedding(tokens[:, 1:])).mean(1), target)
        loss.backward()
        optimizer.step()
        return loss

    good, target = torch.tensor([[9, 1, 2]]), torch.tensor([1])
    for _ in range(2):
        step(good, target)
    weights = [p.detach().clone() for p in parameters]
    with pytest.raises(IndexError, match="index out of range in self"):
        step(torch.tensor([[1, 2, 4]]), target)
    with pytest.raises(IndexError, match="Target 2 is out of bounds"):
        step(good, torch.tensor([2]))
    assert all(torch.equal(a, b) for a, b in zip(weights, parameters, strict=True))
    step(good, target)
    assert step.compilations == 1


def test_a_module_compiles_itself():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x = torch.randn(2, 3)
    expected = model(x)
    keys = list(model.state_dict())
    model.compile()
    close(model(x), expected)
    model(x).sum().backward()
    assert model[0].weight.grad is not None
    assert list(model.state_dict()) == keys
    twin = copy.deepcopy(model)
    close(twin(x), expected)


def test_batches_out_of_a_resident_data_set_are_one_program():
    data, labels = torch.randn(40, 6), torch.randint(0, 3, (40,))
    model = nn.Linear(6, 3)

    @torch.compile
    def f(x, y):
        return F.cross_entropy(model(x), y)

    with torch.no_grad():
        for i in range(0, 40, 8):
            x, y = data[i : i + 8], labels[i : i + 8]
            close(f(x, y), F.cross_entropy(model(x), y))
        close(f(data.t()[:6].t()[:8], labels[:8]), F.cross_entropy(model(data[:8]), labels[:8]))
    assert f.compilations <= 2


def test_a_view_that_is_written_or_given_out_keeps_its_memory():
    data = torch.zeros(4, 2)

    @torch.compile
    def add(row):
        row.add_(1)
        return row.view(2, 1)

    @torch.compile
    def first(row):
        return row[:1]

    for i in range(3):
        assert add(data[i]).shape == (2, 1)
        first(data[i]).mul_(10)
    assert data.tolist() == [[10, 1], [10, 1], [10, 1], [0, 0]]


def test_a_compiled_closure_for_lbfgs():
    def run(compiled):
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        x, y = torch.randn(8, 3), torch.randn(8, 1)
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)

        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            return loss

        closure = torch.compile(closure) if compiled else closure
        losses = [optimizer.step(closure).item() for _ in range(3)]
        return losses, closure

    plain, _ = run(False)
    fast, closure = run(True)
    assert fast == pytest.approx(plain, rel=1e-4)
    assert closure.compilations <= 3, closure.reasons


def test_another_optimiser_of_the_same_kind():
    w = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([w], lr=0.5)

    @torch.compile
    def step():
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()

    for _ in range(3):
        step()
    old = optimizer.state_dict()["state"][0]["step"].item()
    optimizer = torch.optim.Adam([w], lr=0.25)
    before = w[0].item()
    step()
    assert w[0].item() == pytest.approx(before - 0.25, rel=1e-5)
    assert old == 3
    assert optimizer.state[w]["step"].item() == 1


def test_another_module_of_the_same_kind_with_state_in_an_attribute():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = torch.zeros(1)

        def forward(self, x):
            self.seen = x * 2
            return x + 1

    model = nn.Sequential(Last())
    run = torch.compile(lambda x: model(x))
    with torch.no_grad():
        run(torch.ones(1))
        first = model[0]
        model[0] = Last()
        run(torch.full((1,), 5.0))
    assert first.seen.item() == 2
    assert model[0].seen.item() == 10


@pytest.mark.parametrize("kind", ["Adam", "SGD"])
def test_the_state_of_an_optimiser_loaded_between_steps(kind):
    settings = {"lr": 0.1, **({"momentum": 0.9} if kind == "SGD" else {})}

    def losses(compiled):
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        x, y = torch.randn(8, 3), torch.randn(8, 1)
        optimizer = getattr(torch.optim, kind)(model.parameters(), **settings)

        def step():
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        step = torch.compile(step) if compiled else step
        start = [step().item() for _ in range(2)]
        saved = copy.deepcopy([model.state_dict(), optimizer.state_dict()])
        first = [step().item() for _ in range(3)]
        model.load_state_dict(saved[0])
        optimizer.load_state_dict(saved[1])
        again = [step().item() for _ in range(3)]
        assert again == pytest.approx(first, rel=1e-6)
        return start + first

    assert losses(True) == pytest.approx(losses(False), rel=1e-5)


def test_counts_of_steps_that_come_to_differ():
    def losses(compiled):
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        x = torch.randn(8, 3)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

        def step():
            optimizer.zero_grad()
            loss = (model(x) - 1).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        step = torch.compile(step) if compiled else step
        found = [step().item() for _ in range(2)]
        model.bias.requires_grad_(False)
        found += [step().item() for _ in range(2)]
        model.bias.requires_grad_(True)
        found += [step().item() for _ in range(3)]
        counts = [entry["step"].item() for entry in optimizer.state.values()]
        assert counts == [7, 5]
        return found

    assert losses(True) == pytest.approx(losses(False), rel=1e-5)
