"""The examples run, and print on flambeau what they print on PyTorch."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?%?")
SECONDS = 300


def printed(*command):
    """What a Python command prints; a failure or a warning is an error."""
    process = subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def words_and_numbers(text):
    """The text with its numbers cut out, and the numbers, still as text."""
    return NUMBER.sub("#", text), [number.rstrip("%") for number in NUMBER.findall(text)]


def agree(ours, theirs):
    """Two printed numbers agree to four digits; or to the last one printed, of three or more."""
    decimals = len(theirs.partition(".")[2])
    last_place = 1.1 * 10**-decimals if decimals >= 3 else 0
    return float(ours) == pytest.approx(float(theirs), rel=1e-3, abs=max(2e-5, last_place))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_same_output_as_pytorch(path):
    name = str(path.relative_to(ROOT))
    ours, our_numbers = words_and_numbers(printed(name))
    theirs, their_numbers = words_and_numbers(printed("-m", "tests.oracle_script", name))
    assert ours == theirs
    assert len(our_numbers) >= 3
    for mine, expected in zip(our_numbers, their_numbers, strict=True):
        assert agree(mine, expected), (mine, expected)


def test_demo(tmp_path):
    output = printed("examples/demo.py", "--output", str(tmp_path))
    accuracy = re.search(r"test accuracy\s+([\d.]+)%", output)
    restored = re.search(r"after save and load\s+([\d.]+)%", output)
    assert accuracy and restored
    assert float(accuracy[1]) >= 98
    assert restored[1] == accuracy[1]
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.pt",
        "curves.png",
        "predictions.png",
    }
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "predictions.png").read_bytes().startswith(b"\x89PNG")


def test_demo_reaches_what_it_reaches_on_pytorch(tmp_path):
    options = ("examples/demo.py", "--epochs", "2", "--output", str(tmp_path))
    pattern = r"(?:training|test) loss .*"
    ours = re.findall(pattern, printed(*options))
    theirs = re.findall(pattern, printed("-m", "tests.oracle_script", *options))
    assert len(theirs) == 2
    for mine, expected in zip(ours, theirs, strict=True):
        for a, b in zip(NUMBER.findall(mine), NUMBER.findall(expected), strict=True):
            assert float(a) == pytest.approx(float(b), rel=5e-3)


def test_the_readmes_program(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    program = tmp_path / "readme.py"
    program.write_text(blocks[1])
    ours = printed(str(program))
    assert ours == printed("-m", "tests.oracle_script", str(program))
    assert re.search(r"9\d\.\d% of the test digits are right", ours)
