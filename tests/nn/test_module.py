"""The protocol of modules, as one table of programs that run under both libraries."""

import copy
import pickle
import warnings
from collections import OrderedDict

import pytest
import torch

import flambeau
from tests.nn.both import assert_close


def net(t):
    """A small tree with a shared layer and buffers."""
    nn = t.nn
    t.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(2, 3)
            self.blocks = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Linear(3, 3)])
            self.tied = self.first
            self.heads = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.BatchNorm1d(3)})
            self.scale = nn.Parameter(t.ones(3))
            self.nothing = None
            self.register_parameter("absent", None)
            self.register_buffer("count", t.zeros(1))
            self.register_buffer("hidden", t.ones(1), persistent=False)

        def forward(self, x):
            return self.heads["a"](self.blocks[2](self.first(x)) * self.scale)

    return Net()


def raised(program):
    try:
        return program()
    except Exception as error:
        return type(error), str(error)


def names(pairs):
    return [name for name, _ in pairs]


PROGRAMS = {
    "repr": lambda t, m: repr(m),
    "state_dict": lambda t, m: (list(m.state_dict()), dict(m.state_dict()._metadata)),
    "prefix": lambda t, m: list(m.state_dict(prefix="x.")),
    "parameters": lambda t, m: names(m.named_parameters()),
    "all parameters": lambda t, m: names(m.named_parameters(remove_duplicate=False)),
    "own parameters": lambda t, m: names(m.named_parameters("p", recurse=False)),
    "buffers": lambda t, m: names(m.named_buffers()),
    "modules": lambda t, m: names(m.named_modules()),
    "children": lambda t, m: names(m.named_children()),
    "tied": lambda t, m: len(list(m.modules())),
    "get_submodule": lambda t, m: repr(m.get_submodule("blocks.2")),
    "no submodule": lambda t, m: m.get_submodule("blocks.7"),
    "not a submodule": lambda t, m: m.get_submodule("scale"),
    "get_parameter": lambda t, m: m.get_parameter("heads.a.weight").shape == (1, 3),
    "no parameter": lambda t, m: m.get_parameter("heads.a.foo"),
    "not a parameter": lambda t, m: m.get_parameter("first.in_features"),
    "get_buffer": lambda t, m: m.get_buffer("heads.b.running_mean").shape == (3,),
    "not a buffer": lambda t, m: m.get_buffer("first.weight"),
    "set_submodule": lambda t, m: m.set_submodule("heads.c", t.nn.ReLU()) or repr(m),
    "set_submodule nowhere": lambda t, m: m.set_submodule("", t.nn.ReLU()),
    "train": lambda t, m: [x.training for x in m.eval().train().eval().modules()],
    "train by word": lambda t, m: m.train("yes"),
    "to integers": lambda t, m: m.to(t.int64),
    "double": lambda t, m: sorted({str(p.dtype) for p in m.double().state_dict().values()}),
    "half": lambda t, m: sorted({str(p.dtype) for p in m.half().state_dict().values()}),
    "to": lambda t, m: sorted({str(p.dtype) for p in m.to(t.float64).state_dict().values()}),
    "apply": lambda t, m: apply_order(m),
    "missing": lambda t, m: m.load_state_dict({}),
    "unexpected": lambda t, m: m.load_state_dict({**m.state_dict(), "x.y": t.ones(1)}),
    "wrong shapes": lambda t, m: m.load_state_dict({**m.state_dict(), "scale": t.ones(2)}),
    "wrong type": lambda t, m: m.load_state_dict({**m.state_dict(), "scale": 3}),
    "not strict": lambda t, m: repr(m.load_state_dict({"scale": t.ones(3), "q": 1}, strict=False)),
    "loaded": lambda t, m: repr(m.load_state_dict(m.state_dict())),
    "no mapping": lambda t, m: m.load_state_dict(3),
    "assign": lambda t, m: assigned(t, m),
    "no attribute": lambda t, m: m.foo,
    "delete": lambda t, m: [delattr(m, n) for n in ("scale", "count", "heads")] and repr(m),
    "delete nothing": lambda t, m: delattr(m, "foo"),
    "no forward": lambda t, m: t.nn.Module()(1),
    "parameter as tensor": lambda t, m: setattr(m, "scale", t.ones(3)),
    "parameter to None": lambda t, m: setattr(m, "scale", None) or names(m.named_parameters()),
    "module to int": lambda t, m: setattr(m, "first", 3),
    "module to None": lambda t, m: setattr(m, "first", None) or repr(m),
    "buffer": lambda t, m: setattr(m, "count", t.ones(2)) or m.state_dict()["count"].tolist(),
    "buffer to int": lambda t, m: setattr(m, "count", 3),
    "nn.Buffer": lambda t, m: setattr(m, "b", t.nn.Buffer(t.ones(1))) or names(m.named_buffers()),
    "parameter over module": lambda t, m: replaced(t, m),
    "dotted parameter": lambda t, m: m.register_parameter("a.b", None),
    "nameless parameter": lambda t, m: m.register_parameter("", None),
    "parameter forward": lambda t, m: m.register_parameter("forward", None),
    "parameter no tensor": lambda t, m: m.register_parameter("q", t.ones(1)),
    "parameter by number": lambda t, m: m.register_parameter(1, None),
    "dotted buffer": lambda t, m: m.register_buffer("a.b", None),
    "nameless buffer": lambda t, m: m.register_buffer("", None),
    "buffer no tensor": lambda t, m: m.register_buffer("q", 3),
    "buffer over attribute": lambda t, m: m.register_buffer("first", None),
    "buffer by number": lambda t, m: m.register_buffer(1, None),
    "dotted module": lambda t, m: m.add_module("a.b", None),
    "nameless module": lambda t, m: m.add_module("", None),
    "no module": lambda t, m: m.add_module("q", 3),
    "module by number": lambda t, m: m.add_module(1, None),
    "module over attribute": lambda t, m: m.add_module("forward", None),
    "init arguments": lambda t, m: t.nn.Module(3),
    "list index": lambda t, m: m.blocks[5],
    "list slice": lambda t, m: repr(m.blocks[1:]),
    "list edits": lambda t, m: edited(t, m),
    "list of ints": lambda t, m: t.nn.ModuleList([1]),
    "list of an int": lambda t, m: t.nn.ModuleList(3),
    "dict edits": lambda t, m: dict_edits(t, m),
    "dict of ints": lambda t, m: t.nn.ModuleDict({"a": 1}),
    "dict of singles": lambda t, m: t.nn.ModuleDict([1]),
    "sequential": lambda t, m: sequential(t),
    "sequential + int": lambda t, m: t.nn.Sequential() + 3,
    "sequential * 0": lambda t, m: t.nn.Sequential(t.nn.ReLU()) * 0,
    "sequential index": lambda t, m: t.nn.Sequential(t.nn.ReLU())[1],
    "parameter list": lambda t, m: parameter_list(t),
    "parameter dict": lambda t, m: parameter_dict(t),
    "parameter": lambda t, m: (repr(t.nn.Parameter(t.ones(2))), repr(t.nn.Buffer(t.ones(2)))),
    "integer parameter": lambda t, m: t.nn.Parameter(t.ones(2, dtype=t.int64)),
    "requires_grad_": lambda t, m: [p.requires_grad for p in m.requires_grad_(False).parameters()],
    "zero_grad": lambda t, m: gradients(t, m),
    "forward hooks": lambda t, m: forward_hooks(t, m),
    "backward hooks": lambda t, m: backward_hooks(t, m),
    "state hooks": lambda t, m: state_hooks(t, m),
    "extra state": lambda t, m: extra_state(t),
}


def apply_order(m):
    seen = []
    m.apply(lambda x: seen.append(type(x).__name__))
    return seen


def assigned(t, m):
    values = {name: value * 2 for name, value in m.state_dict().items()}
    m.load_state_dict(values, assign=True)
    return isinstance(m.scale, t.nn.Parameter), m.scale.requires_grad, m.scale.tolist()


def replaced(t, m):
    m.heads = t.nn.Parameter(t.ones(1))
    m.scale2 = m.scale
    return names(m.named_parameters()), repr(m)


def edited(t, m):
    m.blocks.append(t.nn.Tanh())
    m.blocks.insert(0, t.nn.Sigmoid())
    m.blocks[1] = t.nn.GELU()
    del m.blocks[2]
    m.blocks += [t.nn.ELU()]
    m.blocks.extend([t.nn.ELU()])
    last = m.blocks.pop(-1)
    return repr(m.blocks), repr(last), len(m.blocks), repr(m.blocks + [t.nn.SELU()])


def dict_edits(t, m):
    m.heads["c"] = t.nn.ReLU()
    del m.heads["a"]
    m.heads.update(OrderedDict(z=t.nn.Tanh(), y=t.nn.Tanh()))
    popped = m.heads.pop("b")
    return list(m.heads), repr(m.heads), repr(popped), "c" in m.heads, len(m.heads)


def sequential(t):
    nn = t.nn
    s = nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh(), c=nn.ELU()))
    texts = [repr(s[0:2]), repr(s[-1])]
    s = nn.Sequential(*s)
    s.append(nn.GELU()).insert(1, nn.SiLU())
    del s[0]
    s += nn.Sequential(nn.Mish())
    doubled = nn.Sequential(nn.ReLU()) * 2
    return [*texts, repr(s), repr(doubled), len(s), repr(s + doubled), repr(s.pop(0))]


def parameter_list(t):
    p = t.nn.ParameterList([t.nn.Parameter(t.ones(2)), t.ones(3)])
    p.append(t.ones(1, 2)).extend([t.zeros(1)])
    p[0] = t.zeros(4)
    return repr(p), len(p), list(p.state_dict()), repr(p[1:3])


def parameter_dict(t):
    p = t.nn.ParameterDict({"b": t.ones(2), "a": t.ones(3)})
    p["c"] = t.ones(1, 2)
    p.update([("q", t.ones(1))])
    del p["a"]
    return repr(p), list(p), list(p.state_dict()), p.get("x", 5), len(p.copy())


def gradients(t, m):
    m(t.ones(4, 2)).sum().backward()
    before = [p.grad is None for p in m.parameters()]
    m.zero_grad(set_to_none=False)
    zeros = [None if p.grad is None else p.grad.abs().sum().item() for p in m.parameters()]
    m.zero_grad()
    return before, zeros, [p.grad is None for p in m.parameters()]


def forward_hooks(t, m):
    log = []
    layer = m.first
    layer.register_forward_pre_hook(lambda mod, a: log.append("pre"))
    layer.register_forward_pre_hook(lambda mod, a: (a[0] * 2,))
    layer.register_forward_pre_hook(
        lambda mod, a, k: log.append(sorted(k)), with_kwargs=True, prepend=True
    )
    layer.register_forward_hook(lambda mod, a, out: log.append(round(a[0].sum().item(), 4)))
    handle = layer.register_forward_hook(lambda mod, a, out: out + 1)
    layer.register_forward_hook(lambda mod, a, out: log.append("always"), always_call=True)
    first = layer(t.ones(1, 2)).sum().item()
    handle.remove()
    second = layer(t.ones(1, 2)).sum().item()
    failure = raised(lambda: layer(t.ones(1, 5)))[0]
    return log, round(first - second, 4), failure


def backward_hooks(t, m):
    log = []

    def shapes(values):
        return [None if v is None else tuple(v.shape) for v in values]

    m.first.register_full_backward_hook(
        lambda mod, gi, go: log.append(("hook", shapes(gi), shapes(go)))
    )
    m.first.register_full_backward_pre_hook(lambda mod, go: log.append(("pre", shapes(go))))
    m.heads["a"].register_full_backward_hook(lambda mod, gi, go: (gi[0] * 2,))
    m(t.ones(4, 2)).sum().backward()
    x = t.ones(4, 2, requires_grad=True)
    m(x).sum().backward()
    return log, [round(v, 4) for v in x.grad[0].tolist()]


def state_hooks(t, m):
    log = []
    m.register_state_dict_pre_hook(lambda mod, prefix, keep: log.append(("pre", prefix, keep)))
    m.register_state_dict_post_hook(lambda mod, state, prefix, meta: state.pop("scale") and None)
    m.register_load_state_dict_pre_hook(
        lambda mod, state, prefix, *rest: state.update({prefix + "scale": t.zeros(3)})
    )
    m.register_load_state_dict_post_hook(lambda mod, keys: log.append(list(keys.missing_keys)))
    state = m.state_dict()
    m.load_state_dict(state)
    return list(state), log, m.scale.tolist()


def extra_state(t):
    class WithExtra(t.nn.Module):
        extra = 1

        def get_extra_state(self):
            return {"extra": self.extra}

        def set_extra_state(self, state):
            self.extra = state["extra"]

    module = t.nn.Sequential(WithExtra())
    module[0].extra = 5
    state = module.state_dict()
    other = t.nn.Sequential(WithExtra())
    other.load_state_dict(state)
    return list(state), other[0].extra, raised(lambda: other.load_state_dict({}))


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    found = []
    for library in (flambeau, torch):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(raised(lambda t=library: PROGRAMS[name](t, net(t))))
    ours, theirs = ([repr(x).replace("flambeau", "torch") for x in (f,)] for f in found)
    assert ours == theirs


def test_before_init():
    texts = []
    for library in (flambeau, torch):
        found = []
        for value in (library.nn.Parameter(library.ones(1)), library.nn.ReLU()):

            class Early(library.nn.Module):
                def __init__(self, value=value):
                    self.a = value

            found.append(raised(Early))

        class Buffered(library.nn.Module):
            def __init__(self, library=library):
                self.register_buffer("a", library.ones(1))

        found.append(raised(Buffered))
        texts.append(found)
    assert texts[0] == texts[1]


def test_copies_keep_ties_and_history():
    model = net(flambeau)
    twin = copy.deepcopy(model)
    assert twin.tied is twin.first
    assert twin.first is not model.first
    with flambeau.no_grad():
        twin.first.weight.zero_()
    assert not (model.first.weight == 0).any()
    model.first.weight.sum().backward()
    assert model.first.weight.grad is not None


def test_pickle():
    model = flambeau.nn.Sequential(flambeau.nn.Linear(2, 2), flambeau.nn.BatchNorm1d(2)).eval()
    twin = pickle.loads(pickle.dumps(model))
    x = flambeau.ones(3, 2)
    assert flambeau.equal(twin(x), model(x))
    assert isinstance(twin[0].weight, flambeau.nn.Parameter)


def test_global_hooks():
    from flambeau.nn.modules.module import Module

    log = []
    handle = flambeau.nn.modules.module.register_module_forward_hook(
        lambda module, args, out: log.append(type(module).__name__)
    )
    flambeau.nn.Sequential(flambeau.nn.ReLU())(flambeau.ones(1))
    handle.remove()
    flambeau.nn.ReLU()(flambeau.ones(1))
    assert log == ["ReLU", "Sequential"]
    assert issubclass(flambeau.nn.ReLU, Module)


def test_clipping():
    results = []
    for library in (flambeau, torch):
        library.manual_seed(0)
        model = library.nn.Linear(3, 4)
        (model(library.ones(2, 3)) ** 2).sum().backward()
        total = library.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        norms = [total, model.weight.grad.clone()]
        norms.append(library.nn.utils.clip_grad_norm_(model.parameters(), 0.1, float("inf")))
        library.nn.utils.clip_grad_value_(model.parameters(), 0.01)
        norms.append(model.weight.grad)
        vector = library.nn.utils.parameters_to_vector(model.parameters())
        library.nn.utils.vector_to_parameters(vector * 2, model.parameters())
        results.append([*norms, model.weight])
    for a, b in zip(*results, strict=True):
        assert_close(a, b)
