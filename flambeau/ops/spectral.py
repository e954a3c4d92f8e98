"""Short-time Fourier transforms and window functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name, type_name
from ..core.op import apply
from ..core.tensor import Tensor, wrap
from ..errors import dimension
from ..kernels import fft as kernels
from ..kernels import windows
from .arguments import invalid_arguments, not_implemented_for
from .creation import dtype_argument, make
from .linalg_checks import column_major, value_of, warn_once
from .registry import FUNCTIONS, cast, declare

STFT = Op(kernels.stft, name="Squeeze")
ISTFT = Op(kernels.istft, name="Squeeze")

NO_WINDOW = (
    "A window was not provided. A rectangular window will be applied,which is known to cause "
    "spectral leakage. Other windows such as torch.hann_window or torch.hamming_window are "
    "recommended to reduce spectral leakage.To suppress this warning and use a rectangular window, "
    "explicitly set `window=torch.ones(n_fft, device=<device>)`."
)
NO_WINDOW_INVERSE = (
    "A window was not provided. A rectangular window will be applied.Please provide the same "
    "window used by stft to make the inversion lossless.To suppress this warning and use a "
    "rectangular window, explicitly set `window=torch.ones(n_fft, device=<device>)`."
)
PAD_MODES = ("constant", "reflect", "replicate", "circular")
# Below this, the squared windows are taken not to cover the signal.
LEAST_ENVELOPE = 1e-11


def _listed(shape: Any) -> str:
    return ", ".join(map(str, shape))


def _none_or(value: Any) -> Any:
    return "None" if value is None else int(value)


def _window_text(window: Tensor | None) -> str:
    if window is None:
        return "None"
    return f"{type_name(window.dtype, window.device)}{{[{_listed(window._dims())}]}}"


def _padded_length(input: Tensor, n_fft: int, center: bool, pad_mode: str) -> int:
    """The length of the signal after `center`, whose checks are those of the padding function."""
    length = input._dims()[-1]
    if not center:
        return length
    if pad_mode not in PAD_MODES:
        raise NotImplementedError(f"Unrecognised padding mode {pad_mode}")
    amount = n_fft // 2
    if length == 0:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: [1, 1, {length}]"
        )
    if pad_mode == "reflect" and amount >= length:
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, but "
            f"got: padding ({amount}, {amount}) at dimension 2 of input [1, 1, {length}]"
        )
    return length + 2 * amount


@declare()
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The transforms of windowed stretches of a signal: (*, length) -> (*, frequencies, frames).

    Args:
        hop_length: the distance of the stretches (default: n_fft // 4).
        win_length: the length of the window, which is centred in n_fft values (default: n_fft).
        center: frame t is centred at t * hop_length; the signal is padded by `pad_mode`.
        normalized: multiply by n_fft^-1/2.
        onesided: only the first n_fft / 2 + 1 frequencies (default: for real signals).
        return_complex: a complex result; otherwise the parts lie along a last axis of size 2.
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    size = n_fft if win_length is None else win_length
    if align_to_window is not None and center:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if align_to_window and size != n_fft:
        raise NotImplementedError("flambeau.stft(align_to_window=True) with win_length < n_fft")
    complex_window = window is not None and window.dtype.is_complex
    complex_input = input.dtype.is_complex or complex_window
    if return_complex is None:
        if not complex_input:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will "
                "further require that return_complex=True in a future PyTorch release."
            )
        return_complex = True
    if not return_complex:
        warnings.warn(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will "
            "return complex tensors for all inputs, and return_complex=False will raise an error.\n"
            "Note: you can still call torch.view_as_real on the complex output to recover the old "
            "return format.",
            UserWarning,
            stacklevel=2,
        )
    if window is None:
        warn_once(NO_WINDOW)
    shape = input._dims()
    ndim = len(shape)
    length = _padded_length(input, n_fft, center, pad_mode) if n_fft > 0 else shape[-1]
    facts = (
        f"stft({type_name(input.dtype, input.device)}[{_listed((*shape[:-1], length))}], "
        f"n_fft={n_fft}, hop_length={hop}, win_length={size}, window={_window_text(window)}, "
        f"normalized={int(normalized)}, onesided={_none_or(onesided)}, "
        f"return_complex={_none_or(return_complex)}, align_to_window={_none_or(align_to_window)}) "
    )
    _check_stft(facts, input, window, n_fft, hop, size, length)
    if onesided is None:
        onesided = not complex_input
    elif onesided and complex_input:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if input.dtype.itemsize < 4:
        raise RuntimeError(
            f"MKL FFT doesn't support tensors of type: {scalar_type_name(input.dtype)}"
        )
    if window is None:
        window = wrap(np.ones(size, input._dtype_numpy()), input.device)
    common = dtypes.promote_types(input.dtype, window.dtype)
    signal = cast(input, common if not input.dtype.is_complex else input.dtype)
    signal = signal if ndim == 2 else signal.reshape(1, shape[0])
    static = (n_fft, hop, bool(center), pad_mode, bool(normalized), bool(onesided))
    spectrum = column_major(apply(STFT, (signal, window), static, "TransposeBackward0"))
    if ndim == 1:
        spectrum = spectrum.squeeze(0)
    return spectrum if return_complex else FUNCTIONS["view_as_real"](spectrum)


def _check_stft(
    facts: str, x: Tensor, window: Tensor | None, n_fft: int, hop: int, size: int, length: int
) -> None:
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        raise RuntimeError(f"{facts}: expected a tensor of floating point or complex values")
    if len(x._dims()) not in (1, 2):
        raise RuntimeError(f"{facts}: expected a 1D or 2D tensor")
    if not 0 < n_fft <= length:
        raise RuntimeError(f"{facts}: expected 0 < n_fft < {length}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"{facts}: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < size <= n_fft:
        raise RuntimeError(f"{facts}: expected 0 < win_length <= n_fft, but got win_length={size}")
    if window is not None and window._dims() != (size,):
        raise RuntimeError(
            f"{facts}: expected a 1D window tensor of size equal to win_length={size}, but got "
            f"window with size [{_listed(window._dims())}]"
        )


@declare()
def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal whose `stft` comes nearest: (*, frequencies, frames) -> (*, length)."""
    if window is None:
        warn_once(NO_WINDOW_INVERSE)
    hop = n_fft // 4 if hop_length is None else hop_length
    size = n_fft if win_length is None else win_length
    shape = input._dims()
    if not input.dtype.is_complex:
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True."
        )
    kind = {"complex64": "CPUComplexFloatType", "complex128": "CPUComplexDoubleType"}
    facts = (
        f"istft({kind[input._dtype_numpy().name]}[{_listed(shape)}], n_fft={n_fft}, "
        f"hop_length={hop}, win_length={size}, window={_window_text(window)}, "
        f"center={int(center)}, normalized={int(normalized)}, onesided={_none_or(onesided)}, "
        f"length={'None' if length is None else length}, return_complex={int(return_complex)}) "
    )
    complex_window = window is not None and window.dtype.is_complex
    half = _check_istft(
        facts, input, window, n_fft, hop, size, onesided, return_complex, complex_window
    )
    if window is None:
        real = dtypes.float32 if input.dtype is dtypes.complex64 else dtypes.float64
        window = wrap(np.ones(size, real.numpy), input.device)
    total = n_fft + hop * (shape[-1] - 1)
    start = n_fft // 2 if center else 0
    stop = start + length if length is not None else total - (n_fft // 2 if center else 0)
    batch = input if len(shape) == 3 else input.unsqueeze(0)
    static = (n_fft, hop, bool(normalized), half, bool(return_complex), start, stop)
    signal, least = apply(ISTFT, (batch, window), static, "SqueezeBackward1")
    smallest = value_of(least)
    if smallest is not None and not smallest > LEAST_ENVELOPE:
        raise RuntimeError(f"{facts}window overlap add min: 1\n[ CPUBoolType{{}} ]")
    if stop > total:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded "
            "with zeros in the tail. Please check your center and hop_length settings.",
            UserWarning,
            stacklevel=2,
        )
    return signal if len(shape) == 3 else signal.squeeze(0)


def _check_istft(
    facts: str,
    x: Tensor,
    window: Tensor | None,
    n_fft: int,
    hop: int,
    size: int,
    onesided: bool | None,
    return_complex: bool,
    complex_window: bool,
) -> bool:
    """Raise for wrong arguments; whether the input holds only half of the frequencies."""
    shape = x._dims()
    if x.numel() == 0:
        raise RuntimeError(f"{facts}: input tensor cannot be empty.")
    dimension(-2, len(shape))
    if len(shape) not in (2, 3):
        if len(shape) == 1:
            dimension(-3, 2)
        raise RuntimeError(
            f"{facts}: expected a tensor with 3 or 4 dimensions, but got {len(shape) + 1}"
        )
    count = shape[-2]
    half = onesided if onesided is not None else count != n_fft
    if half and count != n_fft // 2 + 1:
        raise RuntimeError(
            f"{facts}: expected the frequency dimension (3rd to the last) of the input tensor to "
            f"match n_fft / 2 + 1 when onesided=True, but got {count}"
        )
    if not half and count != n_fft:
        raise RuntimeError(
            f"{facts}: expected the frequency dimension (3rd to the last) of the input tensor to "
            f"match n_fft when onesided=False, but got {count}"
        )
    if not 0 < hop <= size:
        raise RuntimeError(f"{facts}: expected 0 < hop_length <= win_length")
    if not 0 < size <= n_fft:
        raise RuntimeError(f"{facts}: expected 0 < win_length <= n_fft")
    if window is not None and window._dims() != (size,):
        raise RuntimeError(
            f"{facts}: Invalid window shape. window has to be 1D and length of `win_length`"
        )
    if return_complex and half:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if complex_window and not return_complex:
        raise RuntimeError("Complex windows are incompatible with return_complex=False")
    return bool(half)


# Windows


def _window(
    name: str, values: Callable[..., np.ndarray], extra: dict[str, float], doc: str
) -> None:
    """Declare `name(window_length, periodic=True, *extra, dtype=None, ...)`."""
    names = ("periodic", *extra)

    def function(
        window_length: int,
        *args: Any,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        **keyword: Any,
    ) -> Tensor:
        if isinstance(window_length, bool) or not hasattr(window_length, "__index__"):
            raise TypeError(
                f"{name}(): argument 'window_length' (position 1) must be int, not "
                f"{type(window_length).__name__}"
            )
        given = dict(zip(names, args, strict=False))
        if len(args) > len(names) or not set(keyword) <= set(names) - set(given):
            raise invalid_arguments(name, window_length, *args)
        given.update(keyword)
        if "periodic" not in given and given:
            raise invalid_arguments(name, window_length, *args)
        wanted = dtype_argument(name, dtype) or dtypes.get_default_dtype()
        _check_window(name, int(window_length), wanted)
        periodic = bool(given.pop("periodic", True))
        settings = {**extra, **given}
        return make(
            name,
            (int(window_length),),
            wanted,
            lambda shape, holder: values(shape[0], periodic, *settings.values()).astype(holder),
            layout=layout,
            device=device,
            pin_memory=pin_memory,
            requires_grad=requires_grad,
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    declare(name=name, method=False)(function)


def _check_window(name: str, length: int, dtype: dtypes.dtype) -> None:
    if dtype.is_complex:
        raise not_implemented_for("arange_cpu", dtype)
    if not dtype.is_floating_point:
        spelled = {"int64": "long int", "int16": "short int", "uint8": "unsigned char"}
        plain = str(dtype).removeprefix("torch.")
        kind = spelled.get(plain, plain.rstrip("0123456789"))
        raise RuntimeError(
            f"{name} expects floating point dtypes, got: TensorOptions(dtype={kind}, device=cpu, "
            "layout=Strided (default), requires_grad=false (default), pinned_memory=false, "
            "memory_format=(nullopt))"
        )
    if length < 0:
        raise RuntimeError(
            f"{name} requires non-negative window_length, got window_length={length}"
        )


_window(
    "hann_window",
    lambda n, periodic: windows.cosine(n, periodic, (0.5, 0.5)),
    {},
    "(1 - cos(2 pi n / N)) / 2; one period of it, or symmetric where not `periodic`.",
)
_window(
    "hamming_window",
    lambda n, periodic, alpha, beta: windows.cosine(n, periodic, (alpha, beta)),
    {"alpha": 0.54, "beta": 0.46},
    "alpha - beta cos(2 pi n / N); one period of it, or symmetric where not `periodic`.",
)
_window(
    "blackman_window",
    lambda n, periodic: windows.cosine(n, periodic, (0.42, 0.5, 0.08)),
    {},
    "0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N).",
)
_window("bartlett_window", windows.bartlett, {}, "1 - |2 n / N - 1|, a triangle.")
_window(
    "kaiser_window",
    windows.kaiser,
    {"beta": 12.0},
    "I_0(beta sqrt(1 - (2 n / N - 1)^2)) / I_0(beta).",
)
