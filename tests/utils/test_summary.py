"""flambeau.summary: shapes and parameters, and multiply-adds as PyTorch's counter has them."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import flambeau
from flambeau import nn

CASES = [
    ("nn.Linear(3, 4)", (2, 5, 3)),
    ("nn.Linear(3, 4, bias=False)", (3,)),
    ("nn.Bilinear(3, 4, 2)", [(5, 3), (5, 4)]),
    ("nn.Conv1d(4, 6, 3, groups=2)", (2, 4, 7)),
    ("nn.Conv2d(3, 4, (3, 2), stride=2, padding=1)", (2, 3, 8, 8)),
    ("nn.Conv3d(1, 2, 2)", (1, 1, 3, 4, 5)),
    ("nn.ConvTranspose2d(4, 6, 3, stride=2)", (2, 4, 3, 3)),
    ("nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))", (2, 3)),
    (
        "nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))",
        (2, 1, 4, 4),
    ),
]


@pytest.mark.parametrize(("code", "size"), CASES, ids=[code for code, _ in CASES])
def test_counts(code, size):
    model, theirs = eval(code, {"nn": nn}), eval(code, {"nn": torch.nn})
    sizes = size if isinstance(size, list) else [size]
    with FlopCounterMode(display=False) as counter:
        output = theirs(*[torch.zeros(one) for one in sizes])
    found = flambeau.summary(model, size)
    if "Bilinear" in code:  # not a product of matrices
        assert found.total_mult_adds == 5 * 2 * 3 * 4
    else:
        assert 2 * found.total_mult_adds == counter.get_total_flops()
    assert found.layers[0].output_shape == list(output.shape)
    assert found.total_params == sum(p.numel() for p in theirs.parameters())
    assert found.total_params == sum(layer.parameters for layer in found.layers)


def test_recurrent_layers_and_attention():
    lstm = flambeau.summary(nn.LSTM(3, 4, 2, bidirectional=True), (5, 2, 3))
    assert lstm.total_mult_adds == 5 * 2 * 2 * (16 * (3 + 4) + 16 * (8 + 4))
    assert lstm.layers[0].output_shape == ([5, 2, 8], ([4, 2, 4], [4, 2, 4]))
    assert flambeau.summary(nn.GRUCell(3, 4), (2, 3)).total_mult_adds == 2 * 12 * (3 + 4)
    packed = nn.utils.rnn.pack_sequence([flambeau.ones(3, 2), flambeau.ones(1, 2)])
    assert flambeau.summary(nn.RNN(2, 4), input_data=packed).total_mult_adds == 4 * 4 * (2 + 4)
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    found = flambeau.summary(attention, [(2, 3, 4), (2, 5, 4), (2, 5, 4)])
    assert found.total_mult_adds == 2 * (2 * 3 * 16 + 2 * 5 * 16 + 2 * 3 * 5 * 4)
    assert found.layers[0].output_shape == ([2, 3, 4], [2, 3, 5])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.block = nn.ModuleDict({"inner": nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4))})
        self.out = nn.Linear(4, 7, bias=False)
        self.out.weight = self.embed.weight
        self.unused = nn.Linear(2, 2)
        self.unused.requires_grad_(False)

    def forward(self, x):
        x = self.embed(x)
        for _ in range(3):
            x = self.block["inner"](x)
        return {"logits": self.out(x), "hidden": x}


def test_a_whole_model():
    model = Tied()
    model.block.eval()
    modes = [module.training for module in model.modules()]
    found = flambeau.summary(model, (2, 5), dtypes=[flambeau.int64])
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert found.total_params == 28 + 20 + 6
    assert found.trainable_params == 28 + 20
    linear = next(layer for layer in found.layers if layer.depth == 3 and layer.name == "1")
    assert (linear.calls, linear.multiply_adds) == (3, 3 * 10 * 16)
    assert found.total_mult_adds == 3 * 10 * 16 + 10 * 7 * 4
    text = str(found)
    assert "logits: [2, 5, 7], hidden: [2, 5, 4]" in text
    assert "Parameters: 54 (48 trainable, 6 frozen), 216 B" in text
    unused = next(line for line in text.split("\n") if "unused: Linear" in line)
    assert unused.split()[2:] == ["-", "6", "-"]
    shallow = str(flambeau.summary(model, (2, 5), dtypes=[flambeau.int64], depth=1))
    assert "inner" not in shallow
    block = next(line for line in shallow.split("\n") if "block" in line)
    assert block.split()[-2:] == ["20", "480"]


def test_lazy_layers_are_made():
    model = nn.LazyLinear(3)
    assert flambeau.summary(model, (2, 4)).total_params == 15
    assert model.weight.shape == (3, 4)


def test_wrong_arguments():
    for arguments in ({}, {"input_size": (1,), "input_data": flambeau.ones(1)}):
        with pytest.raises(ValueError, match="either input_size or input_data"):
            flambeau.summary(nn.ReLU(), **arguments)
    with pytest.raises(ValueError, match="1 sizes and 2 dtypes"):
        flambeau.summary(nn.ReLU(), (1,), dtypes=[flambeau.float32] * 2)


def test_a_model_that_fails_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(3, 4))
    with pytest.raises(RuntimeError):
        flambeau.summary(model, (2, 5))
    assert model.training
    assert not model[0]._forward_hooks
