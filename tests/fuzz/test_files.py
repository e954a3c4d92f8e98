"""A thousand damaged and malicious checkpoints; a hundred thousand with `-m slow`."""

import subprocess
import sys

import pytest

COMMAND = [
    sys.executable,
    "-W",
    "ignore",
    "-m",
    "tests.fuzz.files",
]  # a process: hooks stay for good


def run(*arguments):
    process = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def test_some_files():
    assert ", 0 failures;" in run("--count", "1200", "--first", "60000")


@pytest.mark.slow
def test_many_files():
    assert ", 0 failures;" in run("--count", "100000")
