"""Loading with workers, written for either library: `python -m tests.utils.worker_programs torch`.

Prints the outcome of every case below as JSON.
"""

import importlib
import json
import os
import random
import signal
import sys
import time
import warnings

import numpy as np

LIBRARY = sys.argv[1] if __name__ in ("__main__", "__mp_main__") else "flambeau"
torch = importlib.import_module(LIBRARY)
data = importlib.import_module(f"{LIBRARY}.utils.data")


class Draws(data.Dataset):
    """Items that depend on everything a worker seeds."""

    def __len__(self):
        return 7

    def __getitem__(self, index):
        info = data.get_worker_info()
        return {
            "worker": (index, info.id, info.num_workers, info.seed),
            "numpy": np.random.rand(2),
            "torch": torch.rand(2),
            "python": random.random(),
        }


class Failing(data.Dataset):
    """Fails at index 2, in a way of its own."""

    def __init__(self, action):
        self.action = action

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 2:
            self.action()
        return index


class Unusual(Exception):
    def __init__(self, first, second):
        super().__init__(first, second)


class Worded(Exception):
    message = "x"

    def __init__(self, message):
        super().__init__(message)


def raise_value():
    raise ValueError("boom")


def raise_key():
    raise KeyError("k")


def raise_unusual():
    raise Unusual(1, 2)


def raise_worded():
    raise Worded("hi")


def raise_stop():
    raise StopIteration("stop")


def raise_os():
    raise FileNotFoundError(2, "no such file")


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    os._exit(3)


def sleep():
    time.sleep(0.8)


class Stream(data.IterableDataset):
    """0 ... size - 1, dealt out to the workers."""

    def __init__(self, size=7):
        self.size = size

    def __iter__(self):
        info = data.get_worker_info()
        return iter(range(info.id, self.size, info.num_workers))


class Announced(Stream):
    def __len__(self):
        return 5


class Whole(data.IterableDataset):
    def __iter__(self):
        return iter(range(4))


class Counting(data.IterDataPipe):
    def __iter__(self):
        return iter(range(9))


def piped():
    return Counting().shuffle().sharding_filter().batch(2)


class Text(data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        info = data.get_worker_info()
        return f"{info.id} {info.num_workers} {info.rng} {info.worker_method}", info.dataset is self


class Fetched(data.Dataset):
    def __len__(self):
        return 5

    def __getitems__(self, indices):
        return [10 * index for index in indices]


def prepare(number):
    np.random.seed(number)


def fail_to_prepare(number):
    raise ZeroDivisionError(f"in {number}")


def tripled(items):
    return [3 * item for item in items]


def tensors():
    return data.TensorDataset(torch.arange(24.0).reshape(6, 4), torch.arange(6))


def loader(dataset, workers=2, **options):
    return data.DataLoader(dataset, num_workers=workers, **options)


def seeded(dataset, seed=0, **options):
    """A pass, and where it leaves the generator."""
    torch.manual_seed(seed)
    return list(loader(dataset, **options)), torch.rand(1)


def twice(dataset, **options):
    torch.manual_seed(3)
    loading = loader(dataset, persistent_workers=True, **options)
    return list(loading), list(loading), torch.rand(1)


def broken_off(dataset, **options):
    torch.manual_seed(3)
    loading = loader(dataset, persistent_workers=True, **options)
    first = next(iter(loading))
    return first, list(loading)


def announced():
    loading = loader(Announced())
    return len(loading), list(loading)


def own_generator():
    generator = torch.Generator().manual_seed(5)
    loading = loader(tensors(), generator=generator, shuffle=True)
    return list(loading), list(loading), torch.rand(1, generator=generator)


CASES = {
    "draws": lambda: seeded(Draws(), batch_size=2),
    "draws of three": lambda: seeded(Draws(), seed=11, workers=3, batch_size=3, drop_last=True),
    "shuffled": lambda: seeded(tensors(), shuffle=True, batch_size=4),
    "generator": own_generator,
    "no batches": lambda: list(loader(tensors(), batch_size=None)),
    "far ahead": lambda: list(loader(tensors(), prefetch_factor=7)),
    "lists": lambda: list(loader(tensors(), batch_sampler=[[5, 1], [0], [2, 3, 4]])),
    "fetched": lambda: list(loader(Fetched(), batch_size=2)),
    "collated": lambda: list(loader(Fetched(), batch_size=2, collate_fn=tripled)),
    "prepared": lambda: seeded(Draws(), worker_init_fn=prepare),
    "pipes": lambda: seeded(piped(), shuffle=True, batch_size=None),
    "pipes twice": lambda: twice(piped(), batch_size=None),
    "info": lambda: list(loader(Text())),
    "twice": lambda: twice(Draws(), batch_size=2),
    "broken off": lambda: broken_off(tensors(), workers=1),
    "stream": lambda: list(loader(Stream())),
    "stream in twos": lambda: list(loader(Stream(), batch_size=2)),
    "stream in whole threes": lambda: list(loader(Stream(), batch_size=3, drop_last=True)),
    "stream of items": lambda: list(loader(Stream(), batch_size=None)),
    "stream of one": lambda: list(loader(Stream(1), workers=3)),
    "stream twice": lambda: twice(Stream()),
    "stream not dealt out": lambda: list(loader(Whole(), batch_size=3)),
    "announced": announced,
    "ValueError": lambda: list(loader(Failing(raise_value))),
    "KeyError": lambda: list(loader(Failing(raise_key))),
    "Unusual": lambda: list(loader(Failing(raise_unusual))),
    "Worded": lambda: list(loader(Failing(raise_worded))),
    "StopIteration": lambda: list(loader(Failing(raise_stop))),
    "FileNotFoundError": lambda: list(loader(Failing(raise_os))),
    "kill": lambda: list(loader(Failing(kill))),
    "exit": lambda: list(loader(Failing(leave))),
    "timeout": lambda: list(loader(Failing(sleep), workers=1, timeout=0.2)),
    "unprepared": lambda: list(loader(tensors(), workers=1, worker_init_fn=fail_to_prepare)),
    "many": lambda: loader(tensors(), workers=999).prefetch_factor,
    "context": lambda: loader(tensors(), multiprocessing_context="nothing"),
    "no context": lambda: loader(tensors(), multiprocessing_context=3),
    "context unset": lambda: loader(tensors()).multiprocessing_context,
    "no worker": lambda: data.get_worker_info(),
}


def plain(value):
    """A result of either library in JSON's terms."""
    if isinstance(value, torch.Tensor):
        return [str(value.dtype), list(value.shape), value.tolist()]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(plain, value)]
    assert value is None or isinstance(value, (bool, int, float, str)), value
    return value


def without_places(text):
    """An error's text without the library's own lines of the traceback, and without numbers."""
    lines = text.split("\n")
    kept = [line for line in lines if not line.startswith(("  ", "Traceback"))]
    text = "\n".join(kept).replace("__mp_main__.", "").replace("__main__.", "")
    return " ".join("N" if word.rstrip(")").isdigit() else word for word in text.split(" "))


def outcome(case):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = plain(case())
        except Exception as error:
            cause = error.__cause__ and without_places(str(error.__cause__))
            result = [type(error).__name__, without_places(str(error)), cause]
    texts = [str(warning.message) for warning in caught]
    return {"result": result, "warnings": [text.split(" object at ")[0] for text in texts]}


if __name__ == "__main__":
    if LIBRARY == "torch":  # do not wait five seconds for a worker to end
        data._utils.MP_STATUS_CHECK_INTERVAL = 0.2
    print(json.dumps({name: outcome(case) for name, case in CASES.items()}))
