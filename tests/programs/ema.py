"""Training with a moving average of the weights, evaluated beside them."""

import argparse
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from digits import tensors
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader


class ModelEma:
    """A copy that follows the model's state."""

    def __init__(self, model, decay):
        self.module = copy.deepcopy(model)
        self.module.eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        for ema_v, model_v in zip(
            self.module.state_dict().values(), model.state_dict().values(), strict=True
        ):
            if ema_v.dtype.is_floating_point:
                ema_v.copy_(self.decay * ema_v + (1.0 - self.decay) * model_v)
            else:
                ema_v.copy_(model_v)


def network():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=24)
    parser.add_argument("--decay", type=float, default=0.8)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()

    torch.manual_seed(0)
    model = network()
    by_hand = ModelEma(model, args.decay)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(args.decay))
    optimizer = torch.optim.NAdam(model.parameters(), lr=5e-3)
    scheduler = SWALR(optimizer, swa_lr=1e-3, anneal_epochs=2)
    loader = DataLoader(tensors(96), args.batch_size, shuffle=True)

    def step(images, labels):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        by_hand.update(model)
        return loss

    @torch.no_grad()
    def evaluate(name, net):
        net.eval()
        images, labels = tensors(64).tensors
        print(f"{name} loss {F.cross_entropy(net(images), labels).item():.8g}")

    if args.compile:
        step = torch.compile(step)
    for epoch in range(args.epochs):
        model.train()
        for images, labels in loader:
            loss = step(images, labels)
            averaged.update_parameters(model)
            print(f"epoch {epoch} loss {loss.item():.8g}")
        scheduler.step()
        evaluate("model", model)
        evaluate("by hand", by_hand.module)
    update_bn(loader, averaged)
    evaluate("averaged", averaged)
    print(f"{averaged.n_averaged.item()} averaged, lr {optimizer.param_groups[0]['lr']:.6g}")


if __name__ == "__main__":
    main()
