"""Run a program written for PyTorch on flambeau: `python -m flambeau.run script.py [argument...]`.

    python -m flambeau.run script.py --epochs 3
    python -m flambeau.run -m package.module --epochs 3

The program sees `sys.argv`, `sys.path`, `__main__` and exit codes as under `python script.py` and
`python -m package.module`; `import torch` means flambeau (see `flambeau.alias_torch`).
"""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import io
import os
import sys
from types import CodeType, ModuleType, TracebackType
from typing import Any

from .alias import alias_torch

USAGE = "usage: python -m flambeau.run {script.py | -m module} [argument...]"
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class CannotStart(Exception):
    """There is no program to run."""


def main(arguments: list[str]) -> int:
    """Run a program; returns its exit code, or raises SystemExit as the program does.

    Args:
        arguments: the script, or "-m" and a module, and then the program's own arguments.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    _keep_importable()
    alias_torch()
    try:
        if arguments[0] == "-m":
            if len(arguments) < 2:
                raise CannotStart(USAGE)
            start = _module(arguments[1])
            sys.argv = [start[1]["__file__"], *arguments[2:]]
        else:
            start = _script(arguments[0])
            sys.argv = list(arguments)
            if not sys.flags.safe_path:
                sys.path[0] = os.path.dirname(os.path.realpath(arguments[0]))
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 2
    except SyntaxError as error:
        sys.excepthook(type(error), error.with_traceback(None), None)
        return 1
    return _execute(*start)


def _keep_importable() -> None:
    """Let processes that inherit `sys.path` find flambeau where it is run from its own folder."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    others = sys.path if sys.flags.safe_path else sys.path[1:]
    if importlib.machinery.PathFinder.find_spec("flambeau", others) is None:
        sys.path.append(home)


def _script(path: str) -> tuple[CodeType, dict[str, Any]]:
    """A script's code, and what its `__main__` begins with."""
    full = os.path.abspath(path)
    try:
        with io.open_code(full) as file:
            source = file.read()
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        raise CannotStart(f"{sys.executable}: can't open file {full!r}: {reason}") from None
    loader = importlib.machinery.SourceFileLoader("__main__", full)
    facts = {"__file__": full, "__loader__": loader, "__package__": None, "__cached__": None}
    return compile(source, full, "exec", dont_inherit=True), facts


def _module(name: str) -> tuple[CodeType, dict[str, Any]]:
    """The code of a module, or of a package's `__main__`, and what its `__main__` begins with."""
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name += ".__main__"
            spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        raise CannotStart(
            f"{sys.executable}: Error while finding module specification for {name!r} "
            f"({type(error).__name__}: {error})"
        ) from None
    code = spec.loader.get_code(name) if spec and hasattr(spec.loader, "get_code") else None  # type: ignore[union-attr]
    if spec is None or code is None:
        raise CannotStart(f"{sys.executable}: No module named {name}")
    return code, {
        "__file__": spec.origin,
        "__loader__": spec.loader,
        "__package__": spec.parent,
        "__spec__": spec,
        "__cached__": spec.cached,
    }


def _execute(code: CodeType, facts: dict[str, Any]) -> int:
    """Run code as `__main__`; what it raises is shown without the frames of this file."""
    program = ModuleType("__main__")
    program.__dict__.update({"__builtins__": builtins, "__annotations__": {}, **facts})
    sys.modules["__main__"] = program
    try:
        exec(code, program.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        frames = _frames_of_the_program(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(frames), frames)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _frames_of_the_program(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
