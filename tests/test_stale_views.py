"""Views whose memory was written through another member of the family since they were taken.

Every test is one program run on both libraries; found by `tests.fuzz.views`.
"""

from tests.parity.lockstep import error_of, lockstep


def non_leaf(t, *shape):
    """A tensor with a history, and the leaf that it was made from."""
    count = t.Size(shape).numel()
    leaf = t.linspace(0.3, 1.7, count, dtype=t.float64).view(shape).requires_grad_()
    return leaf.mul(1.5), leaf


@lockstep
def test_any_write_to_the_storage_makes_stale_views_anew(t):
    base, leaf = non_leaf(t, 6)
    view = base[..., None]
    other = view.detach()
    base.detach_()
    before = view.grad_fn is not None
    other[[0, -1]] += 1.0
    base.copy_(view.view(3, -1).sum())
    base.sum().backward()
    return before, base, leaf.grad


@lockstep
def test_an_expanded_tensor_copied_onto_itself_refuses_its_backward(t):
    base, _ = non_leaf(t, 3)
    expanded = base.expand(2, 3)
    expanded.copy_(expanded)
    return error_of(lambda: base.sum().backward())


@lockstep
def test_filling_an_expanded_tensor_refuses_its_backward(t):
    base, _ = non_leaf(t, 3)
    base.expand(2, 3).fill_(1.0)
    return base, error_of(lambda: base.sum().backward())


@lockstep
def test_writing_to_a_part_of_a_detached_expanded_tensor_refuses_its_backward(t):
    base, _ = non_leaf(t, 3)
    expanded = base.expand(2, 3).data
    expanded[0] = base.clone()
    return expanded, error_of(lambda: expanded.sum().backward())


@lockstep
def test_an_expanded_tensor_stored_into_itself(t):
    base = t.arange(3.0)
    expanded = base.expand(2, 3)
    expanded[...] = expanded
    expanded[:] = expanded
    return expanded, base._version, error_of(lambda: expanded.fill_(base.sum()))


@lockstep
def test_a_stale_view_counts_as_a_leaf_until_its_node_is_asked_for(t):
    def written(ask):
        base = t.ones(2, 3, dtype=t.float64)
        view = base[..., None]
        scale, leaf = non_leaf(t, 1)
        view[...].mul_(scale)
        if ask:
            asked = view.grad_fn is not None
            view[...] = view * 2
            base.sum().backward()
            return asked, leaf.grad
        return error_of(lambda: view.copy_(scale)), error_of(lambda: view.mul_(2.0))

    return written(True), written(False)


@lockstep
def test_assigning_to_all_of_a_tensor_writes_to_itself(t):
    x, leaf = non_leaf(t, 2, 3)
    x[...] = x * 2
    x[:] = x
    made = type(x.grad_fn).__name__
    (x * x.detach()).sum().backward()
    gone, other = non_leaf(t, 3)
    gone[:] = 3.0
    gone.sum().backward()
    return x, made, leaf.grad, gone, other.grad


@lockstep
def test_saved_values_of_a_written_view_follow_writes_through_data(t):
    x, leaf = non_leaf(t, 3, 2)
    x[..., 0].exp_()
    x.data.add_(1.0)
    x.sum().backward()
    y, other = non_leaf(t, 3, 2)
    y.data.add_(1.0)
    y[..., 0].relu_()
    y.sum().backward()
    return x, leaf.grad, y, other.grad


@lockstep
def test_copying_from_another_family_on_the_same_storage(t):
    x, leaf = non_leaf(t, 3)
    y = x.detach()
    y.copy_(x)
    (y * 2).sum().backward()
    return y, leaf.grad


@lockstep
def test_a_view_from_no_grad_mode_is_recorded_but_leads_nowhere(t):
    # Twice each: what an op learned at the first call must not serve the other kind of tensor.
    facts = []
    for _ in range(3):
        leaf = t.ones(3, 2, dtype=t.float64, requires_grad=True)
        with t.no_grad():
            view = leaf.view(6)
        (view.sum() * 2).backward()
        plain = t.ones(3, 2, dtype=t.float64).view(6).sum()
        facts.append((leaf.grad is None, plain.requires_grad, error_of(plain.backward)))
    return facts


@lockstep
def test_accumulating_index_put_is_walked_through_once(t):
    x, _ = non_leaf(t, 2, 3)
    x.index_put_((t.tensor([0, 1, 0]),), t.tensor(0.75, dtype=t.float64), accumulate=True)
    x.sum().backward()
    return error_of(lambda: x.sum().backward())


@lockstep
def test_storing_a_part_of_a_tensor_into_it_under_other_strides(t):
    x = t.ones(2, 3)
    part = x.unfold(1, 3, 1).unbind(-1)[-1][::2]

    def store():
        part[..., -1] = part

    return error_of(store), t.zeros(()).expand(1, 2).stride()


@lockstep
def test_memory_order_of_results_with_axes_of_size_one(t):
    x = t.ones(2, 3).unfold(0, 2, 1).unsqueeze(-1)
    y = x.relu()
    return y.stride(), t.cat([y, x]).stride(), t.cat([y, y]).stride()
