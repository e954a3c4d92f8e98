"""Type checkers see what is attached at run time, and the stubs are up to date."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import flambeau

ROOT = Path(__file__).resolve().parent.parent
SPEC = importlib.util.spec_from_file_location("stubs", ROOT / "tools" / "stubs.py")
stubs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(stubs)


def test_stubs_are_up_to_date():
    # In a process of its own: what other tests import would show in the library's namespace.
    check = [sys.executable, str(ROOT / "tools" / "stubs.py"), "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def declared(path):
    """The names that a stub declares, in its class or at its top."""
    body = ast.parse((ROOT / path).read_text()).body
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    names = set()
    for node in classes[0].body if classes else body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def test_every_public_name_is_declared():
    public = {name for name in vars(flambeau) if not name.startswith("_")}
    modules = {name for name in public if type(getattr(flambeau, name)) is type(flambeau)}
    assert public - modules - {"annotations"} <= declared("flambeau/__init__.pyi")


def test_every_method_is_declared():
    methods = {n for n in vars(flambeau.Tensor) if not n.startswith("_")}
    own = {n for n in methods if getattr(vars(flambeau.Tensor)[n], "__module__", "") is None}
    written = (ROOT / "flambeau" / "core" / "tensor.py").read_text()
    own |= {n for n in methods if f"def {n}(" in written}
    assert methods - own <= declared("flambeau/core/attached.pyi")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("add", "def add(input: Any, other: Any, *, alpha: Any = 1, out: "),
        ("manual_seed", "def manual_seed(seed: Any) -> _Generator: ..."),
        ("numel", "def numel(input: Tensor) -> builtins.int: ..."),
    ],
)
def test_declarations(name, text):
    assert text in stubs.declaration(name, getattr(flambeau, name), out=stubs.takes_out(name))
