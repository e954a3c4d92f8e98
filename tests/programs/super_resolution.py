"""Super-resolution by sub-pixel convolution (Shi et al., 2016)."""

import argparse
from math import log10

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init
import torch.optim as optim
from digits import load
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(16, 16, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(16, 8, (3, 3), (1, 1), (1, 1))
        self.conv4 = nn.Conv2d(8, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        x = self.relu(self.conv3(x))
        return self.pixel_shuffle(self.conv4(x))

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv3.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv4.weight)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upscale_factor", type=int, default=2)
    parser.add_argument("--batchSize", type=int, default=16)
    parser.add_argument("--nEpochs", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=123)
    parser.add_argument("--compile", action="store_true")
    opt = parser.parse_args()

    torch.manual_seed(opt.seed)
    sharp, _ = load(80)
    blurred = F.avg_pool2d(sharp, opt.upscale_factor)
    training = DataLoader(TensorDataset(blurred[16:], sharp[16:]), opt.batchSize, shuffle=True)
    model = Net(opt.upscale_factor)
    criterion = nn.MSELoss()
    optimizer = optim.Adam(model.parameters(), lr=opt.lr)

    def step(input, target):
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        loss.backward()
        optimizer.step()
        return loss

    if opt.compile:
        step = torch.compile(step)
    for epoch in range(1, opt.nEpochs + 1):
        for iteration, batch in enumerate(training, 1):
            loss = step(batch[0], batch[1])
            print(f"epoch {epoch} ({iteration}/{len(training)}) loss {loss.item():.8g}")
        with torch.no_grad():
            mse = criterion(model(blurred[:16]), sharp[:16])
        print(f"average PSNR {10 * log10(1 / mse.item()):.8g} dB")


if __name__ == "__main__":
    main()
