"""A run that goes on from a file is bit-equal to the run that was not interrupted."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn
from flambeau.utils.data import DataLoader, TensorDataset

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "Adam": {"lr": 0.01, "amsgrad": True},
    "AdamW": {"lr": 0.01},
    "RMSprop": {"lr": 0.01, "centered": True, "momentum": 0.5},
    "NAdam": {"lr": 0.01},
    "RAdam": {"lr": 0.05},
    "ASGD": {"lr": 0.1, "t0": 2},
    "Rprop": {"lr": 0.01},
    "Adafactor": {"lr": 0.05},
    "LBFGS": {"lr": 0.1, "max_iter": 3},
}


class Run:
    """What a training program has: model, averages, optimiser, schedule, scaler, data."""

    def __init__(self, name):
        torch.manual_seed(7)
        self.model = nn.Sequential(
            nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
        )
        self.average = torch.optim.swa_utils.AveragedModel(
            self.model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
        )
        self.optimizer = getattr(torch.optim, name)(self.model.parameters(), **SETTINGS[name])
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 10)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)
        values = np.random.default_rng(0).standard_normal((22, 5)).astype(np.float32)
        labels = torch.arange(22) % 3
        self.generator = torch.Generator().manual_seed(3)
        self.loader = DataLoader(
            TensorDataset(torch.tensor(values), labels),
            batch_size=4,
            shuffle=True,
            generator=self.generator,
        )
        self.losses = []

    def epoch(self):
        for x, y in self.loader:
            if random.random() < 0.5:  # the program's own choices
                x = x + 0.1 * torch.randn(x.shape)

            def closure(x=x, y=y):
                self.optimizer.zero_grad()
                loss = nn.functional.cross_entropy(self.model(x), y)
                loss.backward()
                return loss

            if isinstance(self.optimizer, torch.optim.LBFGS):
                self.losses.append(self.optimizer.step(closure).item())
            else:
                self.optimizer.zero_grad()
                loss = nn.functional.cross_entropy(self.model(x), y)
                self.scaler.scale(loss).backward()
                self.scaler.step(self.optimizer)
                self.scaler.update()
                self.losses.append(loss.item())
            self.average.update_parameters(self.model)
        self.schedule.step()

    def parts(self):
        return {
            n: getattr(self, n) for n in ("model", "average", "optimizer", "schedule", "scaler")
        }

    def save(self, path):
        torch.save(
            {
                **{name: part.state_dict() for name, part in self.parts().items()},
                "random": torch.get_rng_state(),
                "shuffling": self.generator.get_state(),
            },
            path,
        )

    def load(self, path):
        saved = torch.load(path)
        for name, part in self.parts().items():
            part.load_state_dict(saved[name])
        torch.set_rng_state(saved["random"])
        self.generator.set_state(saved["shuffling"])


@pytest.mark.parametrize("name", SETTINGS)
def test_resumed_runs_are_equal(name, tmp_path):
    random.seed(5)
    whole = Run(name)
    for _ in range(2):
        whole.epoch()
    whole.save(tmp_path / "run.pt")
    choices = random.getstate()
    count = len(whole.losses)
    for _ in range(2):
        whole.epoch()

    torch.rand(99)  # whatever happened in between
    again = Run(name)
    again.load(tmp_path / "run.pt")
    random.setstate(choices)
    for _ in range(2):
        again.epoch()

    assert again.losses == whole.losses[count:]
    assert len(set(again.losses)) > 6  # a run that stands still would be equal, too
    for a, b in ((whole.model, again.model), (whole.average, again.average)):
        for key, value in a.state_dict().items():
            assert torch.equal(value, b.state_dict()[key]), key
    assert_equal(whole.optimizer.state_dict(), again.optimizer.state_dict())
    assert whole.scaler.state_dict() == again.scaler.state_dict()
    assert whole.schedule.get_last_lr() == again.schedule.get_last_lr()


def assert_equal(a, b):
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert a.dtype is b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key, value in a.items():
            assert_equal(value, b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert a == b


PROGRAM = """
import random
import sys
from tests.optim.test_resume import Run
random.seed(1)
run = Run("AdamW")
mode, path = sys.argv[1:]
if mode == "whole":
    for _ in range(6):
        run.epoch()
    run.save(path)
else:
    run.load(path)
run.losses.clear()
random.seed(2)
run.epoch()
print(run.losses)
"""


@pytest.mark.parametrize("tier", [pytest.param("host", marks=pytest.mark.slow), "xla"])
def test_in_another_process(tier, tmp_path):
    """By default NumPy hands over to XLA after a number of calls, which a new process counts anew;
    with one of them throughout, bits do not depend on where a run was interrupted."""
    environment = {**os.environ, "FLAMBEAU_TIER": tier, "PYTHONPATH": str(ROOT)}
    printed = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, mode, tmp_path / "run.pt"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout
        for mode in ("whole", "again")
    ]
    assert printed[0] == printed[1]
    assert printed[0].count(",") > 3
