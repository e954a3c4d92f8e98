"""Losses."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ... import dtypes
from ...core.tensor import Tensor
from ...errors import argument
from ...ops import losses as ops
from ...ops.autocast import autocast
from ...ops.registry import FUNCTIONS
from .reduction import reduction_name


def _warn_sizes(input: Tensor, target: Tensor) -> None:
    if input._dims() != target._dims():
        warnings.warn(
            f"Using a target size ({target.size()}) that is different to the input size "
            f"({input.size()}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )


def _check_weight(input: Tensor, weight: Tensor) -> None:
    if weight.size() != input.size():
        raise ValueError("Weights and input must have the same size.")


@autocast("mse_loss")
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2

    >>> F.mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(2.)
    """
    return _regression(
        ops.MSE_LOSS, "mse_loss", input, target, weight, reduction, size_average, reduce
    )


def _regression(
    op: Any,
    name: str,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    size_average: bool | None = None,
    reduce: bool | None = None,
    *static: Any,
) -> Tensor:
    _warn_sizes(input, target)
    kind = reduction_name(reduction, size_average, reduce)
    if weight is None:
        return ops.weighted(op, name, input, target, None, kind, *static)
    _check_weight(input, weight)
    losses = ops.weighted(op, name, input, target, None, "none", *static) * weight  # type: ignore[operator]
    if kind == "none":
        return losses
    total = losses.sum()
    return total if kind == "sum" else total / weight.sum()  # type: ignore[attr-defined]


@autocast("l1_loss")
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|"""
    return _regression(
        ops.L1_LOSS, "l1_loss", input, target, weight, reduction, size_average, reduce
    )


@autocast("smooth_l1_loss")
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) for d = |input - target| < beta, else d - beta / 2"""
    _warn_sizes(input, target)
    kind = reduction_name(reduction, size_average, reduce)
    if not isinstance(beta, (int, float, Tensor)):
        raise argument("smooth_l1_loss", "beta", 4, "float", beta)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return ops.weighted(ops.L1_LOSS, "l1_loss", input, target, None, kind)
    return ops.between(ops.SMOOTH_L1_LOSS, "smooth_l1_loss", input, target, kind, float(beta))


@autocast("huber_loss")
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """d^2 / 2 for d = |input - target| <= delta, else delta * (d - delta / 2)"""
    if not isinstance(delta, (int, float, Tensor)):
        raise argument("huber_loss", "delta", 4, "float", delta)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    static = (None, None, float(delta))
    return _regression(ops.HUBER_LOSS, "huber_loss", input, target, weight, reduction, *static)


@autocast("binary_cross_entropy")
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target * log(input) + (1 - target) * log(1 - input)), logarithms at least -100"""
    kind = reduction_name(reduction, size_average, reduce)
    if target.size() != input.size():
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size "
            f"({input.size()}) is deprecated. Please ensure they have the same size."
        )
    if weight is not None:
        weight = weight.expand(input.size())  # type: ignore[attr-defined]
    ops.probabilities(input, "input")
    ops.probabilities(target, "target")
    if target.dtype is not input.dtype:
        raise RuntimeError(
            f"Found dtype {ops.scalar_type_name(target.dtype)} but expected "
            f"{ops.scalar_type_name(input.dtype)}"
        )
    return ops.run(ops.BINARY_CROSS_ENTROPY, (input, target, weight), kind)


@autocast("binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of sigmoid(input), computed without overflow."""
    kind = reduction_name(reduction, size_average, reduce)
    if target.size() != input.size():
        raise ValueError(
            f"Target size ({target.size()}) must be the same as input size ({input.size()})"
        )
    return ops.run(ops.BCE_WITH_LOGITS, (input, target, weight, pos_weight), kind)


@autocast("nll_loss")
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-weight[target] * input[target] of log-probabilities"""
    kind = reduction_name(reduction, size_average, reduce)
    return ops.nll_loss(input, target, weight, ignore_index, kind)


@autocast("cross_entropy_loss")
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log(softmax(input))[target], classes along axis 1

    Args:
        target: classes, or probabilities in the shape of the input.
        ignore_index: the class that counts for nothing.
        label_smoothing: how much of the target is spread over all classes.

    >>> F.cross_entropy(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.6931)
    """
    kind = reduction_name(reduction, size_average, reduce)
    return ops.cross_entropy(input, target, weight, ignore_index, kind, label_smoothing)


@autocast("kl_div")
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input); input, and with `log_target` target, are logarithms."""
    if size_average is not None or reduce is not None:
        kind = reduction_name(reduction, size_average, reduce)
    elif reduction == "batchmean":
        kind = "batchmean"
    else:
        if reduction == "mean":
            warnings.warn(
                "reduction: 'mean' divides the total loss by both the batch size and the support "
                "size.'batchmean' divides only by the batch size, and aligns with the KL div math "
                "definition.'mean' will be changed to behave the same as 'batchmean' in the next "
                "major release.",
                stacklevel=2,
            )
        kind = reduction_name(reduction)
    return ops.between(ops.KL_DIV, "kl_div", input, target, kind, bool(log_target))


@autocast("poisson_nll_loss")
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(input) - target * input, or input - target * log(input + eps)"""
    kind = reduction_name(reduction, size_average, reduce)
    static = (bool(log_input), bool(full), float(eps))
    return ops.between(ops.POISSON_NLL_LOSS, "poisson_nll_loss", input, target, kind, *static)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log(var) + (input - target)^2 / var) / 2, var being at least eps"""
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        variance = FUNCTIONS["ones_like"](input) * var
    elif (values := ops.checks.values(var)) is not None and (values < 0).any():
        raise ValueError("var has negative entry/entries")
    else:
        variance = var
    given = variance.size()
    if given != input.size():
        if input.size()[:-1] == given:
            variance = variance.unsqueeze(-1)
        elif not (input.size()[:-1] == given[:-1] and given[-1] == 1):
            one = all(m == n or n == 1 for m, n in zip(input.size(), given, strict=False))
            if input.ndim != variance.ndim or not one:
                raise ValueError("var is of incorrect size")
    kind = reduction_name(reduction)
    static = (bool(full), float(eps))
    return ops.run(ops.GAUSSIAN_NLL_LOSS, (input, target, variance), kind, *static)


@autocast("soft_margin_loss")
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * input)), target being 1 or -1"""
    kind = reduction_name(reduction, size_average, reduce)
    return ops.between(ops.SOFT_MARGIN_LOSS, "soft_margin_loss", input, target, kind)


@autocast("hinge_embedding_loss")
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1"""
    number = ops.REDUCTIONS.index(reduction_name(reduction, size_average, reduce))
    return ops.hinge_embedding_loss(input, target, margin, number)


@autocast("margin_ranking_loss")
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin - target * (input1 - input2))"""
    number = ops.REDUCTIONS.index(reduction_name(reduction, size_average, reduce))
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return ops.margin_ranking_loss(input1, input2, target, margin, number)


@autocast("cosine_embedding_loss")
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1"""
    number = ops.REDUCTIONS.index(reduction_name(reduction, size_average, reduce))
    return ops.cosine_embedding_loss(input1, input2, target, margin, number)


def _check_scores(input: Tensor) -> None:
    """RuntimeError unless the input is a vector of scores or a matrix, the batch perhaps empty."""
    shape = input._dims()
    if len(shape) > 2 or 0 in shape[-1:]:
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(shape)}"
        )


@autocast("multilabel_margin_loss")
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The hinge between every target class and every other one"""
    kind = reduction_name(reduction, size_average, reduce)
    _check_scores(input)
    if input._dims() != target._dims():
        raise RuntimeError(
            f"inconsistent target size: {list(target._dims())} for input of size: "
            f"{list(input._dims())}"
        )
    return ops.run(ops.MULTILABEL_MARGIN_LOSS, (input, target), kind)


@autocast("multi_margin_loss")
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over the other classes of max(0, margin - input[target] + input)^p / classes"""
    kind = reduction_name(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    _check_scores(input)
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    rows = input._dims()[0] if input.ndim > 1 else 1
    if target.numel() != rows or target.ndim > 1:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{rows}], but got "
            f"{list(target._dims())}. Input has shape {list(input._dims())}."
        )
    classes = input._dims()[-1] if input.ndim else 1
    values = ops.checks.values(target)
    if values is not None and ((values < 0) | (values >= classes)).any():
        raise RuntimeError("target out of range")
    loss = ops.run(ops.MULTI_MARGIN_LOSS, (input, target, weight), kind, int(p), float(margin))
    return loss.reshape(1) if kind == "none" and input.ndim < target.ndim + 1 else loss  # type: ignore[attr-defined]


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes of the binary cross-entropy of sigmoid(input)"""
    kind = reduction_name(reduction, size_average, reduce)
    if target.dtype is dtypes.bool:
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying "
            "to invert a mask, use the `~` or `logical_not()` operator instead."
        )
    input, target = FUNCTIONS["broadcast_tensors"](*ops.promoted(input, target))
    return ops.run(ops.MULTILABEL_SOFT_MARGIN_LOSS, (input, target, weight), kind)


@autocast("triplet_margin_loss")
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + |anchor - positive| - |anchor - negative|)"""
    number = ops.REDUCTIONS.index(reduction_name(reduction, size_average, reduce))
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return ops.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, number)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with any distance."""
    kind = reduction_name(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative "
            f"{negative.ndim}D inputs"
        )
    distance = FUNCTIONS["pairwise_distance"] if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = FUNCTIONS["minimum"](far, distance(positive, negative))
    losses = FUNCTIONS["clamp_min"](margin + near - far, 0)  # type: ignore[operator]
    return losses if kind == "none" else losses.mean() if kind == "mean" else losses.sum()


@autocast("ctc_loss")
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of the targets under all alignments."""
    number = ops.REDUCTIONS.index(reduction_name(reduction))
    lengths = (input_lengths, target_lengths)
    return ops.ctc_loss(log_probs, targets, *lengths, blank, number, zero_infinity)


__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "ctc_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
