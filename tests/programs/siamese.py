"""A siamese network: are two pictures of the same digit?"""

import argparse
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from digits import load
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d((2, 2)),
        )
        self.fc = nn.Sequential(nn.Linear(128, 32), nn.ReLU(inplace=True), nn.Linear(32, 1))
        self.sigmoid = nn.Sigmoid()
        self.features.apply(self.init_weights)
        self.fc.apply(self.init_weights)

    def init_weights(self, m):
        if isinstance(m, nn.Linear):
            torch.nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    def forward_once(self, x):
        output = self.features(x)
        return output.view(output.size()[0], -1)

    def forward(self, input1, input2):
        output = torch.cat((self.forward_once(input1), self.forward_once(input2)), 1)
        return self.sigmoid(self.fc(output))


class Pairs(Dataset):
    """Alternately two pictures of one class, and of two."""

    def __init__(self, count):
        self.images, self.labels = load(count)
        self.of_class = {
            digit: torch.where(self.labels == digit)[0].tolist() for digit in range(10)
        }

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        selected = random.randint(0, 9)
        first = random.choice(self.of_class[selected])
        if index % 2 == 0:
            second, target = random.choice(self.of_class[selected]), 1
        else:
            other = random.choice([digit for digit in range(10) if digit != selected])
            second, target = random.choice(self.of_class[other]), 0
        target = torch.tensor(target, dtype=torch.float)
        return self.images[first], self.images[second], target


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--lr", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()

    random.seed(args.seed)
    torch.manual_seed(args.seed)
    train_loader = DataLoader(Pairs(96), args.batch_size, shuffle=True)
    test_loader = DataLoader(Pairs(96), 48)
    model = SiameseNetwork()
    optimizer = optim.Adadelta(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
    criterion = nn.BCELoss()

    def step(images_1, images_2, targets):
        optimizer.zero_grad()
        outputs = model(images_1, images_2).squeeze()
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        return loss

    if args.compile:
        step = torch.compile(step)
    for epoch in range(1, args.epochs + 1):
        model.train()
        for batch, (images_1, images_2, targets) in enumerate(train_loader):
            loss = step(images_1, images_2, targets)
            print(f"epoch {epoch} batch {batch} loss {loss.item():.8g}")
        model.eval()
        test_loss, correct = 0, 0
        with torch.no_grad():
            for images_1, images_2, targets in test_loader:
                outputs = model(images_1, images_2).squeeze()
                test_loss += F.binary_cross_entropy(outputs, targets, reduction="sum").item()
                pred = torch.where(outputs > 0.5, 1, 0)
                correct += pred.eq(targets.view_as(pred)).sum().item()
        print(f"test loss {test_loss / len(test_loader.dataset):.8g} correct {correct}")
        scheduler.step()


if __name__ == "__main__":
    main()
