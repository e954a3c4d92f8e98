"""The adaptive softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...core.tensor import Tensor
from ...ops.registry import FUNCTIONS
from .. import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module


class _ASMoutput(NamedTuple):
    """Each target's log-probability, and the loss."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """An approximate softmax for many classes of unequal frequency (arXiv:1609.04309).

    The most frequent classes form a short list; the others, clusters, each of which is one entry
    of the head's softmax and has a softmax of its own over a narrower projection:
    log p(class) = log p(cluster) + log p(class | cluster).

    Args:
        in_features: the size of the input's last axis.
        n_classes: the number of classes, sorted by falling frequency.
        cutoffs: the first class of each cluster.
        div_value: the projection of cluster i has in_features / div_value^(i + 1) features.
        head_bias: whether the head has a bias.

    Shape:
        (N, in_features) and (N,), or (in_features,) and (), give `output` (N,) or () and `loss` ().

    Example::

        >>> layer = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], div_value=2)
        >>> layer.log_prob(torch.ones(3, 8)).shape
        torch.Size([3, 20])
    """

    in_features: int
    n_classes: int
    cutoffs: list[int]
    div_value: float
    head_bias: bool
    head: Linear
    tail: ModuleList

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        rising = sorted(set(cutoffs)) == cutoffs and all(int(c) == c for c in cutoffs)
        if not rising or cutoffs[0] < 1 or cutoffs[-1] > n_classes - 1:
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an "
                "increasing order, where each value is between 1 and n_classes-1"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, device, dtype)
        self.tail = ModuleList()
        for i, (first, end) in enumerate(self._clusters()):
            features = int(in_features // div_value ** (i + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, features, False, device, dtype),
                    Linear(features, end - first, False, device, dtype),
                )
            )

    def _clusters(self) -> list[tuple[int, int]]:
        """The first class of each cluster, and the one after its last."""
        return list(zip(self.cutoffs[:-1], self.cutoffs[1:], strict=True))

    def reset_parameters(self) -> None:
        """New values for the head and the clusters."""
        self.head.reset_parameters()
        for projection, classes in self.tail:
            projection.reset_parameters()
            classes.reset_parameters()

    def forward(self, input: Tensor, target: Tensor) -> _ASMoutput:
        """The targets' log-probabilities, and the mean of their negatives."""
        x: Any = input
        labels: Any = target
        if labels.ndim == 1:
            if x.shape[0] != labels.shape[0]:
                raise RuntimeError(
                    "Input and target should have the same size in the batch dimension."
                )
            if x.ndim != 2:
                raise RuntimeError(
                    "1D target tensor expects 2D input tensors, but found inputs with size "
                    f"{x.size()}"
                )
        elif labels.ndim == 0:
            if x.ndim != 1:
                raise RuntimeError(
                    "0D target tensor expects 1D input tensors, but found inputs with size "
                    f"{x.size()}"
                )
        else:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        single = labels.ndim == 0
        if single:
            x, labels = x.unsqueeze(0), labels.unsqueeze(0)
        output = self._target_log_prob(x, labels)
        loss = (-output).mean()
        return _ASMoutput(output.squeeze(0) if single else output, loss)

    def _target_log_prob(self, x: Any, labels: Any) -> Any:
        """The log-probability of each row's class."""
        self._check_range(labels)
        entries = labels
        output = x.new_zeros(labels.shape)
        for i, (first, end) in enumerate(self._clusters()):
            chosen = (labels >= first) & (labels < end)
            rows = chosen.nonzero().squeeze(1)
            if not rows.numel():
                continue
            entries = entries.masked_fill(chosen, self.shortlist_size + i)
            logits = self.tail[i](x.index_select(0, rows))
            classes = (labels.index_select(0, rows) - first).unsqueeze(1)
            local = F.log_softmax(logits, dim=1).gather(1, classes)
            output = output.index_copy(0, rows, local.squeeze(1))
        head = F.log_softmax(self.head(x), dim=1)
        return output + head.gather(1, entries.unsqueeze(1)).squeeze(1)

    def _check_range(self, labels: Any) -> None:
        if not labels.numel():
            return
        low, high = labels.min().item(), labels.max().item()
        if low < 0 or high >= self.n_classes:
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{low}, {high}] were found. "
            )

    def _get_full_log_prob(self, input: Tensor, head_output: Tensor) -> Tensor:
        """The log-probabilities of all classes from the head's logits."""
        head: Any = F.log_softmax(head_output, dim=1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            local: Any = F.log_softmax(cluster(input), dim=1)
            parts.append(local + head[:, self.shortlist_size + i].unsqueeze(1))
        return FUNCTIONS["cat"](parts, 1)

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities of all classes, (N, n_classes)."""
        return self._get_full_log_prob(input, self.head(input))

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each row, (N,).

        The head decides first: where its best entry is of the short list, so is the class.
        """
        head: Any = self.head(input)
        best = FUNCTIONS["argmax"](head, dim=1)
        tail = best >= self.shortlist_size
        if not tail.any():
            return best
        rows = tail.nonzero().squeeze(1)
        x: Any = input
        some = self._get_full_log_prob(x.index_select(0, rows), head.index_select(0, rows))
        return best.index_copy(0, rows, FUNCTIONS["argmax"](some, dim=1))
