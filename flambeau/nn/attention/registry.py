"""Flash-attention implementations of others, by name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)


def _not_here(*args: Any, **kwargs: Any) -> Any:
    raise ModuleNotFoundError("No module named 'flash_attn'")


_implementations: dict[str, Callable[..., Any]] = {"FA3": _not_here, "FA4": _not_here}
_active: list[tuple[str, Any]] = []


def register_flash_attention_impl(impl: str, *, register_fn: Callable[..., Any]) -> None:
    """Give an implementation a name; `register_fn` puts it in place when it is activated."""
    _implementations[impl] = register_fn


def activate_flash_attention_impl(impl: str) -> None:
    """Put a registered implementation in place.

    Raises:
        ValueError: nothing was registered under that name.
    """
    register = _implementations.get(impl)
    if register is None:
        raise ValueError(
            f"Unknown flash attention impl '{impl}'. Available implementations: "
            f"{list_flash_attention_impls()}"
        )
    if _active:
        restore_flash_attention_impl()
    handle = register()
    if handle is not None:
        _active.append((impl, handle))


def list_flash_attention_impls() -> list[str]:
    """The names of the registered implementations."""
    return sorted(_implementations)


def current_flash_attention_impl() -> str | None:
    """The implementation that was activated and has to be put away again, if any."""
    return _active[0][0] if _active else None


def restore_flash_attention_impl(_raise_warn: bool = True) -> None:
    """Put the activated implementation away."""
    if not _active:
        if _raise_warn:
            logger.warning("Trying to restore default FA2 impl when no custom impl was activated")
        return
    _, handle = _active.pop()
    handle.remove()
