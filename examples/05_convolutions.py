"""A convolutional network, first as a module of its own, then as one Sequential."""

import flambeau as torch
import flambeau.nn as nn
import flambeau.nn.functional as F
from flambeau.datasets import digits
from flambeau.utils.data import DataLoader


class SmallNet(nn.Module):
    """Three strided convolutions and an average over what is left of the picture."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 16, kernel_size=3, stride=2, padding=1)
        self.second = nn.Conv2d(16, 16, kernel_size=3, stride=2, padding=1)
        self.third = nn.Conv2d(16, 10, kernel_size=3, padding=1)

    def forward(self, x):
        x = F.relu(self.first(x))  # (N, 16, 4, 4)
        x = F.relu(self.second(x))  # (N, 16, 2, 2)
        x = self.third(x)  # (N, 10, 2, 2)
        return F.avg_pool2d(x, 2).flatten(1)  # (N, 10)


def as_sequential():
    """The same network: what has no state of its own is a module here, too."""
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 10, kernel_size=3, padding=1),
        nn.AvgPool2d(2),
        nn.Flatten(),
    )


def fit(model, epochs=4):
    """Train with momentum; print the test loss and accuracy of each epoch."""
    loader = DataLoader(digits(train=True), batch_size=64, shuffle=True, drop_last=True)
    images, labels = digits(train=False).tensors
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(1, epochs + 1):
        model.train()
        for x, target in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), target).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            scores = model(images)
        accuracy = (scores.argmax(dim=1) == labels).float().mean().item()
        print(f"epoch {epoch} loss {F.cross_entropy(scores, labels):.3f} accuracy {accuracy:.3f}")


if __name__ == "__main__":
    torch.manual_seed(0)
    fit(SmallNet())
    torch.manual_seed(0)
    fit(as_sequential())  # the same seed, the same numbers
