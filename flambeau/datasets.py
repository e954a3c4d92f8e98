"""Small data sets of handwritten digits: one inside the package, and MNIST from its files."""

from __future__ import annotations

import gzip
import importlib.resources
import math
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .ops.copying import from_numpy
from .utils.data import Dataset, TensorDataset

__all__ = ["MNIST", "digits"]


def digits(train: bool | None = None) -> TensorDataset:
    """The 1,797 handwritten digits of 8 x 8 pixels from the UCI repository, shipped in the package.

    Every fifth image (numbers 4, 9, 14, ...) belongs to the test set: 1,438 train, 359 test.

    Args:
        train: True for the training set, False for the test set, None for all images.

    Returns:
        A data set of pairs (image, label). Its `tensors` are the images (N, 1, 8, 8), float32
        between 0 and 1, and the labels (N), int64.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository, 1998 (CC BY 4.0; see `data/LICENSE-digits.txt`).

    Example::

        >>> from flambeau.datasets import digits
        >>> images, labels = digits(train=False).tensors
        >>> images.shape, labels[:3].tolist()
        (torch.Size([359, 1, 8, 8]), [4, 9, 4])
    """
    source = importlib.resources.files("flambeau") / "data" / "digits.npz"
    with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"]
    if train is not None:
        chosen = (np.arange(len(labels)) % 5 == 4) != train
        images, labels = images[chosen], labels[chosen]
    pixels = images[:, np.newaxis].astype(np.float32) / 16
    return TensorDataset(from_numpy(pixels), from_numpy(labels.astype(np.int64)))


class MNIST(Dataset[tuple[Any, Any]]):
    """MNIST, or a data set in its format (Fashion-MNIST, KMNIST, ...), from its IDX files.

    The files `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte` may be gzipped (`.gz`), and lie in `root`, in `root/raw`, or in
    `root/MNIST/raw`. Nothing is downloaded.

    Args:
        root: the folder.
        train: the 60,000 training images, or the 10,000 test images.
        transform: applied to an image, which is a float32 tensor (1, 28, 28) between 0 and 1.
        target_transform: applied to a label, which is an int.

    Attributes:
        data: all images, uint8 (N, 28, 28).
        targets: all labels, int64 (N).

    Raises:
        FileNotFoundError: if a file is in none of the folders.
        ValueError: if a file is not in IDX format, is cut short, or the counts differ.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to
    document recognition", Proceedings of the IEEE, 1998.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.root = Path(root)
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        prefix = "train" if train else "t10k"
        images = _read_idx(_find(self.root, f"{prefix}-images-idx3-ubyte"), axes=3)
        labels = _read_idx(_find(self.root, f"{prefix}-labels-idx1-ubyte"), axes=1)
        if len(images) != len(labels):
            raise ValueError(
                f"{self.root}: found {len(images)} images but {len(labels)} labels; expected as "
                "many labels as images, so take both files from the same data set"
            )
        self.data = from_numpy(images)
        self.targets = from_numpy(labels.astype(np.int64))
        self._images = images
        self._labels = labels

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        pixels = self._images[index][np.newaxis].astype(np.float32) / 255
        image: Any = from_numpy(pixels)
        label: Any = int(self._labels[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def __len__(self) -> int:
        return len(self._labels)


def _find(root: Path, name: str) -> Path:
    """The file `name` or `name.gz` in one of the usual folders."""
    folders = [root, root / "raw", root / "MNIST" / "raw"]
    for folder in folders:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise FileNotFoundError(
        f"found no {name} or {name}.gz in {', '.join(str(folder) for folder in folders)}; "
        "get the file from a copy of the data set and put it into one of these folders"
    )


def _read_idx(path: Path, axes: int) -> np.ndarray:
    """The array of unsigned bytes in an IDX file: 0, 0, 8, the number of axes, the sizes, data."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: the gzip file is damaged ({error}); get it anew") from error
    expected = bytes([0, 0, 8, axes])
    if content[:4] != expected:
        raise ValueError(
            f"{path}: the file begins with bytes {list(content[:4])}, expected {list(expected)} "
            f"(an IDX file of bytes with {axes} axes); get the file anew"
        )
    header = 4 + 4 * axes
    sizes = [int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4)]
    if len(content) < header or len(content) - header != math.prod(sizes):
        raise ValueError(
            f"{path}: the file has {len(content)} bytes, expected {header + math.prod(sizes)} for "
            f"sizes {sizes}; it is damaged or incomplete, get it anew"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes).copy()
