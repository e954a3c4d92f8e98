"""Mixed precision against the oracle: types of results and gradients, the scaler, errors."""

import importlib
import pickle
import threading
import types
import warnings

import numpy as np
import pytest
import torch

import flambeau
import flambeau.nn.functional
from flambeau.ops.autocast_policies import POLICIES
from tests.nn.both import assert_close

# Inputs by name; each is made in the type that the test asks for.
SHAPES = {
    "a": (3, 3),
    "b": (2, 3, 3),
    "v": (3,),
    "w": (4, 3, 3),
    "k": (4, 3, 2),
    "k2": (4, 3, 2, 2),
    "k3": (4, 3, 2, 2, 2),
    "t1": (3, 4, 2),
    "t2": (3, 4, 2, 2),
    "t3": (3, 4, 2, 2, 2),
    "x1": (1, 3, 4),
    "x2": (1, 3, 4, 4),
    "x3": (1, 3, 4, 4, 4),
    "pairs": (3, 2),
    "long": (64,),
    "q": (1, 2, 3, 4),
    "spd": (3, 3),
    "sequence": (5, 1, 4),
    "p": (3, 3),
}

# Every function of the CPU's lists, and some that are on none; `i` are classes 0, 1, 2, `s` signs.
LOWER = """
torch.addbmm(a, b, b)
torch.addmm(a, a, a)
torch.baddbmm(b, b, b)
torch.bmm(b, b)
F.conv1d(x1, k)
F.conv1d(x1, k, padding='same')
F.conv2d(x2, k2)
F.conv3d(x3, k3)
F.conv_transpose1d(x1, t1)
F.conv_transpose2d(x2, t2)
F.conv_transpose3d(x3, t3)
torch.linalg.vecdot(a, a)
F.linear(a, a, v)
torch.matmul(a, v)
a @ b
torch.mm(a, a)
a.mm(a)
F.prelu(a, v)
F.scaled_dot_product_attention(q, q, q)
torch.einsum('ij,jk->ik', a, a)
torch.einsum('ij,ij->i', a, a)
torch.einsum('ij,jk,kl->il', a, a, a)
torch.linalg.multi_dot([a, a, v])
torch.chain_matmul(a, a)
torch.inner(a, a)
torch.tensordot(a, a, 1)
torch.linalg.matrix_power(a, 3)
torch.cov(a)
"""
FLOAT32 = """
F.adaptive_avg_pool3d(x3, 2)
F.adaptive_max_pool3d(x3, 2)
F.avg_pool3d(x3, 2)
F.binary_cross_entropy(p, p.detach())
F.binary_cross_entropy_with_logits(a, p.detach())
torch.cdist(a, a)
torch.linalg.cholesky(spd)
torch.cholesky_inverse(spd)
torch.cholesky_solve(a, spd)
F.cosine_embedding_loss(a, p, s)
F.cross_entropy(a, i)
F.cross_entropy(a, p.detach())
F.ctc_loss(sequence, i[None, 1:], torch.tensor([5]), torch.tensor([2]))
torch.fft.fft(v)
torch.fft.fft2(a)
torch.fft.fftn(a)
torch.fft.hfft(v)
torch.fft.ifft(v)
torch.fft.irfft(v)
torch.fft.rfft2(a)
F.grid_sample(x2, x2[:, :2].permute(0, 2, 3, 1), align_corners=False)
F.hinge_embedding_loss(a, torch.ones(3, 3))
F.huber_loss(a, p)
torch.inverse(spd)
F.kl_div(a, p, reduction='sum')
F.l1_loss(a, p)
torch.linalg.eigvalsh(spd)
torch.linalg.inv(spd)
torch.linalg.qr(a)[1]
torch.linalg.solve(spd, a)
torch.linalg.svdvals(a)
torch.linalg.matrix_rank(a)
torch.linalg.cond(spd)
F.margin_ranking_loss(v, v * 2, s)
F.max_pool3d(x3, 2)
F.max_unpool2d(*F.max_pool2d(x2, 2, return_indices=True), 2)
F.mse_loss(a, p)
F.multi_margin_loss(a, i)
F.multilabel_margin_loss(a, torch.tensor([[0, -1, 1]] * 3))
torch.quantile(a, 0.3)
torch.nanquantile(a, 0.3, 0)
F.nll_loss(a, i)
torch.pinverse(spd)
F.poisson_nll_loss(a, p)
torch.polar(p, a)
torch.prod(a)
torch.prod(a, 0)
F.pad(x1, (1, 1), mode='reflect')
F.pad(x2, (1, 1, 1, 1), mode='reflect')
F.pad(x1, (1, 1), mode='replicate')
F.pad(x2, (1, 1, 1, 1), mode='replicate')
F.pad(x3, (1,) * 6, mode='replicate')
F.smooth_l1_loss(a, p)
F.soft_margin_loss(a, torch.ones(3, 3))
torch.stft(long, 16, return_complex=True, window=torch.ones(16))
torch.trace(a)
F.triplet_margin_loss(a, p, a * 3)
torch.view_as_complex(pairs)
"""
OTHERS = """
torch.cat([a, a.to(low)])
torch.cat([a.to(low), a.to(low)])
torch.cat([a.double(), a.to(low)])
torch.stack([a, a.to(low)])
torch.index_copy(a, 0, i[:1], a[:1].to(low))
torch.prod(a, dtype=a.dtype)
torch.mm(a, a, out=torch.empty(3, 3, dtype=a.dtype))
a.detach().clone().addmm_(a.detach(), a.detach())
torch.mm(a.double(), a.double())
torch.mv(a, v)
torch.dot(v, v)
torch.outer(v, v)
torch.einsum('i,j->ij', v, v)
torch.einsum('ij,ij->ij', a, a.to(low))
F.pad(x3, (1,) * 6, mode='reflect')
F.pad(x1, (1, 1))
F.max_pool3d(x3, 2, return_indices=True)[0]
F.relu(a), F.softmax(a, 0), a.sum(), F.layer_norm(a, (3,)), F.gelu(a)
F.embedding(i, a)
F.multilabel_margin_loss(a.double(), torch.tensor([[0, -1, 1]] * 3))
"""


def make_inputs(library, dtype):
    generator = np.random.default_rng(0)
    names = {}
    for name, shape in SHAPES.items():
        values = generator.standard_normal(shape)
        if name == "spd":
            values = np.eye(3) * 4 + np.triu(values)
        if name == "p":
            values = np.abs(values) / 8 + 0.1
        tensor = library.tensor(values.astype(np.float32)).to(getattr(library, dtype))
        names[name] = tensor.requires_grad_()
    names["i"] = library.tensor([0, 1, 2])
    names["s"] = library.tensor([1.0, -1.0, 1.0])
    return names


def flat(result):
    return list(result) if isinstance(result, tuple) else [result]


def evaluate(library, expression, low, given, backward=True):
    """Types and values of the results, types of the gradients; or the error."""
    names = make_inputs(library, given)
    scope = {"torch": library, "F": library.nn.functional, "low": getattr(library, low), **names}
    with warnings.catch_warnings(), library.autocast("cpu", dtype=scope["low"]):
        warnings.simplefilter("ignore")
        try:
            results = flat(eval(expression, scope))
        except Exception as error:
            return (type(error).__name__, str(error)), [], []
    gradients = []
    if backward and all(r.requires_grad for r in results):
        total = sum(
            library.view_as_real(r.resolve_conj()).sum() if r.is_complex() else r.sum()
            for r in results
        )
        total.backward()
        gradients = [t.grad for t in names.values() if t.grad is not None]
    kinds = [[str(t.dtype).rpartition(".")[2] for t in group] for group in (results, gradients)]
    return tuple(map(tuple, kinds)), results, gradients


CASES = [
    (expression, low, given)
    for table, given in ((LOWER, "float32"), (FLOAT32, "bfloat16"), (OTHERS, "float32"))
    for expression in table.strip().splitlines()
    for low in ("bfloat16",)
] + [
    (expression, "float16", "float32")
    for expression in ("torch.mm(a, a)", "F.linear(a, a, v)", "F.mse_loss(a.half(), p)", "a @ v")
]


@pytest.mark.parametrize(("expression", "low", "given"), CASES, ids=lambda v: str(v))
def test_types_values_and_gradients(expression, low, given):
    ours, our_values, our_gradients = evaluate(flambeau, expression, low, given)
    theirs, values, gradients = evaluate(torch, expression, low, given)
    assert ours == theirs
    # Sums of products of 16-bit numbers are rounded once, in another order; gradients twice.
    for mine, oracle in zip(our_values, values, strict=True):
        coarse = "float16" in str(oracle.dtype) or low in str(oracle.dtype)
        assert_close(comparable(mine), comparable(oracle), expression, 1e-2 if coarse else 1e-4)
    for mine, oracle in zip(our_gradients, gradients, strict=True):
        assert_close(comparable(mine), comparable(oracle), expression, 2e-2)


def comparable(tensor):
    tensor = tensor.detach().resolve_conj()
    return tensor if tensor.is_complex() else tensor.float()


def test_policies_are_all_attached():
    """Every name of the tables belongs to a function that looks it up."""
    import gc

    known = {id(policies): name for name, policies in POLICIES.items()}
    found = set()
    for item in gc.get_objects():
        if type(item) is types.FunctionType and item.__code__.co_name == "call":
            for cell in item.__closure__ or ():
                found.add(known.get(id(cell.cell_contents)))
    assert set(POLICIES) - found == set()


MODULES = {
    "lstm": "nn.LSTM(3, 4)",
    "lstm, projected": "nn.LSTM(3, 4, proj_size=2)",
    "lstm, two layers": "nn.LSTM(3, 4, 2, bidirectional=True)",
    "gru": "nn.GRU(3, 4)",
    "rnn": "nn.RNN(3, 4)",
    "lstm cell": "nn.LSTMCell(3, 4)",
    "gru cell": "nn.GRUCell(3, 4)",
    "rnn cell": "nn.RNNCell(3, 4)",
}


def nested_types(value):
    if isinstance(value, tuple):
        return tuple(map(nested_types, value))
    return str(value.dtype).rpartition(".")[2]


@pytest.mark.parametrize("given", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODULES)
def test_recurrent_networks(name, given):
    results = []
    for library in (flambeau, torch):
        library.manual_seed(0)
        module = eval(MODULES[name], {"nn": library.nn})
        x = library.randn((2, 3) if "cell" in name else (5, 2, 3))
        with warnings.catch_warnings(), library.autocast("cpu"):
            warnings.simplefilter("ignore")  # oneDNN has no projections
            out = module(x.to(getattr(library, given)))
        first = flat(out)[0]
        first.sum().backward()
        results.append((nested_types(out), first, [p.grad for p in module.parameters()]))
    (ours, y, gradients), (theirs, oracle, expected) = results
    assert ours == theirs
    assert_close(comparable(y), comparable(oracle), name, 3e-2)
    for mine, gradient in zip(gradients, expected, strict=True):
        assert_close(mine, gradient, name, 6e-2)


def train(library, dtype, scaled):
    library.manual_seed(0)
    nn = library.nn
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = library.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = library.amp.GradScaler("cpu", init_scale=256.0, growth_interval=2, enabled=scaled)
    losses = []
    for _ in range(5):
        x = library.randn(6, 4)
        y = library.arange(6) % 3
        optimizer.zero_grad()
        with library.autocast("cpu", dtype=getattr(library, dtype)):
            loss = nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert {p.grad.dtype for p in model.parameters()} == {library.float32}
    return losses, scaler.state_dict()


@pytest.mark.parametrize(("dtype", "scaled"), [("bfloat16", False), ("float16", True)])
def test_training(dtype, scaled):
    (ours, state), (theirs, oracle) = (train(t, dtype, scaled) for t in (flambeau, torch))
    np.testing.assert_allclose(ours, theirs, rtol=2e-2)
    assert state == oracle


def test_cache():
    weight = flambeau.randn(3, 3).requires_grad_()
    x = flambeau.ones(3, 3)
    with flambeau.autocast("cpu"):
        with flambeau.no_grad():
            assert not (x @ weight).requires_grad
        first, second = x @ weight, x @ weight
        assert first.grad_fn.next_functions[1][0] is second.grad_fn.next_functions[1][0]
        with flambeau.autocast("cpu", dtype=flambeau.float16):
            assert (x @ weight).dtype is flambeau.float16
    with flambeau.autocast("cpu", cache_enabled=False):
        assert not flambeau.is_autocast_cache_enabled()
        first, second = x @ weight, x @ weight
        assert first.grad_fn.next_functions[1][0] is not second.grad_fn.next_functions[1][0]
    assert flambeau.is_autocast_cache_enabled()


def test_threads_have_switches_of_their_own():
    seen = []
    with flambeau.autocast("cpu", dtype=flambeau.float16):
        thread = threading.Thread(
            target=lambda: seen.append(
                (flambeau.is_autocast_enabled("cpu"), flambeau.get_autocast_dtype("cpu"))
            )
        )
        thread.start()
        thread.join()
    assert seen == [(False, flambeau.bfloat16)]


def both(program):
    """What a program does under both libraries: its value or error, and its warnings."""
    results = []
    for library in (flambeau, torch):
        amp = importlib.import_module(library.__name__ + ".amp")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                outcome = program(library, amp)
            except Exception as error:
                outcome = (type(error).__name__, str(error))
        texts = [str(w.message).partition(" (Triggered")[0] for w in caught]
        results.append((str(outcome).replace("flambeau", "torch"), texts))
    return results


def settings(t, **arguments):
    context = t.autocast(**arguments)
    with context:
        inside = [(t.is_autocast_enabled(d), t.get_autocast_dtype(d)) for d in ("cpu", "xpu")]
    after = t.is_autocast_enabled("cpu"), t.get_autocast_dtype("cpu")
    return context._enabled, context.fast_dtype, inside, after


def decorated(t, amp):
    @t.autocast("cpu")
    def product(x):
        return x @ x

    return product.__name__, product(t.ones(2, 2)).dtype


class Switched:
    def __init__(self, t):
        self.t = t

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.t.set_autocast_enabled("cpu", False)
        self.t.set_autocast_dtype("cpu", self.t.bfloat16)
        self.t.set_autocast_enabled(False)


def switches(t, amp):
    with Switched(t):
        t.set_autocast_enabled("cpu", True)
        t.set_autocast_enabled(True)
        t.set_autocast_dtype("cpu", t.float16)
        depth = t.autocast_increment_nesting(), t.autocast_decrement_nesting()
        return (
            depth,
            t.is_autocast_enabled("cpu"),
            t.is_autocast_enabled(),
            (t.ones(1, 1) @ 1).dtype,
        )


def deprecated(t, amp):
    with Switched(t):
        t.set_autocast_cpu_enabled(True)
        t.set_autocast_cpu_dtype(t.float16)
        t.set_autocast_gpu_dtype(t.float16)
        return t.is_autocast_cpu_enabled(), t.get_autocast_cpu_dtype()


PROGRAMS = {
    "float32": lambda t, amp: settings(t, device_type="cpu", dtype=t.float32),
    "float16": lambda t, amp: settings(t, device_type="cpu", dtype=t.float16),
    "xpu": lambda t, amp: settings(t, device_type="xpu"),
    "off": lambda t, amp: settings(t, device_type="cpu", enabled=False),
    "cuda": lambda t, amp: settings(t, device_type="cuda"),
    "unknown": lambda t, amp: settings(t, device_type="foo"),
    "number": lambda t, amp: settings(t, device_type=3),
    "meta": lambda t, amp: settings(t, device_type="meta"),
    "private": lambda t, amp: settings(t, device_type="privateuseone"),
    "enabled": lambda t, amp: settings(t, device_type="cpu", enabled=3),
    "type": lambda t, amp: settings(t, device_type="cpu", dtype="x"),
    "decorator": decorated,
    "switches": switches,
    "deprecated": deprecated,
    "set nothing": lambda t, amp: t.set_autocast_enabled(),
    "set wrong": lambda t, amp: t.set_autocast_enabled("cpu", 3),
    "set wrong type": lambda t, amp: t.set_autocast_dtype("cpu", 3),
    "set wrong cache": lambda t, amp: t.set_autocast_cache_enabled(3),
    "old autocast": lambda t, amp: vars(t.cpu.amp.autocast(False, t.float16)),
    "old autocast, cuda": lambda t, amp: t.cuda.amp.autocast(enabled=False).fast_dtype,
    "old scaler": lambda t, amp: t.cpu.amp.GradScaler().state_dict(),
    "old scaler, cuda": lambda t, amp: t.cuda.amp.GradScaler().state_dict(),
    "old custom": lambda t, amp: t.cuda.amp.custom_bwd(t.cuda.amp.custom_fwd(len)).__name__,
    "custom": lambda t, amp: amp.custom_fwd(len),
    "custom number": lambda t, amp: amp.custom_bwd(len, device_type=3),
    "half and bfloat16": lambda t, amp: (
        settings(t, device_type="cpu") and t.autocast("cpu")(t.cat)([t.ones(1).half(), t.ones(1)])
    ),
    "available": lambda t, amp: [amp.is_autocast_available(d) for d in ("cpu", "meta", "mps")],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_contexts_and_errors(name):
    ours, theirs = both(PROGRAMS[name])
    assert ours == theirs


def functions_with_derivatives(t, amp):
    log = []

    class Plain(t.autograd.Function):
        @staticmethod
        @amp.custom_fwd(device_type="cpu")
        def forward(ctx, x):
            ctx.save_for_backward(x)
            log.append(("forward", x.dtype, t.is_autocast_enabled("cpu")))
            return x @ x

        @staticmethod
        @amp.custom_bwd(device_type="cpu")
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            log.append(("backward", gradient.dtype, t.is_autocast_enabled("cpu")))
            return (gradient @ x.t()).float()

    class Cast(t.autograd.Function):
        @staticmethod
        @amp.custom_fwd(device_type="cpu", cast_inputs=t.float32)
        def forward(ctx, x, options):
            log.append(("cast", x.dtype, options["more"][0].dtype, t.is_autocast_enabled("cpu")))
            return x * 2

        @staticmethod
        @amp.custom_bwd(device_type="cpu")
        def backward(ctx, gradient):
            log.append(("backward", gradient.dtype, t.is_autocast_enabled("cpu")))
            return gradient * 2, None

    x = t.ones(2, 2, requires_grad=True)
    with t.autocast("cpu"):
        y = Plain.apply(x)
        z = Cast.apply(x.bfloat16(), {"more": (x.bfloat16(),)})
    (y.sum() + z.sum()).backward()
    Cast.apply(x, {"more": (x,)})
    return log, x.grad.tolist()


def test_custom_functions():
    ours, theirs = both(functions_with_derivatives)
    assert ours == theirs


def scaler_steps(t, amp):
    """A life of a scaler: every method, in and out of order."""
    log = []

    def note(action):
        try:
            log.append(action())
        except Exception as error:
            log.append((type(error).__name__, str(error)))

    model = t.nn.Linear(2, 1, bias=False)
    with t.no_grad():
        model.weight.fill_(1.0)
    optimizer = t.optim.SGD(model.parameters(), lr=1.0)
    scaler = amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
    x = t.ones(3, 2)
    for action in (lambda: scaler.unscale_(optimizer), lambda: scaler.step(optimizer)):
        note(action)
    note(scaler.update)
    scaler.scale(model(x).sum()).backward()
    for method in (scaler.unscale_, scaler.unscale_, scaler.step, scaler.step, scaler.unscale_):
        note(lambda method=method: method(optimizer))
    note(scaler.update)
    note(scaler.update)
    for number in range(4):
        optimizer.zero_grad()
        scaler.scale(model(x).sum()).backward()
        if number == 1:
            model.weight.grad[0, 0] = float("inf")
        note(lambda: scaler.step(optimizer))
        scaler.update()
        log.append((scaler.state_dict(), model.weight.tolist()))
    note(lambda: [v.tolist() for v in scaler.scale([t.ones(1), t.ones(2)])])
    note(lambda: scaler.scale(3))
    note(lambda: scaler.step(optimizer, closure=lambda: 1))
    for scale in (3.0, t.tensor(5.0), t.ones(2), t.tensor(5.0, requires_grad=True)):
        note(lambda scale=scale: (scaler.update(scale), scaler.get_scale()))
    half = t.nn.Linear(2, 1).half()
    half.weight.grad = t.ones(1, 2).half()
    note(lambda: scaler.unscale_(t.optim.SGD(half.parameters())))
    note(lambda: scaler.load_state_dict({}))
    note(lambda: pickle.dumps(scaler))
    scaler.set_growth_factor(4.0)
    scaler.set_backoff_factor(0.1)
    scaler.set_growth_interval(7)
    fresh = amp.GradScaler("cpu")
    fresh.load_state_dict(scaler.state_dict())
    log.append((fresh.state_dict(), pickle.loads(pickle.dumps(fresh)).state_dict()))
    off = amp.GradScaler("cpu", enabled=False)
    log.append((off.state_dict(), off.get_scale(), off.scale(3), off.is_enabled()))
    note(lambda: amp.GradScaler("cpu", growth_factor=1))
    note(lambda: amp.GradScaler("cpu", backoff_factor=1))
    return log


def test_scaler():
    ours, theirs = both(scaler_steps)
    assert ours == theirs


def test_in_compiled_functions():
    """A compiled function follows the switches around it, and has its own."""
    layer = flambeau.nn.Linear(3, 3)
    x = flambeau.ones(2, 3)

    @flambeau.compile
    def outside(x):
        return layer(x) @ layer.weight

    @flambeau.compile
    def inside(x):
        with flambeau.autocast("cpu"):
            y = layer(x)
        return y, y.float() @ layer.weight

    for _ in range(2):
        assert outside(x).dtype is flambeau.float32
        for low in (flambeau.bfloat16, flambeau.float16):
            with flambeau.autocast("cpu", dtype=low):
                y = outside(x)
            assert y.dtype is low
        assert [y.dtype for y in inside(x)] == [flambeau.bfloat16, flambeau.float32]
    inside(x)[0].sum().backward()
    assert layer.weight.grad.dtype is flambeau.float32


POLICED = {
    "banned": "binary_cross_entropy are unsafe to autocast",
    "promote": "float32",
    "lower": "bfloat16",
    "float32 unless dtype": "float32",
}


@pytest.mark.parametrize("policy", POLICED)
def test_policies(policy, monkeypatch):
    """The policies that only the tables of accelerators use, on the CPU."""
    monkeypatch.setitem(POLICIES, "made up", {"cpu": policy})

    @flambeau.ops.autocast.autocast("made up")
    def types_of(*tensors, dtype=None):
        return [str(t.dtype).rpartition(".")[2] for t in tensors]

    x, y = flambeau.ones(1), flambeau.ones(1).bfloat16()
    wide, whole = flambeau.ones(1).double(), flambeau.ones(1).int()
    assert types_of(x, y) == ["float32", "bfloat16"]
    with flambeau.autocast("cpu"):
        if policy == "banned":
            with pytest.raises(RuntimeError, match="are unsafe to autocast"):
                types_of(x, y)
            return
        found = POLICED[policy]
        assert types_of(x, y, wide, whole) == [found, found, "float64", "int32"]
        given = types_of(x, y, dtype=flambeau.float32)
        assert given == (["float32", "bfloat16"] if "unless" in policy else [found, found])
        with flambeau.autocast("cpu", enabled=False):
            assert types_of(x, y) == ["float32", "bfloat16"]
