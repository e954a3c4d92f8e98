"""The files that TensorBoard's projector reads."""

from __future__ import annotations

import math
import os
import re
from typing import Any

import numpy as np

from . import pictures
from .pictures import as_array

_CONFIGURATION = "projector_config.pbtxt"


def write_embedding(
    folder: str,
    points: Any,
    metadata: Any,
    images: Any,
    step: int | None,
    tag: str,
    header: Any,
) -> None:
    """Write points, their labels and pictures, and enter them in the projector's list.

    Raises:
        AssertionError: there are not as many labels or pictures as points.
    """
    points = as_array(points)
    if points.ndim != 2:
        raise AssertionError("mat should be 2D, where mat.size(0) is the number of data points")
    place = f"{0 if step is None else step:05}" + "/" + _folder_name(tag)
    target = os.path.join(folder, place)
    os.makedirs(target, exist_ok=True)
    lines = [f'tensor_name: "{tag}:{place.partition("/")[0]}"']
    if metadata is not None:
        if len(points) != len(metadata):
            raise AssertionError("#labels should equal with #data points")
        _write(os.path.join(target, "metadata.tsv"), _labels(metadata, header))
        lines.append(f'metadata_path: "{place}/metadata.tsv"')
    if images is not None:
        images = as_array(images)
        if len(points) != len(images):
            raise AssertionError("#images should equal with #data points")
        _write_sprite(images, os.path.join(target, "sprite.png"))
        lines += [
            "sprite {",
            f'  image_path: "{place}/sprite.png"',
            f"  single_image_dim: {images.shape[3]}",
            f"  single_image_dim: {images.shape[2]}",
            "}",
        ]
    lines.append(f'tensor_path: "{place}/tensors.tsv"')
    rows = ("\t".join(str(value) for value in row.tolist()) for row in points)
    _write(os.path.join(target, "tensors.tsv"), rows)
    entry = "embeddings {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
    with open(os.path.join(folder, _CONFIGURATION), "a", encoding="utf-8") as file:
        file.write(entry)


def _folder_name(tag: str) -> str:
    """A tag as the name of a folder."""
    return re.sub(r"[%|\\/:?\"<>*]", lambda found: f"%{ord(found[0]):02x}", tag)


def _labels(metadata: Any, header: Any) -> list[str]:
    if not header:
        return [str(label) for label in metadata]
    if len(header) != len(metadata[0]):
        raise AssertionError("len of header must be equal to the number of columns in metadata")
    return ["\t".join(str(label) for label in row) for row in [header, *metadata]]


def _write(path: str, lines: Any) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def _write_sprite(images: np.ndarray, path: str) -> None:
    """All pictures in one, as many in a row as there are rows."""
    if images.shape[2] != images.shape[3]:
        raise AssertionError("Image should be square")
    side = math.ceil(math.sqrt(len(images)))
    padding = np.zeros((side * side - len(images), *images.shape[1:]), images.dtype)
    whole = np.concatenate([images, padding])
    count, channels, height, width = whole.shape
    grid = whole.reshape(side, side, channels, height, width).transpose(0, 3, 1, 4, 2)
    flat = grid.reshape(side * height, side * width, channels)
    if channels == 1:
        flat = np.repeat(flat, 3, 2)
    data = pictures.png(pictures.to_bytes(flat, images.dtype == np.uint8))
    with open(path, "wb") as file:
        file.write(data)
