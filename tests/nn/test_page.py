"""docs/nn.md, which tools/nn_page.py writes, is up to date."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_page_is_up_to_date():
    # In a process of its own: what other tests import would show in the library's namespace.
    check = [sys.executable, str(ROOT / "tools" / "nn_page.py"), "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
