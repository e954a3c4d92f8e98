"""Functions of `torch.nn` by programs: the same results, or the same errors, as the oracle's."""

import warnings

import pytest
import torch

import flambeau
from tests.nn.both import assert_close

PREPARATION = """
torch.manual_seed(0)
x = torch.linspace(-2, 2, 48).sin().reshape(2, 3, 2, 4).requires_grad_()
y = torch.linspace(0, 3, 48).cos().reshape(2, 3, 2, 4)
w = torch.linspace(-1, 1, 20).reshape(5, 4).requires_grad_()
b = torch.linspace(0.1, 0.5, 5).requires_grad_()
labels = torch.tensor([0, 4, 2, 2, 1, 3, 0, 4, 1, 2, 3, 0])
rows = x.reshape(12, 4)
m = w[:4]
"""
FRACTIONAL = """
F.fractional_max_pool2d(x, 1, 2, return_indices=True)
F.fractional_max_pool2d(x, (1, 2), output_ratio=(0.6, 0.5))
F.fractional_max_pool2d(x[0], 2, (1, 2), _random_samples=torch.full((1, 3, 2), 0.7))
F.fractional_max_pool2d_with_indices(x, 1, (2, 3))
F.fractional_max_pool3d(x, 1, 2, return_indices=True)
F.fractional_max_pool3d(x[:, :, None].expand(2, 3, 3, 2, 4), 1, output_ratio=0.5)
F.fractional_max_pool2d(torch.tensor([[[1.0, float('nan'), 3], [4, 5, float('nan')]]]), (2, 3), 1)
F.fractional_max_pool2d(x, 2)
F.fractional_max_pool2d(x, 3, 1)
F.fractional_max_pool2d(x, (1, 2, 3), 1)
F.fractional_max_pool2d(x, 1, (1, 2, 3))
F.fractional_max_pool2d(x, 1, -1)
F.fractional_max_pool2d(x[0, 0], 1, 1)
F.fractional_max_pool2d(x[:, :0], 1, 1)
F.fractional_max_pool2d(x, 1, 1, _random_samples=torch.rand(2, 3))
F.fractional_max_pool2d(x, 1, 1, _random_samples=torch.rand(2, 3, 3))
F.fractional_max_pool2d(x, 1, 1, _random_samples=torch.rand(1, 3, 2))
F.fractional_max_pool2d(x, 1, 1, _random_samples=torch.rand(2, 1, 2))
F.fractional_max_pool2d(x, 1, 1, _random_samples=torch.rand(2, 3, 2).double())
F.fractional_max_pool3d(x, 3, 1)
F.fractional_max_pool3d(x, (1, 2), 1)
nn.FractionalMaxPool2d(2)
nn.FractionalMaxPool2d(2, 3, 0.5)
nn.FractionalMaxPool3d(2, output_ratio=(0.5, 2, 0.5))
"""
LINEAR_CROSS_ENTROPY = """
F.linear_cross_entropy(rows, w, labels)
F.linear_cross_entropy(rows, w, labels, linear_bias=b, reduction='none', ignore_index=2)
F.linear_cross_entropy(rows, w, labels, weight=b.detach(), label_smoothing=0.2, reduction='sum')
F.linear_cross_entropy(rows, w, rows @ w.detach().T)
F.linear_cross_entropy(rows[0], w, labels[0])
F.linear_cross_entropy(rows[:3], w.reshape(5, 1, 4).expand(5, 2, 4), labels[:6].reshape(3, 2))
F.linear_cross_entropy(rows, w, labels, options=options())
F.linear_cross_entropy(rows, w, labels, options=options(batch_chunk_size=5), reduction='sum')
F.linear_cross_entropy(rows, w, labels, linear_bias=b, options=options(batch_chunk_size=4))
F.linear_cross_entropy(rows, w, labels, reduction='none', options=options(chunking_method=None))
F.linear_cross_entropy(rows, w, labels, ignore_index=0, weight=b.detach(), options=options())
F.linear_cross_entropy(rows[1], w, labels[1], options=options(acc_dtype=torch.float64))
F.linear_cross_entropy(rows, w, labels, label_smoothing=0.2, options=options())
F.linear_cross_entropy(rows, w, rows @ w.T, ignore_index=2)
F.linear_cross_entropy(rows, w[0], labels)
F.linear_cross_entropy(x, w, labels)
F.linear_cross_entropy(rows, w[:, :3], labels)
F.linear_cross_entropy(rows, w, labels[:3])
F.linear_cross_entropy(rows, w, labels + 1)
F.linear_cross_entropy(rows, w, labels, linear_bias=b[:2])
F.linear_cross_entropy(rows, w, labels, reduction='foo')
F.linear_cross_entropy(rows.double(), w, labels, options=options())
options(), options(True, 3, 'aspect_ratio:4', 'compact', torch.bfloat16)
hash(options()) == hash(options())
nn.LinearCrossEntropyLoss(4, 5, label_smoothing=-1.0)
nn.LinearCrossEntropyLoss(4, 5, weight=torch.ones(3))
F.cross_entropy(rows, labels % 4, label_smoothing=-1.0)
F.cross_entropy(rows, labels % 4, label_smoothing=1.5)
F.cross_entropy(rows, rows.softmax(1), weight=b.detach())
options(acc_policy='x')
options(chunking_method='aspect_ratio:0')
options(batch_chunk_size=0)
options(acc_dtype=torch.int64)
"""
PRODUCTS = """
F.conv_tbc(x[0], torch.ones(2, 4, 3) * w[0, :3], b[:3], 1)
torch.conv_tbc(x[0], torch.ones(1, 4, 5), b)
F.conv_tbc(x[0], torch.ones(2, 3, 5), b)
F.conv_tbc(x, torch.ones(2, 3, 5), b)
F.conv_tbc(x[0], torch.ones(2, 4, 4), b)
F.conv_tbc(x[0], torch.ones(9, 4, 5), b)
F.conv_tbc(x[0], w, b)
F.conv_tbc(x[0], torch.ones(2, 4, 5), w)
nn.grad.conv1d_input((2, 3, 6), y[:, :, 0].permute(1, 0, 2)[:, :, :2], x[:, :, 0, [0, 1, 2, 3, 0]])
nn.grad.conv1d_weight(x[:, :, 0], (2, 3, 2), y[:, :2, 0, :3])
nn.grad.conv2d_input(x.shape, w.reshape(5, 1, 2, 2)[:3], y[:, :, :1, :3], groups=3)
nn.grad.conv2d_weight(x, (6, 1, 1, 2), y.repeat(1, 2, 1, 1)[..., :2], stride=(1, 2), groups=3)
nn.grad.conv3d_input((1, 1, 2, 1, 4), w[:2, None, None, None, :2], y[:1, :2, :, None, :3])
nn.grad.conv3d_weight(x[None, 0][:, :, None], (1, 3, 1, 1, 2), y[None, 0, :1, None, :, :3])
F.grouped_mm(rows, m.expand(3, 4, 4), offs=ends(2, 7, 12))
F.grouped_mm(rows.T, rows * 2, offs=ends(2, 7, 12))
F.grouped_mm(x[0], rows.T, offs=ends(4, 8, 12))
F.grouped_mm(x[0], m.expand(3, 4, 4))
F.grouped_mm(rows, w.T.expand(3, 4, 5))
F.grouped_mm(rows, w.T.expand(2, 4, 5), offs=ends(2, 7, 12))
F.grouped_mm(rows, w.T.expand(3, 4, 5), offs=ends(2, 7, 12).long())
F.grouped_mm(rows.double(), w.T.double().expand(3, 4, 5), offs=ends(2, 7, 12))
F.grouped_mm(rows, w.T.expand(3, 4, 5), offs=ends(2, 7, 12), bias=b.detach())
F.grouped_mm(rows[0], w.T.expand(3, 4, 5), offs=ends(2, 7, 12))
F.scaled_mm(eight(rows), eight(w).T, one, T(0), one, T(0), None, None, None, None).half()
F.scaled_mm(eight(rows), eight(w).T, one, T.TensorWise, one, T.TensorWise, bias=b.detach())
F.scaled_mm(eight(rows), eight(w).T, y.reshape(-1, 1)[:12], T.RowWise, b.detach()[None], T.RowWise)
F.scaled_mm(eight(rows[0]), eight(w).T, one, T.TensorWise, one, T.TensorWise)
F.scaled_mm(eight(rows), eight(w), one, T.TensorWise, one, T.TensorWise)
F.scaled_mm(eight(rows), eight(w).T, one, T.TensorWise, one, T.TensorWise, bias=b[:2])
str(T.RowWise), repr(F.SwizzleType.NO_SWIZZLE), int(T.BlockWise1x32)
T(1) == T.RowWise, T.RowWise == 1
"""
RESIZING = """
F.interpolate(x, (3, 2), mode='bilinear', antialias=True)
F.interpolate(x, scale_factor=(2.5, 0.6), mode='bilinear', antialias=True)
F.interpolate(x, (1, 3), mode='bicubic', antialias=True)
F.interpolate(x, (3, 2), mode='bicubic', antialias=True, align_corners=True)
F.interpolate(x, scale_factor=0.5, mode='lanczos', antialias=True, recompute_scale_factor=True)
F.interpolate(x, (5, 3), mode='lanczos', antialias=True)
F.interpolate((x.detach() * 120 + 128).byte(), (3, 3), mode='bilinear', antialias=True)
F.interpolate((x.detach() * 120 + 128).byte(), (1, 9), mode='bicubic', antialias=True)
F.interpolate((x.detach() * 120 + 128).byte(), (1, 3), mode='lanczos', antialias=True)
F.interpolate((x.detach() * 120 + 128).byte(), (3, 3), mode='bilinear')
F.interpolate((x.detach() * 120 + 128).byte(), (3, 9), mode='bicubic', align_corners=True)
F.interpolate((x.detach() * 120 + 128).byte(), (3, 9), mode='nearest-exact')
F.interpolate(x, (3, 2), mode='lanczos')
F.interpolate(x, (3, 2), mode='lanczos', antialias=True, align_corners=True)
F.interpolate(x, (3, 2), mode='nearest', antialias=True)
F.interpolate(x[0], 3, mode='linear', antialias=True)
F.interpolate(x.long(), (3, 2), mode='bilinear')
F.interpolate(x.long(), (3, 2), mode='bilinear', antialias=True)
F.interpolate(x.half(), (3, 2), mode='bilinear', antialias=True)
F.max_unpool1d(*F.max_pool1d(x[0], 2, return_indices=True), 2)
F.max_unpool2d(*F.max_pool2d(x, (2, 3), return_indices=True), (2, 3), output_size=(2, 4))
F.max_unpool2d(*F.max_pool2d(x, 2, 1, return_indices=True), 2, 1)
F.max_unpool3d(*F.max_pool3d(x, (1, 2, 2), return_indices=True), (1, 2, 2), output_size=x.shape[1:])
nn.MaxUnpool2d(2, 2)(*F.max_pool2d(x, 2, return_indices=True), output_size=(2, 6))
nn.MaxUnpool2d((1, 2))(*F.max_pool2d(x[0], (1, 2), return_indices=True))
nn.MaxUnpool2d(3, 1, 1)(*F.max_pool2d(x, 3, 1, 1, return_indices=True))
nn.MaxUnpool3d(1)(x[0], torch.arange(8).reshape(2, 4).expand(3, 2, 4))
nn.MaxUnpool3d(2)(*F.max_pool3d(x.repeat(1, 2, 1, 1), 2, return_indices=True))
nn.MaxUnpool1d(2)(x[0, 0], torch.full((2, 4), 99))
nn.MaxUnpool3d((1, 2, 2), (1, 2, 2))(*F.max_pool3d(x, (1, 2, 2), return_indices=True))
nn.MaxUnpool1d(3, 2, 1)(*F.max_pool1d(x[0], 3, 2, 1, return_indices=True), output_size=[3])
F.pixel_unshuffle(torch.zeros(0, 1, 2, 2), 2)
nn.CrossMapLRN2d(3, alpha=0.5)(x.detach())
nn.CrossMapLRN2d(4, alpha=0.5, beta=0.3, k=2.0)(x.detach().repeat(1, 3, 1, 1))
nn.CrossMapLRN2d(1)(x.detach())
nn.CrossMapLRN2d(3)(x[0])
"""
CELLS = """
nn.GRUCell(4, 3, bias=False)(rows, torch.ones(12, 3))
nn.GRUCell(4, 3)(rows[0])
nn.RNNCell(4, 3, nonlinearity='relu')(rows, torch.ones(12, 3))
nn.RNNCell(4, 3, False)(rows[0])
nn.LSTMCell(4, 3)(rows, (torch.ones(12, 3), torch.zeros(12, 3)))
nn.LSTMCell(4, 3, bias=False)(rows[0])
nn.GRUCell(4, 3)(rows, torch.ones(11, 3))
nn.LSTMCell(4, 3)(rows[0], (torch.ones(12, 3), torch.zeros(3)))
nn.RNNCell(4, 3)(x)
nn.TransformerDecoder(decoder(), 2)(x[0], x[1]).exp()
nn.TransformerDecoder(decoder(), 1, nn.LayerNorm(4))(x[0], x[1, :, :1], torch.zeros(3, 3))
nn.TransformerDecoder(decoder(norm_first=True), 2)(x[0, 0], x[1, 1], tgt_is_causal=False)
nn.LinearCrossEntropyLoss(4, 5)(rows, labels)
nn.LinearCrossEntropyLoss(4, 5, bias=True, reduction='none', ignore_index=3)(rows, labels)
nn.LinearCrossEntropyLoss(4, 5, out_features=(2,))(rows[:6], labels.reshape(6, 2))
repr(nn.LinearCrossEntropyLoss(4, 5, options=options()))
nn.LinearCrossEntropyLoss(4, 5, label_smoothing=0.1)(rows[0], labels[0])
"""
NAMES = """
nn.factory_kwargs({'device': 'cpu', 'factory_kwargs': {'dtype': 3}})
nn.factory_kwargs(None)
nn.factory_kwargs({'a': 1})
nn.factory_kwargs({'dtype': 1, 'factory_kwargs': {'dtype': 1}})
repr(nn.Container(a=nn.Linear(1, 2)))
nn.NLLLoss2d(ignore_index=1)(x, labels[:8].reshape(2, 1, 4).expand(2, 2, 4) % 3)
repr(nn.NLLLoss2d())
repr(nn.SyncBatchNorm(3)), nn.SyncBatchNorm(3).process_group
repr(nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(2))))
nn.SyncBatchNorm(3)(x[0, 0, 0])
nn.SyncBatchNorm(0)(x[:, :0])
nn.SyncBatchNorm(4)(x)
F.tanh(x), F.sigmoid(x)
F.softmax(x), F.log_softmax(x[0]), F.softmin(x[0, 0])
nn.Softmax()(x), nn.LogSoftmax()(x), nn.Softmin()(x)
F.mse_loss(x, y, size_average=False), F.l1_loss(x, y, reduce=False), nn.MSELoss(False)(x, y)
nn.NLLLoss(size_average=False).reduction, nn.CrossEntropyLoss(reduce=False).reduction
nn.init.constant(torch.zeros(2), 3), nn.init.uniform(w.detach(), 2, 2)
nn.init.eye(torch.zeros(2, 3))
nn.init.xavier_normal(torch.zeros(20, 20)), nn.init.kaiming_uniform(torch.zeros(4, 5))
F.upsample(x, scale_factor=2), F.upsample_nearest(x, 3), F.upsample_bilinear(x, (3, 5))
nn.UpsamplingNearest2d(3)(x), nn.UpsamplingBilinear2d(scale_factor=2)(x)
torch.autograd.Variable(x), nn.Hardtanh(min_value=-0.5)(x), F.gumbel_softmax(x, eps=1e-5).shape
nn.utils.clip_grad_norm([x], 1.0)
nn.HuberLoss(delta=1j)
F.huber_loss(x, y, delta='a')
F.smooth_l1_loss(x, y, beta=None)
nn.RNN(2, 3, bias=1)
nn.GRU(2, 3, batch_first='a')
nn.GRU(2, 3, foo=1)
nn.RNN(2, 3, proj_size=1)
nn.LSTM(2, 3, 1, True, True, 0.0, True, 1).proj_size
F.batch_norm(x, None, None, training=True, eps=0.0)
F.multilabel_margin_loss(x, x.long())
F.multi_margin_loss(x[0, 0, :, :0], labels[:2])
F.multilabel_soft_margin_loss(x, x > 0)
F.cross_entropy(rows, rows.long())
F.embedding(labels, b)
F.pad(x, (1, 1), mode='reflect')
F.pad(x, (1,), mode='foo')
F.pdist(rows[:1]), F.pdist(rows[:1]).grad_fn is None
F.kl_div(x[0, 0, 0, 0], y[0, 0, 0, 0], reduction='batchmean')
F.max_pool1d(torch.zeros(0, 10), 2)
"""
PROGRAMS = [
    line
    for family in (FRACTIONAL, LINEAR_CROSS_ENTROPY, PRODUCTS, RESIZING, CELLS, NAMES)
    for line in family.strip().splitlines()
]


def outcome(program, library):
    """What a program gives, the gradients of its results, and what it warned of; or its error."""
    nn = library.nn
    scope = {"torch": library, "nn": nn, "F": nn.functional}
    scope |= {"options": nn.LinearCrossEntropyOptions, "T": nn.functional.ScalingType}
    scope["ends"] = lambda *places: library.tensor(places, dtype=library.int32)
    scope["eight"] = lambda t: t.detach().to(library.float8_e4m3fn)
    scope["decoder"] = lambda **options: nn.TransformerDecoderLayer(4, 2, 6, 0.0, **options)
    scope["one"] = library.tensor(2.0)
    exec(PREPARATION, scope)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            results = eval(program, scope)
        except Exception as error:
            return type(error).__name__, str(error).replace("flambeau.core.tensor", "torch")
    results = list(results) if isinstance(results, tuple) else [results]
    recorded = [r for r in results if isinstance(r, library.Tensor) and r.requires_grad]
    leaves = [scope[name] for name in "xwb"]
    if recorded:
        total = sum((r * r).sum() for r in recorded)
        results += library.autograd.grad(total, leaves, allow_unused=True)
    texts = sorted({str(w.message).replace("`", "") for w in caught} - ORACLES_OWN)
    return [*results, texts]


# Said of the oracle's own implementation, once.
ORACLES_OWN = {
    "Initializing zero-element tensors is a no-op",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(program):
    ours, theirs = outcome(program, flambeau), outcome(program, torch)
    if isinstance(theirs, tuple):
        assert ours == theirs
        return
    assert isinstance(ours, list), ours
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(b, torch.Tensor):
            # The products of 8-bit floats come as 16-bit ones.
            rough = b.dtype is torch.bfloat16
            assert_close(a.float() if rough else a, b.float() if rough else b, "", 3e-5)
        else:
            assert str(a) == str(b)
