"""The names that PyTorch 2.13 has, to tell what is not built from what is a mistake."""

from __future__ import annotations

import functools
from pathlib import Path


@functools.cache
def names_in_pytorch() -> dict[str, frozenset[str]]:
    """The modules of PyTorch, and the names in each of them."""
    lines = (Path(__file__).parent / "data" / "torch-names.txt").read_text().splitlines()
    rows = (line.partition(":") for line in lines)
    return {module: frozenset(names.split()) for module, _, names in rows}


def in_pytorch(name: str) -> bool:
    """Whether PyTorch has a module, or an attribute of a module, of this full name."""
    module, _, attribute = name.rpartition(".")
    names = names_in_pytorch()
    return name in names or attribute in names.get(module, ()) or module == "torch.ops"
