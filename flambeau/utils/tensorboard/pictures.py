"""Images, sounds and figures as the bytes of files."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np

from ...core.tensor import Tensor


def as_array(value: Any) -> np.ndarray:
    """A tensor, an array or a number as a NumPy array."""
    if isinstance(value, Tensor):
        array = value.detach().cpu()._host()  # type: ignore[attr-defined]
        return array.astype(np.float32) if array.dtype.kind == "V" else array
    array = np.asarray(value)
    if isinstance(value, list) or array.dtype.kind not in "biufc":
        raise NotImplementedError(
            f"Got {type(value)}, but numpy array or torch tensor are expected."
        )
    return array.reshape(1) if np.isscalar(value) else array


def height_width_channels(image: np.ndarray, order: str) -> np.ndarray:
    """An image, or a grid of a batch of images, with 3 or 4 channels last.

    Args:
        image: the array.
        order: its axes, a permutation of NCHW, CHW, HWC or HW.
    """
    order = order.upper()
    if len(set(order)) != len(order) or set(order) - set("NCHW"):
        raise AssertionError(
            f"You can not use the same dimension shorthand twice.             input_format: {order}"
        )
    if len(order) != image.ndim:
        raise AssertionError(
            "size of input tensor and input format are different.         "
            f"tensor shape: {image.shape}, input_format: {order}"
        )
    if "N" in order:
        image = _grid(image.transpose([order.index(axis) for axis in "NCHW"]))
    elif "C" in order:
        image = image.transpose([order.index(axis) for axis in "HWC"])
    else:
        image = image.transpose([order.index(axis) for axis in "HW"])[:, :, None]
    return np.repeat(image, 3, 2) if image.shape[2] == 1 else image


def _grid(images: np.ndarray, columns: int = 8) -> np.ndarray:
    """The images of a batch in rows of eight."""
    count, channels, height, width = images.shape
    if channels == 1:
        images, channels = np.repeat(images, 3, 1), 3
    columns = min(count, columns)
    rows = -(-count // columns)
    canvas = np.zeros((rows * columns, channels, height, width), images.dtype)
    canvas[:count] = images
    grid = canvas.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    return grid.reshape(rows * height, columns * width, channels)


def to_bytes(image: np.ndarray, integers: bool) -> np.ndarray:
    """Values as uint8: those of floating-point images are from 0 to 1."""
    return (image.astype(np.float32) * (1 if integers else 255)).clip(0, 255).astype(np.uint8)


def png(image: np.ndarray, rescale: float = 1.0) -> bytes:
    """A uint8 image (H, W, C) as a PNG file, with its sides `rescale` times as long."""
    from PIL import Image

    picture = Image.fromarray(image)
    if rescale != 1:
        size = (int(image.shape[1] * rescale), int(image.shape[0] * rescale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def with_boxes(image: np.ndarray, boxes: np.ndarray, labels: list[str] | None) -> np.ndarray:
    """A uint8 image with red rectangles (left, top, right, bottom), and their labels."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for number, box in enumerate(boxes.reshape(-1, 4)):
        left, top, right, bottom = map(float, box)
        corners = [(left, top), (left, bottom), (right, bottom), (right, top), (left, top)]
        draw.line(corners, width=2, fill="Red")
        if labels is not None:
            draw.text((left, top), labels[number], fill="Red")
    return np.asarray(picture)


def rendered(figure: Any, close: bool) -> np.ndarray:
    """A figure of matplotlib's, or a list of them, as an array (3, H, W) or (N, 3, H, W)."""
    if isinstance(figure, list):
        return np.stack([rendered(one, close) for one in figure])
    from matplotlib import pyplot
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba())[:, :, :3].transpose(2, 0, 1).copy()
    if close:
        pyplot.close(figure)
    return image


def wav(samples: np.ndarray, rate: int) -> bytes:
    """One channel of samples in [-1, 1] as a WAV file of 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * np.iinfo(np.int16).max).astype("<i2").tobytes())
    return buffer.getvalue()
