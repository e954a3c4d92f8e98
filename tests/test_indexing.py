"""Subscripts: every form, read and assigned, with gradients and aliasing."""

import numpy as np
import pytest

from tests.parity.lockstep import error_of, lockstep

# Each form is a function of the library `t`, applied to a tensor of shape (3, 4, 2).
FORMS = {
    "int": lambda t: 1,
    "negative": lambda t: -1,
    "bool_true": lambda t: True,
    "bool_false": lambda t: False,
    "numpy_int": lambda t: np.int64(2),
    "zero_dim": lambda t: t.tensor(1),
    "zero_dim_uint8": lambda t: t.tensor(1, dtype=t.uint8),
    "zero_dim_bool": lambda t: t.tensor(True),
    "slice": lambda t: slice(1, 3),
    "slice_open": lambda t: slice(None),
    "slice_step": lambda t: slice(None, None, 2),
    "slice_step_offset": lambda t: slice(1, None, 2),
    "slice_negative": lambda t: slice(-2, None),
    "slice_beyond": lambda t: slice(1, 100),
    "slice_empty": lambda t: slice(3, 1),
    "slice_numpy": lambda t: slice(np.int64(0), np.int64(2)),
    "slice_tensor": lambda t: slice(t.tensor(0), t.tensor(2)),
    "ellipsis": lambda t: ...,
    "none": lambda t: None,
    "empty_tuple": lambda t: (),
    "ints": lambda t: (1, 2),
    "all_ints": lambda t: (1, 2, 0),
    "int_slice": lambda t: (1, slice(1, 3)),
    "slice_int": lambda t: (slice(None), 1),
    "slices": lambda t: (slice(1, None), slice(None, None, 2), slice(0, 1)),
    "ellipsis_int": lambda t: (..., 0),
    "int_ellipsis": lambda t: (0, ...),
    "middle_ellipsis": lambda t: (0, ..., 1),
    "ellipsis_of_nothing": lambda t: (0, 1, ..., 1),
    "none_first": lambda t: (None, 0),
    "none_between": lambda t: (slice(None), None, 1),
    "none_last": lambda t: (..., None),
    "nones": lambda t: (None, slice(None), None, ..., None),
    "list": lambda t: [0, 2],
    "list_repeated": lambda t: [1, 1, 0],
    "list_negative": lambda t: [-1, 0],
    "list_empty": lambda t: [],
    "list_of_bools": lambda t: [True, False, True],
    "nested_list": lambda t: [[0, 1], [2, 0]],
    "tensor": lambda t: t.tensor([2, 0]),
    "tensor_2d": lambda t: t.tensor([[0, 1], [2, 2]]),
    "tensor_int32": lambda t: t.tensor([1, 0], dtype=t.int32),
    "tensor_empty": lambda t: t.tensor([], dtype=t.int64),
    "numpy_array": lambda t: np.array([1, 2]),
    "range": lambda t: range(2),
    "mask_1d": lambda t: t.tensor([True, False, True]),
    "mask_full": lambda t: t.arange(24).view(3, 4, 2) % 3 == 0,
    "mask_2d": lambda t: t.arange(12).view(3, 4) % 5 == 0,
    "mask_none_true": lambda t: t.zeros(3, dtype=t.bool),
    "mask_numpy": lambda t: np.array([True, False, True]),
    "mask_second": lambda t: (slice(None), t.tensor([True, False, False, True])),
    "mask_and_int": lambda t: (t.tensor([True, False, True]), 1),
    "mask_and_list": lambda t: (t.tensor([True, False, True]), [1, 3]),
    "two_lists": lambda t: ([0, 1], [2, 3]),
    "three_lists": lambda t: ([0, 1], [2, 3], [1, 0]),
    "broadcast_lists": lambda t: ([[0], [1]], [1, 2]),
    "list_and_int": lambda t: ([0, 2], 1),
    "int_and_list": lambda t: (1, [0, 2]),
    "list_and_slice": lambda t: ([0, 2], slice(1, 3)),
    "slice_and_list": lambda t: (slice(0, 2), [0, 2]),
    "slice_list_slice": lambda t: (slice(None), [1, 0], slice(1, None)),
    "separated_lists": lambda t: ([0, 1], slice(None), [1, 0]),
    "separated_by_int_and_slice": lambda t: (0, slice(None), [1, 0]),
    "list_ellipsis": lambda t: ([0, 2], ...),
    "ellipsis_list": lambda t: (..., [1, 0]),
    "none_and_list": lambda t: (None, [0, 2]),
    "list_none": lambda t: ([0, 2], None, 1),
    "step_and_list": lambda t: (slice(None, None, 2), t.tensor([3, 0])),
    "tensor_and_zero_dim": lambda t: (t.tensor([0, 1]), t.tensor(2)),
}
GRID = {
    "one": lambda t, x: 5.0,
    "zero_dim": lambda t, x: t.tensor(6.0),
    "values": lambda t, x: (x * 0 + 7).detach() + t.arange(float(x.numel())).view(x.shape),
    "last_row": lambda t, x: t.arange(float(x.shape[-1])) if x.dim() else t.tensor(3.0),
}


def base(t):
    return t.arange(24.0).view(3, 4, 2)


@pytest.mark.parametrize("form", FORMS)
@lockstep
def test_reading(t, form):
    x = base(t)
    y = x[FORMS[form](t)]
    return y, y.storage_offset(), y.is_contiguous(), y._is_view(), y._base is x._base


@pytest.mark.parametrize("form", FORMS)
@lockstep(strides=False)
def test_gradient_of_reading(t, form):
    x = (base(t) + 1).requires_grad_()
    y = x[FORMS[form](t)]
    (y * y).sum().backward()
    return x.grad, y.grad_fn.name()


@pytest.mark.parametrize("value", GRID)
@pytest.mark.parametrize("form", FORMS)
@lockstep(strides=False)
def test_assigning(t, form, value):
    x, index = base(t), FORMS[form](t)
    x[index] = GRID[value](t, x[index])
    return x, x._version


REPEATED = {"list_repeated", "tensor_2d", "nested_list"}  # the last of several writes is undefined


@pytest.mark.parametrize("form", [f for f in FORMS if f not in REPEATED])
@lockstep(strides=False)
def test_gradient_of_assigning(t, form):
    x = (base(t) + 1).requires_grad_()
    index = FORMS[form](t)
    y = x * 2
    v = (y[index].detach() * 0 + 3).requires_grad_()
    y[index] = v * v
    (y * y).sum().backward()
    return x.grad, v.grad


@pytest.mark.parametrize("form", FORMS)
@lockstep(strides=False)
def test_augmented_assignment(t, form):
    x = base(t)
    x[FORMS[form](t)] += 10
    x[FORMS[form](t)] *= 2
    return x, x._version


@pytest.mark.parametrize("value", [1, 2.7, True, "tensor", "float64"])
@pytest.mark.parametrize("dtype", ["int64", "bool", "float32", "uint8"])
@lockstep
def test_assigned_values_are_converted(t, value, dtype):
    x = t.zeros(4, dtype=getattr(t, dtype))
    v = {"tensor": t.tensor([1.9, 0.0]), "float64": t.tensor(2.5, dtype=t.float64)}.get(
        value, value
    )
    x[1:3] = v
    errors = [error_of(lambda: x.__setitem__([0, 3], v)), error_of(lambda: x.__setitem__(x > 0, v))]
    return x, errors


@lockstep
def test_assigning_sequences_and_arrays(t):
    x = t.zeros(2, 3)
    errors = [
        error_of(lambda: x.__setitem__(0, [1.0, 2.0, 3.0])),
        error_of(lambda: x.__setitem__(0, np.ones(3))),
        error_of(lambda: x.__setitem__(0, np.float64(3))),
    ]
    return errors, x


@lockstep
def test_assigning_broadcasts_leading_ones_away(t):
    x = t.zeros(3)
    x[0:2] = t.ones(1, 1, 2)
    x[[2]] = t.full((1, 1), 7.0)
    return x


@lockstep
def test_index_put_accumulates_repeated_indices(t):
    x = t.zeros(3)
    x.index_put_((t.tensor([0, 0, 2]),), t.tensor([1.0, 2.0, 3.0]), accumulate=True)
    v = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = t.zeros(3).index_put((t.tensor([0, 0, 2]),), v, accumulate=True)
    (y * y).sum().backward()
    return x, y, v.grad


@lockstep
def test_gradient_accumulates_over_repeated_indices(t):
    x = t.ones(3, requires_grad=True)
    x[[0, 0, 0, 2]].sum().backward()
    return x.grad


@lockstep
def test_chained_views(t):
    x = base(t)
    x[1][2][0] = 100
    x[:, 1][0] += 50
    x[0, :, 1][1:3] = -1
    x[::2][1][..., 0].mul_(2)
    return x


# PyTorch lays the elements that index tensors select out in the order of the source's strides.
@lockstep(strides=False)
def test_subscripts_of_views_and_expanded_tensors(t):
    x = base(t).transpose(0, 2)
    e = t.arange(3.0).expand(2, 3)
    return x[1, 1:], x[:, [0, 2]], e[1], e[:, [0, 2]], e[[0, 1], [1, 2]], x[x > 20]


@lockstep
def test_zero_dim_tensors(t):
    x = t.tensor(5.0)
    y = t.tensor(5.0)
    y[...] = 7
    z = t.tensor(1.0)
    z[()] = 3
    w = t.tensor(2.0)
    w[t.tensor(True)] = 9
    return x[...], x[()], x[None], x[None, None].shape, x[t.tensor(True)], x[True], y, z, w


@lockstep
def test_empty_tensors(t):
    x = t.zeros(0, 3)
    return x[:], x[[]], x[:, 1], x[x > 0], t.zeros(3, 0)[1], t.zeros(2, 3)[:, 3:]


@lockstep
def test_a_tuple_inside_a_list_is_a_coordinate_list(t):
    x = t.arange(6).view(2, 3)
    return x[[(0, 1), (1, 2)]], x[((0, 1), (1, 2))], x[[0, 1], [1, 2]]


@lockstep
def test_a_mask_written_with_as_many_values(t):
    x = t.arange(6.0).view(2, 3)
    x[x > 2] = t.tensor([10.0, 20.0, 30.0])
    y = t.arange(6.0)
    y[y > 100] = 5.0
    return x, y


@lockstep
def test_uint8_masks_warn_and_select(t):
    x = t.arange(3.0)
    return x[t.tensor([1, 0, 1], dtype=t.uint8)]


@lockstep
def test_selecting_functions(t):
    x = base(t)
    return (
        t.take(x, t.tensor([0, -1])),
        x.index_select(1, t.tensor([3, 0])),
        t.masked_select(x, x % 5 == 0),
        x.gather(1, t.zeros(3, 1, 2, dtype=t.int64)),
        t.nonzero(x > 20),
        t.where(x > 20),
        t.argwhere(x > 20),
    )


ERRORS = {
    "range": lambda t, x: x[3],
    "negative_range": lambda t, x: x[-4],
    "second": lambda t, x: x[0, 4],
    "too_many": lambda t, x: x[0, 0, 0, 0],
    "too_many_with_ellipsis": lambda t, x: x[0, 0, ..., 0, 0],
    "float": lambda t, x: x[1.5],
    "string": lambda t, x: x["a"],
    "object": lambda t, x: x[object()],
    "dict": lambda t, x: x[{}],
    "negative_step": lambda t, x: x[::-1],
    "zero_step": lambda t, x: x[::0],
    "slice_of_floats": lambda t, x: x[0.5:2],
    "float_tensor": lambda t, x: x[t.ones(2)],
    "list_range": lambda t, x: x[[0, 5]],
    "tensor_range": lambda t, x: x[:, t.tensor([7])],
    "negative_tensor_range": lambda t, x: x[t.tensor([-4])],
    "lists_do_not_broadcast": lambda t, x: x[[0, 1, 2], [0, 1]],
    "mask_too_long": lambda t, x: x[t.ones(4, dtype=t.bool)],
    "mask_wrong_inner": lambda t, x: x[t.ones(3, 3, dtype=t.bool)],
    "mask_too_many_dims": lambda t, x: x[0, 0][t.ones(2, 2, dtype=t.bool)],
    "set_range": lambda t, x: x.__setitem__(3, 1),
    "set_shape": lambda t, x: x.__setitem__(0, t.ones(3)),
    "set_shape_of_list": lambda t, x: x.__setitem__([0, 1], t.ones(3, 4, 2)),
    "set_mask_count": lambda t, x: x.__setitem__(x > 20, t.ones(7)),
    "set_dtype_of_list": lambda t, x: x.__setitem__([0], t.ones(1, dtype=t.float64)),
    "set_string": lambda t, x: x.__setitem__(0, "a"),
    "set_none": lambda t, x: x.__setitem__(0, None),
    "set_leaf": lambda t, x: x.requires_grad_().__setitem__([0], 1.0),
    "put_too_many": lambda t, x: x.index_put_((t.tensor([0]),) * 4, t.tensor(1.0)),
    "zero_dim": lambda t, x: t.tensor(1.0)[0],
    "zero_dim_slice": lambda t, x: t.tensor(1.0)[:],
}


@pytest.mark.parametrize("name", ERRORS)
@lockstep(raises=True)
def test_errors(t, name):
    ERRORS[name](t, base(t))
