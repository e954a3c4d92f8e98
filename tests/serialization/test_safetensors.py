"""Files of the safetensors format, both ways with safetensors' own functions for PyTorch."""

import numpy as np
import pytest
import safetensors.torch
import torch

import flambeau
from flambeau import safetensors as ours

DTYPES = [
    "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool",
    "complex64 float8_e4m3fn float8_e5m2",
]
DTYPES = " ".join(DTYPES).split()


def tensors(library, names=DTYPES):
    values = library.arange(6.0).reshape(2, 3)
    found = {name: values.to(getattr(library, name)) for name in names}
    return {**found, "scalar": library.tensor(3.5), "empty": library.zeros(0, 2)}


def contents(tensor):
    if str(tensor.dtype).startswith("torch.float8"):
        tensor = tensor.float()
    return str(tensor.dtype), tuple(tensor.shape), tensor.tolist()


@pytest.mark.parametrize("names", [DTYPES, DTYPES[:4]], ids=["all", "without float8"])
def test_both_ways(tmp_path, names):
    path = tmp_path / "model.safetensors"
    expected = {name: contents(tensor) for name, tensor in tensors(torch, names).items()}
    safetensors.torch.save_file(tensors(torch, names), path, metadata={"format": "pt"})
    loaded = ours.load_file(path)
    assert {name: contents(tensor) for name, tensor in loaded.items()} == expected
    ours.save_file(tensors(flambeau, names), str(path), metadata={"a": "b"})
    loaded = safetensors.torch.load_file(path)
    assert {name: contents(tensor) for name, tensor in loaded.items()} == expected
    assert ours.save(tensors(flambeau, names)) == safetensors.torch.save(tensors(torch, names))
    loaded = ours.load(path.read_bytes())
    assert {name: contents(tensor) for name, tensor in loaded.items()} == expected
    with safetensors.safe_open(path, "numpy") as file:
        assert file.metadata() == {"a": "b"}


def test_loaded_tensors_are_ordinary_ones(tmp_path):
    path = tmp_path / "x.safetensors"
    ours.save_file({"x": flambeau.ones(2)}, path)
    before = path.read_bytes()
    x = ours.load_file(path)["x"]
    x.add_(1)
    x.numpy()[0] = 7
    assert x.tolist() == [7, 2]
    assert path.read_bytes() == before


@pytest.mark.parametrize("wrong", ["shared", "strided", "number", "list"])
def test_what_is_refused(wrong, tmp_path):
    for library, save in ((flambeau, ours.save_file), (torch, safetensors.torch.save_file)):
        x = library.ones(2, 3)
        value = {
            "shared": {"a": x, "b": x},
            "strided": {"a": x.t()},
            "number": {"a": 3},
            "list": [x],
        }
        kind, text = {
            "shared": (RuntimeError, "Some tensors share memory"),
            "strided": (ValueError, "You are trying to save a non contiguous tensor: `a`"),
            "number": (ValueError, r"Key `a` is invalid, expected torch\.Tensor but received"),
            "list": (ValueError, r"Expected a dict of \[str, torch\.Tensor\] but received"),
        }[wrong]
        with pytest.raises(kind, match=text):
            save(value[wrong], tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_damaged_files(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(FileNotFoundError):
        ours.load_file(path)
    path.write_bytes(b"abc")
    with pytest.raises(safetensors.SafetensorError):
        ours.load_file(path)
    data = ours.save({"x": flambeau.ones(4)})
    with pytest.raises(safetensors.SafetensorError):
        ours.load(data[:-1])


def tied(library):
    library.manual_seed(0)
    model = library.nn.Sequential(library.nn.Linear(2, 2), library.nn.Linear(2, 2))
    model[1].weight = model[0].weight
    return model


def test_models(tmp_path):
    path = tmp_path / "model.safetensors"
    for source, save, target, load in (
        (flambeau, ours.save_model, flambeau, ours.load_model),
        (flambeau, ours.save_model, torch, safetensors.torch.load_model),
        (torch, safetensors.torch.save_model, flambeau, ours.load_model),
    ):
        model = tied(source)
        with source.no_grad():
            model[0].weight.add_(1)
        save(model, str(path))
        copy = tied(target)
        assert load(copy, str(path)) in ((set(), []), ([], []))
        for one, other in zip(copy.parameters(), model.parameters(), strict=True):
            np.testing.assert_array_equal(one.detach().numpy(), other.detach().numpy())
    other = flambeau.nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match="missing keys"):
        ours.load_model(other, path)
    missing, unexpected = ours.load_model(other, path, strict=False)
    assert missing == ["bias", "weight"]
    assert unexpected == ["0.bias", "0.weight", "1.bias"]
