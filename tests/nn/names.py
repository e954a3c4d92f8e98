"""The public names of PyTorch's `torch.nn`, by module."""

from __future__ import annotations

import importlib
import types
from typing import Any

import torch

MODULES = {
    "nn": torch.nn,
    "nn.functional": torch.nn.functional,
    "nn.init": torch.nn.init,
    "nn.grad": torch.nn.grad,
    "nn.attention": torch.nn.attention,
    **{
        f"nn.utils{name}": importlib.import_module(f"torch.nn.utils{name}")
        for name in (
            "",
            ".parametrize",
            ".parametrizations",
            ".prune",
            ".rnn",
            ".stateless",
        )
    },
}


# Helpers of PyTorch's own source files.
HELPERS = {"PackedSequence_", "assert_int_or_pair", "bind", "boolean_dispatch"}


def belongs(name: str, value: Any, module: types.ModuleType) -> bool:
    """Whether `name` is the module's own, and not imported for its own use."""
    if name.startswith("_") or name in HELPERS or not callable(value):
        return False
    if name in getattr(module, "__all__", ()):
        return True
    home = getattr(value, "__module__", None) or "torch.nn"
    if isinstance(value, type) and module is not torch.nn and home != module.__name__:
        return False
    return home.startswith(("torch.nn", "torch._C._nn")) or home == "torch"


def public_names() -> dict[str, list[str]]:
    """For each module its names, those of `torch.nn.modules` under `nn`."""
    found = {
        path: sorted(n for n, v in vars(module).items() if belongs(n, v, module))
        for path, module in MODULES.items()
    }
    found["nn"] = sorted({*found["nn"], *torch.nn.modules.__all__})
    return found
