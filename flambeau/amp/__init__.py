"""`torch.amp`: mixed precision. Matrix products in 16 bits, losses in float32, scaled gradients.

>>> import flambeau as torch
>>> x = torch.ones(2, 2)
>>> with torch.autocast("cpu", dtype=torch.bfloat16):
...     (x @ x).dtype
torch.bfloat16
"""

from . import autocast_mode, grad_scaler
from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
