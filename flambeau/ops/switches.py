"""Small functions about the running program: threads, the build."""

from __future__ import annotations

from typing import Any

from .registry import declare


@declare(method=False)
def compiled_with_cxx11_abi() -> bool:
    """Whether C++ libraries of this build use the newer standard library: yes, there are none."""
    return True


@declare(method=False)
def init_num_threads() -> None:
    """Do nothing: XLA has its own threads."""


@declare(method=False)
def prepare_multiprocessing_environment(path: str) -> None:
    """Do nothing: processes need no preparation."""


@declare(method=False)
def is_vulkan_available() -> bool:
    """Whether tensors can be on a Vulkan device: no."""
    return False


class _ClassProperty:
    def __init__(self, getter: Any) -> None:
        self.getter = getter

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self.getter.__get__(instance, owner)()


@declare(method=False)
def classproperty(func: Any) -> Any:
    """A property of the class itself, as a decorator."""
    return _ClassProperty(
        func if isinstance(func, (classmethod, staticmethod)) else classmethod(func)
    )
