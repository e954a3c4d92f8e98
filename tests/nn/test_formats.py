"""Results keep the channels last in memory where the oracle's do."""

import pytest
import torch

import flambeau
from tests.nn.both import assert_close, run

PROGRAMS = [
    "nn.Conv2d(4, 6, 3, padding=1)(x)",
    "nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last)(x.contiguous())",
    "nn.ConvTranspose2d(4, 3, 2)(x)",
    "nn.BatchNorm2d(4)(x)",
    "nn.BatchNorm2d(4).eval()(x)",
    "nn.GroupNorm(2, 4)(x)",
    "nn.ReLU()(x)",
    "nn.GELU()(x)",
    "nn.Dropout(0.5).eval()(x)",
    "nn.MaxPool2d(2)(x)",
    "nn.AvgPool2d(2)(x)",
    "nn.AdaptiveAvgPool2d(2)(x)",
    "nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.MaxPool2d(2))(x)",
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_strides(program):
    found = []
    for library in (flambeau, torch):
        library.manual_seed(0)
        x = library.randn(2, 4, 6, 6).contiguous(memory_format=library.channels_last)
        found.append(run(program, library, x=x))
    ours, theirs = found
    assert ours.stride() == theirs.stride()
    assert_close(ours, theirs)
