"""Optimisers within compiled steps: as in eager mode, with a schedule that changes the rate."""

import pytest

import flambeau

ROWS = {
    "Adafactor": lambda: {"lr": 0.1},
    "Muon": lambda: {"lr": 0.1},
    "ASGD": lambda: {"t0": 2},
    "Rprop": lambda: {},
    "SGD": lambda: {"momentum": 0.9, "dampening": 0.1},
    "Adam": lambda: {
        "lr": flambeau.tensor(0.01),
        "betas": (flambeau.tensor(0.9), flambeau.tensor(0.99)),
    },
}


def run(name, compiled):
    flambeau.manual_seed(0)
    model = flambeau.nn.Linear(4, 3, bias=name != "Muon")
    optimizer = getattr(flambeau.optim, name)(model.parameters(), **ROWS[name]())
    schedule = flambeau.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    x = flambeau.randn(5, 4)

    def step():
        optimizer.zero_grad()
        loss = model(x).pow(2).sum()
        loss.backward()
        optimizer.step()
        return loss

    step = flambeau.compile(step) if compiled else step
    losses = []
    for _ in range(5):
        losses.append(step().item())
        schedule.step()
    return losses, optimizer.state_dict()


@pytest.mark.parametrize("name", ROWS)
def test_compiled_steps(name):
    (losses, state), (expected, reference) = run(name, True), run(name, False)
    assert losses == pytest.approx(expected, rel=1e-5)
    for key, entry in reference["state"].items():
        for part, value in entry.items():
            found = state["state"][key][part]
            flambeau.testing.assert_close(found, value, rtol=1e-5, atol=1e-6)


class Written(flambeau.optim.Optimizer):
    """A user's optimiser: numbers in its state, settings read wherever it likes."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @flambeau.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["step"], state["mean"] = 0, flambeau.zeros_like(p)
                state["step"] += 1
                state["mean"].mul_(0.5).add_(p.grad)
                p.add_(state["mean"], alpha=-group["lr"] / state["step"])


def test_a_users_optimizer():
    found = []
    for compiled in (True, False):
        flambeau.manual_seed(0)
        model = flambeau.nn.Linear(2, 1)
        optimizer = Written(model.parameters(), lr=0.1)

        def step(model=model, optimizer=optimizer):
            optimizer.zero_grad()
            model(flambeau.ones(1, 2)).sum().backward()
            optimizer.step()

        step = flambeau.compile(step) if compiled else step
        for _ in range(4):
            step()
            optimizer.param_groups[0]["lr"] *= 2
        found.append((model.weight, optimizer.state[model.weight]["step"]))
    (ours, count), (expected, reference) = found
    flambeau.testing.assert_close(ours, expected)
    assert count == reference == 4


def scheduled(optimizer, schedule):
    optimizer.step()
    schedule.step()


def changed_by_hand(optimizer, schedule):
    optimizer.step()
    optimizer.param_groups[0]["lr"] *= 0.5


def several_steps(optimizer, schedule):
    for _ in range(3):
        optimizer.step()


@pytest.mark.parametrize("advance", [scheduled, changed_by_hand, several_steps])
def test_settings_that_change_within(advance):
    """The rate of a step is the one from before it, also where the function changes it."""
    found = []
    for compiled in (True, False):
        flambeau.manual_seed(0)
        model = flambeau.nn.Linear(2, 1)
        optimizer = flambeau.optim.Adam(model.parameters(), lr=0.1)
        schedule = flambeau.optim.lr_scheduler.StepLR(optimizer, 2, 0.1)

        def step(model=model, optimizer=optimizer, schedule=schedule):
            optimizer.zero_grad()
            model(flambeau.ones(1, 2)).pow(2).sum().backward()
            advance(optimizer, schedule)

        step = flambeau.compile(step) if compiled else step
        for _ in range(4):
            step()
        rate = optimizer.param_groups[0]["lr"]
        found.append((model.weight, rate, optimizer.state[model.weight]["step"].item()))
    (ours, *numbers), (expected, *reference) = found
    flambeau.testing.assert_close(ours, expected)
    assert numbers == pytest.approx(reference)
