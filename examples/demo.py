"""Train a small convolutional network to read handwritten digits, and show what it learnt.

    python examples/demo.py [--epochs 15] [--seed 0] [--output demo-output]

Needs the extras `viz` and `data` (pip install 'flambeau[viz,data]'). Writes to the output folder:
model.pt (the trained weights, readable by PyTorch too), curves.png and predictions.png.
"""

import argparse
import time
from pathlib import Path

import matplotlib
from tqdm import tqdm

import flambeau as torch
import flambeau.nn as nn
from flambeau.datasets import digits
from flambeau.utils.data import DataLoader

matplotlib.use("agg")  # pictures go to files; no display is needed
import matplotlib.pyplot as plt


def build_model():
    """Two blocks of convolution, normalisation, ReLU and pooling, and a linear classifier.

    The normalisation takes away any constant, so the convolutions before it need no bias.
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1, bias=False),  # (N, 1, 8, 8) -> (N, 16, 8, 8)
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),  # -> (N, 16, 4, 4)
        nn.Conv2d(16, 32, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),  # -> (N, 32, 2, 2)
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(32 * 2 * 2, 10),
    )


def train_epoch(model, loader, criterion, optimizer, progress):
    """One pass over the training set; returns its mean loss and accuracy."""
    model.train()
    total_loss, correct, seen = 0.0, 0, 0
    for images, labels in loader:
        optimizer.zero_grad()
        scores = model(images)
        loss = criterion(scores, labels)
        loss.backward()
        optimizer.step()

        total_loss += loss.item() * len(labels)
        correct += (scores.argmax(dim=1) == labels).sum().item()
        seen += len(labels)
        progress.set_postfix(
            refresh=False, loss=f"{total_loss / seen:.4f}", accuracy=f"{correct / seen:.2%}"
        )
        progress.update()
    return total_loss / seen, correct / seen


def evaluate(model, images, labels, criterion):
    """Loss, accuracy and predicted digits on a set that fits into one batch."""
    model.eval()
    with torch.no_grad():
        scores = model(images)
        loss = criterion(scores, labels).item()
    predicted = scores.argmax(dim=1)
    return loss, (predicted == labels).float().mean().item(), predicted


def draw_curves(history, path):
    """The losses and the accuracies of both sets, epoch by epoch."""
    epochs = range(1, len(history) + 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for axes, key, title in ((left, "loss", "Cross-entropy"), (right, "accuracy", "Accuracy")):
        axes.plot(epochs, [epoch[f"train {key}"] for epoch in history], label="training")
        axes.plot(epochs, [epoch[f"test {key}"] for epoch in history], label="test")
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_predictions(images, labels, predicted, path):
    """32 test digits, the mistaken ones first and in red."""
    order = sorted(range(len(labels)), key=lambda i: (predicted[i] == labels[i], i))[:32]
    figure, grid = plt.subplots(4, 8, figsize=(9, 5), layout="constrained")
    for axes, index in zip(grid.flat, order, strict=True):
        right = predicted[index] == labels[index]
        axes.imshow(images[index, 0], cmap="gray_r")
        title = f"{predicted[index]}" if right else f"{predicted[index]}, not {labels[index]}"
        axes.set_title(title, color="black" if right else "red", fontsize=10)
        axes.axis("off")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    model = build_model()
    print(model)

    # Batches of one size only: the 30 images that are left over change from epoch to epoch.
    loader = DataLoader(digits(train=True), batch_size=64, shuffle=True, drop_last=True)
    test_images, test_labels = digits(train=False).tensors
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=options.epochs)

    history = []
    start = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        with tqdm(total=len(loader), desc=f"epoch {epoch:2d}/{options.epochs}") as progress:
            train_loss, train_accuracy = train_epoch(model, loader, criterion, optimizer, progress)
        scheduler.step()
        test_loss, test_accuracy, predicted = evaluate(model, test_images, test_labels, criterion)
        history.append(
            {
                "train loss": train_loss,
                "train accuracy": train_accuracy,
                "test loss": test_loss,
                "test accuracy": test_accuracy,
            }
        )
    seconds = time.perf_counter() - start

    options.output.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), options.output / "model.pt")
    draw_curves(history, options.output / "curves.png")
    draw_predictions(
        test_images.numpy(),
        test_labels.tolist(),
        predicted.tolist(),
        options.output / "predictions.png",
    )

    restored = build_model()
    restored.load_state_dict(torch.load(options.output / "model.pt"))
    restored_accuracy = evaluate(restored, test_images, test_labels, criterion)[1]

    print()
    print(f"parameters          {sum(p.numel() for p in model.parameters()):,}")
    print(f"training images     {len(loader.dataset):,} ({len(loader)} batches of 64 an epoch)")
    print(f"training time       {seconds:.1f} s, {options.epochs} epochs")
    print(f"training loss       {history[0]['train loss']:.4f} -> {history[-1]['train loss']:.4f}")
    print(f"test loss           {history[0]['test loss']:.4f} -> {history[-1]['test loss']:.4f}")
    print(f"test accuracy       {test_accuracy:.2%} of {len(test_labels)} images")
    print(f"after save and load {restored_accuracy:.2%}")
    print(f"written to {options.output}: model.pt, curves.png, predictions.png")


if __name__ == "__main__":
    main()
