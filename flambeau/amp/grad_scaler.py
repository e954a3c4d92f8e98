"""`GradScaler`: losses scaled up, so that gradients in float16 do not vanish."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable
from enum import Enum
from typing import Any

from .. import dtypes
from ..core.device import accelerator_count
from ..core.modes import no_grad
from ..core.tensor import Tensor
from ..devices import device as Device
from ..ops.registry import FUNCTIONS


class OptState(Enum):
    """How far an optimiser has come in this iteration."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _new_optimizer_state() -> dict[str, Any]:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


class GradScaler:
    """Scales losses so that small gradients survive in float16, and finds the scale by itself.

    After `growth_interval` steps without infinities or NaN among the gradients, the scale grows; a
    step with one is left out, and the scale shrinks.

    Args:
        device: 'cuda' or 'cpu'.
        init_scale: the scale to begin with.
        growth_factor, backoff_factor: by what it grows and shrinks.
        growth_interval: after how many good steps it grows.
        enabled: False makes all methods do nothing (`step` steps the optimiser).

    Example::

        >>> model = nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        >>> scaler.scale(model(torch.ones(1, 2)).sum()).backward()
        >>> scaler.step(optimizer)
        >>> scaler.update()
        >>> scaler.get_scale()
        1024.0
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        self._enabled = enabled
        if enabled and device == "cuda" and not accelerator_count():
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=2,
            )
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._scale: Tensor | None = None
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._growth_tracker: Tensor | None = None
        self._per_optimizer_states: defaultdict[int, dict[str, Any]] = defaultdict(
            _new_optimizer_state
        )

    def _check_started(self, method: str) -> tuple[Tensor, Tensor]:
        if self._scale is None or self._growth_tracker is None:
            raise AssertionError(
                f"Attempted {method} but _scale is None.  This may indicate your script did not "
                "use scaler.scale(loss or outputs) earlier in the iteration."
            )
        return self._scale, self._growth_tracker

    def _start(self, device: Device) -> None:
        """Make the tensors of the scale and of the count of good steps."""
        full = FUNCTIONS["full"]
        self._scale = full((), self._init_scale, dtype=dtypes.float32, device=device)
        self._growth_tracker = full(
            (), self._init_growth_tracker, dtype=dtypes.int32, device=device
        )

    def scale(self, outputs: Any) -> Any:
        """A tensor, or each of several, multiplied by the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._start(outputs.device)
            return outputs * self._scale.to(device=outputs.device)  # type: ignore[union-attr]
        if not isinstance(outputs, Iterable):
            raise ValueError("outputs must be a Tensor or an iterable of Tensors")
        scaled = map(self.scale, outputs)
        return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled  # type: ignore[call-arg]

    @no_grad()
    def _unscale_grads_(
        self, optimizer: Any, inverse: Tensor, allow_fp16: bool
    ) -> dict[Device, Tensor]:
        """Divide the gradients by the scale; for each device 1 where one was not finite."""
        found: dict[Device, Tensor] = {}
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                gradient = parameter._grad
                if gradient is None:
                    continue
                if not allow_fp16 and gradient.dtype is dtypes.float16:
                    raise ValueError("Attempting to unscale FP16 gradients.")
                values = gradient._values() if gradient.is_sparse else gradient
                bad = values.isfinite().all().logical_not().to(dtypes.float32)
                values.mul_(inverse.to(device=values.device, dtype=values.dtype))
                device = values.device
                found[device] = bad if device not in found else found[device].maximum(bad)
        return found

    def unscale_(self, optimizer: Any) -> None:
        """Divide an optimiser's gradients by the scale, to clip them before `step`, for example."""
        if not self._enabled:
            return
        scale, _ = self._check_started("unscale_")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        inverse = scale.double().reciprocal().float()  # type: ignore[attr-defined]
        state["found_inf_per_device"] = self._unscale_grads_(optimizer, inverse, False)
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)`, unless a gradient is infinite or NaN.

        Returns:
            What the optimiser's step returned; None where it was left out.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._check_started("step")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        if not state["found_inf_per_device"]:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        result = None
        if not any(bad.item() for bad in state["found_inf_per_device"].values()):
            result = optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adapt the scale to what was found since the last call, or set it.

        Args:
            new_scale: the scale from now on.
        """
        if not self._enabled:
            return
        scale, tracker = self._check_started("update")
        if new_scale is not None:
            _set_scale(scale, new_scale)
        else:
            states = self._per_optimizer_states.values()
            found = [bad for s in states for bad in s["found_inf_per_device"].values()]
            if not found:
                raise AssertionError("No inf checks were recorded prior to update.")
            self._adapt(scale, tracker, any(bad.item() for bad in found))
        self._per_optimizer_states = defaultdict(_new_optimizer_state)

    def _adapt(self, scale: Tensor, tracker: Tensor, bad: bool) -> None:
        good_steps = 0 if bad else int(tracker.item()) + 1  # type: ignore[attr-defined]
        if bad:
            scale.mul_(self._backoff_factor)  # type: ignore[attr-defined]
        elif good_steps == self._growth_interval:
            grown = scale * self._growth_factor
            if grown.isfinite().item():
                scale.copy_(grown)  # type: ignore[attr-defined]
            good_steps = 0
        tracker.fill_(good_steps)  # type: ignore[attr-defined]

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        if self._growth_tracker is None:
            return self._init_growth_tracker
        return int(self._growth_tracker.item())  # type: ignore[attr-defined]

    def get_scale(self) -> float:
        """The scale; 1.0 where scaling is off."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()  # type: ignore[attr-defined]

    def get_growth_factor(self) -> float:
        """By what the scale grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set by what the scale grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """By what the scale shrinks."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set by what the scale shrinks."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many good steps the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set after how many good steps the scale grows."""
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether scaling is on."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The scale and its settings; empty where scaling is off."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a scale and its settings."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])  # type: ignore[attr-defined]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._growth_tracker is not None:
            self._growth_tracker.fill_(state_dict["_growth_tracker"])  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._enabled:
            if self._per_optimizer_states:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning of an iteration, "
                    "or at the end after scaler.update()."
                )
            state["_init_scale"] = self.get_scale()
            state["_init_growth_tracker"] = self._get_growth_tracker()
            state["_scale"] = state["_growth_tracker"] = None
        return state


def _set_scale(scale: Tensor, new_scale: Any) -> None:
    if isinstance(new_scale, float):
        scale.fill_(new_scale)  # type: ignore[attr-defined]
        return
    reason = (
        "new_scale should be a float or a 1-element torch.cuda.FloatTensor or torch.FloatTensor "
        "with requires_grad=False."
    )
    if new_scale.device.type != scale.device.type:
        raise AssertionError(reason)
    if new_scale.numel() != 1 or new_scale.requires_grad:
        raise AssertionError(reason)
    scale.copy_(new_scale)  # type: ignore[attr-defined]


__all__ = ["GradScaler", "OptState"]
