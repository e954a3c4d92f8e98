"""Views share memory, copies do not; versions count writes; and what PyTorch forbids, raises.

Every test is one program run on both libraries: what it returns must agree, `stride()`,
`storage_offset()`, `_version` and error texts included.
"""

import numpy as np
import pytest

from tests.parity.libraries import subject
from tests.parity.lockstep import error_of, lockstep


def facts(tensor):
    """What PyTorch says about how a tensor lies in memory."""
    return {
        "values": tensor,
        "offset": tensor.storage_offset(),
        "contiguous": tensor.is_contiguous(),
        "is view": tensor._is_view(),
        "leaf": tensor.is_leaf,
        "version": tensor._version,
    }


def memory_start(tensor):
    """The address of the first element of the memory that `tensor` is a part of."""
    return tensor.data_ptr() - tensor.storage_offset() * tensor.element_size()


# --- The list that must hold, with the expected numbers written out ---


@pytest.fixture
def t():
    return subject().module


def test_writing_through_view_minus_one(t):
    x = t.zeros(2, 2)
    x.view(-1)[0] = 3
    assert x.tolist() == [[3, 0], [0, 0]]


def test_writing_through_a_row_of_the_transpose(t):
    x = t.zeros(2, 2)
    x.t()[0].fill_(7)
    assert x.tolist() == [[7, 0], [7, 0]]


def test_a_view_sees_a_later_write_to_its_base(t):
    x = t.zeros(2, 2)
    y = x[0]
    x.add_(1)
    assert y.tolist() == [1, 1]


def test_detach_writes_through(t):
    x = t.zeros(2, requires_grad=True)
    x.detach().add_(1)
    assert x.tolist() == [1, 1]
    assert x.requires_grad


def test_data_writes_through(t):
    w = t.ones(2, 2, requires_grad=True)
    w.data[0].zero_()
    assert w.tolist() == [[0, 0], [1, 1]]


def test_advanced_indexing_of_data_copies(t):
    w = t.ones(2, 2, requires_grad=True)
    w.data[t.tensor([0])].zero_()
    assert w.tolist() == [[1, 1], [1, 1]]


def test_gradient_through_assignment_to_an_element(t):
    x = t.ones(3, requires_grad=True)
    y = x * 1
    y[0] = 0
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 1]


def test_gradient_through_in_place_on_a_view(t):
    x = t.ones(3, requires_grad=True)
    y = x * 2
    v = y[1:]
    v.mul_(5)
    (y.sum() + v.sum()).backward()
    assert x.grad.tolist() == [2, 20, 20]


# --- Every view op against every in-place op ---

VIEWS = {
    "view": lambda x: x.view(4, 3),
    "view_flat": lambda x: x.view(-1),
    "view_3d": lambda x: x.view(3, 2, 2),
    "reshape": lambda x: x.reshape(2, 6),
    "reshape_as": lambda x: x.reshape_as(x.new_zeros(6, 2)),
    "flatten": lambda x: x.flatten(),
    "ravel": lambda x: x.ravel(),
    "unflatten": lambda x: x.unflatten(1, (2, 2)),
    "transpose": lambda x: x.transpose(0, 1),
    "t": lambda x: x.t(),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "permute": lambda x: x.permute(1, 0),
    "movedim": lambda x: x.movedim(0, 1),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "squeeze": lambda x: x.unsqueeze(1).squeeze(1),
    "squeeze_all": lambda x: x.view(1, 3, 1, 4).squeeze(),
    "select": lambda x: x.select(1, 2),
    "getitem_int": lambda x: x[1],
    "getitem_slice": lambda x: x[1:, ::2],
    "getitem_step": lambda x: x[::2],
    "getitem_none": lambda x: x[:, None, 1:3],
    "getitem_ellipsis": lambda x: x[..., -1],
    "getitem_empty_tuple": lambda x: x[()],
    "narrow": lambda x: x.narrow(1, 1, 2),
    "diagonal": lambda x: x.diagonal(1),
    "unfold": lambda x: x.unfold(1, 2, 2),
    "as_strided": lambda x: x.as_strided((2, 2), (5, 1), 1),
    "expand_nothing": lambda x: x.expand(3, 4),
    "expand_as": lambda x: x.expand_as(x),
    "chunk": lambda x: x.detach().chunk(2, 1)[1],
    "alias": lambda x: x.view_as(x),
    "of_a_view": lambda x: x.t()[1:3].view(2, 3),
    "of_views": lambda x: x[1:].t().unsqueeze(0)[0, 1:3, 0],
    "slice_then_transpose": lambda x: x[:, 1:3].t(),
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "contiguous": lambda x: x.contiguous(),
    "to_same": lambda x: x.to(x.dtype),
    "float": lambda x: x.float(),
    "cpu": lambda x: x.cpu(),
    "type_as": lambda x: x.type_as(x),
    "positive": lambda x: x.positive(),
    "real": lambda x: x.real,
    "resolve_conj": lambda x: x.resolve_conj(),
    "atleast": lambda x: x.unsqueeze(0).squeeze(0),
    "broadcast_to": lambda x: x.broadcast_to(3, 4),
    "swapdims": lambda x: x.swapdims(0, 1),
    "view_dtype": lambda x: x.view(x.int().dtype).view(x.dtype),
}

COPIES = {
    "clone": lambda x: x.clone(),
    "transposed_contiguous": lambda x: x.t().contiguous(),
    "transposed_reshape": lambda x: x.t().reshape(-1),
    "transposed_flatten": lambda x: x.t().flatten(),
    "index_list": lambda x: x[[0, 1]],
    "index_mask": lambda x: x[x > 3],
    "index_select": lambda x: x.index_select(0, x.new_zeros(1).long()),
    "double": lambda x: x.double(),
    "to_copy": lambda x: x.to(x.dtype, copy=True),
    "repeat": lambda x: x.repeat(1, 1),
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(0),
}

WRITES = {
    "fill_": lambda v: v.fill_(7),
    "zero_": lambda v: v.zero_(),
    "add_": lambda v: v.add_(1),
    "mul_scalar": lambda v: v.mul_(2),
    "mul_tensor": lambda v: v.mul_(v.new_full((), 3)),
    "copy_": lambda v: v.copy_(v.new_full((), 9)),
    "setitem_all": lambda v: v.__setitem__(Ellipsis, 5),
    "masked_fill_": lambda v: v.masked_fill_(v > 4, -1),
    "exp_": lambda v: v.exp_(),
    "clamp_": lambda v: v.clamp_(2, 6),
    "iadd": lambda v: v.__iadd__(2),
}


@pytest.mark.parametrize("view", VIEWS, ids=str)
@lockstep
def test_a_write_to_a_view_is_seen_by_the_base(t, view):
    x = t.arange(12.0).view(3, 4)
    v = VIEWS[view](x)
    v.mul_(2).add_(1)
    return facts(x), facts(v)


@pytest.mark.parametrize("view", VIEWS, ids=str)
@lockstep
def test_a_write_to_the_base_is_seen_by_a_view(t, view):
    x = t.arange(12.0).view(3, 4)
    v = VIEWS[view](x)
    before = v.clone()
    x.mul_(2)
    x[1, 1] = 100
    return before, facts(x), facts(v)


@pytest.mark.parametrize("copy", COPIES, ids=str)
@lockstep
def test_a_write_to_a_copy_stays_there(t, copy):
    x = t.arange(12.0).view(3, 4)
    c = COPIES[copy](x)
    c.mul_(2).add_(1)
    return facts(x), facts(c)


@pytest.mark.parametrize("write", WRITES, ids=str)
@pytest.mark.parametrize("view", ["t", "getitem_slice", "diagonal", "of_views", "as_strided"])
@lockstep
def test_every_write_through_every_kind_of_view(t, view, write):
    x = t.arange(12.0).view(3, 4) / 3
    other = x[0]
    v = VIEWS[view](x)
    WRITES[write](v)
    return facts(x), facts(v), facts(other)


DIFFERENTIABLE = sorted(set(VIEWS) - {"detach", "data", "chunk", "view_dtype"})


@pytest.mark.parametrize("view", DIFFERENTIABLE)
@lockstep
def test_gradient_of_a_write_through_a_view(t, view):
    leaf = t.linspace(0.5, 2, 12).view(3, 4).requires_grad_()
    x = leaf * 2
    v = VIEWS[view](x)
    v.mul_(x.sum().detach())
    (x * x).sum().backward()
    return leaf.grad, x.grad_fn.name(), facts(v)


@pytest.mark.parametrize("view", DIFFERENTIABLE)
@lockstep
def test_gradient_of_a_view_taken_before_its_base_is_written(t, view):
    leaf = t.linspace(0.5, 2, 12).view(3, 4).requires_grad_()
    factor = t.tensor(3.0, requires_grad=True)
    x = leaf * 2
    v = VIEWS[view](x)
    x.mul_(factor)
    (v * v).sum().backward()
    return leaf.grad, factor.grad, facts(v)


# --- Facts about memory ---


@pytest.mark.parametrize("view", [*VIEWS, *COPIES])
@lockstep
def test_layout_facts(t, view):
    x = t.arange(12.0).view(3, 4)
    v = {**VIEWS, **COPIES}[view](x)
    distance = v.data_ptr() - x.data_ptr() if v._is_view() else None
    same_storage = memory_start(v) == memory_start(x)
    return facts(v), distance, same_storage, v is x, v._base is x._base


@lockstep
def test_base_of_a_view_of_a_view_is_the_first_tensor(t):
    x = t.zeros(4, 3)
    v = x[1:]
    w = v.t()
    return x._base is None, v._base is x, w._base is x, w[0]._base is x, x.clone()._base is None


@lockstep
def test_detach_is_a_view_with_the_same_memory_and_shared_version(t):
    x = t.zeros(3)
    d = x.detach()
    d.add_(1)
    return d._is_view(), d._base is None, d.data_ptr() == x.data_ptr(), x._version, d._version


@lockstep
def test_data_has_its_own_version(t):
    x = t.zeros(3)
    d = x.data
    d.add_(1)
    return d._is_view(), d.data_ptr() == x.data_ptr(), x._version, d._version, x


@lockstep
def test_assigning_data_swaps_the_memory(t):
    x = t.zeros(3, requires_grad=True)
    old = x.detach()
    new = t.arange(3.0)
    x.data = new
    new[0] = 9
    old.add_(1)
    return x, old, x.data_ptr() == new.data_ptr(), x.is_leaf, x._version


@lockstep
def test_versions_count_writes(t):
    x = t.zeros(4)
    seen = [x._version]
    for write in (
        lambda: x.add_(1),
        lambda: x[0].zero_(),
        lambda: x.view(2, 2).t().mul_(2),
        lambda: x.__setitem__(0, 1),
        lambda: x + 1,
        lambda: x.detach().zero_(),
        lambda: x.copy_(t.ones(4)),
        lambda: x.requires_grad_(False),
        lambda: t.add(x, 1, out=x),
    ):
        write()
        seen.append(x._version)
    return seen, x


@lockstep
def test_contiguous_returns_self_or_a_copy(t):
    x = t.arange(6.0).view(2, 3)
    y = x.t().contiguous()
    y.zero_()
    return x.contiguous() is x, x[:1].contiguous().data_ptr() == x.data_ptr(), x, facts(y)


@lockstep
def test_reshape_is_a_view_where_it_can_be(t):
    x = t.arange(12.0).view(3, 4)
    tries = {
        "contiguous": x.reshape(4, 3),
        "same shape": x.reshape(3, 4),
        "columns": x[:, :2].reshape(6),
        "rows": x[:2].reshape(8),
        "split columns": x[:, ::2].reshape(3, 2, 1),
        "transposed split": x.t().reshape(2, 2, 3),
        "transposed merge": x.t().reshape(12),
        "expanded": x[:, :1].expand(3, 4).reshape(12),
    }
    return {name: (facts(v), v.data_ptr() == x.data_ptr()) for name, v in tries.items()}


@lockstep
def test_to_returns_self_where_nothing_changes(t):
    x = t.zeros(3)
    return (
        x.to(t.float32) is x,
        x.to("cpu") is x,
        x.to(x) is x,
        x.float() is x,
        x.cpu() is x,
        x.type(t.float32) is x,
        x.to(t.float32, copy=True) is x,
        x.to(t.float64) is x,
        x.requires_grad_() is x,
        x.detach() is x,
    )


STRIDES = {
    "expand": lambda t: t.zeros(3, 1).expand(3, 4),
    "expand_new_dim": lambda t: t.zeros(3).expand(2, 3),
    "expand_minus_one": lambda t: t.zeros(3, 1).expand(-1, 5),
    "empty": lambda t: t.zeros(0, 3),
    "empty_middle": lambda t: t.zeros(2, 0, 3).transpose(0, 2),
    "ones": lambda t: t.zeros(1, 1, 3).permute(1, 2, 0),
    "squeezed": lambda t: t.zeros(2, 1, 3).transpose(0, 1).squeeze(),
    "unsqueezed_transposed": lambda t: t.zeros(2, 3).t().unsqueeze(1),
    "unsqueezed_last": lambda t: t.zeros(2, 3).unsqueeze(-1),
    "unfold": lambda t: t.zeros(6).unfold(0, 3, 2),
    "diagonal": lambda t: t.zeros(3, 4).diagonal(-1),
    "diagonal_3d": lambda t: t.zeros(2, 3, 4).diagonal(0, 0, 2),
    "slice_step": lambda t: t.zeros(6, 4)[1::2, ::3],
    "channels_last": lambda t: t.zeros(2, 3, 4, 5).contiguous(memory_format=t.channels_last),
    "channels_last_to": lambda t: t.zeros(2, 3, 4, 5).to(memory_format=t.channels_last),
    "transposed_plus": lambda t: t.zeros(2, 3).t() + 1,
    "transposed_clone": lambda t: t.zeros(2, 3).t().clone(),
    "transposed_like": lambda t: t.zeros_like(t.zeros(2, 3).t()),
    "sliced_clone": lambda t: t.zeros(4, 4)[:, ::2].clone(),
    "expanded_clone": lambda t: t.zeros(3, 1).expand(3, 4).clone(),
    "expanded_plus": lambda t: t.zeros(3, 1).expand(3, 4) + 1,
    "transposed_sum": lambda t: t.zeros(2, 3, 4).transpose(0, 2).sum(1),
    "matmul": lambda t: t.zeros(2, 3).t() @ t.zeros(2, 4),
    "view_of_real": lambda t: t.view_as_real(t.zeros(3, dtype=t.complex64)),
}


@pytest.mark.parametrize("name", STRIDES)
@lockstep
def test_strides(t, name):
    x = STRIDES[name](t)
    last = x.dim() == 4 and x.is_contiguous(memory_format=t.channels_last)
    return x.shape, x.stride(), x.storage_offset(), x.is_contiguous(), last, x.stride(-1)


VIEW_ERRORS = {
    "view_of_transposed": lambda t: t.zeros(2, 3).t().view(6),
    "view_of_columns": lambda t: t.zeros(4, 4)[:, :2].view(8),
    "view_wrong_size": lambda t: t.zeros(6).view(4, 2),
    "view_two_minus_ones": lambda t: t.zeros(6).view(-1, -1),
    "view_minus_one_indivisible": lambda t: t.zeros(6).view(4, -1),
    "view_of_expanded": lambda t: t.zeros(3, 1).expand(3, 2).view(6),
    "as_strided_outside": lambda t: t.zeros(4).as_strided((3,), (2,), 1),
    "view_dtype_indivisible": lambda t: t.zeros(3, dtype=t.float16).view(t.float32),
    "expand_wrong": lambda t: t.zeros(2, 3).expand(4, 3),
    "expand_fewer": lambda t: t.zeros(2, 3).expand(3),
    "write_to_expanded": lambda t: t.zeros(3, 1).expand(3, 4).add_(1),
    "copy_to_expanded": lambda t: t.zeros(3, 1).expand(3, 4).copy_(t.ones(3, 4)),
    "setitem_expanded": lambda t: t.zeros(3, 1).expand(3, 4).__setitem__(0, 1),
    "overlapping_operands": lambda t: (lambda x: x[1:].add_(x[:-1]))(t.arange(5.0)),
    "view_leaf_in_place": lambda t: t.zeros(3, requires_grad=True)[1:].add_(1),
    "leaf_in_place": lambda t: t.zeros(3, requires_grad=True).add_(1),
    "leaf_setitem": lambda t: t.zeros(3, requires_grad=True).__setitem__(0, 1),
    "in_place_broadcast_up": lambda t: t.zeros(3).add_(t.zeros(2, 3)),
    "in_place_float_to_int": lambda t: t.zeros(3, dtype=t.int64).add_(1.5),
    "detach_in_place_on_view": lambda t: (t.zeros(3, requires_grad=True) * 1)[1:].detach_(),
    "numpy_of_requires_grad": lambda t: t.zeros(3, requires_grad=True).numpy(),
    "set_data_dtype": lambda t: setattr(t.zeros(3, requires_grad=True), "data", t.zeros(3).int()),
}


@pytest.mark.parametrize("name", VIEW_ERRORS)
@lockstep(raises=True)
def test_errors(t, name):
    VIEW_ERRORS[name](t)


@lockstep
def test_fill_is_allowed_on_an_expanded_tensor(t):
    x = t.zeros(3, 1)
    x.expand(3, 4).fill_(2)
    x.expand(3, 4)[0].zero_()
    return facts(x)


@lockstep
def test_in_place_operand_that_is_a_shifted_view_of_the_target(t):
    x = t.arange(6.0)
    x[:3].add_(x[3:])
    y = t.arange(9.0).view(3, 3)
    z = y.clone()
    z.add_(z.t().clone())
    w = t.arange(4.0)
    w.mul_(w)
    return x, z, w


# --- Views that come several at a time ---

MULTI = {
    "unbind": lambda x: x.unbind(0),
    "split": lambda x: x.split(1),
    "chunk": lambda x: x.chunk(2),
    "split_with_sizes": lambda x: x.split([1, 1]),
    "tensor_split": lambda x: x.tensor_split(2),
    "iteration": lambda x: list(x),
}


@pytest.mark.parametrize("name", MULTI)
@lockstep
def test_several_views_share_the_base(t, name):
    x = t.arange(6.0).view(2, 3)
    a, b = MULTI[name](x)
    a.add_(10)
    b[..., 0] = -1
    return facts(x), facts(a), facts(b)


@pytest.mark.parametrize("name", MULTI)
@lockstep
def test_in_place_on_one_of_several_views_under_grad(t, name):
    x = t.ones(2, 3, requires_grad=True) * 1
    a, b = MULTI[name](x)
    error = error_of(lambda: a.mul_(2))
    out = (x.sum() + b.sum()).item()
    return error, out, a.grad_fn.name()


@pytest.mark.parametrize("name", MULTI)
@lockstep
def test_base_written_after_several_views_under_grad(t, name):
    leaf = t.ones(2, 3, requires_grad=True)
    x = leaf * 1
    a, b = MULTI[name](x)
    x.mul_(3)

    def read():
        (a.sum() + 2 * b.sum()).backward()
        return leaf.grad

    return error_of(read), leaf.grad


# --- Grad mode and views ---


@lockstep
def test_no_grad_in_place_on_a_leaf_and_its_view(t):
    w = t.ones(2, 2, requires_grad=True)
    with t.no_grad():
        w.mul_(3)
        w[0].add_(1)
        v = w[1]
        v.zero_()
    return w, w._version, v.requires_grad, error_of(lambda: v.grad_fn)


@lockstep
def test_view_made_under_no_grad_written_outside(t):
    leaf = t.ones(3, requires_grad=True)
    x = leaf * 1
    with t.no_grad():
        v = x[1:]
    return error_of(lambda: v.mul_(2)), v.requires_grad, x


@lockstep
def test_leaf_view_of_a_plain_base_gets_a_history(t):
    base = t.zeros(2, 2)
    leaf = t.ones(2, requires_grad=True)
    row = base[0]
    row.copy_(leaf * 3)
    base.sum().backward()
    return base.requires_grad, row.requires_grad, base.is_leaf, leaf.grad, base.grad_fn.name()


@lockstep
def test_no_grad_write_keeps_the_history(t):
    leaf = t.ones(3, requires_grad=True)
    y = leaf * 2
    with t.no_grad():
        y[0] = 50
    y.sum().backward()
    return y, leaf.grad


@lockstep
def test_saved_tensor_written_later(t):
    x = t.ones(3, requires_grad=True)
    y = x.exp()
    z = y.sum()
    y.detach().add_(1)
    return error_of(z.backward)


@lockstep
def test_data_write_escapes_the_version_check(t):
    x = t.ones(3, requires_grad=True)
    w = t.full((3,), 2.0)
    z = (x * w).sum()
    w.data.mul_(10)
    z.backward()
    return x.grad


@lockstep
def test_view_in_place_in_a_chain_of_views(t):
    leaf = t.arange(1.0, 13.0).requires_grad_()
    x = (leaf * 1).view(3, 4)
    v = x.t()[1:3]
    w = v[:, 0]
    w.mul_(x[2, 3].item())
    v.add_(w.sum().item())
    (x**2).sum().backward()
    return leaf.grad, facts(x), facts(v), facts(w)


@lockstep
def test_copy_broadcasts_and_converts(t):
    x = t.zeros(2, 3)
    x.copy_(t.tensor([1, 2, 3]))
    source = t.ones(3, dtype=t.float64, requires_grad=True)
    y = t.zeros(2, 3)
    y.copy_(source)
    y.sum().backward()
    return x, y, source.grad


@lockstep
def test_in_place_result_is_the_same_object(t):
    x = t.arange(4.0)
    v = x[1:]
    return x.add_(1) is x, v.mul_(2) is v, x.t_() is x, x.unsqueeze_(0) is x, facts(x), facts(v)


@lockstep
def test_shape_changing_in_place_views(t):
    x = t.arange(6.0).view(2, 3)
    other = x.view(-1)
    x.t_()
    x.unsqueeze_(0).squeeze_(0).transpose_(0, 1).swapaxes_(0, 1)
    other[1] = 50
    return facts(x), facts(other)


@lockstep
def test_resize_and_set(t):
    x = t.arange(6.0)
    v = x[:2]
    x.resize_(2, 3)
    y = t.zeros(2)
    y.set_(x)
    y[0, 0] = 7
    return x, v, y, x.storage_offset(), y.is_contiguous()


@lockstep
def test_out_writes_into_a_view(t):
    x = t.zeros(2, 3)
    result = t.add(t.ones(3), 1, out=x[1])
    other = t.zeros(3, 2)
    t.mul(t.ones(2, 3), 4, out=other.t())
    return result, x, other


# --- NumPy ---


@lockstep
def test_from_numpy_shares_memory_both_ways(t):
    a = np.arange(4, dtype=np.float32)
    x = t.from_numpy(a)
    x[0] = 10
    seen = a.copy()
    a[1] = 20
    return seen, x, x.numpy() is not None, (x + 0)


@lockstep
def test_numpy_shares_memory_both_ways(t):
    x = t.arange(4.0)
    a = x.numpy()
    a[0] = 10
    first = x.clone()
    x[1] = 20
    x.view(2, 2)[1].mul_(2)
    return first, a.copy(), x


@lockstep
def test_numpy_of_a_view_shares_memory(t):
    x = t.arange(6.0).view(2, 3)
    a = x.t().numpy()
    a[0, 1] = 100
    return a.copy(), x, a.strides


@lockstep
def test_as_tensor_shares_and_tensor_copies(t):
    a = np.arange(3, dtype=np.float32)
    shared, copied = t.as_tensor(a), t.tensor(a)
    a[0] = 9
    x = t.zeros(2)
    return shared, copied, t.as_tensor(x) is x


@lockstep
def test_numpy_writes_are_seen_by_autograd_values(t):
    x = t.ones(3)
    x.numpy()[0] = 5
    w = t.ones(3, requires_grad=True)
    (x * w).sum().backward()
    return w.grad


@lockstep
def test_operations_on_shared_arrays_do_not_alias(t):
    a = np.ones(3, dtype=np.float32)
    y = t.from_numpy(a) * 2
    a[:] = 100
    return y
