"""Writes the names that PyTorch has, for `alias_torch`: `python -m tests.oracle_names`.

A line for each public module: its name, and the public names that are its own.
"""

import importlib
import pkgutil
import sys
import types
import warnings
from pathlib import Path

import torch

TARGET = Path(__file__).resolve().parent.parent / "flambeau" / "data" / "torch-names.txt"
# Modules that a program for PyTorch's CPU build hardly imports by name; their packages are kept.
INNER = """
    ao bin contrib csrc distributed distributions export fx jit lib masked nativert numa onnx
    package quantization testing nn.backends nn.intrinsic nn.qat nn.quantizable nn.quantized
    utils.backcompat utils.benchmark utils.data.datapipes utils.hipify utils.jit utils.model_dump
    utils.serialization utils.viz
""".split()  # noqa: SIM905
SETTINGS = ("torch._dynamo.config", "torch._inductor.config")


def modules():
    """The names of PyTorch's public modules that can be imported here."""
    yield "torch"
    for info in pkgutil.walk_packages(torch.__path__, "torch.", onerror=lambda name: None):
        path = info.name.removeprefix("torch.")
        inner = any(path.startswith(f"{package}.") for package in INNER)
        if not inner and "._" not in info.name:
            yield info.name
    yield from SETTINGS


def own_names(module):
    """What a module exports: `__all__`, and what it defines itself, with its submodules."""
    if module.__name__ in SETTINGS:
        return sorted(module._config)
    names = set(getattr(module, "__all__", ()))
    for name, value in vars(module).items():
        if name.startswith("_") and not (module is torch and name.startswith(("_foreach", "_C"))):
            continue
        if isinstance(value, types.ModuleType):
            own = value.__name__ == f"{module.__name__}.{name}"
        else:
            home = getattr(value, "__module__", "")
            builtin = isinstance(value, types.BuiltinFunctionType) and "." in module.__name__
            exported = isinstance(home, str) and home.startswith(f"{module.__name__}.")
            own = home == module.__name__ or builtin or (module is torch and home is None)
            own = own or (exported and module is not torch)
        if own:
            names.add(name)
    return sorted(names)


def table():
    """The text of the file."""
    lines = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sorted(set(modules())):
            try:
                module = importlib.import_module(name)
            except ImportError:
                lines.append(f"{name}:")
                continue
            lines.append(f"{name}: {' '.join(own_names(module))}".rstrip())
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(table())
    sys.stdout.write(f"{TARGET}: {TARGET.stat().st_size} bytes\n")
