"""Style transfer (Gatys et al., 2016): an image is optimised for content and Gram matrices."""

import argparse
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class ContentLoss(nn.Module):
    def __init__(self, target):
        super().__init__()
        self.target = target.detach()

    def forward(self, input):
        self.loss = F.mse_loss(input, self.target)
        return input


def gram_matrix(input):
    a, b, c, d = input.size()
    features = input.view(a * b, c * d)
    return torch.mm(features, features.t()).div(a * b * c * d)


class StyleLoss(nn.Module):
    def __init__(self, target_feature):
        super().__init__()
        self.target = gram_matrix(target_feature).detach()

    def forward(self, input):
        self.loss = F.mse_loss(gram_matrix(input), self.target)
        return input


class Normalization(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", mean.clone().view(-1, 1, 1))
        self.register_buffer("std", std.clone().view(-1, 1, 1))

    def forward(self, img):
        return (img - self.mean) / self.std


def style_model_and_losses(cnn, mean, std, style_img, content_img, content_at, style_at):
    model = nn.Sequential(Normalization(mean, std))
    content_losses, style_losses = [], []
    i = 0
    for layer in cnn.children():
        if isinstance(layer, nn.Conv2d):
            i += 1
            name = f"conv_{i}"
        elif isinstance(layer, nn.ReLU):
            name = f"relu_{i}"
            layer = nn.ReLU(inplace=False)
        elif isinstance(layer, nn.MaxPool2d):
            name = f"pool_{i}"
        else:
            raise RuntimeError(f"Unrecognized layer: {layer.__class__.__name__}")
        model.add_module(name, layer)
        if name in content_at:
            content_losses.append(ContentLoss(model(content_img).detach()))
            model.add_module(f"content_loss_{i}", content_losses[-1])
        if name in style_at:
            style_losses.append(StyleLoss(model(style_img).detach()))
            model.add_module(f"style_loss_{i}", style_losses[-1])
    for i in range(len(model) - 1, -1, -1):
        if isinstance(model[i], (ContentLoss, StyleLoss)):
            break
    return model[: i + 1], style_losses, content_losses


def picture(size, kind):
    """Three channels of waves: vertical ones, or rings."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    phase = x.float() if kind == "content" else torch.hypot(x - size / 2, y - size / 2)
    waves = [torch.sin(phase * (0.5 + 0.3 * channel)) for channel in range(3)]
    return (torch.stack(waves) * 0.5 + 0.5).unsqueeze(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--num-steps", type=int, default=8)
    parser.add_argument("--style-weight", type=float, default=1e4)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()

    torch.manual_seed(0)
    cnn = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(inplace=True),
    ).eval()
    content_img, style_img = picture(args.size, "content"), picture(args.size, "style")
    input_img = content_img.clone()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    model, style_losses, content_losses = style_model_and_losses(
        copy.deepcopy(cnn), mean, std, style_img, content_img, ["conv_2"], ["conv_1", "conv_3"]
    )
    input_img.requires_grad_(True)
    model.eval()
    model.requires_grad_(False)
    optimizer = optim.LBFGS([input_img], max_iter=4)
    run = [0]

    def loss_and_gradient():
        with torch.no_grad():
            input_img.clamp_(0, 1)
        optimizer.zero_grad()
        model(input_img)
        style_score, content_score = 0, 0
        for sl in style_losses:
            style_score = style_score + sl.loss
        for cl in content_losses:
            content_score = content_score + cl.loss
        style_score = style_score * args.style_weight
        loss = style_score + content_score
        loss.backward()
        return loss, style_score, content_score

    if args.compile:
        loss_and_gradient = torch.compile(loss_and_gradient)

    def closure():
        loss, style_score, content_score = loss_and_gradient()
        run[0] += 1
        style, content = style_score.item(), content_score.item()
        print(f"run {run[0]} loss {loss.item():.8g} style {style:.8g} content {content:.6g}")
        return loss

    while run[0] < args.num_steps:
        optimizer.step(closure)
    with torch.no_grad():
        input_img.clamp_(0, 1)
    print(f"image mean {input_img.mean().item():.8g} std {input_img.std().item():.8g}")


if __name__ == "__main__":
    main()
