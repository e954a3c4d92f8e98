"""A run resumed from a checkpoint continues as if it had not been interrupted, bit by bit."""

import io

import pytest

import flambeau
from flambeau import nn
from flambeau.utils.data import DataLoader, TensorDataset


class Run:
    """Training with a shuffled loader, dropout, momentum, a schedule and running statistics."""

    def __init__(self, workers):
        flambeau.manual_seed(0)
        self.model = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1)
        )
        self.optimizer = flambeau.optim.AdamW(self.model.parameters(), lr=0.01)
        self.schedule = flambeau.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 5)
        x = flambeau.randn(12, 4)
        self.loader = DataLoader(
            TensorDataset(x, x.sum(1, keepdim=True)), 4, shuffle=True, num_workers=workers
        )
        self.losses = []

    def epoch(self):
        for x, y in self.loader:
            self.optimizer.zero_grad()
            loss = nn.functional.mse_loss(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            self.losses.append(loss.item())
        self.schedule.step()

    def parts(self):
        return {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}

    def save(self, file, **options):
        states = {name: part.state_dict() for name, part in self.parts().items()}
        flambeau.save({**states, "generator": flambeau.get_rng_state()}, file, **options)

    def load(self, file):
        states = flambeau.load(file)
        for name, part in self.parts().items():
            part.load_state_dict(states[name])
        flambeau.set_rng_state(states["generator"])


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old format"])
@pytest.mark.parametrize("workers", [0, 1])
def test_resuming(workers, old):
    whole, file = Run(workers), io.BytesIO()
    whole.epoch()
    whole.save(file, _use_new_zipfile_serialization=not old)
    for _ in range(2):
        whole.epoch()

    resumed = Run(workers)
    resumed.epoch()
    file.seek(0)
    resumed.losses.clear()
    resumed.load(file)
    for _ in range(2):
        resumed.epoch()
    assert resumed.losses == whole.losses[3:]
    for one, other in zip(
        resumed.model.state_dict().values(), whole.model.state_dict().values(), strict=True
    ):
        assert one.tolist() == other.tolist()
