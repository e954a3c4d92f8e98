"""`torch.autograd.function`: custom functions and their context."""

from __future__ import annotations

from ..core.function import Function, once_differentiable
from ..core.function import FunctionNode as BackwardCFunction

FunctionCtx = BackwardCFunction

__all__ = ["BackwardCFunction", "Function", "FunctionCtx", "once_differentiable"]
