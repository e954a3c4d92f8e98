"""Write the stubs that tell type checkers and editors what the library attaches at run time.

    python tools/stubs.py            write them
    python tools/stubs.py --check    fail where a file is out of date

Methods of `Tensor` go to `flambeau/core/attached.pyi`, the functions of `flambeau` to
`flambeau/__init__.pyi`, and those of `linalg`, `fft` and `special` to a stub of their own.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import inspect
import shutil
import subprocess
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import flambeau  # noqa: E402
from flambeau.core.tensor import Tensor  # noqa: E402
from flambeau.ops.namespaces import FFT, LINALG, SPECIAL  # noqa: E402
from flambeau.ops.registry import FUNCTIONS, ROWS  # noqa: E402

HEADER = '"""{title} Written by tools/stubs.py; not to be edited."""\n\n'
IMPORTS = """import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
"""
TYPING = {"Any", "Callable", "Iterable", "Iterator", "Mapping", "Sequence", "Tensor", "None"}
FROM = """
from {root}devices import device as _device
from {root}dtypes import dtype as _dtype
from {root}ops.generator import Generator as _Generator
from {root}size import Size as _Size
"""
RENAMED = {
    "dtypes.dtype": "_dtype",
    "Device": "_device",
    "Size": "_Size",
    "Generator": "_Generator",
}
BUILTIN = {"int", "float", "bool", "complex", "str", "bytes", "list", "tuple", "dict", "set"}
BUILTIN |= {"type", "object"}
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
BITS = ("and", "or", "xor", "lshift", "rshift")
UNARY = ("neg", "pos", "abs", "invert")
PROTOCOLS = """
    def as_subclass(self, cls: builtins.type[_T]) -> _T: ...
    def __getitem__(self, index: Any) -> Tensor: ...
    def __setitem__(self, index: Any, value: Any) -> None: ...
    def __iter__(self) -> Iterator[Tensor]: ...
    def __contains__(self, element: Any) -> builtins.bool: ...
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any: ...
    def __deepcopy__(self, memo: builtins.dict[builtins.int, Any]) -> Tensor: ...
"""

# Signatures


def annotation(text: Any) -> str:
    """An annotation as the stub can say it: names that it does not know become Any."""
    if text is inspect.Parameter.empty:
        return "Any"
    if not isinstance(text, str):
        text = getattr(text, "__name__", "Any")
    tree = _Names().visit(ast.parse(text, mode="eval"))
    return ast.unparse(tree) if not _Names.unknown(tree) else "Any"


class _Names(ast.NodeTransformer):
    """Built-in types by their full names: methods and functions are called `int` and `float`."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        name = RENAMED.get(ast.unparse(node))
        return ast.Name(name) if name else node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in BUILTIN:
            return ast.Attribute(ast.Name("builtins"), node.id)
        return ast.Name(RENAMED.get(node.id, node.id))

    @staticmethod
    def unknown(tree: ast.AST) -> bool:
        """Whether a name in it means nothing in the stubs."""
        known = TYPING | set(RENAMED.values()) | {"builtins"}
        return any(isinstance(n, ast.Name) and n.id not in known for n in ast.walk(tree))


def default(value: Any) -> str:
    """A default as the stub shows it."""
    plain = value is None or type(value) in (builtins.bool, builtins.int, builtins.float, str)
    shown = repr(value)
    return shown if plain and shown not in ("inf", "-inf", "nan") else "..."


def parameters(function: Callable[..., Any], method: bool, out: bool | None) -> str | None:
    """The parameters of a function as text; None where they cannot be told.

    Args:
        method: the first one is `self`.
        out: add a keyword `out`; None takes it away.
    """
    kinds = inspect.Parameter
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    parts = ["self"] if method else []
    if method:
        if not found or found[0].kind is kinds.VAR_POSITIONAL:
            return "self, *args: Any, **kwargs: Any"
        found = found[1:]
    if out is None:
        found = [p for p in found if p.name != "out"]
    named_out = any(p.name == "out" for p in found)
    starred = False
    for i, p in enumerate(found):
        if p.kind is kinds.VAR_POSITIONAL:
            starred = True
            parts.append(f"*{p.name}: {annotation(p.annotation)}")
        elif p.kind is kinds.VAR_KEYWORD:
            if out and not named_out:
                parts += [] if starred else ["*"]
                parts.append("out: Any = None")
            out = False
            parts.append(f"**{p.name}: {annotation(p.annotation)}")
        else:
            if p.kind is kinds.KEYWORD_ONLY and not starred:
                starred = True
                parts.append("*")
            has = p.default is not kinds.empty
            end = f" = {default(p.default)}" if has else ""
            parts.append(f"{p.name}: {annotation(p.annotation)}{end}")
            only = p.kind is kinds.POSITIONAL_ONLY
            if only and (i + 1 == len(found) or found[i + 1].kind is not kinds.POSITIONAL_ONLY):
                parts.append("/")
    if out and not named_out:
        parts += [] if starred else ["*"]
        parts.append("out: Any = None")
    return ", ".join(parts)


def declaration(
    name: str, function: Callable[..., Any], *, method: bool = False, out: bool = False
) -> str:
    """`def name(...) -> ...: ...`"""
    listed = parameters(function, method, out)
    if listed is None:
        listed = ("self, " if method else "") + "*args: Any, **kwargs: Any"
    try:
        returns = annotation(inspect.signature(function).return_annotation)
    except (TypeError, ValueError):
        returns = "Any"
    return f"def {name}({listed}) -> {returns}: ..."


def takes_out(name: str) -> bool:
    """Whether a function got its keyword `out` from the registry."""
    return name in ROWS and ROWS[name].out


# The files


def attached() -> str:
    """Methods and properties of `Tensor` that are not written in its class."""
    lines = [
        HEADER.format(title="What floor 3 attaches to `Tensor`."),
        IMPORTS,
        FROM.format(root=".."),
        'from .tensor import Tensor\n\n_T = TypeVar("_T")\n\nclass Attached:\n',
        '    """The functions of tensors as methods, and Python\'s operators."""\n',
        PROTOCOLS,
    ]
    for name in (*ARITHMETIC, *BITS):
        lines.append(f"    def __{name}__(self, other: Any) -> Tensor: ...\n")
        lines.append(f"    def __r{name}__(self, other: Any) -> Tensor: ...\n")
    lines += [f"    def __{n}__(self, other: Any) -> Tensor: ...\n" for n in COMPARISONS]
    lines += [f"    def __{n}__(self) -> Tensor: ...\n" for n in UNARY]
    for name, value in sorted(vars(Tensor).items()):
        if name.startswith("_") or name == "as_subclass":
            continue
        text = _member(name, value)
        if text:
            lines.append(f"    {text}\n")
    return "".join(lines)


def _member(name: str, value: Any) -> str:
    if isinstance(value, property):
        if value.fget is None or value.fget.__module__ == "flambeau.core.tensor":
            return ""
        return f"@property\n    def {name}(self) -> {_property_type(name)}: ..."
    if not inspect.isfunction(value) or value.__module__ == "flambeau.core.tensor":
        return ""
    base = ROWS.get(name[:-1]) if name.endswith("_") and not name.endswith("__") else None
    if base is not None and base.inplace and value.__qualname__ == name:
        listed = parameters(base.function, True, None)
        return f"def {name}({listed}) -> Tensor: ..."
    return declaration(name, value, method=True)


def _property_type(name: str) -> str:
    if name.startswith("is_") or name == "volatile":
        return "builtins.bool"
    if name in ("itemsize", "nbytes"):
        return "builtins.int"
    return "Tensor" if name in ("T", "H", "mT", "mH", "real", "imag") else "Any"


def top() -> str:
    """Everything in the namespace `flambeau`."""
    names = {n: v for n, v in vars(flambeau).items() if not n.startswith("_")}
    names |= {n: getattr(flambeau, n) for n in flambeau._ELSEWHERE}
    flambeau.storage  # noqa: B018  # where the classes of storages are found
    imports, constants, functions = [], [], []
    for name, value in sorted(names.items()):
        if isinstance(value, types.ModuleType) or name == "annotations":
            continue
        place = _defined_in(name, value)
        if name in FUNCTIONS and not isinstance(value, type):
            functions.append(declaration(name, value, out=takes_out(name)))
        elif place:
            imports.append(f"from .{place.removeprefix('flambeau.')} import {name} as {name}")
        else:
            constants.append(f"{name}: {_constant_type(value)}")
    imports += [f"from . import {n} as {n}" for n in sorted(flambeau._LAZY) if _is_there(n)]
    return "".join(
        [
            HEADER.format(title="`flambeau`, as `torch`."),
            IMPORTS,
            FROM.format(root="."),
            *(f"{line}\n" for line in dict.fromkeys(imports)),
            "\n__version__: builtins.str\n",
            *(f"{line}\n" for line in constants),
            "\n",
            *(f"{line}\n" for line in functions),
        ]
    )


def _is_there(name: str) -> bool:
    package = ROOT / "flambeau" / name
    return package.with_suffix(".py").exists() or package.is_dir()


def _defined_in(name: str, value: Any) -> str | None:
    """The module of the package that a class or a function comes from; None for a constant."""
    if name == "config":
        return "flambeau.config"
    if not isinstance(value, type) and not inspect.isfunction(value):
        return None
    module = value.__module__
    if module.startswith("flambeau."):
        return module
    for found in (f"flambeau.{module.removeprefix('torch.')}", *sorted(sys.modules)):
        if found.startswith("flambeau.") and found in sys.modules:
            names = vars(sys.modules[found])
            if names.get(name) is value:
                return found
    return None


def _constant_type(value: Any) -> str:
    if isinstance(value, flambeau.dtype):
        return "_dtype"
    for kind in (flambeau.memory_format, flambeau.layout):
        if isinstance(value, kind):
            return kind.__name__
    if isinstance(value, (builtins.float, builtins.int)):
        return f"builtins.{type(value).__name__}"
    if isinstance(value, type):
        return "builtins.type[Any]"
    return "None" if value is None else "Any"


def namespace(title: str, functions: dict[str, Any], extra: Iterable[str] = ()) -> str:
    """The functions of `torch.linalg` and its like."""
    lines = [HEADER.format(title=title), IMPORTS, "\n", *(f"{line}\n" for line in extra)]
    lines += ["from .core.tensor import Tensor", FROM.format(root="."), "\n"]
    for name, function in sorted(functions.items()):
        wrapped = hasattr(function, "__wrapped__")
        lines.append(declaration(name, function, out=wrapped) + "\n")
    return "".join(lines)


def formatted(path: str, text: str) -> str:
    """The text as ruff wants it."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or "ruff"
    for command in (
        ["check", "--fix", "--quiet", "--exit-zero", "--select", "I,F401"],
        ["format", "--quiet"],
    ):
        text = subprocess.run(
            [ruff, *command, "--stdin-filename", path, "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout
    return text


def stubs() -> dict[str, str]:
    """The text of every stub, by its path."""
    texts = {
        "flambeau/core/attached.pyi": attached(),
        "flambeau/__init__.pyi": top(),
        "flambeau/linalg.pyi": namespace(
            "`torch.linalg`.", LINALG, ["from .errors import LinAlgError as LinAlgError"]
        ),
        "flambeau/fft.pyi": namespace("`torch.fft`.", FFT),
        "flambeau/special.pyi": namespace("`torch.special`.", SPECIAL),
    }
    return {path: formatted(path, text) for path, text in texts.items()}


def out_of_date() -> list[str]:
    """The stubs that are not what this program would write."""
    return [
        path
        for path, text in stubs().items()
        if not (ROOT / path).exists() or (ROOT / path).read_text() != text
    ]


def main() -> None:
    """Write the stubs, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        wrong = out_of_date()
        if wrong:
            sys.exit(f"out of date, run `python tools/stubs.py`: {', '.join(wrong)}")
        return
    for path, text in stubs().items():
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()
