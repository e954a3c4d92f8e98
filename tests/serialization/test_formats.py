"""The other format, mapped files, places, and which names a checkpoint may have."""

import io
import pickle
import re
import struct
import sys
import tarfile

import numpy as np
import pytest
import torch

import flambeau
from flambeau.serialization import CheckpointError, legacy


def saved(value, library=flambeau, **options):
    buffer = io.BytesIO()
    library.save(value, buffer, **options)
    buffer.seek(0)
    return buffer


def old(value, library):
    return saved(value, library, _use_new_zipfile_serialization=False)


def values(library):
    base = library.arange(12.0).view(3, 4)
    return {
        "base": base,
        "view": base[1:, ::2],
        "transposed": base.t(),
        "half": library.tensor([1.5, -2], dtype=library.bfloat16),
        "wide": library.tensor([1, 2], dtype=library.uint16),
        "complex": library.tensor([1 + 2j]),
        "flags": library.tensor([True, False]),
        "scalar": library.tensor(3),
        "empty": library.zeros(0, 2),
        "parameter": library.nn.Parameter(library.ones(2)),
        "plain": [1, 2.5, "text", None, {"a": (1, 2)}],
    }


def same(ours, theirs):
    assert list(ours) == list(theirs)
    for name, one in ours.items():
        other = theirs[name]
        if not hasattr(one, "dtype"):
            assert one == other
            continue
        assert str(one.dtype) == str(other.dtype)
        assert (tuple(one.shape), one.stride()) == (tuple(other.shape), other.stride())
        assert one.tolist() == other.tolist()
        assert type(one).__name__ == type(other).__name__


@pytest.mark.parametrize("source", [torch, flambeau], ids=["torch", "flambeau"])
def test_files_of_before_1_6(source):
    loaded = flambeau.load(old(values(source), source))
    same(loaded, values(torch))
    loaded["base"].zero_()
    assert loaded["view"].tolist() == [[0, 0], [0, 0]]
    readable = values(source)
    del readable["wide"]  # PyTorch does not read its own file of this type
    ours = values(flambeau)
    del ours["wide"]
    same(ours, torch.load(old(readable, source), weights_only=True))


def test_modules_in_files_of_before_1_6():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    loaded = flambeau.load(old(model, torch), weights_only=False)
    x = torch.ones(1, 2)
    with torch.no_grad():
        assert np.allclose(loaded(flambeau.ones(1, 2)).detach().numpy(), model(x).numpy())


def test_parts_of_storages_as_before_0_4():
    """Files of that time describe a storage that is a part of another one."""
    data = old(torch.arange(6.0), torch).getvalue()
    part = b"N" + b"t"
    at = data.index(part, data.index(b"FloatStorage"))
    view = b"(X\x01\x00\x00\x00vK\x02K\x03t" + b"t"
    data = data[:at] + view + data[at + 2 :]
    data = data.replace(b"QK\x00K\x06\x85", b"QK\x00K\x03\x85")
    assert flambeau.load(io.BytesIO(data)).tolist() == [2, 3, 4]
    for wrong in (b"K\x05K\x03", b"J\xff\xff\xff\xffK\x03", b"NK\x03"):
        with pytest.raises(CheckpointError):
            flambeau.load(io.BytesIO(data.replace(b"K\x02K\x03", wrong)))


def test_damaged_files_of_before_1_6():
    data = old({"a": torch.arange(3.0), "b": torch.arange(4)}, torch).getvalue()
    for end in range(len(data)):
        with pytest.raises(CheckpointError):
            flambeau.load(io.BytesIO(data[:end]))
    count = data.index(struct.pack("<q", 4))
    with pytest.raises(CheckpointError, match="another size than announced"):
        flambeau.load(io.BytesIO(data[:count] + struct.pack("<q", 3) + data[count + 8 :]))
    big_endian = data.replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89")
    with pytest.raises(CheckpointError, match="other byte order"):
        flambeau.load(io.BytesIO(big_endian))
    huge, changes = re.subn(rb"(cpuq.)K\x03", b"\\1J\xff\xff\xff\x7f", data, count=1)
    assert changes == 1
    with pytest.raises(CheckpointError, match="larger than the file"):
        flambeau.load(io.BytesIO(huge))
    assert legacy.is_legacy(data[:16])


# Mapped files


def test_a_mapped_file(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(values(torch), path)
    before = path.read_bytes()
    loaded = flambeau.load(path, mmap=True)
    same(loaded, values(torch))
    assert isinstance(loaded["base"]._storage.array.base, np.memmap | np.ndarray)
    assert not loaded["base"]._storage.array.flags.owndata
    loaded["base"].add_(1)
    assert (loaded["base"] * 2).sum() == 156
    shared = flambeau.load(str(path), mmap=True, map_location="cpu")["base"]
    shared.numpy()[:] = 7
    assert shared.sum() == 84
    assert path.read_bytes() == before


def test_what_cannot_be_mapped(tmp_path):
    path = tmp_path / "model.pt"
    flambeau.save(values(flambeau), path, _use_new_zipfile_serialization=False)
    for library in (flambeau, torch):
        with pytest.raises(ValueError, match="f must be a file path in order to use the mmap"):
            library.load(saved(1, library), mmap=True)
        with pytest.raises(RuntimeError, match="mmap can only be used with files saved with"):
            library.load(path, mmap=True)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(CheckpointError):
        flambeau.load(tmp_path / "empty", mmap=True)


def test_a_file_behind_something_else(tmp_path):
    for save in (saved, old):
        buffer = io.BytesIO(b"header" + save([flambeau.ones(2)], flambeau).getvalue())
        buffer.seek(6)
        assert flambeau.load(buffer)[0].tolist() == [1, 1]


def test_tar_files_are_named():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    buffer.seek(0)
    with pytest.raises(CheckpointError, match="tar file") as caught:
        flambeau.load(buffer)
    assert isinstance(caught.value, NotImplementedError)


def test_one_object_behind_the_other():
    for library in (flambeau, torch):
        buffer = io.BytesIO(
            old([library.ones(2)], library).getvalue() + old([2], library).getvalue()
        )
        assert flambeau.load(buffer)[0].tolist() == [1, 1]
        assert flambeau.load(buffer) == [2]


def test_arguments():
    assert type(flambeau.load(saved(flambeau.nn.ReLU()), pickle_module=pickle)) is flambeau.nn.ReLU
    for library in (flambeau, torch):
        with pytest.raises(RuntimeError, match="Can not safely load weights when explicit"):
            library.load(saved(1, library), pickle_module=pickle, weights_only=True)
    with pytest.raises(NotImplementedError, match=r"torch\.load\(pickle_module"):
        flambeau.load(saved(1), pickle_module=io)
    with pytest.raises(NotImplementedError, match=r"torch\.load\(nonsense=\.\.\.\)"):
        flambeau.load(saved(1), nonsense=3)
    data = old(["x"], flambeau).getvalue().replace(b"X\x01\x00\x00\x00x", b"U\x01\xe4")
    assert flambeau.load(io.BytesIO(data), encoding="latin1") == ["ä"]
    assert flambeau.load(io.BytesIO(data), encoding="bytes") == [b"\xe4"]
    with pytest.raises(CheckpointError, match="is not utf-8"):
        flambeau.load(io.BytesIO(data))
    with pytest.raises(CheckpointError, match="is not nonsense"):
        flambeau.load(io.BytesIO(data), encoding="nonsense")


# Names


class Trusted:
    def __init__(self):
        self.value = 3


class Called:
    calls = 0

    def __reduce__(self):
        return called, (self.calls,)


def called(number):
    Called.calls += 1
    return Called()


def test_safe_globals():
    serialization = flambeau.serialization
    assert serialization.get_safe_globals() == []
    with serialization.safe_globals([Trusted, (dict, "some.Name")]):
        assert flambeau.load(saved(Trusted())).value == 3
        assert serialization.get_safe_globals() == [Trusted, (dict, "some.Name")]
        with serialization.safe_globals([called]):
            assert len(serialization.get_safe_globals()) == 3
            flambeau.load(saved(Called()))
            assert Called.calls == 1
        with pytest.raises(CheckpointError):
            flambeau.load(saved(Called()))
    assert serialization.get_safe_globals() == []
    serialization.add_safe_globals([Trusted])
    assert flambeau.load(saved(Trusted())).value == 3
    serialization.clear_safe_globals()
    with pytest.raises(CheckpointError, match=rf"add_safe_globals\(\[{__name__}\.Trusted\]\)"):
        flambeau.load(saved(Trusted()))
    with pytest.raises(TypeError, match="Expected second item in tuple to be a string"):
        serialization.add_safe_globals([(dict, 3)])
    assert Called.calls == 1


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(1),
        torch.nn.Linear(1, 1),
        [np.float64(1), np.ones(2)],
        Trusted(),
        torch.nn.TransformerEncoderLayer(4, 2, 4),
        {"plain": 1},
    ],
    ids=lambda value: type(value).__name__,
)
def test_unsafe_globals(value, tmp_path):
    theirs = torch.serialization.get_unsafe_globals_in_checkpoint(saved(value, torch))
    ours = flambeau.serialization.get_unsafe_globals_in_checkpoint(saved(value, torch))
    assert sorted(ours) == sorted(theirs)
    path = tmp_path / "model.pt"
    torch.save(value, path, pickle_protocol=4)
    ours = flambeau.serialization.get_unsafe_globals_in_checkpoint(path)
    assert sorted(ours) == sorted(theirs)


def test_unsafe_globals_that_were_allowed():
    with flambeau.serialization.safe_globals([Trusted]):
        found = flambeau.serialization.get_unsafe_globals_in_checkpoint(saved(Trusted()))
    assert found == []


def test_nothing_is_imported_for_a_name():
    name = "antigravity"
    assert name not in sys.modules
    data = saved([Trusted]).getvalue().replace(__name__.encode(), name.encode())
    for weights_only in (True, False):
        with pytest.raises(CheckpointError):
            flambeau.load(io.BytesIO(data), weights_only=weights_only)
    assert name not in sys.modules
