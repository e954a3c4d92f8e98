"""Compiled inference: buckets of lengths, and artefacts that run without the model's code."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn


def close(a, b) -> None:
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


class Causal(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7)

    def forward(self, tokens):
        return self.head(self.embedding(tokens).cumsum(1))


def test_buckets_make_few_programs():
    model = Causal()
    fast = torch.compile(model, buckets=[4, 8])
    with torch.no_grad():
        for length in (1, 2, 3, 4, 5, 8, 7):
            tokens = torch.randint(0, 7, (2, length))
            result = fast(tokens)
            assert result.shape == (2, length, 7)
            close(result, model(tokens))
    assert fast._compiled.compilations == 2


def test_buckets_say_what_they_cannot_do():
    fast = torch.compile(Causal(), buckets=[4])
    with torch.no_grad(), pytest.raises(ValueError, match="length 5 is beyond the largest bucket"):
        fast(torch.zeros(1, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match="positive sizes"):
        torch.compile(Causal(), buckets=[])
    line = torch.compile(lambda x: x * 2, buckets=[4])
    with pytest.raises(RuntimeError, match="for inference"):
        line(torch.ones(1, 2, requires_grad=True))


def test_an_artefact_takes_any_batch():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).eval()
    artefact = torch.export(model, (torch.ones(2, 3),))
    for batch in (1, 5):
        x = torch.randn(batch, 3)
        close(artefact(x), model(x).detach())
    assert "stablehlo" in artefact.stablehlo
    assert model[0].weight.grad_fn is None
    assert repr(model[0].weight).startswith("Parameter containing:\ntensor([[")


def test_an_artefact_runs_without_the_code_of_the_model(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten()).eval()
    x = torch.randn(2, 1, 5, 5)
    path = tmp_path / "model.bin"
    torch.export(model, (x,), dynamic_batch=False).save(path)
    np.save(tmp_path / "x.npy", x.numpy())
    code = (
        "import jax, numpy as np; from pathlib import Path\n"
        "jax.config.update('jax_enable_x64', True)\n"
        f"f = jax.export.deserialize(bytearray(Path({str(path)!r}).read_bytes()))\n"
        f"np.save({str(tmp_path / 'y.npy')!r}, f.call(np.load({str(tmp_path / 'x.npy')!r})))"
    )
    subprocess.run([sys.executable, "-c", "import jax.export\n" + code], check=True)
    close(torch.from_numpy(np.load(tmp_path / "y.npy")), model(x).detach())
    close(torch.export.load(path)(x), model(x).detach())


def test_export_takes_tensors():
    with pytest.raises(TypeError, match="takes tensors"):
        torch.export(nn.Linear(1, 1), (3,))
