"""Data: a Dataset knows its items, a DataLoader shuffles and stacks them into batches."""

import flambeau as torch
import flambeau.nn as nn
import flambeau.nn.functional as F
from flambeau.datasets import digits
from flambeau.utils.data import DataLoader, Dataset, random_split


class Spirals(Dataset):
    """Points on two interleaved spirals, the classic example that no straight line separates."""

    def __init__(self, count):
        turn = torch.rand(count).sqrt() * 4.0
        self.arm = torch.randint(0, 2, (count,))
        angle = turn + 3.14159265 * self.arm
        self.points = torch.stack([turn * angle.cos(), turn * angle.sin()], dim=1) / 4.0

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        return self.points[index], self.arm[index]


torch.manual_seed(0)
spirals = Spirals(640)
train, held_out = random_split(spirals, [512, 128])
loader = DataLoader(train, batch_size=64, shuffle=True)
points, arms = next(iter(loader))
print("one batch", tuple(points.shape), tuple(arms.shape), "batches", len(loader))

model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(1, 26):
    model.train()
    for points, arms in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(points), arms)
        loss.backward()
        optimizer.step()

    # A validation loop: no shuffling and, as nothing is differentiated, larger batches.
    model.eval()
    with torch.no_grad():
        total = sum(
            F.cross_entropy(model(points), arms, reduction="sum").item()
            for points, arms in DataLoader(held_out, batch_size=128)
        )
    if epoch % 5 == 0:
        print(f"epoch {epoch} held-out loss {total / len(held_out):.4f}")

# Tensors that belong together are a data set already.
for images, labels in DataLoader(digits(train=False), batch_size=100):
    print("digits", tuple(images.shape), "first labels", labels[:5].tolist())
