"""Write docs/nn.md: every public name of `torch.nn`, whether it is built, how it is tested.

    python tools/nn_page.py            write it
    python tools/nn_page.py --check    fail where it is out of date

Needs what the tests need: the names are the oracle's, and so are the samples that are counted.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache, reduce
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import flambeau  # noqa: E402
from tests.nn import functiondb, moduledb, test_names  # noqa: E402
from tests.nn.names import MODULES, public_names  # noqa: E402
from tests.parity import opdb  # noqa: E402
from tests.parity.tables import ROWS  # noqa: E402

PAGE = ROOT / "docs" / "nn.md"
TESTS = ("tests/nn", "tests/test_namespaces.py")
HEAD = """\
# `torch.nn`, name by name

Written by `python tools/nn_page.py`; not to be edited.

For each public name of PyTorch 2.13's `torch.nn`: whether it is built, how many rows of our tables
and programs under `tests/` call it, and how many samples (bad inputs included, float32) PyTorch's
own databases of modules and functions have for it, all of which `python -m tests.nn.judge` runs
under both libraries. A name that is not built raises `NotImplementedError`, or is not there. Where
behaviour differs is said in [differences.md](differences.md).
"""
# What stands before a name in the tests: `nn.Linear`, `F.relu`, `prune(t).remove`, ...
OWNER = re.compile(
    "nn|F|functional|init|grad|attention|utils|rnn|stateless|prune|rules|parametriz(e|ations)"
)
CHAIN = re.compile(r"[A-Za-z_]\w*(?:\(t\))?(?:\.[A-Za-z_]\w*)+")
QUOTED = re.compile(r"[\"'](\w+)\(")  # a row of a table of calls, as "eye_(w)"


def called(text: str) -> Iterator[str]:
    """The names of `torch.nn` that a test calls, one by one."""
    for chain in CHAIN.findall(text):
        parts = chain.replace("(t)", "").split(".")
        yield from (name for owner, name in itertools.pairwise(parts) if OWNER.fullmatch(owner))
    yield from QUOTED.findall(text)


def status(path: str, name: str) -> str:
    """`built`, or what is the matter."""
    try:
        found = reduce(getattr, [*path.split("."), name], flambeau)
    except (AttributeError, NotImplementedError):
        return "not built"
    theirs = getattr(MODULES[path], name)
    same_kind = isinstance(found, type) == isinstance(theirs, type)
    return "built" if same_kind else "another kind of object"


@cache
def rows() -> Counter[str]:
    """How often the tests call each name, and how many rows the parity tables have for it."""
    files = [
        file for place in TESTS for file in (sorted((ROOT / place).glob("*.py")) or [ROOT / place])
    ]
    found = Counter(name for file in files for name in called(file.read_text()))
    found.update(name for row in test_names.PROGRAMS for name in called(row))
    found.update(row.name.rpartition(".")[2] for row in ROWS)
    return found


@cache
def samples() -> Counter[str]:
    """How many samples PyTorch has for each of its modules and functions, at float32."""
    found: Counter[str] = Counter()
    for info in moduledb.database():
        both = (moduledb.samples_of, moduledb.bad_samples_of)
        found[info.name] += sum(len(list(kind(info, "float32"))) for kind in both)
    for op in functiondb.database():
        for dtype in functiondb.dtypes_of(op, ["float32"]):
            good = opdb.samples_of(op, getattr(opdb.torch, dtype), functiondb.EVERY)
            found[op.name] += len(good) + len(opdb.bad_samples_of(op, functiondb.EVERY))
    return found


def section(path: str, names: list[str]) -> list[str]:
    lines = [f"## torch.{path}", "", "| name | status | rows | samples |", "|---|---|---:|---:|"]
    for name in names:
        count: Any = samples()[f"{path}.{name}"] or ""
        lines.append(f"| `{name}` | {status(path, name)} | {rows()[name]} | {count} |")
    return [*lines, ""]


def page() -> str:
    """The text of the page."""
    names = public_names()
    every = [(path, name) for path, listed in names.items() for name in listed]
    built = sum(status(path, name) == "built" for path, name in every)
    lines = [HEAD, f"{built} of {len(every)} names are built.", ""]
    for path, listed in names.items():
        lines += section(path, listed)
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail where it is out of date")
    if not parser.parse_args().check:
        PAGE.write_text(page())
        return 0
    if PAGE.read_text() == page():
        return 0
    print("docs/nn.md is out of date: run python tools/nn_page.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
