"""`torch.backends.mha`: the fast path of attention layers in `eval()`, which XLA needs not."""

from __future__ import annotations

_fast_path = True


def get_fastpath_enabled() -> bool:
    """What `set_fastpath_enabled` was called with last."""
    return _fast_path


def set_fastpath_enabled(value: bool) -> None:
    """Accepted: there is one path."""
    global _fast_path
    _fast_path = value
