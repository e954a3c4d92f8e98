"""Whatever is wrong with a checkpoint, `load` raises CheckpointError and runs nothing."""

import io
import os
import pickle
import random
import struct
import zipfile

import pytest
import torch

import flambeau
from flambeau.serialization import CheckpointError

CALLS = []


def poisoned(argument):
    CALLS.append(argument)


class Poison:
    def __reduce__(self):
        return poisoned, ("ran",)


def checkpoint(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def records(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive(entries, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as out:
        for name, data in entries:
            out.writestr(name, data)
    return buffer.getvalue()


def refused(data, match=None):
    with pytest.raises(CheckpointError, match=match) as caught:
        flambeau.load(io.BytesIO(data))
    assert isinstance(caught.value, pickle.UnpicklingError)
    assert isinstance(caught.value, RuntimeError)


def instructions(data, storages=()):
    """A checkpoint with the given pickle and records."""
    entries = [("a/data.pkl", data), ("a/byteorder", b"little"), ("a/version", b"3\n")]
    entries += [(f"a/data/{number}", memory) for number, memory in enumerate(storages)]
    return archive(entries)


def test_nothing_is_run():
    for protocol in (2, 4):
        buffer = io.BytesIO()
        torch.save({"a": Poison()}, buffer, pickle_protocol=protocol)
        refused(buffer.getvalue(), r"GLOBAL tests\.serialization\.test_malformed\.poisoned was not")
    for weights_only in (True, False):
        with pytest.raises(CheckpointError, match=r"system was not an allowed global by default"):
            flambeau.load(io.BytesIO(checkpoint(os.system)), weights_only=weights_only)
    assert CALLS == []


@pytest.mark.parametrize(
    "data",
    [b"", b"text", b"PK\x03\x04rest", pickle.dumps({"a": 1}), b"PK\x05\x06" + bytes(18)],
    ids=["empty", "text", "start of a zip", "pickle", "empty zip"],
)
def test_other_files(data):
    refused(data)


def test_other_archives():
    refused(archive([("a/b", b"x")]), "data.pkl")
    plain = pickle.dumps(1, 2)
    assert flambeau.load(io.BytesIO(archive([("a/data.pkl", plain)]))) == 1
    refused(archive([("a/data.pkl", plain)], zipfile.ZIP_DEFLATED), "compressed")
    refused(archive([("a/data.pkl", plain), ("b/x", b"")]), "outside the folder")
    refused(archive([("a/data.pkl", plain), ("a/../x", b"")]), "outside the folder")
    refused(archive([("a/data.pkl", plain), ("a/byteorder", b"big")]), "byte order")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = archive([("a/data.pkl", plain), ("a/data.pkl", plain)])
    refused(twice, "occurs twice")


def test_every_cut_and_every_flipped_byte():
    data = checkpoint({"weight": torch.arange(4.0), "name": "abc", "list": [1, 2.5]})
    for end in range(0, len(data), 7):
        refused(data[:end])
    reference = flambeau.load(io.BytesIO(data))
    for position in range(0, len(data), 3):
        changed = bytearray(data)
        changed[position] ^= 0xFF
        try:
            loaded = flambeau.load(io.BytesIO(changed))
        except CheckpointError:
            continue
        assert loaded["weight"].tolist() == reference["weight"].tolist()  # padding, dates, ...
        assert loaded["name"] == "abc"


def test_overlapping_records():
    data = bytearray(checkpoint([torch.zeros(4), torch.ones(4)]))
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        first = opened.getinfo("archive/data/0").header_offset
    directory = data.index(b"PK\x01\x02")
    entry = data.index(b"archive/data/1", directory) - 46
    data[entry + 42 : entry + 46] = struct.pack("<I", first)
    refused(bytes(data))


def tensor_pickle(
    offset=0, size=(2,), stride=(1,), count=2, key="0", storage="FloatStorage", requires_grad=False
):
    """The pickle of one tensor, with whatever numbers."""

    class Described(pickle._Pickler):
        def persistent_id(self, value):
            if isinstance(value, Reference):
                return ("storage", getattr(torch, storage), key, "cpu", count)
            return None

    class Reference:
        pass

    class Rebuilt:
        def __reduce__(self):
            arguments = (Reference(), offset, size, stride, requires_grad, {})
            return torch._utils._rebuild_tensor_v2, arguments

    buffer = io.BytesIO()
    Described(buffer, 2).dump(Rebuilt())
    return buffer.getvalue()


TWO = struct.pack("<2f", 1, 2)


def test_one_untyped_record_under_two_dtypes():
    value = [torch.zeros(2, dtype=torch.uint16), torch.zeros(2, dtype=torch.uint16)]
    data = records(checkpoint(value))
    pickled = data["archive/data.pkl"].replace(b"uint16", b"uint32", 1)
    refused(instructions(pickled, [bytes(4), bytes(4)]))


def test_attributes_may_not_replace_the_librarys_own():
    for name in ("_storage", "grad", "shape", "__class__"):
        tensor = torch.ones(2)
        tensor.__dict__["x" * len(name)] = 1
        data = records(checkpoint(tensor))
        pickled = data["archive/data.pkl"].replace(b"x" * len(name), name.encode())
        assert name.encode() in pickled
        refused(instructions(pickled, [data["archive/data/0"]]), "has attributes")


def test_the_hand_made_tensor_is_read():
    data = instructions(tensor_pickle(), [TWO])
    assert flambeau.load(io.BytesIO(data)).tolist() == [1, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"offset": 1},
        {"offset": -1},
        {"offset": 1.0},
        {"offset": True},
        {"size": (3,)},
        {"size": (-2,)},
        {"size": (2, 1)},
        {"size": ("2",)},
        {"size": None},
        {"size": (1 << 62, 1 << 62), "stride": (0, 0)},
        {"size": (1 << 40,), "stride": (0,)},
        {"stride": (2,)},
        {"stride": (-1,)},
        {"stride": (1, 1)},
        {"count": 3},
        {"count": -2},
        {"count": "2"},
        {"key": "1"},
        {"key": "../version"},
        {"key": 0},
        {"storage": "DoubleStorage"},
        {"storage": "nn"},
        {"requires_grad": 1},
        {"storage": "IntStorage", "requires_grad": True},
    ],
    ids=str,
)
def test_tensors_that_do_not_fit_their_records(wrong):
    try:
        data = tensor_pickle(**wrong)
    except (pickle.PicklingError, TypeError):
        assert wrong == {"storage": "nn"}
        return
    refused(instructions(data, [TWO]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"\x80\x02.",
        b"\x80\x07N.",
        b"\x80\x02NN.",
        b"\x80\x02(.",
        b"\x80\x02N",
        b"\x80\x02h\x00.",
        b"\x80\x02t.",
        b"\x80\x02\x86.",
        b"\x80\x02Na.",
        b"\x80\x02}Ns.",
        b"\x80\x02}(Nu.",
        b"\x80\x02}]Ns.",
        b"\x80\x02}}Ns.",
        b"\x80\x02}]\x85Ns.",
        b"\x80\x02NNb.",
        b"\x80\x02NQ.",
        b"\x80\x02K\x01)R.",
        b"\x80\x02X\xff\xff\xff\xffab.",
        b"\x80\x02X\x01\x00\x00\x00\xff.",
        b"\x80\x02\x8b\xff\xff\xff\xff.",
        b"\x80\x02T\xff\xff\xff\xff.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.",
        b"\x80\x02cos\nsystem",
        b"\x80\x02ctorch\nfloat32\n)R.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02ccollections\nOrderedDict\nN\x85R.",
        b"\x80\x02ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00__class__Nsb.",
        b"\x80\x02ctorch\nSize\nN\x85R.",
        b"\x80\x02ctorch\ndevice\nX\x01\x00\x00\x00?\x85R.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x02ctorch._utils\n_rebuild_parameter\nN\x88}\x87R.",
        b"\x80\x02i__main__\nA\n.",
        b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(NNNNtR.",
        b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(]NNNtR.",
        b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(ctorch\nSize\nctorch\nTensor\n)}tR.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02cbuiltins\nset\n]]a\x85R.",
        b"\x80\x04\x8f(]\x90.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
    ],
    ids=repr,
)
def test_malformed_instructions(data):
    refused(instructions(data))


@pytest.mark.parametrize("protocol", [2, 4])
def test_random_changes_to_the_instructions(protocol):
    value = {
        "weight": torch.arange(6.0).view(2, 3)[1:],
        "bias": torch.nn.Parameter(torch.ones(2)),
        "count": torch.zeros(2, dtype=torch.uint16),
        "state": torch.nn.Linear(2, 1).state_dict(),
        "plain": [1, 2.5, "x", (1, 2, 3, 4), {1, 2}, b"ab", torch.bfloat16, torch.Size([1])],
    }
    buffer = io.BytesIO()
    torch.save(value, buffer, pickle_protocol=protocol)
    parts = records(buffer.getvalue())
    storages = [parts[f"archive/data/{n}"] for n in range(5)]
    rng = random.Random(protocol)
    outcomes = set()
    for _ in range(1500):
        data = bytearray(parts["archive/data.pkl"])
        for _ in range(rng.randint(1, 3)):
            at, other = rng.randrange(len(data)), rng.randrange(len(data))
            change = rng.randrange(3)
            if change == 0:
                data[at] = rng.randrange(256)
            elif change == 1:
                del data[at : at + rng.randint(1, 5)]
            else:
                data[at:at] = data[other : other + rng.randint(1, 20)]
        try:
            flambeau.load(io.BytesIO(instructions(bytes(data), storages)), map_location="cpu")
            outcomes.add("loaded")
        except CheckpointError:
            outcomes.add("refused")
        except NotImplementedError as error:
            assert "torch.load of a tensor of" in str(error)
    assert outcomes == {"loaded", "refused"}


def test_hashing_cannot_take_forever():
    nested = ()
    for _ in range(40):
        nested = (nested, nested)
    data = pickle.dumps([nested], 2)
    assert len(flambeau.load(io.BytesIO(instructions(data)))) == 1
    key = data[:-2].replace(b"]q\x00", b"}q\x00", 1) + b"Ns."
    refused(instructions(key))
