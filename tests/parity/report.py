"""The row tables as a work list: which rows fail, and why.

python -m tests.parity.report                      # every row
python -m tests.parity.report --table linalg       # one family
python -m tests.parity.report --names add,cumsum
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections import defaultdict

from tests.parity.libraries import subject
from tests.parity.rows import Row, problems
from tests.parity.tables import ROWS


def arguments_of(row: Row) -> str:
    """A row's call, short."""
    words = [shown(a) for a in row.call.args]
    words += [f"{key}={shown(value)}" for key, value in row.call.kwargs.items()]
    return ", ".join(words)


def shown(value: object) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        layout = "" if value.layout == "contiguous" else f" {value.layout}"
        return f"{value.dtype}{list(value.shape)}{layout}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(shown(item) for item in value)}]"
    return getattr(value, "name", None) or repr(value)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parity.report")
    parser.add_argument("--table", help="a module of tests/parity/tables")
    parser.add_argument("--names", help="ops, separated by commas")
    options = parser.parse_args(arguments)
    rows = ROWS
    if options.table:
        rows = importlib.import_module(f"tests.parity.tables.{options.table}").ROWS
    if options.names:
        rows = [row for row in rows if row.name in options.names.split(",")]
    failing: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for problem in problems(row, subject()):
            failing[row.name].append(f"({arguments_of(row)})  {problem}"[:260])
    for name, lines in failing.items():
        print(f"{name}: {len(lines)}")
        for line in lines:
            print(f"    {line}")
    names = {row.name for row in rows}
    print(f"{len(names) - len(failing)} of {len(names)} names pass all of their rows")
    return int(bool(failing))


if __name__ == "__main__":
    sys.exit(main())
