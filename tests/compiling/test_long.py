"""A hundred compiled steps stay with the plain ones."""

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.nn import functional as F


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_a_hundred_steps(name):
    def losses(compiled):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(6, 16), nn.LayerNorm(16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 3)
        )
        optimizer = getattr(torch.optim, name)(model.parameters(), lr=1e-2)

        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        run = torch.compile(step) if compiled else step
        torch.manual_seed(1)
        found = []
        for _ in range(100):
            x = torch.randn(16, 6)
            found.append(run(x, x.sum(1).sign().long() + 1).item())
        return found

    assert losses(True) == pytest.approx(losses(False), rel=1e-5)
