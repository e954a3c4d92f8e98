"""Attention of several heads."""

from __future__ import annotations

from typing import Any

from ... import dtypes
from ...core.state import modes
from ...core.tensor import Tensor
from .. import functional as F
from .. import init
from ..parameter import Parameter
from .linear import NonDynamicallyQuantizableLinear
from .module import Module
from .utils import empty

# Note [Fast path]
# At inference PyTorch may run fused functions instead of the layers' own code. Their results are
# the same but for three things, which are part of the contract: a position whose keys are all
# masked gives NaN rather than 0, `is_causal` is ignored, and an encoder gives zeros at the
# padded positions. So the conditions under which they run are checked here.


def no_gradient_needed(*tensors: Tensor) -> bool:
    """Whether nothing would be recorded for the tensors."""
    return not modes.grad or not any(t.requires_grad for t in tensors)


class MultiheadAttention(Module):
    """softmax(Q_h K_h^T / sqrt(d)) V_h for each head h, joined and projected.

    Args:
        embed_dim: E, features of query and of the result; a multiple of `num_heads`.
        num_heads: each head has E / num_heads features.
        dropout: probability of dropout on the weights.
        bias: whether the projections have one.
        add_bias_kv: one more key and value, which are learnt.
        add_zero_attn: one more key and value, of zeros.
        kdim, vdim: features of key and value; E by default.
        batch_first: (N, L, E) rather than (L, N, E).

    Shape:
        query (L, N, E), key (S, N, kdim), value (S, N, vdim), all without N if there is no batch;
        the result is as query, weights (N, L, S), or (N, num_heads, L, S) where they are not
        averaged.

    Source: Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762.

    Example::

        >>> x = torch.ones(5, 2, 8)
        >>> result, weights = nn.MultiheadAttention(8, 4)(x, x, x)
        >>> result.shape, weights.shape
        (torch.Size([5, 2, 8]), torch.Size([2, 5, 5]))
    """

    __constants__ = ["batch_first"]

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, got "
                f"embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        options = (device, dtype)
        together = {"in_proj_weight": (3 * embed_dim, embed_dim)}
        apart = {
            "q_proj_weight": (embed_dim, embed_dim),
            "k_proj_weight": (embed_dim, self.kdim),
            "v_proj_weight": (embed_dim, self.vdim),
        }
        used, unused = (together, apart) if self._qkv_same_embed_dim else (apart, together)
        for name, shape in used.items():
            setattr(self, name, Parameter(empty(shape, *options)))
        for name in unused:
            self.register_parameter(name, None)
        if bias:
            self.in_proj_bias = Parameter(empty((3 * embed_dim,), *options))
        else:
            self.register_parameter("in_proj_bias", None)
        self.out_proj = NonDynamicallyQuantizableLinear(
            embed_dim, embed_dim, bias=bias, device=device, dtype=dtype
        )
        if add_bias_kv:
            self.bias_k = Parameter(empty((1, 1, embed_dim), *options))
            self.bias_v = Parameter(empty((1, 1, embed_dim), *options))
        else:
            self.bias_k = self.bias_v = None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Projections Xavier uniform, biases 0, added key and value Xavier normal."""
        names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
        for name in names:
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
            init.xavier_normal_(self.bias_v)  # type: ignore[arg-type]

    def __setstate__(self, state: Any) -> None:
        super().__setstate__({"_qkv_same_embed_dim": True, **state})

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The result, and the weights or None; see `F.multi_head_attention_forward`."""
        masks = [m for m in (key_padding_mask, attn_mask) if m is not None]
        plain = query is key is value and all(m.dtype is dtypes.bool for m in masks)
        if plain and self.takes_fast_path(query):
            is_causal = False
        else:
            plain = False
        return self.attend(
            query,
            key,
            value,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            plain=plain,
        )

    def takes_fast_path(self, query: Tensor) -> bool:
        """Whether PyTorch would run its fused inference function (Note [Fast path])."""
        return (
            not self.training
            and self.batch_first
            and query.dim() == 3
            and self._qkv_same_embed_dim
            and self.in_proj_bias is not None
            and self.bias_k is None
            and not self.add_zero_attn
            and self.num_heads % 2 == 0
            and no_gradient_needed(query, *self.parameters())
        )

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        key_padding_mask: Tensor | None,
        need_weights: bool,
        attn_mask: Tensor | None,
        average_attn_weights: bool = True,
        is_causal: bool,
        plain: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """`forward`; `plain` takes the plain softmax whether or not the weights are needed."""
        turned = self.batch_first and query.dim() == 3
        if turned:
            query, key, value = _transposed(query, key, value)
        masked = key_padding_mask is not None or attn_mask is not None
        made, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights or (plain and masked),
            attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights and need_weights,
            is_causal=is_causal,
        )
        made = made.transpose(1, 0) if turned else made  # type: ignore[attr-defined]
        return made, weights if need_weights else None

    def merge_masks(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, query: Tensor
    ) -> tuple[Tensor | None, int | None]:
        """Both masks in one, and which there were: 0 attn_mask, 1 key_padding_mask, 2 both."""
        kind: int | None = None
        merged: Tensor | None = None
        if key_padding_mask is not None:
            kind, merged = 1, key_padding_mask
        if attn_mask is not None:
            batch, length = query._dims()[:2]
            kind = 2
            if attn_mask.dim() == 3:
                merged = attn_mask.view(batch, -1, length, length)  # type: ignore[attr-defined]
            else:
                square = attn_mask.view(1, 1, length, length)  # type: ignore[attr-defined]
                merged = square.expand(batch, self.num_heads, -1, -1)
            if key_padding_mask is not None:
                padding = key_padding_mask.view(batch, 1, 1, length)  # type: ignore[attr-defined]
                merged = merged + padding.expand(-1, self.num_heads, -1, -1)
        return merged, kind


def _transposed(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    """The three with batch and sequence exchanged; what was one tensor stays one."""
    made: dict[int, Tensor] = {}
    for x in (query, key, value):
        if id(x) not in made:
            made[id(x)] = x.transpose(1, 0) if x.dim() > 1 else x  # type: ignore[attr-defined]
    return tuple(made[id(x)] for x in (query, key, value))
