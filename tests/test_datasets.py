"""The digits in the package, and the reader of MNIST's files."""

import gzip
import struct

import numpy as np
import pytest
import torch

import flambeau
from flambeau.datasets import MNIST, digits
from flambeau.utils.data import DataLoader

from . import oracle_script


def test_digits():
    images, labels = digits().tensors
    assert tuple(images.shape) == (1797, 1, 8, 8)
    assert images.dtype is flambeau.float32
    assert labels.dtype is flambeau.int64
    assert images.min().item() == 0.0
    assert images.max().item() == 1.0
    assert np.bincount(labels.numpy()).tolist() == [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]
    # the first image, as scikit-learn's description shows it: a zero
    assert (images[0, 0, 0] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert labels[:10].tolist() == list(range(10))


def test_the_split_is_fixed():
    train, test, everything = digits(train=True), digits(train=False), digits()
    assert (len(train), len(test)) == (1438, 359)
    assert flambeau.equal(test.tensors[0], everything.tensors[0][4::5])
    assert flambeau.equal(train.tensors[1][:8], everything.tensors[1][[0, 1, 2, 3, 5, 6, 7, 8]])
    for train in (True, False, None):
        for ours, theirs in zip(
            digits(train).tensors, oracle_script.digits(train).tensors, strict=True
        ):
            assert (ours.numpy() == theirs.numpy()).all()


def idx(array):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28))
LABELS = np.array([7, 0, 9, 3, 3])


def write(folder, prefix="train", images=IMAGES, labels=LABELS, zipped=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (("images-idx3", idx(images)), ("labels-idx1", idx(labels))):
        path = folder / f"{prefix}-{name}-ubyte{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(data) if zipped else data)


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("folder", [".", "raw", "MNIST/raw"])
def test_mnist(tmp_path, folder, zipped):
    write(tmp_path / folder, zipped=zipped)
    write(tmp_path / folder, "t10k", IMAGES[:2], LABELS[:2], zipped=zipped)
    data = MNIST(str(tmp_path))
    assert (len(data), len(MNIST(tmp_path, train=False))) == (5, 2)
    assert data.data.dtype is flambeau.uint8
    assert data.data.tolist() == IMAGES.tolist()
    assert data.targets.tolist() == LABELS.tolist()
    image, label = data[2]
    assert label == 9
    expected = torch.from_numpy(IMAGES[2][None]).to(torch.float32) / 255
    assert image.tolist() == expected.tolist()
    images, labels = next(iter(DataLoader(data, batch_size=4)))
    assert tuple(images.shape) == (4, 1, 28, 28)
    assert labels.tolist() == [7, 0, 9, 3]


def test_transforms(tmp_path):
    write(tmp_path)
    data = MNIST(tmp_path, transform=lambda image: image.sum().item(), target_transform=str)
    total, label = data[-1]
    assert label == "3"
    assert total == pytest.approx(IMAGES[-1].sum() / 255, rel=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"begins with bytes \[\], expected \[0, 0, 8, 3\]"),
        (b"<html>", r"begins with bytes \[60, 104, 116, 109\]"),
        (idx(LABELS), r"begins with bytes \[0, 0, 8, 1\], expected \[0, 0, 8, 3\]"),
        (idx(IMAGES)[:-1], r"has 3935 bytes, expected 3936 for sizes \[5, 28, 28\]"),
        (idx(IMAGES)[:9], r"has 9 bytes, expected"),
        (idx(IMAGES) + b"x", r"has 3937 bytes, expected 3936"),
        (idx(IMAGES[:4]), "found 4 images but 5 labels"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    write(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        MNIST(tmp_path)


def test_damaged_gzip(tmp_path):
    write(tmp_path, zipped=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    for content in (b"not gzip", path.read_bytes()[:-20]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="gzip file is damaged"):
            MNIST(tmp_path)


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"found no train-images-idx3-ubyte or .*MNIST/raw"):
        MNIST(tmp_path)
