"""Tensors: making them, computing with them, and views that share memory.

The classic exercise at the end fits y = sin(x) by a cubic polynomial, with gradients by hand.
"""

import math

import flambeau as torch

# A tensor is an array of numbers of one dtype. Ask it for its shape before anything else.
table = torch.arange(12, dtype=torch.float32).reshape(3, 4)
print("shape", tuple(table.shape), "dtype", str(table.dtype).split(".")[-1])

# Operations work element by element, and broadcast axes of length one.
centred = table - table.mean(dim=1, keepdim=True)
print("row means after centring", centred.mean(dim=1).tolist())

# Matrix products: (3, 4) @ (4, 3) -> (3, 3).
print("trace of the product", (table @ table.T).trace().item())

# Indexing gives a view: writing to the view writes to the tensor itself.
table[0].fill_(100)
print("first row", table[0].tolist())

# The same seed gives the same random numbers.
torch.manual_seed(0)
print("random", [f"{value:.4f}" for value in torch.rand(3).tolist()])

# Fit a + b x + c x^2 + d x^3 to sin(x) on [-pi, pi] by gradient descent.
x = torch.linspace(-math.pi, math.pi, 200)
y = torch.sin(x)
a, b, c, d = torch.randn(4).unbind()
for step in range(500):
    error = a + b * x + c * x**2 + d * x**3 - y
    # d(mean(error^2)) / d(coefficient of x^k) = mean(2 error x^k)
    slope = 2 * error / len(x)
    a = a - 0.02 * slope.sum()
    b = b - 0.02 * (slope * x).sum()
    c = c - 0.002 * (slope * x**2).sum()
    d = d - 0.002 * (slope * x**3).sum()
    if step % 100 == 99:
        print(f"step {step + 1} loss {(error**2).mean().item():.6f}")
print(f"sin(x) is about {b.item():.3f} x + {d.item():.3f} x^3")
