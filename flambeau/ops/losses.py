"""Losses: the checked functions that `nn.functional` builds on, and those of `torch.*`.

In `torch.*` a reduction is a number (0 none, 1 mean, 2 sum), in `nn.functional` its name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes, errors
from ..core.device import tensor_from_host
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..dtypes import RESULT
from ..errors import broadcast_shapes
from ..kernels import cross_entropy as class_kernels
from ..kernels import ctc as ctc_kernels
from ..kernels import loss as kernels
from . import checks
from .registry import declare

REDUCTIONS = ("none", "mean", "sum")

MSE_LOSS = Op(kernels.mse_loss)
L1_LOSS = Op(kernels.l1_loss, name="Mean")
SMOOTH_L1_LOSS = Op(kernels.smooth_l1_loss)
HUBER_LOSS = Op(kernels.huber_loss)
BINARY_CROSS_ENTROPY = Op(kernels.binary_cross_entropy, vjp=kernels.binary_cross_entropy_vjp)
BCE_WITH_LOGITS = Op(kernels.binary_cross_entropy_with_logits, name="BinaryCrossEntropyWithLogits")
KL_DIV = Op(kernels.kl_div, name="Mean")
POISSON_NLL_LOSS = Op(kernels.poisson_nll_loss, name="Mean")
GAUSSIAN_NLL_LOSS = Op(kernels.gaussian_nll_loss, name="Mean")
SOFT_MARGIN_LOSS = Op(kernels.soft_margin_loss)
HINGE_EMBEDDING_LOSS = Op(kernels.hinge_embedding_loss, name="Mean")
MARGIN_RANKING_LOSS = Op(kernels.margin_ranking_loss, name="Mean")
COSINE_EMBEDDING_LOSS = Op(kernels.cosine_embedding_loss, name="Mean")
TRIPLET_MARGIN_LOSS = Op(kernels.triplet_margin_loss, name="Mean")
MULTI_MARGIN_LOSS = Op(kernels.multi_margin_loss)
MULTILABEL_MARGIN_LOSS = Op(kernels.multilabel_margin_loss, name="MultilabelMarginLoss")
MULTILABEL_SOFT_MARGIN_LOSS = Op(kernels.multilabel_soft_margin_loss, name="Mean")
NLL_LOSS = Op(class_kernels.nll_loss)
CROSS_ENTROPY = Op(
    class_kernels.cross_entropy,
    name="NllLoss",
    vjp=class_kernels.cross_entropy_vjp,
    forward=class_kernels.cross_entropy_forward,
)
CROSS_ENTROPY_PROBABILITIES = Op(class_kernels.cross_entropy_probabilities, name="Div")
CTC_LOSS = Op(ctc_kernels.ctc_loss, vjp=ctc_kernels.ctc_loss_vjp)
LABELS = {
    "none": {"Mean": "MulBackward0"},
    "mean": {},
    "sum": {"Mean": "SumBackward0"},
}


def promoted(*tensors: Tensor) -> list[Tensor]:
    """The tensors in their common type."""
    if len({t.dtype for t in tensors}) == 1:
        return list(tensors)
    kinds = [t.dtype if t._dims() else t.dtype.zero_dim for t in tensors]
    result = kinds[0]
    for kind in kinds[1:]:
        result = RESULT[(result, kind)]
    result = getattr(result, "dtype", result)
    return [t.to(result) for t in tensors]  # type: ignore[attr-defined]


def run(op: Op, inputs: tuple[Any, ...], reduction: str, *static: Any) -> Tensor:
    """Apply a loss; its node is named after its last step where PyTorch composes it."""
    name = op.label.removesuffix("Backward0")
    label = LABELS.get(reduction, {}).get(name)
    return apply(op, inputs, (reduction, *static), label)


def between(op: Op, name: str, input: Tensor, target: Tensor, reduction: str, *static: Any) -> Any:
    """A loss of two tensors that broadcast."""
    checks.tensor(name, input)
    checks.tensor(name, target, "target", 2)
    errors.broadcast_shapes(input._dims(), target._dims())
    input, target = promoted(input, target)
    if not (input.dtype.is_floating_point or input.dtype.is_complex):
        checks.floating(f"{name.removesuffix('_loss')}_cpu", input)
    return run(op, (input, target), reduction, *static)


def weighted(
    op: Op,
    name: str,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    *static: Any,
) -> Tensor:
    """A loss of two tensors with optional weights."""
    if weight is None:
        shape = errors.broadcast_shapes(input._dims(), target._dims())
        del shape
        input, target = promoted(input, target)
        checks.floating(f"{name.removesuffix('_loss')}_cpu", input)
        return run(op, (input, target, None), reduction, *static)
    input, target = promoted(input, target)
    return run(op, (input, target, weight), reduction, *static)


# Classes


def class_target(target: Tensor, classes: int, ignore_index: int) -> None:
    """IndexError where a class is out of range."""

    def check(values: np.ndarray) -> None:
        wrong = (values != ignore_index) & ((values < 0) | (values >= classes))
        if wrong.any():
            raise IndexError(f"Target {values[wrong].flat[0]} is out of bounds.")

    checks.when_known(target, check)


def _check_class_shapes(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    shape, given = input._dims(), target._dims()
    if not shape:
        raise ValueError(f"Expected {2} or more dimensions (got {0})")
    if len(shape) == 1:
        if given:
            raise RuntimeError(f"size mismatch (got input: {list(shape)}, target: {list(given)})")
    elif not given or shape[0] != given[0]:
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size "
            f"({given[0] if given else 0})."
        )
    elif len(shape) == 2 and len(given) != 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    elif (shape[0], *shape[2:]) != given:
        if len(shape) == 4 and len(given) != 3:
            raise RuntimeError(
                "only batches of spatial targets supported (3D tensors) but got targets of "
                f"dimension: {len(given)}"
            )
        expected = [shape[0], *shape[2:]]
        if len(shape) == 4:
            raise RuntimeError(f"size mismatch (got input: {list(shape)} , target: {list(given)}")
        raise RuntimeError(f"Expected target size {expected}, got {list(given)}")
    classes = shape[0] if len(shape) == 1 else shape[1]
    if weight is not None and weight._dims() != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but "
            f"got weight tensor of shape: {checks.sizes(weight)}"
        )


def _check_class_types(target: Tensor) -> None:
    if target.dtype not in (dtypes.int64, dtypes.uint8):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {scalar_type_name(target.dtype)}"
        )


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    """-weight[target] * input[target]"""
    checks.tensor("nll_loss", input)
    _check_class_shapes(input, target, weight)
    _check_class_types(target)
    checks.floating("nll_loss_out_frame", input)
    classes = input._dims()[1 if input.ndim > 1 else 0]
    class_target(target, classes, ignore_index)
    label = None if input.ndim <= 2 else "NllLoss2DBackward0"
    return apply(NLL_LOSS, (input, target, weight), (int(ignore_index), reduction), label)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """-log(softmax(input))[target]; the target holds classes, or probabilities."""
    checks.tensor("cross_entropy_loss", input)
    checks.tensor("cross_entropy_loss", target, "target", 2)
    if label_smoothing > 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    if input._dims() == target._dims():
        return _cross_entropy_of_shares(
            input, target, weight, ignore_index, reduction, label_smoothing
        )
    _check_class_shapes(input, target, weight)
    _check_class_types(target)
    checks.floating("log_softmax_lastdim_kernel_impl", input)
    class_target(target, input._dims()[1 if input.ndim > 1 else 0], ignore_index)
    label = None if input.ndim <= 2 else "NllLoss2DBackward0"
    if label_smoothing > 0:
        label = "AddBackward0"
    static = (int(ignore_index), reduction, max(float(label_smoothing), 0.0))
    return apply(CROSS_ENTROPY, (input, target, weight), static, label)


def _cross_entropy_of_shares(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    if not target.dtype.is_floating_point:
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{scalar_type_name(target.dtype)}"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    classes = input._dims()[1 if input.ndim > 1 else 0]
    if weight is not None and weight._dims() != (classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or "
            f"no classes but got weight tensor of shape: {checks.sizes(weight)}"
        )
    static = (reduction, max(float(label_smoothing), 0.0))
    label = {"none": "NegBackward0", "sum": "NegBackward0"}.get(reduction)
    return apply(CROSS_ENTROPY_PROBABILITIES, (input, target, weight), static, label)


# torch.*


def _reduction(number: int) -> str:
    if number not in (0, 1, 2):
        raise ValueError(f"{number} is not a valid value for reduction")
    return REDUCTIONS[number]


@declare(method=False)
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: int = 0,
) -> Tensor:
    """-(target * log(sigmoid(input)) + (1 - target) * log(sigmoid(-input)))"""
    shape = errors.broadcast_shapes(target._dims(), input._dims())
    if shape != target._dims():
        raise RuntimeError(
            f"output with shape {list(target._dims())} doesn't match the broadcast shape "
            f"{list(shape)}"
        )
    broadcast_shapes(input._dims(), target._dims())
    inputs = (input, target, weight, pos_weight)
    return run(BCE_WITH_LOGITS, inputs, _reduction(reduction))


@declare(method=False)
def kl_div(
    input: Tensor, target: Tensor, reduction: int = 0, *, log_target: bool = False
) -> Tensor:
    """target * (log(target) - input)"""
    return between(KL_DIV, "kl_div", input, target, _reduction(reduction), bool(log_target))


@declare(method=False)
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> Tensor:
    """exp(input) - target * input"""
    static = (bool(log_input), bool(full), float(eps))
    name = "poisson_nll_loss"
    return between(POISSON_NLL_LOSS, name, input, target, _reduction(reduction), *static)


@declare(method=False)
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 0
) -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1"""
    name = "hinge_embedding_loss"
    target = checks.tensor(name, target, "target", 2).detach()
    return between(HINGE_EMBEDDING_LOSS, name, input, target, _reduction(reduction), float(margin))


@declare(method=False)
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """max(0, margin - target * (input1 - input2))"""
    inputs = tuple(promoted(input1, input2, target))
    return run(MARGIN_RANKING_LOSS, inputs, _reduction(reduction), float(margin))


@declare(method=False)
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1"""
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if target.ndim == 1 and input1.ndim != 2:
        raise RuntimeError(
            "1D target tensor expects 2D input tensors, but found inputs with sizes "
            f"{checks.sizes(input1)} and {checks.sizes(input2)}."
        )
    if target.ndim == 0 and input1.ndim != 1:
        raise RuntimeError(
            "0D target tensor expects 1D input tensors, but found inputs with sizes "
            f"{checks.sizes(input1)} and {checks.sizes(input2)}."
        )
    inputs = tuple(promoted(input1, input2, target.detach()))
    return run(COSINE_EMBEDDING_LOSS, inputs, _reduction(reduction), float(margin))


@declare(method=False)
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-06,
    swap: bool = False,
    reduction: int = 0,
) -> Tensor:
    """max(0, margin + |anchor - positive| - |anchor - negative|)"""
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative "
            f"{negative.ndim}D inputs"
        )
    static = (float(margin), float(p), float(eps), bool(swap))
    inputs = tuple(promoted(anchor, positive, negative))
    return run(TRIPLET_MARGIN_LOSS, inputs, _reduction(reduction), *static)


@declare(method=False)
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int = 0,
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of the targets under all alignments (connectionist temporal
    classification); `targets` is padded (N, S), or all targets one after another."""
    name = _reduction(reduction)
    single = log_probs.ndim == 2
    if single:
        log_probs = log_probs.unsqueeze(1)  # type: ignore[attr-defined]
    checks.floating("ctc_loss_cpu", log_probs)
    time, batch, classes = log_probs._dims()
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    inputs, lengths = _lengths(input_lengths), _lengths(target_lengths)
    for word, found in (("input_lengths", inputs), ("target_lengths", lengths)):
        if len(found) != batch:
            raise RuntimeError(f"{word} must be of size batch_size")
    if len(inputs) and inputs.max() > time:
        raise RuntimeError(
            f"Expected input_lengths to have value at most {time}, but got value {inputs.max()} "
            "(while checking arguments for ctc_loss_allocate_outputs)"
        )
    padded = _padded_targets(targets, lengths)
    arrays = [tensor_from_host(a, log_probs.device) for a in (padded, inputs, lengths)]
    static = (int(blank), name, bool(zero_infinity))
    label = {"none": None, "mean": "MeanBackward0", "sum": "SumBackward0"}[name]
    loss = apply(CTC_LOSS, (log_probs, *arrays), static, label)
    return loss.squeeze(0) if single and name == "none" else loss


def _lengths(given: Any) -> np.ndarray:
    values = given._host() if isinstance(given, Tensor) else np.asarray(given)
    return values.astype(np.int64).reshape(-1)


def _padded_targets(targets: Tensor, lengths: np.ndarray) -> np.ndarray:
    """(N, S) with zeros after each target; S is at least 1."""
    values = targets._host().astype(np.int64)
    width = max(int(lengths.max(initial=0)), 1)
    padded = np.zeros((len(lengths), width), np.int64)
    start = 0
    for row, length in enumerate(lengths):
        source = values[row] if values.ndim == 2 else values[start : start + length]
        padded[row, :length] = source[:length]
        start += length
    return padded


def probabilities(x: Tensor, word: str) -> None:
    """RuntimeError unless all values lie in [0, 1]."""

    def check(values: np.ndarray) -> None:
        if not ((values >= 0) & (values <= 1)).all():
            raise RuntimeError(f"all elements of {word} should be between 0 and 1")

    checks.when_known(x, check)
