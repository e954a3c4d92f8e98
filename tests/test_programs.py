"""Programs written for PyTorch print on flambeau what they print on PyTorch, from the same seed.

Numbers of the first step agree to 1e-5 relative, all to 1e-3. The programs are in tests/programs;
each is run as a user runs it, by `python -m flambeau.run`, and as it is by PyTorch.
"""

import os
import re
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.oracle_stream import INTEL

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "tests" / "programs"
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)|-?\b(?:nan|inf)\b")
FIRST, ALL = 1e-5, 1e-3
ZERO = 1e-12  # a loss that is 0 may be rounding errors

# Command lines; the quick ones run always, the others where slow tests are asked for.
QUICK = """
gpt
dcgan
translation
policy_gradient
style_transfer
short_loops
vae --compile
""".strip().splitlines()
SLOW = """
mnist
vae
super_resolution
siamese
time_series
ema
actor_critic
graph_attention
language_model --model LSTM
language_model --model GRU --tied
language_model --model RNN_TANH
language_model --model RNN_RELU
language_model --model Transformer
gpt --no-flash --dropout 0.1
unet
unet --bilinear
resnet
resnet --block bottleneck
resnet --group-norm
mobilenet
densenet
densenet --memory-efficient
vit
wgan_gp
""".strip().splitlines()
COMPILED = """
mnist
dcgan
super_resolution
language_model
siamese
time_series
translation
graph_attention
gpt
unet
resnet
mobilenet
densenet
vit
ema
style_transfer
wgan_gp
""".strip().splitlines()
SLOW += [f"{line} --compile" for line in COMPILED]
WITH_DROPOUT = (
    "mnist",
    "language_model",
    "translation",
    "graph_attention",
    "policy_gradient",
    "mobilenet",
    "densenet",
)
SAMPLED = ("policy_gradient", "actor_critic", "short_loops")
MARKED = [*QUICK, *(pytest.param(line, marks=pytest.mark.slow) for line in SLOW)]


def arguments(line):
    name, *options = line.split()
    if INTEL and name in WITH_DROPOUT:  # see Note [MKL streams]
        options += ["--dropout", "0"]
    return str(PROGRAMS / f"{name}.py"), *options


def on_flambeau(*command):
    """(what the program prints, its warnings)."""
    process = subprocess.run(
        [sys.executable, "-m", "flambeau.run", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout, re.findall(r"\w+Warning: .*", process.stderr)


def on_pytorch(path, *options, monkeypatch, capsys):
    """The same here, where PyTorch is imported already."""
    before = set(sys.modules)
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "argv", [path, *options])
    monkeypatch.syspath_prepend(str(PROGRAMS))
    torch.set_num_threads(1)
    capsys.readouterr()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            runpy.run_path(path, run_name="__main__")
    finally:
        torch.set_num_threads(threads)
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", None) == str(PROGRAMS / f"{name}.py"):
                del sys.modules[name]
    warned = [f"{w.category.__name__}: {str(w.message).splitlines()[0]}" for w in caught]
    return capsys.readouterr().out, warned


def assert_same(on_flambeau, on_pytorch):
    """The words are equal; the numbers are within the bounds, those of the first line strictly."""
    (ours, our_warnings), (theirs, their_warnings) = on_flambeau, on_pytorch
    assert our_warnings == their_warnings
    assert NUMBER.sub("#", ours) == NUMBER.sub("#", theirs)
    lines = [line for line in theirs.splitlines() if "loss" in line]
    first = len(NUMBER.findall(theirs[: theirs.index(lines[0]) + len(lines[0])]))
    mine, expected = (np.array(NUMBER.findall(text), float) for text in (ours, theirs))
    assert len(lines) >= 4
    np.testing.assert_allclose(mine[:first], expected[:first], rtol=FIRST, atol=ZERO)
    np.testing.assert_allclose(mine, expected, rtol=ALL, atol=ZERO)


@pytest.mark.parametrize("line", MARKED)
def test_same_losses(line, monkeypatch, capsys):
    if INTEL and line in SAMPLED:
        pytest.skip("PyTorch draws from another stream on Intel processors: Note [MKL streams]")
    path, *options = arguments(line)
    plain = [option for option in options if option != "--compile"]
    theirs = on_pytorch(path, *plain, monkeypatch=monkeypatch, capsys=capsys)
    assert_same(on_flambeau(path, *options), theirs)


def test_a_checkpoint_goes_both_ways(tmp_path, monkeypatch, capsys):
    """One library trains an epoch, the other one goes on, as if it had been one run."""
    path, *options = arguments("mnist")
    options += ["--epochs", "1", "--save", str(tmp_path / "first.pt")]
    on_flambeau(path, *options)
    options = [*options[:-4], "--epochs", "2", "--resume", str(tmp_path / "first.pt")]
    options += ["--save", str(tmp_path / "second.pt")]
    theirs = on_pytorch(path, *options, monkeypatch=monkeypatch, capsys=capsys)
    assert_same(on_flambeau(path, *options), theirs)
    options = [*options[:-6], "--epochs", "3", "--resume", str(tmp_path / "second.pt")]
    theirs = on_pytorch(path, *options, monkeypatch=monkeypatch, capsys=capsys)
    assert_same(on_flambeau(path, *options), theirs)
