"""docs/nn.md, which tools/nn_page.py writes, is up to date."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.nn.names import public_names

ROOT = Path(__file__).resolve().parent.parent.parent
TOOL = ROOT / "tools" / "nn_page.py"
SPEC = importlib.util.spec_from_file_location("nn_page", TOOL)
nn_page = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(nn_page)


def test_every_name_and_its_status():
    written = re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", nn_page.PAGE.read_text(), re.MULTILINE)
    names = public_names()
    expected = [(name, nn_page.status(path, name)) for path in names for name in names[path]]
    assert written == expected, "run python tools/nn_page.py"


@pytest.mark.slow
def test_rows_and_samples():
    check = [sys.executable, str(TOOL), "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
