"""flambeau.utils.data against torch.utils.data: one expression, evaluated in both."""

import array
import collections
import sys
import types
import warnings

import numpy as np
import pytest
import torch

import flambeau


class Listed(list):
    pass


class Tupled(tuple):
    pass


class Table(collections.abc.Mapping):
    def __init__(self, values):
        self.values_ = values

    def __getitem__(self, key):
        return self.values_[key]

    def __iter__(self):
        return iter(self.values_)

    def __len__(self):
        return len(self.values_)

    def __eq__(self, other):
        return type(self) is type(other) and self.values_ == other.values_


class StubbornTable(Table):
    def __init__(self, values, more):
        super().__init__(values)


Pair = collections.namedtuple("Pair", "first second")


class Opaque:
    pass


def namespace(library):
    """The names that the expressions below use, in one of the two libraries."""
    data = library.utils.data

    class Stream(data.IterableDataset):
        def __iter__(self):
            return iter(range(5))

    class SizedStream(Stream):
        def __len__(self):
            return 3

    class DrawingStream(data.IterableDataset):
        def __iter__(self):
            first = library.rand(1).item()
            return iter([first, 1.0])

    class DrawingSampler(data.Sampler):
        def __iter__(self):
            return iter(library.randperm(10).tolist())

    class Unsized(data.Dataset):
        def __getitem__(self, index):
            return index

    class Together(data.Dataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return index

        def __getitems__(self, indices):
            return [10 * i for i in indices]

    class Forgetful(Together):
        def __getitems__(self, indices):
            return [1]

    names = {name: getattr(data, name) for name in flambeau.utils.data.__all__}
    names |= {cls.__name__: cls for cls in (Stream, SizedStream, DrawingStream, DrawingSampler)}
    names |= {cls.__name__: cls for cls in (Unsized, Together, Forgetful)}
    names |= {"torch": library, "np": np, "ten": list(range(10)), "array": array, "types": types}
    names |= {"Listed": Listed, "Tupled": Tupled, "Table": Table, "StubbornTable": StubbornTable}
    names |= {"Pair": Pair, "Opaque": Opaque, "collections": collections}
    names["seeded"] = lambda seed: library.Generator().manual_seed(seed)
    return names


def plain(value, library):
    """`value` with tensors as (dtype, numbers) and the library's own objects as their names."""
    if isinstance(value, library.Tensor):
        return ("tensor", str(value.dtype), value.tolist())
    if isinstance(value, np.ndarray):
        return ("array", str(value.dtype), value.tolist())
    if isinstance(value, dict | types.MappingProxyType):
        return type(value).__name__, [(key, plain(item, library)) for key, item in value.items()]
    if isinstance(value, Table):
        return type(value).__name__, plain(value.values_, library)
    if isinstance(value, list | tuple):
        return type(value).__name__, [plain(item, library) for item in value]
    if type(value).__module__.split(".")[0] in ("torch", "flambeau") or isinstance(value, Opaque):
        return type(value).__name__
    return value


def outcome(expression, library):
    """What an expression gives: a value or an error, the warnings, and the generator's state."""
    library.manual_seed(7)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = plain(eval(expression, namespace(library)), library)
        except Exception as error:
            result = (type(error).__name__, str(error))
    told = [(w.category.__name__, str(w.message).split(" object at ")[0]) for w in caught]
    return result, told, library.get_rng_state().tolist()


LOADERS = """
list(DataLoader(ten, batch_size=3, shuffle=True))
list(DataLoader(ten, batch_size=3, shuffle=True, drop_last=True))
list(DataLoader(ten, batch_size=3, shuffle=True, generator=seeded(3)))
[list(loader) for loader in [DataLoader(ten, batch_size=4, shuffle=True)] for _ in range(3)]
next(iter(DataLoader(ten, batch_size=3, shuffle=True)))
list(DataLoader(ten))
list(DataLoader(ten, batch_size=None))
list(DataLoader(ten, batch_size=None, shuffle=True))
list(DataLoader(ten, batch_size=None, sampler=DrawingSampler()))
list(DataLoader(ten, batch_size=4, sampler=DrawingSampler()))
list(DataLoader(ten, batch_size=2, sampler=[3, 1, 2]))
list(DataLoader(ten, batch_sampler=[[1, 2], [3]]))
list(DataLoader(ten, batch_sampler=BatchSampler(RandomSampler(ten), 4, True)))
list(DataLoader(ten, batch_size=4, collate_fn=lambda items: items))
list(DataLoader(Stream()))
list(DataLoader(Stream(), batch_size=2))
list(DataLoader(Stream(), batch_size=2, drop_last=True))
list(DataLoader(Stream(), batch_size=5))
list(DataLoader(Stream(), batch_size=None))
list(DataLoader(DrawingStream()))
list(DataLoader(Together(), batch_size=2))
list(DataLoader({0: 1, 1: 5}))
list(DataLoader({"a": 1}))
list(DataLoader(torch.arange(4), batch_size=2))
list(DataLoader(np.arange(4), batch_size=2))
list(DataLoader([(torch.ones(1), "x")] * 2, batch_size=2))
list(DataLoader([np.zeros(2), 1.5, "a"], batch_size=None))
list(DataLoader(TensorDataset(torch.arange(6).view(3, 2), torch.ones(3)), batch_size=2))
list(DataLoader(Subset(Together(), [4, 2, 0]), batch_size=2))
list(DataLoader(StackDataset(Together(), ten[:5]), batch_size=2))
list(DataLoader(ConcatDataset([ten, ten]), batch_size=7, shuffle=True))
list(DataLoader(SizedStream()))
[(len(loader), list(loader)) for loader in [DataLoader(SizedStream())]]
[(len(loader), list(loader)) for loader in [DataLoader(SizedStream(), batch_size=2)]]
len(DataLoader(SizedStream(), batch_size=2))
len(DataLoader(SizedStream(), batch_size=2, drop_last=True))
len(DataLoader(SizedStream(), batch_size=None))
len(DataLoader(Stream()))
len(DataLoader(ten, batch_size=3))
len(DataLoader(ten, batch_size=3, drop_last=True))
len(DataLoader(ten, batch_size=None))
len(DataLoader(Unsized(), sampler=[1, 2]))
len(DataLoader(ten, batch_size=2, sampler=iter([3, 1, 2])))
len(iter(DataLoader(ten, batch_size=3)))
DataLoader(Unsized())
DataLoader(Unsized(), shuffle=True)
DataLoader([], shuffle=True)
list(DataLoader([]))
DataLoader(3)
list(DataLoader(3))
list(DataLoader(ten, pin_memory=True))
list(DataLoader(ten, timeout=5))
DataLoader(ten, batch_size=0)
DataLoader(ten, batch_size=-1)
DataLoader(ten, batch_size=2.0)
DataLoader(ten, num_workers=-1)
DataLoader(ten, timeout=-1)
DataLoader(ten, prefetch_factor=2)
DataLoader(ten, persistent_workers=True)
DataLoader(ten, shuffle=True, sampler=SequentialSampler(ten))
DataLoader(ten, batch_sampler=[[1]], batch_size=2)
DataLoader(ten, batch_sampler=[[1]], shuffle=True)
DataLoader(ten, batch_sampler=[[1]], drop_last=True)
DataLoader(ten, batch_size=None, drop_last=True)
DataLoader(Stream(), shuffle=True)
DataLoader(Stream(), shuffle=False)
DataLoader(Stream(), sampler=[1])
DataLoader(Stream(), batch_sampler=[[1]])
DataLoader(ten, multiprocessing_context="fork")
DataLoader(ten, multiprocessing_context=None).multiprocessing_context
setattr(DataLoader(ten), "batch_size", 3)
setattr(DataLoader(ten), "sampler", 3)
setattr(DataLoader(ten), "dataset", 3)
DataLoader(ten).sampler
DataLoader(ten, shuffle=True).sampler
DataLoader(ten, shuffle=True).batch_sampler
DataLoader(ten, batch_sampler=[[1]]).batch_size
DataLoader(ten, batch_size=None).collate_fn.__name__
get_worker_info()
"""

SAMPLERS = """
list(SequentialSampler(ten))
list(RandomSampler(ten))
[list(sampler) for sampler in [RandomSampler(ten)] for _ in range(3)]
list(RandomSampler(torch.arange(5)))
list(RandomSampler(ten, num_samples=5))
list(RandomSampler(ten, num_samples=25))
list(RandomSampler(ten, num_samples=20))
list(RandomSampler(ten, replacement=True))
list(RandomSampler(ten, replacement=True, num_samples=70))
list(RandomSampler(ten, replacement=True, num_samples=64))
[(list(RandomSampler(ten, generator=g)), g.get_state()) for g in [seeded(1)]]
[(list(RandomSampler(ten, True, 64, generator=g)), g.get_state()) for g in [seeded(1)]]
[(list(RandomSampler(ten, False, 30, generator=g)), g.get_state()) for g in [seeded(1)]]
[(iter(RandomSampler(ten, generator=g)) and 0, g.get_state()) for g in [seeded(1)]]
RandomSampler(ten).num_samples
RandomSampler(ten, replacement=1)
RandomSampler(ten, num_samples=0)
RandomSampler(ten, num_samples=-2)
RandomSampler(ten, num_samples=2.5)
RandomSampler([])
list(SubsetRandomSampler([5, 6, 7, 8]))
list(SubsetRandomSampler([5, 6, 7, 8], generator=seeded(4)))
len(SubsetRandomSampler([1, 2]))
list(WeightedRandomSampler([0.1, 0.2, 0.7], 6))
list(WeightedRandomSampler([0.1, 0.2, 0.7], 3, replacement=False))
list(WeightedRandomSampler([0.1, 0.2, 0.7], 20, generator=seeded(4)))
WeightedRandomSampler(torch.tensor([1.0, 2.0]), 2).weights
WeightedRandomSampler([1, 2], 0)
WeightedRandomSampler([1, 2], 2.0)
WeightedRandomSampler([1, 2], True)
WeightedRandomSampler([1, 2], 2, replacement=1)
WeightedRandomSampler([[1, 2]], 2)
list(BatchSampler(SequentialSampler(ten), 4, False))
list(BatchSampler(SequentialSampler(ten), 4, True))
list(BatchSampler(SequentialSampler(ten), 5, True))
len(BatchSampler(SequentialSampler(ten), 4, False))
len(BatchSampler(SequentialSampler(ten), 4, True))
BatchSampler(SequentialSampler(ten), 0, False)
BatchSampler(SequentialSampler(ten), True, False)
BatchSampler(SequentialSampler(ten), 2.5, False)
BatchSampler(SequentialSampler(ten), 2, 1)
len(Sampler())
iter(Sampler())
list(DistributedSampler(ten, 3, 0, shuffle=False))
list(DistributedSampler(ten, 3, 1, shuffle=False))
list(DistributedSampler(ten, 3, 2, shuffle=False, drop_last=True))
list(DistributedSampler(ten, 3, 2, seed=4))
[(s.set_epoch(2), list(s)) for s in [DistributedSampler(ten, 3, 2)]]
len(DistributedSampler(ten, 3, 2, drop_last=True))
len(DistributedSampler(ten, 3, 2))
list(DistributedSampler(ten, 4, 3, shuffle=False, drop_last=True))
list(DistributedSampler([1, 2], 5, 4, shuffle=False))
list(DistributedSampler([1, 2], 5, 4, shuffle=False, drop_last=True))
DistributedSampler(ten, 3, 3)
DistributedSampler(ten, 3, -1)
DistributedSampler(ten)
"""

DATASETS = """
TensorDataset(torch.zeros(2), torch.zeros(3))
TensorDataset(torch.zeros(3), torch.ones(3))[1]
TensorDataset(torch.zeros(3), torch.ones(3))[0:2]
len(TensorDataset(torch.zeros(3)))
TensorDataset(torch.zeros(2)).tensors
ConcatDataset([])
ConcatDataset([Stream()])
ConcatDataset([ten, [7]])[-1]
ConcatDataset([ten, [7]])[9]
ConcatDataset([ten, [7]])[10]
ConcatDataset([ten, [7]])[-12]
ConcatDataset([ten, [7]])[11]
ConcatDataset([ten, [7]]).cumulative_sizes
ConcatDataset([ten, [7]]).cummulative_sizes
len(ConcatDataset([ten, [7]]))
TensorDataset(torch.zeros(2)) + TensorDataset(torch.zeros(3))
Stream() + Stream()
list(ChainDataset([Stream(), Stream()]))
len(ChainDataset([SizedStream(), SizedStream()]))
len(ChainDataset([Stream()]))
list(ChainDataset([ten]))
Subset(ten, [1, 2, 3])[1]
Subset(ten, [1, 2, 3])[5]
Subset(ten, [1, 2, 3])[[0, 1]]
Subset(ten, [1, 2, 3]).__getitems__([0, 1])
Subset(TensorDataset(torch.arange(4)), [1, 2, 3])[[0, 1]]
Subset(Forgetful(), [1, 2, 3]).__getitems__([0, 1])
len(Subset(ten, [1, 2, 3]))
[part.indices for part in random_split(ten, [7, 3])]
[part.indices for part in random_split(ten, [0.35, 0.35, 0.3])]
[part.indices for part in random_split(ten, [1 / 3, 1 / 3, 1 / 3])]
[part.indices for part in random_split(ten, [5, 5], generator=seeded(5))]
[part.indices for part in random_split([1], [0.1, 0.9])]
[part.indices for part in random_split(ten, [1])]
random_split([], [])
random_split(ten, [])
random_split(ten, [3, 3])
random_split(ten, [0.3, 0.3])
random_split(ten, [0.3, 0.8])
random_split(ten, [1.5, -0.5])
StackDataset(ten, [1])
StackDataset()
StackDataset(ten, a=ten)
StackDataset(ten, ten)[1]
StackDataset(a=ten, b=ten)[1]
len(StackDataset(ten, ten))
StackDataset(ten, ten).__getitems__([1, 2])
StackDataset(a=Together(), b=ten[:5]).__getitems__([1, 2])
StackDataset(Forgetful(), Forgetful()).__getitems__([0, 1])
Dataset()[0]
len(Dataset())
IterableDataset()
"""

COLLATED = """
[1, 2]
[True, False]
[True, 2]
[1.5, 2]
[1, 2.5]
[1j, 2j]
[None, None]
["a", "b"]
[b"a", b"b"]
[np.zeros(2), np.ones(2)]
[np.zeros(2), np.ones(3)]
[np.array(1), np.array(2)]
[np.float32(1), np.float32(2)]
[np.float64(1), 2.5]
[np.float16(1), np.float16(2)]
[np.int32(1), np.int32(2)]
[np.uint8(1), np.uint8(2)]
[np.bool_(1), np.bool_(0)]
[np.complex64(1), np.complex64(2)]
[np.str_("a"), np.str_("b")]
[np.array(["ab"])]
[np.array([b"ab"])]
[np.array([None])]
[np.datetime64("2020-01-01")]
[torch.zeros(2), torch.ones(2)]
[torch.zeros(2), torch.ones(3)]
[{"b": 1, "a": 2.0}, {"a": 3.0, "b": 4}]
[{"a": 1}, {"b": 2}]
[{"a": 1}, {"a": 1, "b": 2}]
[collections.OrderedDict(a=1), collections.OrderedDict(a=2)]
[collections.defaultdict(int, a=1), collections.defaultdict(int, a=2)]
[types.MappingProxyType({"a": 1})] * 2
[Table({"a": 1}), Table({"a": 2})]
[StubbornTable({"a": 1}, 0), StubbornTable({"a": 2}, 0)]
[(1, 2), (3, 4)]
[[1, 2], [3, 4]]
[[1, 2], [3]]
[Pair(1, 2), Pair(3, 4)]
[Listed([1, 2]), Listed([3, 4])]
[Tupled([1, 2]), Tupled([3, 4])]
[range(2), range(2)]
[array.array("i", [1, 2])] * 2
[(), ()]
[{}, {}]
[]
[{1, 2}]
[Opaque()]
[(torch.zeros(1), {"x": [1, "s"]}), (torch.ones(1), {"x": [2, "t"]})]
"""

CONVERTED = """
np.zeros(2)
np.float64(2)
np.bool_(1)
np.str_("a")
np.array(["a"])
np.array([{}])
3
"a"
range(3)
{1, 2}
bytearray(b"ab")
(1, np.ones(1))
[1, np.ones(1), "a", {"x": np.float64(2)}]
Pair(np.zeros(1), 2)
Listed([1, np.ones(1)])
Tupled([1, np.ones(1)])
Table({"a": np.ones(1)})
"""


def rows(table, call="{}"):
    return [call.format(line) for line in table.strip().splitlines()]


EXPRESSIONS = [
    *rows(LOADERS),
    *rows(SAMPLERS),
    *rows(DATASETS),
    *rows(COLLATED, "default_collate({})"),
    *rows(CONVERTED, "default_convert({})"),
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_as_pytorch(expression):
    ours, expected = outcome(expression, flambeau), outcome(expression, torch)
    assert ours[:2] == expected[:2]
    assert ours[2] == expected[2], "the default generator is left in another state"


def test_gradients_flow_through_a_batch():
    w = flambeau.ones(2, requires_grad=True)
    flambeau.utils.data.default_collate([w * 1, w * 2]).sum().backward()
    assert w.grad.tolist() == [3.0, 3.0]


Batch = collections.namedtuple("Batch", "x more")


def test_prefetch_to_device():
    sent = []

    class Watched(flambeau.Tensor):
        def to(self, *args, **kwargs):
            sent.append(int(self.sum()))
            return super().to(*args, **kwargs)

    def batches():
        for number in range(4):
            x = flambeau.tensor([number]).as_subclass(Watched)
            yield Batch(x, {"a": [flambeau.tensor([number]), "text"], "b": (number, None)})

    prefetch = flambeau.utils.data.prefetch_to_device
    taken = prefetch(batches(), "cpu", ahead=2)
    first = next(taken)
    assert sent == [0, 1, 2]
    assert type(first) is Batch
    assert first.more["b"] == (0, None)
    assert [int(batch.more["a"][0]) for batch in taken] == [1, 2, 3]
    assert list(prefetch([], "cpu", ahead=3)) == []
    assert next(prefetch([flambeau.ones(2)], "meta")).device.type == "meta"
    assert [int(batch.x) for batch in prefetch(batches(), "cpu", ahead=0)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="must not be negative"):
        prefetch([], "cpu", ahead=-1)


def test_distributed_sampler_asks_the_process_group(monkeypatch):
    sampler = flambeau.utils.data.distributed.DistributedSampler
    group = types.SimpleNamespace(
        is_initialized=lambda: True, get_rank=lambda: 1, get_world_size=lambda: 3
    )
    monkeypatch.setitem(sys.modules, "flambeau.distributed", group)
    assert list(sampler(range(10), shuffle=False)) == [1, 4, 7, 0]
    group.is_initialized = lambda: False
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        sampler(range(10))
