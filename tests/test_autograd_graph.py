"""The tape as an object: hooks, nodes, and graphs deep and long.

Every test is one program run on both libraries, what it returns must agree; where it returns
gradients on their way, their strides are the engine's own affair (`strides=False`).
"""

import gc
import weakref

import pytest

from tests.parity.libraries import subject
from tests.parity.lockstep import lockstep


def leaf(t, *values, dtype=None):
    return t.tensor(values or (1.0, 2.0, 3.0), dtype=dtype, requires_grad=True)


# --- Hooks ---


@lockstep(strides=False)
def test_tensor_hooks_run_in_order_and_replace(t):
    x, calls = leaf(t), []
    y = x * 2
    first = y.register_hook(lambda g: calls.append(("first", g.clone())) or g * 10)
    y.register_hook(lambda g: calls.append(("second", g.clone())))
    x.register_hook(lambda g: calls.append(("leaf", g.clone())) or g + 1)
    y.sum().backward(retain_graph=True)
    first.remove()
    y.sum().backward()
    return calls, x.grad


@lockstep(strides=False)
def test_leaf_hook_runs_once_a_backward_on_the_sum(t):
    x, calls = leaf(t), []
    x.register_hook(lambda g: calls.append(g.clone()))
    (x * 2 + x * 3).sum().backward()
    return calls


@lockstep
def test_handle_as_context_manager(t):
    x, calls = leaf(t), []
    with x.register_hook(lambda g: calls.append(1)):
        x.sum().backward()
    x.sum().backward()
    return calls


@lockstep(strides=False)
def test_retain_grad(t):
    x = leaf(t)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    y.register_hook(lambda g: g * 3)
    z = y.exp()
    z.sum().backward()
    return y.grad, x.grad, y.retains_grad, x.retains_grad, z.retains_grad


@lockstep
def test_post_accumulate_grad_hook(t):
    x, seen = leaf(t), []

    def step(parameter):
        seen.append(parameter.grad.clone())
        with t.no_grad():
            parameter.sub_(0.1 * parameter.grad)
        parameter.grad = None

    handle = x.register_post_accumulate_grad_hook(step)
    (x * x).sum().backward()
    handle.remove()
    (x * x).sum().backward()
    return seen, x.detach(), x.grad


@lockstep(strides=False)
def test_node_hooks(t):
    x, calls = leaf(t), []
    y = x * 2
    z = y.exp()
    z.grad_fn.register_hook(lambda inputs, outputs: calls.append(("post", inputs, outputs)))
    z.grad_fn.register_prehook(lambda outputs: calls.append(("pre", outputs)))
    y.grad_fn.register_hook(lambda inputs, outputs: (inputs[0] * 10, *inputs[1:]))
    z.sum().backward()
    return calls, x.grad


@lockstep(strides=False)
def test_hook_on_a_tensor_written_in_place_sees_the_new_value(t):
    x, calls = leaf(t), []
    y = x * 2
    y.register_hook(lambda g: calls.append(("before", g.clone())))
    y.mul_(3)
    y.register_hook(lambda g: calls.append(("after", g.clone())))
    y.sum().backward()
    return sorted(calls, key=lambda c: c[0]), x.grad


@lockstep(strides=False)
def test_multi_grad_hook(t):
    x, w, calls = leaf(t), leaf(t), []
    t.autograd.graph.register_multi_grad_hook((x, w), lambda grads: calls.append(list(grads)))
    (x * w).sum().backward()
    return calls


@lockstep
def test_saved_tensors_hooks(t):
    x, packed = leaf(t), []

    def pack(tensor):
        packed.append(tensor.detach().clone())
        return tensor * 2

    with t.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor / 2):
        y = x * x
    (y * 3).sum().backward()
    return len(packed), packed, x.grad


@lockstep
def test_save_on_cpu(t):
    x = leaf(t)
    with t.autograd.graph.save_on_cpu():
        y = x.exp().sin()
    y.sum().backward()
    return x.grad


# --- The graph as an object ---


@lockstep
def test_node_names(t):
    x = leaf(t)
    w = t.ones(3, 3, requires_grad=True)
    made = {
        "add": x + 1,
        "sub": x - 1,
        "rsub": 1 - x,
        "mul": x * 2,
        "div": x / 2,
        "pow": x**2,
        "neg": -x,
        "exp": x.exp(),
        "log": x.log(),
        "relu": x.relu(),
        "sigmoid": x.sigmoid(),
        "tanh": x.tanh(),
        "sum": x.sum(),
        "sum_dim": w.sum(1),
        "mean": x.mean(),
        "max": x.max(),
        "matmul": w @ w,
        "mv": w @ x,
        "dot": x @ x,
        "bmm": w[None] @ w[None],
        "t": w.t(),
        "transpose": w.transpose(0, 1),
        "permute": w.permute(1, 0),
        "view": w.view(9),
        "reshape": w.t().reshape(9),
        "unsqueeze": x.unsqueeze(0),
        "squeeze": w[:1].squeeze(0),
        "expand": x.expand(2, 3),
        "select": w[0],
        "slice": w[1:],
        "index": w[[0, 1]],
        "cat": t.cat([x, x]),
        "stack": t.stack([x, x]),
        "clone": x.clone(),
        "softmax": x.softmax(0),
        "log_softmax": x.log_softmax(0),
        "where": t.where(x > 1, x, x * 0),
        "to": x.double(),
        "gather": w.gather(1, t.zeros(3, 1, dtype=t.int64)),
        "cumsum": x.cumsum(0),
        "clamp": x.clamp(0, 1),
        "abs": x.abs(),
        "sqrt": x.sqrt(),
        "unbind": w.unbind(0)[0],
        "split": w.split(1)[0],
        "copy_slices": (lambda y: (y[0].mul_(2), y)[1])(x * 1),
        "in_place": (x * 1).add_(1),
        "addmm": t.addmm(w, w, w),
        "norm": t.linalg.vector_norm(x),
    }
    return {name: (y.grad_fn.name(), type(y.grad_fn).__name__) for name, y in made.items()}


@lockstep
def test_next_functions(t):
    x = leaf(t)
    node = (x * x.exp() + 2).grad_fn
    edges = node.next_functions
    inner = edges[0][0].next_functions
    accumulate = inner[0][0]
    return (
        [(f.name() if f else None, i) for f, i in edges],
        [(f.name() if f else None, i) for f, i in inner],
        accumulate.variable is x,
        x.grad_fn is None,
        x.is_leaf,
    )


@lockstep
def test_output_number(t):
    x = t.ones(2, 3, requires_grad=True)
    a, b = x.unbind(0)
    values, _ = x.max(1)
    return a.output_nr, b.output_nr, values.output_nr, a.grad_fn is not None


@lockstep(strides=False)
def test_gradient_edge(t):
    x = leaf(t)
    y = x * 2
    edge = t.autograd.graph.get_gradient_edge(y)
    z = (y * y).sum()
    return t.autograd.grad(z, edge), edge.output_nr, edge.node.name()


# --- Size ---


def test_deep_graph_backward_and_deletion():
    """50,000 nodes in a chain: neither backward nor freeing the graph may recurse."""
    t = subject().module
    x = t.ones((), requires_grad=True)
    y = x
    for _ in range(50_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    z = x
    for _ in range(50_000):
        z = z * 1
    del z
    gc.collect()
    assert x.item() == 1


def live_tensors(t):
    gc.collect()
    return sum(issubclass(type(thing), t.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("steps", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_long_loop_keeps_nothing(steps):
    t = subject().module
    w = t.ones(4, requires_grad=True)
    running = t.zeros(4)

    def step():
        loss = ((w * 2 - 1) ** 2).sum()
        w.grad = None
        loss.backward()
        with t.no_grad():
            w.sub_(0.01 * w.grad)
            running.mul_(0.9).add_(w, alpha=0.1)
        running[0].add_(loss.detach())

    step()
    before = live_tensors(t)
    for _ in range(steps):
        step()
    assert live_tensors(t) <= before


def test_a_graph_is_freed_without_the_garbage_collector():
    """Reference counting alone must free the tape: no cycles between tensors and nodes."""
    t = subject().module
    x = t.ones(3, requires_grad=True)
    y = x * 2
    z = y.exp()
    gc.collect()
    gc.disable()
    try:
        tensor = weakref.ref(y)

        def hook(inputs, outputs):
            return None

        z.grad_fn.register_hook(hook)
        held_by_the_node = weakref.ref(hook)
        del y, z, hook
        assert tensor() is None
        assert held_by_the_node() is None
    finally:
        gc.enable()
