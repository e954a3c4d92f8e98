"""The cross-entropy of an affine map."""

from __future__ import annotations

import warnings
from typing import Any

from ... import dtypes
from ...core.tensor import Tensor
from ...ops import linear_cross_entropy as ops
from ...ops.linear import linear
from .loss import cross_entropy


def _check(input: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[int, ...]:
    """The trailing axes (d_1, ..., d_K) of the loss; RuntimeError where shapes do not fit."""
    if weight.ndim < 2:
        raise RuntimeError(
            f"expected linear_weight with dimensionality at least 2, got {weight.ndim}"
        )
    if input.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if input._dims()[-1] != weight._dims()[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input._dims()[-1]} and {weight._dims()[-1]}, respectively"
        )
    classes = tuple(weight._dims()[:-1])
    if len(classes) > 1 and input.ndim == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(weight.shape)} requires "
            f"batched input, (N, {input._dims()[-1]}), got unbatched input with shape "
            f"{tuple(input.shape)}"
        )
    if bias is not None and bias._dims() != classes:
        raise RuntimeError(f"expected linear_bias shape {classes}, got {tuple(bias.shape)}")
    return classes[1:]


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """cross_entropy(input @ linear_weight^T + linear_bias, target)

    Args:
        input: (N, I) or (I,).
        linear_weight: (C, I), or (C, d_1, ..., d_K, I) for a loss at (N, d_1, ..., d_K) places.
        target: classes, or probabilities with the classes along axis 1.
        weight: (C,), each class's.
        ignore_index: the class that counts for nothing.
        options: a `LinearCrossEntropyOptions`: work the batch off in parts, so that all the
            logits never exist at once; None for the two functions one after the other.

    Raises:
        RuntimeError: shapes do not fit, or `ignore_index` is given with probabilities.

    Example::

        >>> x, w = torch.zeros(3, 4), torch.ones(2, 4)
        >>> F.linear_cross_entropy(x, w, torch.tensor([0, 1, 1]))
        tensor(0.6931)
    """
    places = _check(input, linear_weight, linear_bias)
    shares = target.dtype.is_floating_point
    if shares and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    ignored = -100 if ignore_index is None else ignore_index
    if options is not None:
        fits = reduction in ("mean", "sum", "none") and not label_smoothing and not places
        if fits and target.dtype is dtypes.int64:
            return _in_parts(
                input, linear_weight, target, linear_bias, weight, ignored, reduction, options
            )
        _warn(reduction, label_smoothing, target, places, linear_bias)
    flat: Any = linear_weight.reshape(-1, linear_weight._dims()[-1])  # type: ignore[attr-defined]
    bias: Any = None if linear_bias is None else linear_bias.reshape(-1)  # type: ignore[attr-defined]
    logits: Any = linear(input, flat, bias)
    if places:
        logits = logits.reshape(input._dims()[0], *linear_weight._dims()[:-1])
    return cross_entropy(
        logits,
        target,
        weight,
        ignore_index=ignored,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def _warn(
    reduction: str, label_smoothing: float, target: Tensor, places: Any, bias: Tensor | None
) -> None:
    shape = None if bias is None else tuple(bias.shape)
    warnings.warn(
        "linear_cross_entropy: ``options`` ignored; chunked path needs reduction in "
        "{'mean','sum','none'}, label_smoothing == 0, target.dtype == int64, out_features == (). "
        f"Got reduction={reduction!r}, label_smoothing={label_smoothing}, "
        f"target.dtype={target.dtype}, out_features={places}, tracing=False, "
        f"linear_bias.shape={shape}.",
        UserWarning,
        stacklevel=3,
    )


def _rows(options: Any, count: int, features: int, classes: int) -> int:
    """The rows of a part, for a batch of `count` rows."""
    if options.batch_chunk_size is not None:
        return options.batch_chunk_size
    if options.chunking_method is None:
        return max(count, 1)
    ratio = options.chunking_method.partition(":")[2] or "2"
    return max(1, -(-int(ratio) * count * features // max(classes, 1)))


def _in_parts(
    input: Any,
    linear_weight: Tensor,
    target: Any,
    linear_bias: Tensor | None,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    options: Any,
) -> Tensor:
    single = input.ndim == 1
    x, classes = (input.unsqueeze(0), target.reshape(1)) if single else (input, target)
    count, features = x._dims()
    if classes._dims() != (count,):
        raise ValueError(
            f"Expected input batch_size ({count}) to match target batch_size "
            f"({classes._dims()[0] if classes.ndim else 1})."
        )
    classes_count = linear_weight._dims()[0]
    if weight is not None and weight._dims() != (classes_count,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes_count} classes or no classes "
            f"but got weight tensor of shape: {list(weight._dims())}"
        )
    rows = _rows(options, count, features, classes_count)
    loss: Any = ops.linear_cross_entropy(
        x,
        linear_weight,
        classes,
        linear_bias,
        None if weight is None else weight.detach(),
        ignore_index,
        reduction,
        rows,
        options.acc_dtype,
    )
    return loss.squeeze(0) if single and reduction == "none" else loss
