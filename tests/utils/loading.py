"""Data sets for worker processes, in a module that imports little."""

import os
import sys
import time

import numpy as np

import flambeau
from flambeau.utils.data import Dataset, get_worker_info


class Reports(Dataset):
    """What a worker is like."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {
            "process": os.getpid(),
            "JAX": "jaxlib" in sys.modules,
            "environment": "FLAMBEAU_WORKER" in os.environ,
        }


class Augmented(Dataset):
    """Items that operations on tensors make; also says whether they brought JAX."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        image = flambeau.arange(6.0).reshape(2, 3) + index
        moved = (image.flip(1) / 7).clamp(max=0.7)
        return (
            moved,
            flambeau.nn.functional.one_hot(flambeau.tensor(index), 4),
            "jax" in sys.modules,
        )


class Written(Dataset):
    """Each worker adds to an array and to a tensor that all of them were given."""

    def __init__(self):
        self.array = np.zeros(5000)
        self.shared = flambeau.zeros(3).share_memory_()

    def __len__(self):
        return 4

    def __getitem__(self, index):
        self.array += 1
        self.shared[get_worker_info().id] += 1
        return float(self.array[-1])


class Images(Dataset):
    """Large items, that say where they were made."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return np.full((3, 64, 64), index, np.float32), flambeau.full((1000,), float(index))


class Slow(Dataset):
    """Takes its time."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __len__(self):
        return 100

    def __getitem__(self, index):
        time.sleep(self.seconds if index else 0)
        return os.getpid()


class OwnError(Exception):
    pass


class Unsendable(Dataset):
    """Items that cannot be pickled."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return lambda: index


def as_list(items):
    return items
