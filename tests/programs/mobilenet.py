"""Inverted residuals with squeeze-and-excitation (MobileNet v2 and v3), on digits."""

import argparse

import torch
from digits import tensors
from torch import nn
from torch.utils.data import DataLoader


def _make_divisible(v, divisor, min_value=None):
    min_value = min_value or divisor
    new_v = max(min_value, int(v + divisor / 2) // divisor * divisor)
    return new_v + divisor if new_v < 0.9 * v else new_v


class ConvBNActivation(nn.Sequential):
    def __init__(self, in_planes, out_planes, kernel=3, stride=1, groups=1, act=nn.Hardswish):
        padding = (kernel - 1) // 2
        layers = [
            nn.Conv2d(in_planes, out_planes, kernel, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(out_planes, eps=0.001, momentum=0.01),
        ]
        if act is not None:
            layers.append(act(inplace=True))
        super().__init__(*layers)
        self.out_channels = out_planes


class SqueezeExcitation(nn.Module):
    def __init__(self, channels, squeeze_factor=4):
        super().__init__()
        squeeze = _make_divisible(channels // squeeze_factor, 4)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeeze, 1)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(squeeze, channels, 1)
        self.scale = nn.Hardsigmoid()

    def forward(self, input):
        return self.scale(self.fc2(self.relu(self.fc1(self.avgpool(input))))) * input


class InvertedResidual(nn.Module):
    def __init__(self, inp, oup, stride, expand_ratio, act):
        super().__init__()
        hidden = round(inp * expand_ratio)
        self.use_res_connect = stride == 1 and inp == oup
        layers = []
        if expand_ratio != 1:
            layers.append(ConvBNActivation(inp, hidden, 1, act=act))
        layers += [
            ConvBNActivation(hidden, hidden, 3, stride, groups=hidden, act=act),
            SqueezeExcitation(hidden),
            ConvBNActivation(hidden, oup, 1, act=None),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNet(nn.Module):
    def __init__(self, num_classes=10, dropout=0.2):
        super().__init__()
        settings = [(nn.ReLU6, 1, 8, 1), (nn.ReLU6, 2, 8, 2), (nn.Hardswish, 2, 8, 1)]
        layers, channels = [ConvBNActivation(1, 8)], 8
        for act, expansion, out, stride in settings:
            layers.append(InvertedResidual(channels, out, stride, expansion, act))
            channels = out
        layers.append(ConvBNActivation(channels, 16, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(16, 32), nn.Hardswish(inplace=True), nn.Dropout(dropout), nn.Linear(32, 10)
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.ones_(m.weight)
                nn.init.zeros_(m.bias)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=24)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()

    torch.manual_seed(0)
    model = MobileNet(dropout=args.dropout)
    print(f"{sum(p.numel() for p in model.parameters() if p.requires_grad)} parameters")
    optimizer = torch.optim.RMSprop(
        model.parameters(), lr=args.lr, alpha=0.9, momentum=0.9, eps=0.0316
    )
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    loader = DataLoader(tensors(args.steps * args.batch_size), args.batch_size, shuffle=True)

    def step(images, labels):
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    if args.compile:
        step = torch.compile(step)
    for i, (images, labels) in enumerate(loader):
        print(f"step {i} loss {step(images, labels).item():.8g}")
        scheduler.step()
    model.eval()
    with torch.inference_mode():
        print(f"mean logit {model(images).mean().item():.6g}")


if __name__ == "__main__":
    main()
