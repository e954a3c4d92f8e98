"""The messages that TensorBoard reads, from values: one function for each kind."""

# The classes of messages are made when their modules are imported.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import json
from typing import Any

import numpy as np
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.mesh import plugin_data_pb2 as mesh_pb2
from tensorboard.plugins.pr_curve.plugin_data_pb2 import PrCurvePluginData

from . import pictures
from .pictures import as_array

_SMALLEST, _LARGEST, _RATIO = 1e-12, 1e20, 1.1
_LEAST_COUNT = 1e-7
_TENSOR_TYPES = {
    "bool": ("DT_BOOL", "bool_val"),
    "float16": ("DT_HALF", "half_val"),
    "bfloat16": ("DT_BFLOAT16", "half_val"),
    "float32": ("DT_FLOAT", "float_val"),
    "float64": ("DT_DOUBLE", "double_val"),
    "int8": ("DT_INT8", "int_val"),
    "uint8": ("DT_UINT8", "uint32_val"),
    "int16": ("DT_INT16", "int_val"),
    "int32": ("DT_INT32", "int_val"),
    "int64": ("DT_INT64", "int64_val"),
    "complex64": ("DT_COMPLEX64", "scomplex_val"),
    "complex128": ("DT_COMPLEX128", "dcomplex_val"),
}
_HPARAMS = "hparams"


def _plugin(name: str, content: bytes = b"", **more: Any) -> SummaryMetadata:
    data = SummaryMetadata.PluginData(plugin_name=name, content=content)
    return SummaryMetadata(plugin_data=data, **more)


def scalar(tag: str, value: Any, new_style: bool, double_precision: bool) -> Summary:
    """One number."""
    number = as_array(float(value) if isinstance(value, str) else value).squeeze()
    if number.ndim:
        raise AssertionError(
            "Tensor should contain one element (0 dimensions).             Was given size: "
            f"{number.size} and {number.ndim} dimensions."
        )
    plain = float(number)
    if not new_style:
        return Summary(value=[Summary.Value(tag=tag, simple_value=plain)])
    if double_precision:
        tensor = TensorProto(double_val=[plain], dtype="DT_DOUBLE")
    else:
        tensor = TensorProto(float_val=[plain], dtype="DT_FLOAT")
    return Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=_plugin("scalars"))])


def tensor(tag: str, value: Any) -> Summary:
    """An array."""
    array = value.detach().cpu()
    name = str(array.dtype).rpartition(".")[2]
    if name not in _TENSOR_TYPES:
        raise ValueError(f"{array.dtype} has no corresponding TensorBoard type")
    kind, field = _TENSOR_TYPES[name]
    host = array._host()
    values = host.view(np.uint16) if field == "half_val" else host
    if host.dtype.kind == "c":
        values = np.stack([host.real, host.imag], -1)
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in host.shape])
    message = TensorProto(dtype=kind, tensor_shape=shape, **{field: values.reshape(-1).tolist()})
    return Summary(value=[Summary.Value(tag=tag, tensor=message, metadata=_plugin("tensor"))])


# Histograms


def default_bins() -> list[float]:
    """Edges in a geometric series, on both sides of zero."""
    edges, edge = [], _SMALLEST
    while edge < _LARGEST:
        edges.append(edge)
        edge *= _RATIO
    return [-edge for edge in reversed(edges)] + [0] + edges


def histogram(tag: str, values: Any, bins: Any, max_bins: int | None) -> Summary:
    """The counts of values in bins, of which the empty ones at both ends are left out."""
    array = as_array(values).astype(float).reshape(-1)
    if array.size == 0:
        raise ValueError("The input has no element.")
    counts, limits = np.histogram(array, bins=bins)
    if max_bins is not None and len(counts) > max_bins:
        counts, limits = _coarser(counts, limits, max_bins)
    full = np.flatnonzero(counts)
    if not full.size:
        raise ValueError("The histogram is empty, please file a bug report.")
    first, last = int(full[0]), int(full[-1])
    # One empty bin on the left says where the first one begins.
    before = [0] if first == 0 else [counts[first - 1]]
    message = HistogramProto(
        min=array.min(),
        max=array.max(),
        num=len(array),
        sum=array.sum(),
        sum_squares=array.dot(array),
        bucket_limit=limits[first : last + 2].tolist(),
        bucket=[*before, *counts[first : last + 1].tolist()],
    )
    return Summary(value=[Summary.Value(tag=tag, histo=message)])


def _coarser(counts: np.ndarray, limits: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Bins put together, so many that at most `most` are left, and one that is not full."""
    together = len(counts) // most
    rest = len(counts) % together
    if rest:
        counts = np.pad(counts, (0, together - rest))
    edges = np.append(limits[:-1][::together], limits[-1])
    return counts.reshape(-1, together).sum(1), edges


def histogram_raw(
    tag: str,
    low: float,
    high: float,
    num: int,
    total: float,
    squares: float,
    limits: Any,
    counts: Any,
) -> Summary:
    """A histogram that was counted elsewhere."""
    message = HistogramProto(
        min=low,
        max=high,
        num=num,
        sum=total,
        sum_squares=squares,
        bucket_limit=limits,
        bucket=counts,
    )
    return Summary(value=[Summary.Value(tag=tag, histo=message)])


# Pictures, sounds, texts


def image(
    tag: str, value: Any, order: str, rescale: float = 1, boxes: Any = None, labels: Any = None
) -> Summary:
    """A picture, or the grid of a batch of them."""
    array = as_array(value)
    layout = pictures.height_width_channels(array, order)
    drawn = pictures.to_bytes(layout, array.dtype == np.uint8)
    if boxes is not None:
        drawn = pictures.with_boxes(drawn, as_array(boxes), labels)
    height, width, channels = drawn.shape
    message = Summary.Image(
        height=height,
        width=width,
        colorspace=channels,
        encoded_image_string=pictures.png(drawn, rescale),
    )
    return Summary(value=[Summary.Value(tag=tag, image=message)])


def audio(tag: str, value: Any, rate: int) -> Summary:
    """A sound of one channel."""
    samples = as_array(value).squeeze()
    if np.abs(samples).max(initial=0) > 1:
        samples = samples.clip(-1, 1)
    if samples.ndim != 1:
        raise AssertionError("input tensor should be 1 dimensional.")
    message = Summary.Audio(
        sample_rate=rate,
        num_channels=1,
        length_frames=samples.shape[-1],
        encoded_audio_string=pictures.wav(samples, rate),
        content_type="audio/wav",
    )
    return Summary(value=[Summary.Value(tag=tag, audio=message)])


def text(tag: str, value: str) -> Summary:
    """A text in Markdown."""
    content = SummaryMetadata.PluginData(plugin_name="text", content=b"")
    message = TensorProto(
        dtype="DT_STRING",
        string_val=[value.encode("utf8")],
        tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
    )
    metadata = SummaryMetadata(plugin_data=content)
    return Summary(
        value=[Summary.Value(tag=f"{tag}/text_summary", metadata=metadata, tensor=message)]
    )


# Precision and recall


def pr_curve(tag: str, labels: Any, predictions: Any, thresholds: int, weights: Any) -> Summary:
    """Precision and recall of predictions in [0, 1] at evenly spaced thresholds."""
    count = min(thresholds, 127)
    truth, guess = as_array(labels).reshape(-1), as_array(predictions).reshape(-1)
    weight = 1.0 if weights is None else as_array(weights).reshape(-1)
    buckets = np.int32(np.floor(guess * (count - 1)))
    edges = (0, count - 1)
    positive, _ = np.histogram(buckets, count, edges, weights=truth.astype(float) * weight)
    negative, _ = np.histogram(buckets, count, edges, weights=(1 - truth.astype(float)) * weight)
    true, false = np.cumsum(positive[::-1])[::-1], np.cumsum(negative[::-1])[::-1]
    return pr_curve_raw(
        tag,
        true,
        false,
        false[0] - false,
        true[0] - true,
        true / np.maximum(_LEAST_COUNT, true + false),
        true / np.maximum(_LEAST_COUNT, true[0]),
        count,
    )


def pr_curve_raw(tag: str, *columns: Any) -> Summary:
    """A curve that was computed elsewhere: six rows of counts, and the number of thresholds."""
    *rows, thresholds = columns
    data = np.stack([np.asarray(row) if isinstance(row, list) else as_array(row) for row in rows])
    content = PrCurvePluginData(version=0, num_thresholds=min(thresholds, 127)).SerializeToString()
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in data.shape])
    message = TensorProto(dtype="DT_FLOAT", float_val=data.reshape(-1).tolist(), tensor_shape=shape)
    metadata = _plugin("pr_curves", content)
    return Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=message)])


# Layouts, meshes, hyper-parameters


def custom_scalars(layout: dict[str, dict[str, Any]]) -> Summary:
    """Which curves are shown together: `{category: {title: ["Multiline" or "Margin", tags]}}`."""
    categories = []
    for name, charts in layout.items():
        found = []
        for title, (kind, tags) in charts.items():
            if kind == "Margin":
                if len(tags) != 3:
                    raise AssertionError(
                        f"Expected 3 tags in the value, lower and upper, got {tags}"
                    )
                series = layout_pb2.MarginChartContent.Series(
                    value=tags[0], lower=tags[1], upper=tags[2]
                )
                content = layout_pb2.MarginChartContent(series=[series])
                found.append(layout_pb2.Chart(title=title, margin=content))
            else:
                content = layout_pb2.MultilineChartContent(tag=tags)
                found.append(layout_pb2.Chart(title=title, multiline=content))
        categories.append(layout_pb2.Category(title=name, chart=found))
    data = layout_pb2.Layout(category=categories).SerializeToString()
    message = TensorProto(dtype="DT_STRING", string_val=[data], tensor_shape=TensorShapeProto())
    value = Summary.Value(
        tag="custom_scalars__config__", tensor=message, metadata=_plugin("custom_scalars")
    )
    return Summary(value=[value])


def mesh(tag: str, vertices: Any, colors: Any, faces: Any, config: Any) -> Summary:
    """Points in space, with colours and triangles."""
    kinds = mesh_pb2.MeshPluginData
    parts = [
        (vertices, kinds.ContentType.Value("VERTEX")),
        (faces, kinds.ContentType.Value("FACE")),
        (colors, kinds.ContentType.Value("COLOR")),
    ]
    components = sum(1 << kind for value, kind in parts if value is not None)
    values = []
    for value, kind in parts:
        if value is None:
            continue
        array = as_array(value)
        content = kinds(
            version=0,
            name=tag,
            content_type=kind,
            components=components,
            json_config=json.dumps(config or {}, sort_keys=True),
            shape=array.shape,
        ).SerializeToString()
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in array.shape])
        numbers = array.reshape(-1).tolist()
        message = TensorProto(dtype="DT_FLOAT", tensor_shape=shape, float_val=numbers)
        name = f"{tag}_{kinds.ContentType.Name(kind)}"
        values.append(Summary.Value(tag=name, tensor=message, metadata=_plugin("mesh", content)))
    return Summary(value=values)


def hparams(
    values: dict[str, Any], metrics: dict[str, Any], domains: dict[str, list[Any]] | None
) -> list[Summary]:
    """What a session was begun with, that it began, and that it ended."""
    start = plugin_data_pb2.SessionStartInfo()
    infos = []
    for name, value in values.items():
        if value is None:
            continue
        kind = _hparam_kind(value, start.hparams[name])
        info = api_pb2.HParamInfo(name=name, type=kind)
        if domains and name in domains:
            for item in domains[name]:
                _set_value(info.domain_discrete.values.add(), item)
        infos.append(info)
    metric_infos = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=name)) for name in metrics]
    experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=metric_infos)
    end = plugin_data_pb2.SessionEndInfo(status=api_pb2.Status.Value("STATUS_SUCCESS"))
    return [
        _hparams_message("_hparams_/experiment", experiment=experiment),
        _hparams_message("_hparams_/session_start_info", session_start_info=start),
        _hparams_message("_hparams_/session_end_info", session_end_info=end),
    ]


def _set_value(field: Any, value: Any) -> None:
    if isinstance(value, int | float):  # True and False, too, as PyTorch enters them
        field.number_value = value
    else:
        field.string_value = value


def _hparam_kind(value: Any, field: Any) -> Any:
    """Enter a hyper-parameter, and tell its type."""
    if not isinstance(value, int | float | str):
        value = as_array(value).reshape(-1)[0].item() if hasattr(value, "shape") else value
    if not isinstance(value, int | float | str):
        raise ValueError("value should be one of int, float, str, bool, or torch.Tensor")
    _set_value(field, value)
    kind = "STRING" if isinstance(value, str) else "FLOAT64"
    return api_pb2.DataType.Value(f"DATA_TYPE_{kind}")


def _hparams_message(tag: str, **content: Any) -> Summary:
    data = plugin_data_pb2.HParamsPluginData(version=0, **content)
    metadata = _plugin(_HPARAMS, data.SerializeToString())
    return Summary(value=[Summary.Value(tag=tag, metadata=metadata)])
