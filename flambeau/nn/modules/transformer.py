"""Transformers: encoder, decoder, their layers, and the two together.

Source: Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.tensor import Tensor
from ...ops.registry import FUNCTIONS
from .. import functional as F
from ..functional.attention import added_mask, warn_of_mixed_masks
from ..init import xavier_uniform_
from .activation import GELU, ReLU
from .attention import MultiheadAttention, no_gradient_needed
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

Activation = Callable[[Tensor], Tensor]


def _generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
    """(sz, sz), -inf right of the diagonal and 0 elsewhere."""
    full = FUNCTIONS["full"]((sz, sz), float("-inf"), dtype=dtype, device=device)
    return full.triu(1)


def _get_seq_len(src: Tensor, batch_first: bool) -> int | None:
    """The number of positions."""
    shape = src._dims()
    return shape[0] if len(shape) == 2 else shape[1 if batch_first else 0]


def _detect_is_causal_mask(
    mask: Tensor | None, is_causal: bool | None = None, size: int | None = None
) -> bool:
    """`is_causal` where it is given; otherwise whether `mask` is the causal one."""
    if is_causal is not None or mask is None:
        return is_causal is True
    count = size if size is not None else mask._dims()[-2]
    causal = _generate_square_subsequent_mask(count, device=mask.device, dtype=mask.dtype)
    if mask._dims() != causal._dims():
        return False
    return bool(np.array_equal(mask._host(), causal._host()))


def _get_clones(module: Module, N: int) -> ModuleList:
    """N copies, which share nothing."""
    return ModuleList([copy.deepcopy(module) for _ in range(N)])


def _get_activation_fn(activation: str) -> Activation:
    """The function by its name."""
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return getattr(F, activation)


def _function_of(activation: str | Activation) -> Activation:
    return _get_activation_fn(activation) if isinstance(activation, str) else activation


class Transformer(Module):
    """An encoder of the source and a decoder of the target that attends to it.

    Args:
        d_model: features E of source and target.
        nhead: heads of attention.
        num_encoder_layers, num_decoder_layers, dim_feedforward, dropout, activation,
            layer_norm_eps, norm_first, bias: see `TransformerEncoderLayer`.
        custom_encoder, custom_decoder: modules to use instead.
        batch_first: (N, L, E) rather than (L, N, E).

    Shape:
        src (S, N, E), tgt (T, N, E), without N if there is no batch; masks (S, S), (T, T), (T, S),
        or with N * nhead in front; padding masks (N, S), (N, T), (N, S); the result (T, N, E).

    Example::

        >>> model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
        >>> model(torch.ones(2, 5, 8), torch.ones(2, 3, 8)).shape
        torch.Size([2, 3, 8])
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        options = (batch_first, norm_first, bias, device, dtype)
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            layer = TransformerEncoderLayer(*sizes, *options)
            self.encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            decoder_layer = TransformerDecoderLayer(*sizes, *options)
            self.decoder = TransformerDecoder(decoder_layer, num_decoder_layers, norm())
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        """Every matrix Xavier uniform."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The decoded target; masks as in `F.multi_head_attention_forward`."""
        batched = src.dim() == 3
        axis = 0 if self.batch_first else 1
        if batched and src._dims()[axis] != tgt._dims()[axis]:
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src._dims()[-1] != self.d_model or tgt._dims()[-1] != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(
            src,
            mask=src_mask,
            src_key_padding_mask=src_key_padding_mask,
            is_causal=src_is_causal,
        )
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """The causal mask: (sz, sz), -inf right of the diagonal and 0 elsewhere.

        >>> nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        return _generate_square_subsequent_mask(sz, device, dtype)


class TransformerEncoder(Module):
    """A stack of encoder layers.

    Args:
        encoder_layer: copied `num_layers` times.
        norm: applied to the result.
        enable_nested_tensor: at inference, give zeros at the positions that
            `src_key_padding_mask` masks, where PyTorch's fast path does.
        mask_check: look whether the padding lies at the ends before doing so.

    Shape:
        src (S, N, E), without N if there is no batch; mask (S, S), padding mask (N, S).

    Example::

        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> nn.TransformerEncoder(layer, 2)(torch.ones(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    __constants__ = ["norm"]

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _get_clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check
        reason = _why_not_nested(encoder_layer)
        self.use_nested_tensor = enable_nested_tensor and not reason
        if enable_nested_tensor and reason:
            warnings.warn(
                "enable_nested_tensor is True, but self.use_nested_tensor is False because "
                f"{reason}",
                UserWarning,
                stacklevel=2,
            )

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """The encoded source; masks as in `F.multi_head_attention_forward`."""
        warn_of_mixed_masks(src_key_padding_mask, mask, ("src_key_padding_mask", "mask"))
        padding = added_mask(src_key_padding_mask, "src_key_padding_mask", src.dtype)
        mask = added_mask(mask, "mask", src.dtype)
        first = self.layers[0]
        zeroed = self._zeroed(src, mask, padding)
        batch_first = first.self_attn.batch_first if hasattr(first, "self_attn") else False
        is_causal = _detect_is_causal_mask(mask, is_causal, _get_seq_len(src, batch_first))
        output = src
        for layer in self.layers:
            output = layer(output, src_mask=mask, is_causal=is_causal, src_key_padding_mask=padding)
        if zeroed is not None:
            output = output.masked_fill(zeroed, 0.0)
        return output if self.norm is None else self.norm(output)

    def _zeroed(self, src: Tensor, mask: Tensor | None, padding: Tensor | None) -> Tensor | None:
        """The positions to set to zero (N, S, 1), as PyTorch's nested tensors do."""
        first = self.layers[0]
        if padding is None or mask is not None or not getattr(self, "use_nested_tensor", False):
            return None
        if not isinstance(first, TransformerEncoderLayer) or not first.takes_fast_path(src):
            return None
        masked = padding != 0
        if (not hasattr(self, "mask_check") or self.mask_check) and not _at_the_end(masked):
            return None
        return masked.unsqueeze(-1)  # type: ignore[attr-defined]


def _at_the_end(masked: Any) -> bool:
    """Whether no masked position is before one that is not."""
    values = masked._host()
    return bool((values[:, 1:] >= values[:, :-1]).all())


def _why_not_nested(layer: Module) -> str:
    """Why PyTorch's fast path cannot run a layer on nested tensors; empty if it can."""
    if not isinstance(layer, TransformerEncoderLayer):
        return "encoder_layer was not TransformerEncoderLayer"
    attention = layer.self_attn
    reasons = {
        "encoder_layer.norm_first was True": layer.norm_first,
        "encoder_layer.self_attn.batch_first was not True"
        "(use batch_first for better inference performance)": not attention.batch_first,
        "encoder_layer.self_attn was passed bias=False": attention.in_proj_bias is None,
        "encoder_layer.self_attn._qkv_same_embed_dim was not True": (
            not attention._qkv_same_embed_dim
        ),
        "encoder_layer.activation_relu_or_gelu was not True": not layer.activation_relu_or_gelu,
        "encoder_layer.norm1.eps was not equal to encoder_layer.norm2.eps": (
            layer.norm1.eps != layer.norm2.eps
        ),
        "encoder_layer.self_attn.num_heads is odd": attention.num_heads % 2 == 1,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


class TransformerDecoder(Module):
    """A stack of decoder layers.

    Args:
        decoder_layer: copied `num_layers` times.
        norm: applied to the result.

    Shape:
        tgt (T, N, E), memory (S, N, E), without N if there is no batch; the result (T, N, E).

    Example::

        >>> layer = nn.TransformerDecoderLayer(8, 2, 16)
        >>> nn.TransformerDecoder(layer, 2)(torch.ones(3, 2, 8), torch.ones(5, 2, 8)).shape
        torch.Size([3, 2, 8])
    """

    __constants__ = ["norm"]

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _get_clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The decoded target; masks as in `F.multi_head_attention_forward`."""
        first = self.layers[0]
        batch_first = first.self_attn.batch_first if hasattr(first, "self_attn") else False
        size = _get_seq_len(tgt, batch_first)
        output = tgt
        for layer in self.layers:
            output = layer(
                output,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=_detect_is_causal_mask(tgt_mask, tgt_is_causal, size),
                memory_is_causal=memory_is_causal,
            )
        return output if self.norm is None else self.norm(output)


class TransformerEncoderLayer(Module):
    """x + attention(x), normalised, then y + feed-forward(y), normalised.

    Args:
        d_model: features E.
        nhead: heads of attention.
        dim_feedforward: features between the two linear maps of the feed-forward network.
        dropout: probability of dropout after each part and within both.
        activation: "relu", "gelu" or a function.
        norm_first: normalise the input of each part rather than its result.
        bias: whether linear maps and norms have one.

    Shape:
        src (S, N, E), or (N, S, E) if `batch_first`, without N if there is no batch.

    Example::

        >>> nn.TransformerEncoderLayer(8, 2, 16)(torch.ones(5, 2, 8)).shape
        torch.Size([5, 2, 8])
    """

    __constants__ = ["norm_first"]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout=dropout, batch_first=batch_first, **options
        )
        self.linear1 = Linear(d_model, dim_feedforward, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **options)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, **options)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, **options)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        activation = _function_of(activation)
        self.activation_relu_or_gelu = _kind_of(activation)
        self.activation = activation

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if not hasattr(self, "activation"):
            self.activation = F.relu

    def takes_fast_path(self, src: Tensor) -> bool:
        """Whether PyTorch would run its fused inference function (Note [Fast path])."""
        return (
            self.self_attn.takes_fast_path(src)
            and not self.training
            and bool(self.activation_relu_or_gelu)
            and self.norm1.eps == self.norm2.eps
            and not any(m._forward_hooks or m._forward_pre_hooks for m in self.modules())
            and no_gradient_needed(src, *self.parameters())
        )

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """The encoded source; masks as in `F.multi_head_attention_forward`."""
        warn_of_mixed_masks(src_key_padding_mask, src_mask, ("src_key_padding_mask", "src_mask"))
        padding = added_mask(src_key_padding_mask, "src_key_padding_mask", src.dtype)
        masks = (added_mask(src_mask, "src_mask", src.dtype), padding, is_causal)
        if self.norm_first:
            x = src + self._sa_block(self.norm1(src), *masks)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(src + self._sa_block(src, *masks))
        return self.norm2(x + self._ff_block(x))

    def _sa_block(
        self,
        x: Tensor,
        attn_mask: Tensor | None,
        key_padding_mask: Tensor | None,
        is_causal: bool = False,
    ) -> Tensor:
        """Attention of the source to itself, and dropout."""
        masks: dict[str, Any] = {"attn_mask": attn_mask, "key_padding_mask": key_padding_mask}
        if self.takes_fast_path(x):
            made, _ = self.self_attn.attend(
                x, x, x, need_weights=False, is_causal=False, plain=True, **masks
            )
        else:
            made, _ = self.self_attn(x, x, x, need_weights=False, is_causal=is_causal, **masks)
        return self.dropout1(made)

    def _ff_block(self, x: Tensor) -> Tensor:
        """The feed-forward network, and dropout."""
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


def _kind_of(activation: Activation) -> int:
    """1 for ReLU, 2 for GELU, 0 for anything else."""
    if activation is F.relu or isinstance(activation, ReLU):
        return 1
    return 2 if activation is F.gelu or isinstance(activation, GELU) else 0


class TransformerDecoderLayer(Module):
    """Attention to oneself, attention to the memory, and a feed-forward network.

    Args:
        d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first,
            norm_first, bias: see `TransformerEncoderLayer`.

    Shape:
        tgt (T, N, E), memory (S, N, E), without N if there is no batch; the result (T, N, E).

    Example::

        >>> nn.TransformerDecoderLayer(8, 2, 16)(torch.ones(3, 2, 8), torch.ones(5, 2, 8)).shape
        torch.Size([3, 2, 8])
    """

    __constants__ = ["norm_first"]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        attention: dict[str, Any] = {"dropout": dropout, "batch_first": batch_first, **options}
        self.self_attn = MultiheadAttention(d_model, nhead, **attention)
        self.multihead_attn = MultiheadAttention(d_model, nhead, **attention)
        self.linear1 = Linear(d_model, dim_feedforward, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **options)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, **options)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, **options)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, **options)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = _function_of(activation)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__({"activation": F.relu, **state})

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The decoded target; masks as in `F.multi_head_attention_forward`."""
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory_mask, memory_key_padding_mask, memory_is_causal)
        x = tgt
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), *own)
            x = x + self._mha_block(self.norm2(x), memory, *other)
            return x + self._ff_block(self.norm3(x))
        x = self.norm1(x + self._sa_block(x, *own))
        x = self.norm2(x + self._mha_block(x, memory, *other))
        return self.norm3(x + self._ff_block(x))

    def _sa_block(
        self,
        x: Tensor,
        attn_mask: Tensor | None,
        key_padding_mask: Tensor | None,
        is_causal: bool = False,
    ) -> Tensor:
        """Attention of the target to itself, and dropout."""
        made, _ = self.self_attn(
            x,
            x,
            x,
            attn_mask=attn_mask,
            key_padding_mask=key_padding_mask,
            is_causal=is_causal,
            need_weights=False,
        )
        return self.dropout1(made)

    def _mha_block(
        self,
        x: Tensor,
        mem: Tensor,
        attn_mask: Tensor | None,
        key_padding_mask: Tensor | None,
        is_causal: bool = False,
    ) -> Tensor:
        """Attention of the target to the memory, and dropout."""
        made, _ = self.multihead_attn(
            x,
            mem,
            mem,
            attn_mask=attn_mask,
            key_padding_mask=key_padding_mask,
            is_causal=is_causal,
            need_weights=False,
        )
        return self.dropout2(made)

    def _ff_block(self, x: Tensor) -> Tensor:
        """The feed-forward network, and dropout."""
        return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))


__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
