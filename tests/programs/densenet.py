"""A densely connected network (Huang et al., 2017) whose layers may be checkpointed, on digits."""

import argparse
import re
from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F
from digits import tensors
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler


class _DenseLayer(nn.Module):
    def __init__(self, features, growth_rate, bn_size, drop_rate, memory_efficient=False):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(features, bn_size * growth_rate, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, 3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def bn_function(self, *inputs: Tensor) -> Tensor:
        return self.conv1(self.relu1(self.norm1(torch.cat(inputs, 1))))

    def forward(self, input):
        previous = [input] if isinstance(input, Tensor) else input
        if self.memory_efficient and any(tensor.requires_grad for tensor in previous):
            from torch.utils import checkpoint as cp

            bottleneck = cp.checkpoint(self.bn_function, *previous, use_reentrant=False)
        else:
            bottleneck = self.bn_function(*previous)
        new_features = self.conv2(self.relu2(self.norm2(bottleneck)))
        if self.drop_rate > 0:
            new_features = F.dropout(new_features, p=self.drop_rate, training=self.training)
        return new_features


class _DenseBlock(nn.ModuleDict):
    def __init__(self, num_layers, features, bn_size, growth_rate, drop_rate, memory_efficient):
        super().__init__()
        for i in range(num_layers):
            size = features + i * growth_rate
            layer = _DenseLayer(size, growth_rate, bn_size, drop_rate, memory_efficient)
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, init_features):
        features = [init_features]
        for _name, layer in self.items():
            features.append(layer(features))
        return torch.cat(features, 1)


class _Transition(nn.Sequential):
    def __init__(self, features, out_features):
        super().__init__()
        self.norm = nn.BatchNorm2d(features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(features, out_features, kernel_size=1, stride=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)


class DenseNet(nn.Module):
    def __init__(self, growth_rate=4, block_config=(2, 2), drop_rate=0.0, memory_efficient=False):
        super().__init__()
        features = 8
        self.features = nn.Sequential(
            OrderedDict(
                [
                    ("conv0", nn.Conv2d(1, features, kernel_size=3, padding=1, bias=False)),
                    ("norm0", nn.BatchNorm2d(features)),
                    ("relu0", nn.ReLU(inplace=True)),
                ]
            )
        )
        for i, layers in enumerate(block_config):
            block = _DenseBlock(layers, features, 2, growth_rate, drop_rate, memory_efficient)
            self.features.add_module(f"denseblock{i + 1}", block)
            features += layers * growth_rate
            if i != len(block_config) - 1:
                self.features.add_module(f"transition{i + 1}", _Transition(features, features // 2))
                features //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(features))
        self.classifier = nn.Linear(features, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)
            elif isinstance(m, nn.Linear):
                nn.init.constant_(m.bias, 0)

    def forward(self, x):
        out = F.relu(self.features(x), inplace=True)
        out = torch.flatten(F.adaptive_avg_pool2d(out, (1, 1)), 1)
        return self.classifier(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--drop-rate", "--dropout", type=float, default=0.1)
    parser.add_argument("--memory-efficient", action="store_true")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()

    torch.manual_seed(0)
    model = DenseNet(drop_rate=args.drop_rate, memory_efficient=args.memory_efficient)
    pattern = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))(\d)\.(weight)$")
    print(sum(bool(pattern.match(name)) for name in model.state_dict()), "dense weights")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[2, 4], gamma=0.1)
    dataset = tensors(args.steps * args.batch_size)
    sampler = BatchSampler(RandomSampler(dataset), args.batch_size, drop_last=True)

    def step(images, labels):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    if args.compile:
        step = torch.compile(step)
    for i, (images, labels) in enumerate(DataLoader(dataset, batch_sampler=sampler)):
        print(f"step {i} loss {step(images, labels).item():.8g}")
        scheduler.step()


if __name__ == "__main__":
    main()
