"""The protocol of modules beyond `test_module`: hooks of every kind, states, conversions."""

import copy
import importlib
import pickle
from collections import OrderedDict

import pytest

import flambeau
from tests.nn.agree import assert_agree, outcome


def net(t):
    """A tree with a tied layer, buffers of both kinds, and an argument by keyword."""

    class Net(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = t.nn.Linear(2, 3)
            self.b = t.nn.BatchNorm1d(3, momentum=None)
            self.tied = self.a
            self.register_buffer("c", t.zeros(2))
            self.register_buffer("hidden", t.ones(1), persistent=False)
            self.register_buffer("none", None)
            self.register_parameter("absent", None)

        def forward(self, x, scale=1):
            return self.b(self.a(x)) * scale

    return Net()


def data(t):
    return t.arange(8.0).reshape(4, 2).requires_grad_()


def machinery(t):
    return importlib.import_module(f"{t.__name__}.nn.modules.module")


def shapes(values):
    return [None if v is None else tuple(v.shape) for v in values]


def module_of(t, forward):
    """A module without parameters."""

    class Plain(t.nn.Module):
        pass

    Plain.forward = lambda self, *args: forward(*args)
    return Plain()


# Hooks


def order(t, prepend):
    log, module = [], net(t)
    module.register_forward_pre_hook(lambda m, a: log.append("pre"))
    module.register_forward_pre_hook(
        lambda m, a, k: (log.append(sorted(k)), (a, {**k, "scale": 2}))[1],
        with_kwargs=True,
        prepend=prepend,
    )
    module.register_forward_hook(lambda m, a, o: log.append("forward"))
    module.register_forward_hook(
        lambda m, a, k, o: (log.append(k["scale"]), o * 2)[1], with_kwargs=True, prepend=prepend
    )
    module.register_full_backward_hook(lambda m, gi, go: log.append("backward"))
    module.register_full_backward_hook(lambda m, gi, go: log.append("first"), prepend=prepend)
    module.register_full_backward_pre_hook(lambda m, go: log.append("arrived"))
    module.register_full_backward_pre_hook(
        lambda m, go: (log.append("doubled"), (go[0] * 2,))[1], prepend=prepend
    )
    x = data(t)
    result = module(x, scale=3)
    (result * t.arange(12.0).reshape(4, 3) ** 2).sum().backward()
    return log, result, x.grad


def hooked(t, register, hook, **options):
    """A run of a network with one hook, which may be refused."""
    module = net(t)
    getattr(module, register)(hook, **options)
    return module(data(t)).sum().backward()


def without_gradient(t, hook):
    module, log = net(t), []
    module.register_full_backward_hook(lambda m, gi, go: (log.append(shapes(go)), hook(go))[1])
    module(t.ones(4, 2)).sum().backward()
    return log


def structured(t, forward, pick):
    """A module that returns something else than a tensor, with a full backward hook."""
    module, log, x = module_of(t, forward), [], data(t)
    module.register_full_backward_hook(lambda m, gi, go: log.append((shapes(gi), shapes(go))))
    pick(module(x)).sum().backward()
    return log, x.grad


def at_node(t, forward, pick=lambda o: o, answer=None):
    """The early kind of backward hook, at the node that made the output."""
    module, log, x = module_of(t, forward), [], data(t)
    module.register_backward_hook(
        lambda m, gi, go: (log.append(shapes(go)), answer and answer(gi))[1]
    )
    pick(module(x)).sum().backward()
    return log, x.grad


def two_kinds(t, first, second):
    module = net(t)
    getattr(module, first)(lambda *a: None)
    getattr(module, second)(lambda *a: None)


def always(t, fails):
    log, module = [], net(t)
    module.register_forward_hook(lambda m, a, o: log.append(("plain", o is None)))
    module.register_forward_hook(
        lambda m, a, o: log.append(("always", o is None)), always_call=True
    )
    module.register_forward_hook(
        lambda m, a, k, o: log.append((sorted(k), o is None)), always_call=True, with_kwargs=True
    )
    if fails == "hook":
        module.register_forward_hook(lambda m, a, o: 1 / 0)
    if fails == "pre":
        module.register_forward_pre_hook(lambda m, a: 1 / 0)
    if fails == "always":
        module.register_forward_hook(lambda m, a, o: 1 / 0, always_call=True)
    x = t.ones(4, 3) if fails == "forward" else data(t)
    return outcome(lambda: module(x, scale=2)), log


def silenced(t):
    module = net(t)
    module.register_forward_hook(lambda m, a, o: 1 / 0, always_call=True)
    module(t.ones(4, 3))


def everywhere(t):
    """Hooks on all modules, and their removal."""
    own, log = machinery(t), []
    handles = [
        own.register_module_forward_pre_hook(lambda m, a: log.append(("pre", type(m).__name__))),
        own.register_module_forward_hook(lambda m, a, o: log.append(("after", type(m).__name__))),
        own.register_module_forward_hook(
            lambda m, a, k, o: log.append(sorted(k)), with_kwargs=True
        ),
        own.register_module_full_backward_pre_hook(
            lambda m, go: log.append(("arrived", type(m).__name__))
        ),
        own.register_module_full_backward_hook(
            lambda m, gi, go: log.append(("left", type(m).__name__))
        ),
    ]
    try:
        module = net(t)
        module.a.register_forward_hook(lambda *a: log.append("own"))
        module(data(t), scale=2).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    module(data(t))
    return log


def registrations(t):
    own, log = machinery(t), []
    handles = [
        own.register_module_buffer_registration_hook(lambda m, n, v: log.append(("b", n))),
        own.register_module_parameter_registration_hook(lambda m, n, v: log.append(("p", n))),
        own.register_module_module_registration_hook(lambda m, n, v: log.append(("m", n))),
    ]
    try:
        module = net(t)
        module.q = t.nn.ReLU()
        module.q = None
        module.c = t.ones(2)
        module.add_module("z", None)
        t.nn.Sequential(t.nn.ReLU()).append(t.nn.ReLU())
        t.nn.ParameterDict({"k": t.ones(1)})
    finally:
        for handle in handles:
            handle.remove()
    return log


def replaced(t):
    zero = machinery(t).register_module_parameter_registration_hook(
        lambda m, n, v: t.nn.Parameter(v.detach() * 0)
    )
    with zero:
        return dict(t.nn.Linear(2, 2).state_dict())


def removed(t):
    module, log = net(t), []
    with module.register_forward_hook(
        lambda *a: log.append(1), with_kwargs=True, always_call=True
    ) as handle:
        module(data(t))
    module(data(t))
    handle.remove()
    return log, len(module._forward_hooks), len(module._forward_hooks_with_kwargs)


HOOKS = {
    "order": lambda t: order(t, False),
    "order, prepended": lambda t: order(t, True),
    "pre-hook of a number": lambda t: hooked(
        t, "register_forward_pre_hook", lambda m, a, k: 3, with_kwargs=True
    ),
    "pre-hook of three": lambda t: hooked(
        t, "register_forward_pre_hook", lambda m, a, k: (1, 2, 3), with_kwargs=True
    ),
    "pre-hook of one": lambda t: hooked(t, "register_forward_pre_hook", lambda m, a: a[0] * 2),
    "too many grad_output": lambda t: hooked(
        t, "register_full_backward_pre_hook", lambda m, go: (go[0], go[0])
    ),
    "a tensor as grad_output": lambda t: hooked(
        t, "register_full_backward_pre_hook", lambda m, go: go[0]
    ),
    "too many grad_input": lambda t: hooked(
        t, "register_full_backward_hook", lambda m, gi, go: (gi[0], gi[0])
    ),
    "a number as grad_input": lambda t: hooked(
        t, "register_full_backward_hook", lambda m, gi, go: 3
    ),
    "no gradient": lambda t: without_gradient(t, lambda go: None),
    "no gradient, answered": lambda t: without_gradient(t, lambda go: (go[0],)),
    "no gradient, answered None": lambda t: without_gradient(t, lambda go: (None,)),
    "output a dict": lambda t: structured(t, lambda x: {"a": x * 2}, lambda o: o["a"]),
    "output a list": lambda t: structured(t, lambda x: [x * 2, x * 3], lambda o: o[0]),
    "output a tuple": lambda t: structured(t, lambda x: (x * 2, x * 3, 5), lambda o: o[1]),
    "at the node": lambda t: at_node(t, lambda x: x.exp()),
    "at the node of two": lambda t: at_node(t, lambda x: (x.exp(), x.sin()), lambda o: o[1]),
    "at the node of a dict": lambda t: at_node(t, lambda x: {"a": x.exp()}, lambda o: o["a"]),
    "at the node of a list": lambda t: at_node(t, lambda x: [x.exp()], lambda o: o[0]),
    "at the node, answered": lambda t: at_node(
        t, lambda x: x.exp(), answer=lambda gi: (t.zeros(4, 2),)
    ),
    "at the node of the input": lambda t: at_node(t, lambda x: x),
    "node and boundary": lambda t: two_kinds(
        t, "register_backward_hook", "register_full_backward_hook"
    ),
    "boundary and node": lambda t: two_kinds(
        t, "register_full_backward_hook", "register_backward_hook"
    ),
    "silenced": silenced,
    "everywhere": everywhere,
    "registrations": registrations,
    "replaced": replaced,
    "removed": removed,
    **{
        f"always called, {fails}": lambda t, fails=fails: always(t, fails)
        for fails in ("nothing", "forward", "hook", "pre", "always")
    },
}

# States


def saved_with_hooks(t):
    module, log = net(t), []
    module._register_state_dict_hook(lambda m, s, p, meta: log.append((p, dict(meta))))
    module._register_state_dict_hook(lambda m, s, p, meta: OrderedDict(z=1))
    module.register_state_dict_pre_hook(lambda m, p, keep: log.append((p, keep)))
    module.a.register_state_dict_post_hook(lambda m, s, p, meta: log.append(("post", p)))
    return module.state_dict(prefix="x."), log


def answering_post_hook(t):
    module = net(t)
    module.register_state_dict_post_hook(lambda m, s, p, meta: s)
    module.state_dict()


def loaded_with_hooks(t):
    module, log = net(t), []
    module._register_load_state_dict_pre_hook(
        lambda s, p, meta, strict, missing, unexpected, errors: log.append((p, strict, sorted(s)))
    )
    module.a._register_load_state_dict_pre_hook(
        lambda m, s, p, *rest: log.append((type(m).__name__, p, sorted(s))), with_module=True
    )
    module.register_load_state_dict_pre_hook(lambda m, s, p, *rest: log.append(type(m).__name__))
    module.register_load_state_dict_post_hook(lambda m, keys: log.append(sorted(keys[0])))
    module.b.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    state = {"a.weight": t.zeros(3, 2), "foo": t.ones(1)}
    return repr(module.load_state_dict(state, strict=False)), log


def answering_load_hook(t):
    module = net(t)
    module.register_load_state_dict_post_hook(lambda m, keys: keys)
    module.load_state_dict(module.state_dict())


def loaded(t, strict=True, assign=False, **values):
    """A state with some values changed, loaded."""
    module = net(t)
    state = {**net(t).state_dict(), **{k.replace("__", "."): v for k, v in values.items()}}
    keys = repr(module.load_state_dict(state, strict=strict, assign=assign))
    return keys, dict(module.state_dict())


def assigned(t):
    module, state = net(t), net(t).state_dict()
    state["c"] = t.ones(2, dtype=t.float64)
    state["a.weight"] = state["a.weight"].double()
    module.load_state_dict(state, assign=True)
    weight = module.a.weight
    return (
        [module.c is state["c"], weight.data_ptr() == state["a.weight"].data_ptr()],
        [type(weight).__name__, weight.requires_grad, module.tied.weight is weight],
        dict(module.state_dict()),
    )


def assigned_parameter(t):
    module, state = net(t), net(t).state_dict()
    given = t.nn.Parameter(t.ones(3, 2), requires_grad=False)
    state["a.weight"] = state["tied.weight"] = given
    module.load_state_dict(state, assign=True)
    return module.a.weight is given, module.a.weight.requires_grad


def older_batch_norm(t, version):
    state = net(t).state_dict()
    del state["b.num_batches_tracked"]
    if version is not None:
        state._metadata["b"] = {"version": version}
    module = net(t)
    return repr(module.load_state_dict(state)), dict(module.state_dict())


def to_meta(t, assign):
    module = net(t).to("meta")
    keys = repr(module.load_state_dict(net(t).state_dict(), assign=assign))
    return keys, sorted({p.device.type for p in module.parameters()})


STATES = {
    "names": lambda t: dict(net(t).state_dict()),
    "metadata": lambda t: dict(net(t).state_dict()._metadata),
    "positional": lambda t: list(net(t).state_dict(OrderedDict(), "p.", True)),
    "destination": lambda t: list(net(t).state_dict(destination={"given": 1})),
    "kept": lambda t: [type(v).__name__ for v in net(t).state_dict(keep_vars=True).values()],
    "gradients": lambda t: [v.requires_grad for v in net(t).state_dict().values()],
    "pickled": lambda t: dict(pickle.loads(pickle.dumps(net(t).state_dict()))._metadata),
    "hooks": saved_with_hooks,
    "post-hook that answers": answering_post_hook,
    "loading hooks": loaded_with_hooks,
    "loading hook that answers": answering_load_hook,
    "shapes": lambda t: loaded(t, c=t.ones(3), a__weight=t.ones(2, 3)),
    "shapes, not strict": lambda t: loaded(t, strict=False, c=t.ones(3)),
    "a number": lambda t: loaded(t, c=3, d=4),
    "None": lambda t: loaded(t, c=None),
    "absent buffer": lambda t: loaded(t, none=t.ones(1)),
    "absent parameter": lambda t: loaded(t, absent=t.ones(1)),
    "buffer that is not saved": lambda t: loaded(t, hidden=t.ones(1)),
    "unexpected": lambda t: loaded(t, a__foo=t.ones(1), q__r=t.ones(1), z=t.ones(1)),
    "another type": lambda t: loaded(t, c=t.ones(2, dtype=t.float64)),
    "a number as a vector": lambda t: loaded(t, b__num_batches_tracked=t.tensor([5])),
    "assigned shapes": lambda t: loaded(t, assign=True, c=t.ones(3)),
    "assigned": assigned,
    "assigned parameter": assigned_parameter,
    "no dictionary": lambda t: net(t).load_state_dict([1]),
    "older batch norm": lambda t: older_batch_norm(t, 1),
    "older batch norm, no version": lambda t: older_batch_norm(t, None),
    "to meta": lambda t: to_meta(t, False),
    "to meta, assigned": lambda t: to_meta(t, True),
    "extra state": lambda t: net(t).get_extra_state(),
}

# Everything else


def converted(t, convert):
    module = net(t)
    result = convert(module)
    return result is module, {k: str(v.dtype) for k, v in module.state_dict().items()}


def same_objects(t):
    module = net(t)
    weight = module.a.weight
    module(t.ones(4, 2)).sum().backward()
    gradient = weight.grad
    module.double()
    kept = module.a.weight is weight, weight.grad is gradient, module.tied.weight is weight
    return kept, str(weight.grad.dtype)


def of_an_older_pickle(t):
    state = t.nn.Linear(2, 2).__dict__.copy()
    for name in list(state):  # PyTorch expects these two of any module
        if "hook" in name and name not in ("_forward_hooks", "_backward_hooks"):
            del state[name]
    del state["_non_persistent_buffers_set"]
    module = t.nn.Linear.__new__(t.nn.Linear)
    module.__setstate__(state)
    return sorted(module.__dict__), module(t.ones(1, 2)).shape


def tied_copy(t):
    twin = copy.deepcopy(net(t))
    again = pickle.loads(pickle.dumps(t.nn.Sequential(t.nn.Linear(2, 2), t.nn.ReLU())))
    return twin.tied is twin.a, twin.tied.weight is twin.a.weight, repr(again)


def turned(t, assign):
    module = net(t)
    assign(module)
    names = [list(table) for table in (module._parameters, module._buffers, module._modules)]
    return names, sorted(module._non_persistent_buffers_set), list(module.state_dict())


def names(pairs):
    return [name for name, _ in pairs]


OTHERS = {
    "to an integer type": lambda t: net(t).to(t.int32),
    "to a number": lambda t: net(t).to(3),
    "to a complex type": lambda t: converted(t, lambda m: m.to(t.complex64)),
    "to a tensor's type": lambda t: converted(t, lambda m: m.to(t.ones(1, dtype=t.float64))),
    "to device and type": lambda t: converted(t, lambda m: m.to("cpu", t.float64)),
    "by keywords": lambda t: converted(
        t, lambda m: m.to(device="cpu", dtype=t.float16, non_blocking=True)
    ),
    "to nothing": lambda t: converted(t, lambda m: m.to()),
    "type": lambda t: converted(t, lambda m: m.type(t.float64)),
    "type by name": lambda t: converted(t, lambda m: m.type("torch.DoubleTensor")),
    "bfloat16": lambda t: converted(t, lambda m: m.bfloat16()),
    "to_empty": lambda t: converted(t, lambda m: m.to_empty(device="meta")),
    "same objects": same_objects,
    "shared": lambda t: [p.is_shared() for p in net(t).share_memory().parameters()],
    "older pickle": of_an_older_pickle,
    "tied copy": tied_copy,
    "tables": lambda t: list(t.nn.Module().__dict__),
    "named_modules": lambda t: names(net(t).named_modules(remove_duplicate=False)),
    "named_modules, prefix": lambda t: names(net(t).named_modules(set(), "pre")),
    "named_parameters": lambda t: names(net(t).named_parameters("p", remove_duplicate=False)),
    "named_buffers": lambda t: names(net(t).named_buffers("p", recurse=False)),
    "modules": lambda t: len(list(net(t).modules(remove_duplicate=False))),
    "submodule of none": lambda t: net(t).get_submodule("a.b.c"),
    "parameter that is a buffer": lambda t: net(t).get_parameter("c"),
    "buffer that is a module": lambda t: net(t).get_buffer("a"),
    "buffer that is None": lambda t: net(t).get_buffer("none"),
    "set a number": lambda t: net(t).set_submodule("a", 3),
    "set below nothing": lambda t: net(t).set_submodule("x.y", t.nn.ReLU()),
    "set a parameter's name": lambda t: net(t).set_submodule("a.weight", t.nn.ReLU()),
    "set a new one, strict": lambda t: net(t).set_submodule("new", t.nn.ReLU(), strict=True),
    "buffer to parameter": lambda t: turned(
        t, lambda m: setattr(m, "c", t.nn.Parameter(t.ones(1)))
    ),
    "buffer to None": lambda t: turned(t, lambda m: setattr(m, "hidden", None)),
    "buffer deleted": lambda t: turned(t, lambda m: delattr(m, "hidden")),
    "buffer not saved any more": lambda t: turned(
        t, lambda m: m.register_buffer("c", t.ones(1), persistent=False)
    ),
    "buffer over a parameter": lambda t: net(t).register_buffer("absent", t.ones(1)),
    "module over a buffer": lambda t: net(t).add_module("c", t.nn.ReLU()),
    "parameter with history": lambda t: net(t).register_parameter(
        "q", t.nn.Parameter(t.ones(1)) * 2
    ),
    "arguments of Module": lambda t: t.nn.Module(a=3),
}
PROGRAMS = HOOKS | STATES | OTHERS


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    assert_agree(PROGRAMS[name], 1e-4)


def test_global_backward_hooks_are_of_one_kind(monkeypatch):
    def program(t):
        own = machinery(t)
        if t is flambeau:
            kind = importlib.import_module("flambeau.nn.modules.hooks").kind
            monkeypatch.setattr(kind, "full", None)
        else:
            monkeypatch.setattr(own, "_global_is_full_backward_hook", None)
        log, x, module = [], data(t), module_of(t, lambda x: x.exp())
        with own.register_module_backward_hook(lambda m, gi, go: log.append(shapes(go))):
            module(x).sum().backward()
            refused = outcome(lambda: own.register_module_full_backward_hook(lambda *a: None))
        return log, x.grad, refused

    assert_agree(program)


def test_compiled():
    module = flambeau.nn.Sequential(flambeau.nn.Linear(2, 3), flambeau.nn.ReLU())
    x = flambeau.ones(4, 2)
    expected = module(x)
    module.compile()
    assert flambeau.allclose(module(x), expected)
    module(x).sum().backward()
    assert module[0].weight.grad is not None
    assert list(module.state_dict()) == ["0.weight", "0.bias"]
    twin = copy.deepcopy(module)
    assert twin._compiled_call_impl is None
    assert flambeau.allclose(twin(x), expected)
