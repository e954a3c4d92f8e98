"""Autograd: the library writes down what you compute and derives the gradients from it."""

import math

import flambeau as torch

# `requires_grad=True` marks a leaf; `backward()` fills its `grad`.
w = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
(w**3).sum().backward()
print("d(w^3)/dw = 3 w^2:", w.grad.tolist())

# Gradients add up until they are cleared: two losses may share a leaf.
(2 * w).sum().backward()
print("plus 2:", w.grad.tolist())

# Inside `no_grad` nothing is written down, which is where parameters are updated.
with torch.no_grad():
    w -= 0.1 * w.grad
w.grad = None
print("after one step of descent:", [f"{value:.4f}" for value in w.tolist()])

# Derivatives can be differentiated again.
t = torch.tensor(0.5, requires_grad=True)
(first,) = torch.autograd.grad(torch.exp(2 * t), t, create_graph=True)
(second,) = torch.autograd.grad(first, t)
print(f"exp(2t): first derivative {first.item():.4f}, second {second.item():.4f}")

# The polynomial fit of the first lesson, without a formula for any gradient.
torch.manual_seed(0)
x = torch.linspace(-math.pi, math.pi, 200)
y = torch.sin(x)
powers = torch.stack([x**k for k in range(4)])
rates = torch.tensor([0.02, 0.02, 0.002, 0.002])
coefficients = torch.randn(4, requires_grad=True)
for step in range(500):
    loss = ((coefficients @ powers - y) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        coefficients -= rates * coefficients.grad
        coefficients.grad = None
    if step % 100 == 99:
        print(f"step {step + 1} loss {loss.item():.6f}")
