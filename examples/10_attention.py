"""Attention: every position looks at every other, and learns where to look.

First what attention computes, by hand; then a small transformer that learns to write a row of
digits backwards, for which position i must look at the position as far from the other end.
"""

import math

import flambeau as torch
import flambeau.nn as nn
import flambeau.nn.functional as F

torch.manual_seed(0)

# Each query is compared with all keys; the softmax of the scores weighs the values.
query, key, value = torch.randn(3, 2, 4).unbind(0)
weights = torch.softmax(query @ key.T / math.sqrt(4), dim=1)
by_hand = weights @ value
print("weights add up to", [f"{w:.4f}" for w in weights.sum(dim=1).tolist()])
built_in = F.scaled_dot_product_attention(query, key, value)
print("the same as the built-in one", torch.allclose(by_hand, built_in, atol=1e-6))

# A mask says where one may look: here only at oneself and at what came before.
causal = torch.ones(2, 2, dtype=torch.bool).tril()
first = F.scaled_dot_product_attention(query, key, value, attn_mask=causal)[0]
print("the first sees only itself", torch.allclose(first, value[0], atol=1e-6))

LENGTH, DIGITS, FEATURES = 6, 5, 32


class Backwards(nn.Module):
    """Digits and their places go in; scores for the digit at each place come out."""

    def __init__(self):
        super().__init__()
        self.digit = nn.Embedding(DIGITS, FEATURES)
        self.place = nn.Parameter(torch.randn(LENGTH, FEATURES))
        layer = nn.TransformerEncoderLayer(FEATURES, nhead=4, dim_feedforward=64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=1)
        self.scores = nn.Linear(FEATURES, DIGITS)

    def forward(self, digits):
        return self.scores(self.encoder(self.digit(digits) + self.place))


model = Backwards()
print("parameters", sum(p.numel() for p in model.parameters()))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
for step in range(1, 121):
    digits = torch.randint(0, DIGITS, (32, LENGTH))
    loss = F.cross_entropy(model(digits).flatten(0, 1), digits.flip(1).flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step} loss {loss.item():.4f}")

# After training: which place does each place look at? The last first, and so on.
model.eval()
digits = torch.randint(0, DIGITS, (200, LENGTH))
with torch.no_grad():
    right = (model(digits).argmax(dim=2) == digits.flip(1)).float().mean().item()
    x = model.digit(digits) + model.place
    _, looks = model.encoder.layers[0].self_attn(x, x, x)
print(f"right digits {right:.1%}")
print("each place looks most at", looks.mean(dim=0).argmax(dim=1).tolist())
