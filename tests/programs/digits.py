"""The handwritten digits that come with the library, as PyTorch programs read a data set."""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset

ARCHIVE = Path(__file__).resolve().parents[2] / "flambeau" / "data" / "digits.npz"


def load(count=None):
    """(images of 1 x 8 x 8 pixels between 0 and 1, labels), the first `count` of them."""
    with np.load(ARCHIVE) as archive:
        images, labels = archive["images"][:count], archive["labels"][:count]
    return torch.from_numpy(images).float().unsqueeze(1) / 16, torch.from_numpy(labels).long()


class Digits(Dataset):
    """Digits with a transform, one by one."""

    def __init__(self, count=None, transform=None):
        self.images, self.labels = load(count)
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = self.images[index]
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[index]


def tensors(count=None):
    return TensorDataset(*load(count))
