"""Modules that find their sizes at the first call."""

from __future__ import annotations

import itertools
from typing import Any

from ... import dtypes
from ...ops.registry import FUNCTIONS
from ..parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from .batchnorm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear


class LazyModuleMixin:
    """A module whose parameters get their shapes from the first input.

    A subclass gives its parameters as `UninitializedParameter`, defines `initialize_parameters`,
    and names in `cls_to_become` the class that it turns into after its first call.
    """

    cls_to_become: type | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own: Any = self
        own._load_hook = own._register_load_state_dict_pre_hook(own._lazy_load_hook)
        own._initialize_hook = own.register_forward_pre_hook(
            own._infer_parameters, with_kwargs=True
        )

    def _lazy_load_hook(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Take the shapes of what is loaded."""
        own: Any = self
        for name, value in itertools.chain(own._parameters.items(), own._buffers.items()):
            given = state_dict.get(prefix + name)
            if given is not None and is_lazy(value) and not is_lazy(given):
                value.materialize(given.shape)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give the parameters their shapes by the arguments of `forward`."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer still waits for its shape."""
        own: Any = self
        values = itertools.chain(own._parameters.values(), own._buffers.values())
        return any(is_lazy(value) for value in values)

    def _infer_parameters(self, module: Any, args: Any, kwargs: Any = None) -> None:
        """The hook before `forward`: find the shapes, then become the class itself."""
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {type(self).__name__} has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook, module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become


class LazyLinear(LazyModuleMixin, Linear):
    """`Linear` that takes `in_features` from its first input.

    Example::

        >>> layer = nn.LazyLinear(3)
        >>> layer(torch.ones(2, 5)).shape
        torch.Size([2, 3])
        >>> layer
        Linear(in_features=5, out_features=3, bias=True)
    """

    cls_to_become = Linear

    def __init__(
        self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """As `Linear`'s, once there are sizes."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Any) -> None:  # type: ignore[override]
        """Take the size of the last axis."""
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
        if self.in_features == 0:
            self.in_features = input.shape[-1]


class _LazyConv(LazyModuleMixin):
    """What lazy convolutions share."""

    def _become_lazy(self, out_channels: int, bias: bool, device: Any, dtype: Any) -> None:
        own: Any = self
        own.weight = UninitializedParameter(device=device, dtype=dtype)
        own.out_channels = out_channels
        if bias:
            own.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """As the convolution's, once there are sizes."""
        own: Any = self
        if not self.has_uninitialized_params() and own.in_channels != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Any, *args: Any, **kwargs: Any) -> None:
        """Take the number of channels."""
        own: Any = self
        if not self.has_uninitialized_params():
            if own.in_channels == 0:
                own.in_channels = self._channels(input)
            return
        own.in_channels = self._channels(input)
        if own.in_channels % own.groups:
            raise ValueError("in_channels must be divisible by groups")
        first, second = own.out_channels, own.in_channels
        if own.transposed:
            first, second = second, first
        own.weight.materialize((first, second // own.groups, *own.kernel_size))
        if own.bias is not None:
            own.bias.materialize((own.out_channels,))
        self.reset_parameters()

    def _channels(self, input: Any) -> int:
        own: Any = self
        axes = own._axes
        if input.ndim not in (axes + 1, axes + 2):
            raise RuntimeError(
                f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input to "
                f"{type(self).__name__}, but got input of size: {input.shape}"
            )
        return input.shape[input.ndim - axes - 1]


class _LazyConvolution(_LazyConv):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = (kernel_size, stride, padding, dilation, groups, False, padding_mode)
        super().__init__(0, 0, *options)
        self._become_lazy(out_channels, bias, device, dtype)


class _LazyTransposed(_LazyConv):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = (kernel_size, stride, padding, output_padding, groups, False, dilation)
        super().__init__(0, 0, *options, padding_mode)
        self._become_lazy(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConvolution, Conv1d):
    """`Conv1d` that takes `in_channels` from its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConvolution, Conv2d):
    """`Conv2d` that takes `in_channels` from its first input."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyConvolution, Conv3d):
    """`Conv3d` that takes `in_channels` from its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyTransposed, ConvTranspose1d):
    """`ConvTranspose1d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, ConvTranspose2d):
    """`ConvTranspose2d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, ConvTranspose3d):
    """`ConvTranspose3d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose3d


class _LazyNorm(LazyModuleMixin):
    """What lazy batch and instance normalisations share."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False)
        own: Any = self
        own.affine = affine
        own.track_running_stats = track_running_stats
        place = {"device": device, "dtype": dtype}
        if affine:
            own.weight = UninitializedParameter(**place)
            if bias:
                own.bias = UninitializedParameter(**place)
        if track_running_stats:
            own.running_mean = UninitializedBuffer(**place)
            own.running_var = UninitializedBuffer(**place)
            count = FUNCTIONS["tensor"](0, dtype=dtypes.int64, device=device)
            own.num_batches_tracked = count

    def reset_parameters(self) -> None:
        """As the normalisation's, once there are sizes."""
        own: Any = self
        if not self.has_uninitialized_params() and own.num_features != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Any) -> None:  # type: ignore[override]
        """Take the number of channels, where there is something that needs it."""
        own: Any = self
        if not self.has_uninitialized_params():
            return
        own.num_features = input.shape[1]
        for name in ("weight", "bias", "running_mean", "running_var"):
            if is_lazy(getattr(own, name)):
                getattr(own, name).materialize((own.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """`BatchNorm1d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """`BatchNorm2d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """`BatchNorm3d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """`InstanceNorm1d` that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """`InstanceNorm2d` that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """`InstanceNorm3d` that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm3d
