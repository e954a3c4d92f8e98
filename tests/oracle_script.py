"""Runs a script written for flambeau on PyTorch: `python -m tests.oracle_script FILE [ARG...]`."""

import re
import runpy
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import TensorDataset

DIGITS = Path(__file__).parent.parent / "flambeau" / "data" / "digits.npz"


def digits(train=None):
    """`flambeau.datasets.digits` in the oracle's tensors."""
    with np.load(DIGITS) as archive:
        images, labels = archive["images"], archive["labels"]
    chosen = np.arange(len(labels)) % 5 == 4
    if train is None:
        chosen[:] = True
    elif train:
        chosen = ~chosen
    images = torch.from_numpy(images[chosen]).to(torch.float32).unsqueeze(1) / 16
    return TensorDataset(images, torch.from_numpy(labels[chosen]).long())


def main():
    torch.set_num_threads(1)
    datasets = types.ModuleType("torch.datasets")
    datasets.digits = digits
    sys.modules["torch.datasets"] = datasets
    source = Path(sys.argv[1]).read_text()
    source = source.replace("import flambeau as torch", "import torch")
    source = re.sub(r"^(import|from) flambeau\b", r"\1 torch", source, flags=re.MULTILINE)
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(source)
        script.flush()
        sys.argv = [script.name, *sys.argv[2:]]
        runpy.run_path(script.name, run_name="__main__")


if __name__ == "__main__":
    main()
