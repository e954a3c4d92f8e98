"""Checkpoints travel between flambeau and PyTorch, both ways, and through flambeau alone."""

import argparse
import collections
import datetime
import enum
import io
import os
import pathlib
import pickle
import stat
import threading
import types
import zipfile
from fractions import Fraction

import numpy as np
import pytest
import torch

import flambeau
from flambeau.serialization import CheckpointError

DTYPES = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
    "complex128",
    "uint16",
    "uint32",
    "uint64",
    "float8_e4m3fn",
    "float8_e5m2",
]


def saved(value, library=flambeau, **options):
    buffer = io.BytesIO()
    library.save(value, buffer, **options)
    buffer.seek(0)
    return buffer


def numbers(tensor):
    """The values of a tensor of either library, exactly."""
    if str(tensor.dtype).startswith("torch.float8"):
        tensor = tensor.float()
    return tensor.tolist()


def same(ours, theirs):
    assert str(ours.dtype) == str(theirs.dtype)
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.stride() == theirs.stride()
    assert ours.storage_offset() == theirs.storage_offset()
    assert ours.requires_grad == theirs.requires_grad
    assert numbers(ours) == numbers(theirs)


LAYOUTS = {
    "whole": lambda x: x,
    "row": lambda x: x[1],
    "part": lambda x: x[1:, ::2],
    "transposed": lambda x: x.t(),
    "expanded": lambda x: x[0].expand(3, 4),
    "scalar": lambda x: x[1, 2],
    "empty": lambda x: x[:0],
    "no memory": lambda x: x[:0].clone(),
}


def grid(library, dtype="float32"):
    values = [[0, 1, 2, 3], [4, 5, 6, 7]]
    return library.tensor(values, dtype=library.float32).to(getattr(library, dtype))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("source", [flambeau, torch], ids=["flambeau", "torch"])
def test_layouts(layout, source):
    ours = LAYOUTS[layout](grid(flambeau))
    theirs = LAYOUTS[layout](grid(torch))
    value = ours if source is flambeau else theirs
    same(flambeau.load(saved(value, source)), theirs)
    same(ours, torch.load(saved(value, source), weights_only=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    ours, theirs = grid(flambeau, dtype), grid(torch, dtype)
    same(flambeau.load(saved(theirs, torch)), theirs)
    same(ours, torch.load(saved(ours), weights_only=True))
    same(flambeau.load(saved(ours)), theirs)


def test_channels_last_memory_is_kept():
    theirs = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    ours = flambeau.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=flambeau.channels_last)
    same(flambeau.load(saved(theirs, torch)), theirs)
    same(ours, torch.load(saved(ours), weights_only=True))


PLAIN = [
    None,
    True,
    0,
    255,
    256,
    65535,
    65536,
    -1,
    2**31 - 1,
    -(2**31),
    2**31,
    2**80,
    -(2**80),
    0.1,
    float("inf"),
    1 + 2j,
    "",
    "abc",
    "naïve \u20ac \U0001f525",
    "x" * 70000,
    b"",
    b"\x00\xff",
    bytearray(b"ab"),
    bytearray(),
    (),
    (1,),
    (1, 2),
    (1, 2, 3),
    (1, 2, 3, 4),
    [],
    [1, [2, (3, {"a": [4]})]],
    list(range(2500)),
    {},
    {i: str(i) for i in range(2500)},
    {1: 2, "a": None, (1, "b"): 3, 1.5: 4, None: 5, False: 6},
    set(),
    {1, "a"},
    collections.OrderedDict(b=1, a=2),
    collections.Counter("abracadabra"),
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_values(value):
    for loaded in (
        torch.load(saved(value), weights_only=True),
        flambeau.load(saved(value)),
        flambeau.load(saved(value, torch)),
    ):
        assert loaded == value
        assert type(loaded) is type(value)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_of_pytorch_is_read(protocol):
    value = {
        "text": "abc",
        "bytes": b"ab",
        "array": bytearray(b"cd"),
        "set": {1, 2},
        "list": list(range(300)),
        "size": torch.Size([2, 3]),
        "weight": torch.ones(2),
        "state": torch.nn.Linear(1, 1).state_dict(),
    }
    loaded = flambeau.load(saved(value, torch, pickle_protocol=protocol))
    same(loaded.pop("weight"), value.pop("weight"))
    assert loaded.pop("state")._metadata == value.pop("state")._metadata
    assert type(loaded["size"]) is flambeau.Size
    assert loaded == value


def test_the_librarys_own_values():
    value = {
        "dtype": flambeau.bfloat16,
        "size": flambeau.Size([2, 3]),
        "cpu": flambeau.device("cpu"),
    }
    theirs = torch.load(saved(value), weights_only=True)
    assert theirs == {
        "dtype": torch.bfloat16,
        "size": torch.Size([2, 3]),
        "cpu": torch.device("cpu"),
    }
    assert flambeau.load(saved(theirs, torch)) == value
    assert flambeau.load(saved(value))["dtype"] is flambeau.bfloat16


def test_tensors_that_share_memory_go_on_sharing():
    x = flambeau.arange(6.0)
    value = {"x": x, "again": x, "view": x[2:4], "other": x.view(2, 3)}
    for library, loaded in (
        (flambeau, flambeau.load(saved(value))),
        (torch, torch.load(saved(value), weights_only=True)),
    ):
        assert loaded["again"] is loaded["x"]
        loaded["x"].fill_(7)
        assert loaded["view"].tolist() == [7, 7]
        loaded["view"].zero_()
        assert loaded["other"].tolist() == [[7, 7, 0], [0, 7, 7]]
        assert isinstance(loaded["x"], library.Tensor)


def test_two_handles_on_one_tensor_are_no_views():
    x = flambeau.ones(2, 3)
    first, second = flambeau.load(saved([x.detach(), x.detach()]))
    assert second._base is None
    first.zero_()
    assert second.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_view_before_the_whole():
    x = flambeau.arange(6.0)
    part, whole = flambeau.load(saved([x[2:4], x.view(2, 3)]))
    whole.zero_()
    assert part.tolist() == [0, 0]


def test_parameters_stay_parameters_and_tied():
    weight = flambeau.nn.Parameter(flambeau.ones(2, 3))
    frozen = flambeau.nn.Parameter(flambeau.ones(1), requires_grad=False)
    value = {"encoder": weight, "decoder": weight, "frozen": frozen}
    for library, loaded in (
        (flambeau, flambeau.load(saved(value))),
        (torch, torch.load(saved(value), weights_only=True)),
        (flambeau, flambeau.load(saved(torch.load(saved(value), weights_only=True), torch))),
    ):
        assert loaded["encoder"] is loaded["decoder"]
        assert type(loaded["encoder"]) is library.nn.Parameter
        assert loaded["encoder"].requires_grad
        assert not loaded["frozen"].requires_grad
        loaded["encoder"].sum().backward()
        assert loaded["decoder"].grad.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_a_loaded_tensor_is_a_leaf_of_its_own():
    x = flambeau.arange(6.0)
    view = flambeau.load(saved(x[2:4]))
    assert view._base is None
    assert view.is_leaf
    view.requires_grad_()
    view.sum().backward()
    assert view.grad.tolist() == [1, 1]
    result = flambeau.load(saved(flambeau.ones(2, requires_grad=True) * 3))
    assert result.is_leaf
    assert result.requires_grad


def test_containers_may_contain_themselves():
    inner = [1]
    inner.append(inner)
    pair = ([],)
    pair[0].append(pair)
    for loaded in (
        flambeau.load(saved([inner, pair])),
        flambeau.load(saved([inner, pair], torch)),
        torch.load(saved([inner, pair]), weights_only=False),
    ):
        assert loaded[0][1] is loaded[0]
        assert loaded[1][0][0] is loaded[1]


def test_very_long_integers():
    value = [2**3000, -(2**3000)]
    assert flambeau.load(saved(value)) == value
    assert flambeau.load(saved(value, torch)) == value
    assert torch.load(saved(value), weights_only=False) == value


def test_memory_shared_with_numpy():
    array = np.arange(4.0)
    tensor = flambeau.from_numpy(array)
    buffer = saved(tensor)
    array[:] = 0
    assert torch.load(buffer).tolist() == [0.0, 1.0, 2.0, 3.0]


def test_state_dicts_of_models_and_optimizers():
    def trained(library):
        library.manual_seed(0)
        model = library.nn.Sequential(library.nn.Linear(3, 4), library.nn.BatchNorm1d(4))
        optimizer = library.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(2):
            model(library.arange(12.0).reshape(4, 3)).square().mean().backward()
            optimizer.step()
        return model, optimizer

    for source, target in ((flambeau, torch), (torch, flambeau), (flambeau, flambeau)):
        model, optimizer = trained(source)
        checkpoint = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 2}
        loaded = target.load(saved(checkpoint, source))
        assert loaded["epoch"] == 2
        assert loaded["model"]._metadata == model.state_dict()._metadata
        target.manual_seed(1)
        copy = target.nn.Sequential(target.nn.Linear(3, 4), target.nn.BatchNorm1d(4))
        copy.load_state_dict(loaded["model"])
        copied = target.optim.Adam(copy.parameters())
        copied.load_state_dict(loaded["optimizer"])
        for name, value in model.state_dict().items():
            assert copy.state_dict()[name].tolist() == value.tolist()
        assert copied.param_groups[0]["lr"] == 0.1
        moments = copied.state_dict()["state"][0]["exp_avg"].tolist()
        assert moments == optimizer.state_dict()["state"][0]["exp_avg"].tolist()


def test_map_location():
    def load(location):
        return flambeau.load(saved(flambeau.ones(1)), map_location=location)

    for location in (
        None,
        "cpu",
        flambeau.device("cpu"),
        {"cuda:0": "cpu"},
        lambda storage, tag: storage,
        lambda storage, tag: None,
    ):
        assert load(location).device == flambeau.device("cpu")
    with pytest.raises(CheckpointError, match="don't know how to restore"):
        load("nowhere")
    with pytest.raises(CheckpointError, match=r"on a CUDA device but torch\.cuda\.is_available"):
        load("cuda")
    with pytest.raises(TypeError, match="map_location must return an UntypedStorage or None"):
        load(lambda storage, tag: 3)
    assert load("meta").device.type == "meta"

    def doubled(storage, tag):
        assert (tag, storage.nbytes()) == ("cpu", 4)
        return flambeau.tensor([2.0]).untyped_storage()

    assert load(doubled).tolist() == [2.0]


# Files


def test_a_path_and_its_archive(tmp_path):
    path = tmp_path / "model.pt"
    flambeau.save({"w": flambeau.ones(2)}, path)
    assert torch.load(str(path))["w"].tolist() == [1, 1]
    assert flambeau.load(str(path))["w"].tolist() == [1, 1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt"]
    reference = tmp_path / "reference.pt"
    torch.save({"w": torch.ones(2)}, reference)

    def records(file):
        with open(file, "rb") as opened:
            names = zipfile.ZipFile(opened).namelist()
        return {name.split("/", 1)[1] for name in names}

    assert records(path) == records(reference) - {".data/serialization_id"}
    raw = path.read_bytes()
    assert raw.index(flambeau.ones(2).numpy().tobytes()) % 64 == 0


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.pt"
    flambeau.save(1, path)
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
        flambeau.save([2, threading.Lock()], path)
    assert flambeau.load(path) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    flambeau.save(1, path)

    def fails(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        flambeau.save(2, path)
    assert flambeau.load(path) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt"]


def test_modes_and_links_are_kept(tmp_path):
    path, link = tmp_path / "model.pt", tmp_path / "latest.pt"
    flambeau.save(1, path)
    path.chmod(0o640)
    link.symlink_to(path)
    flambeau.save(2, link)
    assert link.is_symlink()
    assert flambeau.load(path) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_targets_that_cannot_be_written(tmp_path):
    with pytest.raises(RuntimeError, match=r"Parent directory .*missing does not exist\."):
        flambeau.save(1, tmp_path / "missing" / "model.pt")
    with pytest.raises(IsADirectoryError):
        flambeau.save(1, tmp_path)
    with pytest.raises(AttributeError, match="a file-like object with a 'write' attribute"):
        flambeau.save(1, 3)
    with pytest.raises(FileNotFoundError):
        flambeau.load(tmp_path / "missing.pt")
    with pytest.raises(AttributeError, match="'int' object has no attribute 'seek'"):
        flambeau.load(3)


Point = collections.namedtuple("Point", "x y")


class Plain:
    pass


class WithSlots:
    __slots__ = ("x",)


class Level(enum.IntEnum):
    HIGH = 3


class Words(dict):
    pass


def instance(**attributes):
    value = Plain()
    value.__dict__.update(attributes)
    return value


def slotted(x):
    value = WithSlots()
    value.x = x
    return value


def looped():
    value = Plain()
    value.itself = [value]
    return value


MINE = [Plain, WithSlots, Level, Words, Point, Fraction, Fraction.from_float]

# What PyTorch writes and reads with weights_only=False, and flambeau too.
TRUSTED = [
    frozenset([1, 2]),
    collections.defaultdict(list, a=[1]),
    collections.deque([1, 2], 5),
    range(3),
    slice(1, 2),
    argparse.Namespace(epochs=3, path=pathlib.PurePosixPath("a/b")),
    types.SimpleNamespace(a=1),
    datetime.datetime(2020, 1, 2, 3, 4),
    datetime.timedelta(3),
    pathlib.PurePosixPath("a/b"),
    np.float64(1.5),
    np.int32(-3),
    np.bool_(True),
    np.arange(6, dtype=np.int16).reshape(2, 3).T,
    np.zeros((0, 3)),
    np.array("text"),
    np.array(2 + 1j),
]


def alike(one, other):
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and (one == other).all()
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("value", TRUSTED, ids=lambda value: type(value).__name__)
def test_values_of_other_libraries(value):
    for protocol in (2, 4):
        theirs = saved(value, torch, pickle_protocol=protocol)
        assert alike(flambeau.load(theirs, weights_only=False), value)
    assert alike(torch.load(saved(value), weights_only=False), value)
    with pytest.raises(CheckpointError, match="was not an allowed global by default"):
        flambeau.load(saved(value))


@pytest.mark.parametrize(
    "value",
    [
        instance(a=1, b=np.float32(2)),
        slotted(3),
        Level.HIGH,
        Words(a=1),
        Point(1, "a"),
        Fraction(1, 3),
        Plain,
        [Plain, instance(a=Plain)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_objects_of_the_users_classes(value):
    def seen(value):
        if isinstance(value, list):
            return [seen(item) for item in value]
        if isinstance(value, Plain):
            return vars(value)
        return value.x if isinstance(value, WithSlots) else value

    with flambeau.serialization.safe_globals(MINE):
        for trusting in (False, True) if "float32" not in str(seen(value)) else (False,):
            loaded = flambeau.load(saved(value), weights_only=trusting)
            assert type(loaded) is type(value)
            assert seen(loaded) == seen(value)
        assert seen(flambeau.load(saved(value, torch), weights_only=False)) == seen(value)
    assert seen(torch.load(saved(value), weights_only=False)) == seen(value)
    with pytest.raises(CheckpointError, match="Unsupported global"):
        flambeau.load(saved(value), weights_only=False)


def test_objects_that_contain_themselves():
    with flambeau.serialization.safe_globals([Plain]):
        loaded = flambeau.load(saved(looped()))
    assert loaded.itself[0] is loaded
    other = torch.load(saved(looped()), weights_only=False)
    assert other.itself[0] is other


def test_what_has_no_name_is_refused():
    for value in (lambda: 1, threading.Lock(), type("Local", (), {})()):
        with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
            torch.save(value, io.BytesIO())
        with pytest.raises((AttributeError, TypeError)):
            flambeau.save(value, io.BytesIO())


def test_one_memory_under_two_dtypes_is_refused():
    x = flambeau.zeros(2)
    for library, value in ((flambeau, x), (torch, torch.zeros(2))):
        with pytest.raises(RuntimeError, match="view the same data as different types"):
            library.save([value, value.view(library.int32)], io.BytesIO())


def test_attributes_of_tensors_are_kept():
    tensor, parameter = flambeau.ones(2), flambeau.nn.Parameter(flambeau.ones(1))
    tensor.label, tensor.scale = "a", flambeau.ones(1, dtype=flambeau.uint16)
    parameter.group = [1, 2]
    for loaded in (
        flambeau.load(saved([tensor, parameter])),
        torch.load(saved([tensor, parameter]), weights_only=True),
        flambeau.load(saved(torch.load(saved([tensor, parameter])), torch)),
    ):
        assert loaded[0].label == "a"
        assert loaded[0].scale.tolist() == [1]
        assert loaded[1].group == [1, 2]
        assert vars(loaded[1]).keys() >= {"group"}
    refused = flambeau.ones(1)
    refused.__dict__["not_plain"] = threading.Lock()
    with pytest.raises(TypeError, match="cannot pickle"):
        saved(refused)


def test_buffers():
    for loaded in (
        flambeau.load(saved(torch.nn.Buffer(torch.ones(2)), torch)),
        torch.load(saved(flambeau.nn.Buffer(flambeau.ones(2))), weights_only=True),
        flambeau.load(saved(flambeau.nn.Buffer(flambeau.ones(2)))),
    ):
        assert loaded.tolist() == [1, 1]


class Marked(flambeau.Tensor):
    pass


def test_subclasses_of_tensors():
    marked = flambeau.ones(2).as_subclass(Marked)
    marked.label = 3
    with pytest.raises(CheckpointError, match=r"GLOBAL .*\.Marked was not"):
        flambeau.load(saved(marked))
    with flambeau.serialization.safe_globals([Marked]):
        loaded = flambeau.load(saved(marked))
    assert type(loaded) is Marked
    assert loaded.label == 3
    assert loaded.tolist() == [1, 1]
