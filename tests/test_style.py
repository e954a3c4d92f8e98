"""What the linter does not check: public things are documented, nothing is left half done."""

import ast
import inspect
import re
from pathlib import Path

import flambeau
from flambeau.ops.registry import FUNCTIONS

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "flambeau").rglob("*.py"))
LEFT_OVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def test_modules_say_what_they_are():
    trees = {path: ast.parse(path.read_text()) for path in FILES}
    silent = [
        str(p.relative_to(ROOT)) for p, t in trees.items() if t.body and not ast.get_docstring(t)
    ]
    assert silent == []


def test_nothing_is_left_for_later():
    marked = [str(path.relative_to(ROOT)) for path in FILES if LEFT_OVER.search(path.read_text())]
    assert marked == []


def undocumented(names):
    return sorted(name for name, value in names.items() if not inspect.getdoc(value))


def test_functions_are_documented():
    assert undocumented({n: f for n, f in FUNCTIONS.items() if inspect.isroutine(f)}) == []


def test_methods_are_documented():
    methods = {
        name: value
        for name, value in vars(flambeau.Tensor).items()
        if not name.startswith("_") and (inspect.isroutine(value) or isinstance(value, property))
    }
    assert undocumented(methods) == []
