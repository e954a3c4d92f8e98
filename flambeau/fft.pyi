"""`torch.fft`. Written by tools/stubs.py; not to be edited."""

import builtins
from typing import Any

from .core.tensor import Tensor

def fft(
    input: Tensor,
    n: Any = None,
    dim: builtins.int = -1,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def fft2(
    input: Tensor,
    s: Any = None,
    dim: Any = ...,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def fftfreq(
    n: builtins.int,
    d: builtins.float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: builtins.bool = False,
    requires_grad: builtins.bool = False,
) -> Tensor: ...
def fftn(
    input: Tensor,
    s: Any = None,
    dim: Any = None,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def fftshift(input: Tensor, dim: Any = None, *, out: Any = None) -> Tensor: ...
def hfft(
    input: Tensor,
    n: Any = None,
    dim: builtins.int = -1,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def hfft2(
    input: Tensor,
    s: Any = None,
    dim: Any = ...,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def hfftn(
    input: Tensor,
    s: Any = None,
    dim: Any = None,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def ifft(
    input: Tensor,
    n: Any = None,
    dim: builtins.int = -1,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def ifft2(
    input: Tensor,
    s: Any = None,
    dim: Any = ...,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def ifftn(
    input: Tensor,
    s: Any = None,
    dim: Any = None,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def ifftshift(input: Tensor, dim: Any = None, *, out: Any = None) -> Tensor: ...
def ihfft(
    input: Tensor,
    n: Any = None,
    dim: builtins.int = -1,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def ihfft2(
    input: Tensor,
    s: Any = None,
    dim: Any = ...,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def ihfftn(
    input: Tensor,
    s: Any = None,
    dim: Any = None,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def irfft(
    input: Tensor,
    n: Any = None,
    dim: builtins.int = -1,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def irfft2(
    input: Tensor,
    s: Any = None,
    dim: Any = ...,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def irfftn(
    input: Tensor,
    s: Any = None,
    dim: Any = None,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def rfft(
    input: Tensor,
    n: Any = None,
    dim: builtins.int = -1,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def rfft2(
    input: Tensor,
    s: Any = None,
    dim: Any = ...,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
def rfftfreq(
    n: builtins.int,
    d: builtins.float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: builtins.bool = False,
    requires_grad: builtins.bool = False,
) -> Tensor: ...
def rfftn(
    input: Tensor,
    s: Any = None,
    dim: Any = None,
    norm: builtins.str | None = None,
    *,
    out: Any = None,
) -> Tensor: ...
