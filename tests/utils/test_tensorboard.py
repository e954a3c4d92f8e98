"""SummaryWriter: the events of flambeau's logs are those of PyTorch's."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest
import torch
import torch.utils.tensorboard
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

import flambeau
from flambeau.utils.tensorboard import FileWriter, SummaryWriter

IMAGE = np.random.default_rng(0).random((3, 5, 6)).astype(np.float32)
VALUES = np.random.default_rng(1).standard_normal(100)
TRUTH = np.array([0, 1, 1, 0, 1])
GUESS = np.array([0.1, 0.4, 0.9, 0.6, 0.8])


def figure():
    found = matplotlib.figure.Figure(figsize=(1, 1))
    found.add_subplot().plot([1, 2])
    return found


CASES = {
    "scalar": lambda w, t: [
        w.add_scalar("a/b c*", 1.5, 3),
        w.add_scalar("t", t.tensor(2.5)),
        w.add_scalar("n", np.float32(2), 1, new_style=True),
        w.add_scalar("n", t.tensor([2]), 1, new_style=True, double_precision=True),
        w.add_scalar("n", True),
    ],
    "scalar of two": lambda w, t: w.add_scalar("a", t.ones(2)),
    "scalar text": lambda w, t: w.add_scalar("a", "text"),
    "scalars": lambda w, t: w.add_scalars("run/x", {"a": 1, "b": t.tensor(2.0)}, 5),
    "histogram": lambda w, t: [
        w.add_histogram("h", t.arange(10.0) - 4, 1),
        w.add_histogram("h", VALUES, 1, bins=10),
        w.add_histogram("h", VALUES, 1, bins="auto", max_bins=3),
        w.add_histogram("h", VALUES, 1, bins=10, max_bins=4),
        w.add_histogram("h", np.array([1, 2, 3]), 1, bins=[0, 1, 1.5, 2, 5]),
        w.add_histogram("h", np.zeros(3), 2),
        w.add_histogram("h", np.array([1e30, 1.0]), 2),
    ],
    "empty histogram": lambda w, t: w.add_histogram("h", np.zeros(0)),
    "histogram of a list": lambda w, t: w.add_histogram("h", [1, 2]),
    "raw": lambda w, t: w.add_histogram_raw("h", 0, 1, 3, 2.5, 3.5, [0, 1], [1, 2], 4),
    "wrong raw": lambda w, t: w.add_histogram_raw("h", 0, 1, 3, 2, 3, [0, 1, 2], [1, 2]),
    "image": lambda w, t: [
        w.add_image("i", t.from_numpy(IMAGE), 1),
        w.add_image("i", (IMAGE * 255).astype(np.uint8)),
        w.add_image("i", IMAGE[0], dataformats="HW"),
        w.add_image("i", IMAGE.transpose(1, 2, 0), dataformats="HWC"),
        w.add_image("i", IMAGE[:1]),
    ],
    "image of another form": lambda w, t: w.add_image("i", IMAGE, dataformats="HW"),
    "image of no form": lambda w, t: w.add_image("i", IMAGE, dataformats="HHW"),
    "images": lambda w, t: [
        w.add_images("i", np.stack([IMAGE] * 10)),
        w.add_images("i", t.ones(2, 1, 3, 3)),
        w.add_images("i", np.stack([IMAGE] * 2).transpose(0, 2, 3, 1), dataformats="NHWC"),
    ],
    "boxes": lambda w, t: [
        w.add_image_with_boxes("i", IMAGE, t.tensor([[1.0, 1, 3, 3]])),
        w.add_image_with_boxes("i", np.ones((3, 9, 9)), np.array([[1, 1, 5, 5]]), rescale=2),
    ],
    "figure": lambda w, t: [w.add_figure("f", figure(), 1), w.add_figure("f", [figure()] * 2)],
    "audio": lambda w, t: w.add_audio("s", VALUES[None] / 10, 2, 8000),
    "audio of two": lambda w, t: w.add_audio("s", VALUES.reshape(2, 50) / 10),
    "text": lambda w, t: w.add_text("t x", "héllo *x*", 3),
    "precision": lambda w, t: [
        w.add_pr_curve("p", TRUTH, GUESS, 0),
        w.add_pr_curve("p", t.from_numpy(TRUTH), t.from_numpy(GUESS), 1, num_thresholds=5),
        w.add_pr_curve("p", TRUTH, GUESS, weights=np.arange(5.0), num_thresholds=9),
        w.add_pr_curve_raw("p", *np.arange(12.0).reshape(6, 2), 0, 2),
    ],
    "custom": lambda w, t: [
        w.add_custom_scalars({"c": {"a": ["Multiline", ["x"]], "b": ["Margin", ["x", "y", "z"]]}}),
        w.add_custom_scalars_multilinechart(["x"]),
        w.add_custom_scalars_marginchart(["x", "y", "z"]),
    ],
    "mesh": lambda w, t: [
        w.add_mesh(
            "m",
            t.arange(9.0).reshape(1, 3, 3),
            colors=t.tensor([[[1, 2, 3]] * 3]),
            faces=t.tensor([[[0, 1, 2]]]),
            config_dict={"b": 1, "a": 2},
            global_step=1,
        ),
        w.add_mesh("m", t.arange(9.0).reshape(1, 3, 3)),
    ],
    "hyper-parameters": lambda w, t: w.add_hparams(
        {"lr": 0.1, "size": 3, "name": "x", "flag": True, "none": None, "t": t.tensor([2.5])},
        {"accuracy": 0.5, "n": t.tensor(3.0)},
        {"lr": [0.1, 0.2], "name": ["x", "y"]},
        run_name="r",
        global_step=3,
    ),
    "wrong hyper-parameters": lambda w, t: w.add_hparams({"a": [1]}, {}),
    "no hyper-parameters": lambda w, t: w.add_hparams([1], {}),
    "tensor": lambda w, t: [
        w.add_tensor("t", t.arange(6.0).reshape(2, 3), 2),
        w.add_tensor("t", t.tensor([1, 2], dtype=t.int32)),
        w.add_tensor("t", t.tensor([1, 2], dtype=t.uint8)),
        w.add_tensor("t", t.tensor([1 + 2j, 2])),
        w.add_tensor("t", t.tensor([1, 2], dtype=t.float64)),
        w.add_tensor("t", t.tensor([True])),
        w.add_tensor("t", t.tensor(3)),
    ],
    "embedding": lambda w, t: [
        w.add_embedding(
            t.tensor([[1.0, 2], [3, 4]]),
            metadata=["a", "b"],
            label_img=t.ones(2, 3, 4, 4),
            global_step=2,
            tag="x/y",
        ),
        w.add_embedding(
            np.ones((1, 2)), metadata=[["a", 1]], metadata_header=["h", "k"], tag="headed"
        ),
        w.add_embedding(np.ones((1, 2))),
    ],
    "wrong embedding": lambda w, t: w.add_embedding(np.ones((1, 2)), metadata=["a", "b"]),
}


def contents(folder):
    """The events of each folder below, and the other files."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_dir():
            continue
        where = str(path.parent.relative_to(folder))
        if "tfevents" not in path.name:
            found[where, path.name] = path.read_bytes()
            continue
        events = [Event.FromString(data) for data in RawEventFileLoader(str(path)).Load()]
        rows = [readable(e) for e in events if not e.HasField("source_metadata")]
        found.setdefault((where, "events"), []).extend(rows)
    return found


def readable(event):
    """An event without its time; of hyper-parameters in their order."""
    event.wall_time = 0
    for value in event.summary.value:
        if value.metadata.plugin_data.plugin_name == "hparams":
            data = HParamsPluginData.FromString(value.metadata.plugin_data.content)
            value.metadata.plugin_data.content = str(data).encode()
    return str(event)


@pytest.mark.parametrize("case", CASES)
def test_as_pytorch(case, tmp_path, monkeypatch):
    results = []
    for library, kind in (
        (torch, torch.utils.tensorboard.SummaryWriter),
        (flambeau, SummaryWriter),
    ):
        folder = tmp_path / library.__name__
        writer = kind(str(folder), purge_step=7 if case == "text" else None)
        error = None
        try:
            CASES[case](writer, library)
        except Exception as caught:
            error = (type(caught).__name__, str(caught))
        writer.close()
        results.append((error, contents(folder)))
    theirs, ours = results
    assert ours == theirs


def test_what_is_not_built(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for name, arguments in (
            ("add_graph", (flambeau.nn.ReLU(),)),
            ("add_onnx_graph", ("x",)),
            ("add_video", ("x", np.zeros((1, 1, 3, 4, 4)))),
        ):
            with pytest.raises(NotImplementedError, match=rf"SummaryWriter\.{name}"):
                getattr(writer, name)(*arguments)


def test_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(comment="_x") as writer:
        writer.add_scalar("a", 1)
        assert writer.get_logdir().startswith("runs" + os.sep)
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("_x")
    writer.add_scalar("a", 2)  # opens a new file
    writer.close()
    assert sum(map(len, contents(tmp_path).values())) == 2


def test_labels_are_drawn(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for labels in (None, ["a"], ["a", "b"]):
            box = np.array([[2, 2, 20, 20]])
            writer.add_image_with_boxes("i", np.zeros((3, 30, 30)), box, labels=labels)
    without, labelled, too_many = contents(tmp_path)[".", "events"]
    assert labelled != without
    assert too_many == without


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(tmp_path, dtype):
    """Their bits, as the format has them; PyTorch writes those of float32."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_tensor("t", flambeau.tensor([1, -2.5], dtype=getattr(flambeau, dtype)))
    (path,) = tmp_path.iterdir()
    event = Event.FromString(list(RawEventFileLoader(str(path)).Load())[-1])
    bits = torch.tensor([1, -2.5], dtype=getattr(torch, dtype)).view(torch.uint16).tolist()
    assert list(event.summary.value[0].tensor.half_val) == bits


def test_file_writer(tmp_path):
    writer = FileWriter(tmp_path, filename_suffix=".mine")
    writer.add_event(Event(step=1), step=4, walltime=5)
    writer.flush()
    assert writer.get_logdir() == str(tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name.endswith(".mine")
    event = Event.FromString(list(RawEventFileLoader(str(path)).Load())[-1])
    assert (event.step, event.wall_time) == (4, 5)
    writer.close()


def test_the_package_is_imported_when_it_is_used():
    program = (
        "import sys; import flambeau.utils.tensorboard as t\n"
        "assert 'tensorboard' not in sys.modules; sys.modules['tensorboard'] = None\n"
        "try: t.SummaryWriter('/nonexistent')\n"
        "except ImportError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip().endswith("pip install flambeau[tensorboard]"), run.stderr
