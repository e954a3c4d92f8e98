"""A module with parameters, buffers and children of its own.

`Mixture` blends two branches by a learnt gate; its temperature is a plain `nn.Parameter`.
"""

import flambeau as torch
import flambeau.nn as nn


class Mixture(nn.Module):
    """g * branch_0(x) + (1 - g) * branch_1(x) with the gate g = sigmoid(x . direction * scale)."""

    def __init__(self, features, hidden):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, 1))
            for _ in range(2)
        )
        self.direction = nn.Parameter(torch.randn(features))
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x):
        if self.training:
            self.calls += 1
        gate = torch.sigmoid(x @ self.direction * self.scale).unsqueeze(1)
        return gate * self.branches[0](x) + (1 - gate) * self.branches[1](x)

    def extra_repr(self):
        return f"features={len(self.direction)}"


torch.manual_seed(0)
model = Mixture(features=2, hidden=8)
print(model)
for name, parameter in model.named_parameters():
    print(f"{name:22s} {tuple(parameter.shape)}")

# A target that is bent along x0 = x1.
x = torch.rand(256, 2) * 4 - 2
y = (x[:, :1] - x[:, 1:]).abs() + 0.1 * x[:, :1]

criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for step in range(1, 201):
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step} loss {loss.item():.5f}")
print("training calls", model.calls.item(), "learnt scale positive", bool(model.scale > 0))

# What a module remembers is its state dict; another copy of the model takes it over.
twin = Mixture(features=2, hidden=8)
twin.load_state_dict(model.state_dict())
model.eval()
twin.eval()
print("the twin agrees", torch.equal(twin(x), model(x)))
