"""Functions with a backward pass of your own: `torch.autograd.Function`."""

import math

import flambeau as torch


class LegendreCubic(torch.autograd.Function):
    """P(x) = (5 x^3 - 3 x) / 2, with the derivative P'(x) = (15 x^2 - 3) / 2 written out."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return 0.5 * (5 * x**3 - 3 * x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * x**2 - 1)


class RoundThrough(torch.autograd.Function):
    """Rounds on the way forward; on the way back the gradient passes as if nothing had happened."""

    @staticmethod
    def forward(ctx, x):
        return torch.round(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output


# The written derivative agrees with finite differences.
points = torch.linspace(-1, 1, 7, dtype=torch.float64, requires_grad=True)
print("gradcheck", torch.autograd.gradcheck(LegendreCubic.apply, points))

# Fit sin(x) by a + b P(c + d x).
x = torch.linspace(-math.pi, math.pi, 200)
y = torch.sin(x)
a, b, c, d = (torch.tensor(value, requires_grad=True) for value in (0.0, -1.0, 0.0, 0.3))
optimizer = torch.optim.SGD([a, b, c, d], lr=0.01)
for step in range(1, 401):
    optimizer.zero_grad()
    loss = ((a + b * LegendreCubic.apply(c + d * x) - y) ** 2).mean()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step} loss {loss.item():.5f}")

# Whole numbers cannot be learnt by gradients, unless the gradient looks the other way.
position = torch.tensor([0.3, 4.8], requires_grad=True)
target = torch.tensor([3.0, -2.0])
for _ in range(40):
    loss = ((RoundThrough.apply(position) - target) ** 2).sum()
    loss.backward()
    with torch.no_grad():
        position -= 0.1 * position.grad
        position.grad = None
print("rounded", torch.round(position).tolist(), f"loss {loss.item():.1f}")
