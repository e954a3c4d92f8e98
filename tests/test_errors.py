"""The mistakes people make most: the same exception class and, word for word, the same text.

The expected texts are never written down: they are taken from the oracle when the test runs.
"""

import copy

import numpy as np
import pytest

from tests.parity.lockstep import error_of, lockstep


def leaf(t, *shape):
    return t.ones(*(shape or (3,)), requires_grad=True)


def integers(t, *values):
    return t.tensor(values, dtype=t.int64)


def backward_twice(t):
    loss = (leaf(t) ** 2).sum()
    loss.backward()
    loss.backward()


def write_between(t):
    x = leaf(t) * 1
    loss = (x * x).sum()
    x.add_(1)
    loss.backward()


def write_to_output(t):
    y = leaf(t).sigmoid()
    y.mul_(2)
    y.sum().backward()


def write_to_unbound(t):
    a, _ = (leaf(t, 2, 2) * 1).unbind()
    a.add_(1)


SHAPES = {
    "matmul": lambda t: t.ones(2, 3) @ t.ones(2, 3),
    "matmul_vector": lambda t: t.ones(2, 3) @ t.ones(2),
    "matmul_vectors": lambda t: t.ones(3) @ t.ones(4),
    "matmul_batch": lambda t: t.ones(2, 3, 4) @ t.ones(3, 4, 5),
    "matmul_inner_batch": lambda t: t.ones(2, 3, 4) @ t.ones(2, 3, 4),
    "matmul_scalar": lambda t: t.ones(()) @ t.ones(2),
    "mm": lambda t: t.mm(t.ones(2, 3), t.ones(2, 3)),
    "mm_3d": lambda t: t.mm(t.ones(2, 3, 1), t.ones(2, 3)),
    "bmm": lambda t: t.bmm(t.ones(2, 3, 4), t.ones(2, 3, 4)),
    "bmm_2d": lambda t: t.bmm(t.ones(2, 3), t.ones(2, 3)),
    "mv": lambda t: t.mv(t.ones(2, 3), t.ones(2)),
    "dot": lambda t: t.dot(t.ones(2), t.ones(3)),
    "addmm": lambda t: t.addmm(t.ones(5), t.ones(2, 3), t.ones(3, 4)),
    "einsum": lambda t: t.einsum("ij,jk->ik", t.ones(2, 3), t.ones(2, 3)),
    "einsum_subscripts": lambda t: t.einsum("ijk->i", t.ones(2, 3)),
    "broadcast_add": lambda t: t.ones(2, 3) + t.ones(2, 4),
    "broadcast_compare": lambda t: t.ones(3) > t.ones(4),
    "broadcast_where": lambda t: t.where(t.ones(2) > 0, t.ones(3), t.ones(3)),
    "cat": lambda t: t.cat([t.ones(2, 3), t.ones(2, 4)]),
    "cat_dims": lambda t: t.cat([t.ones(2, 3), t.ones(2)]),
    "cat_nothing": lambda t: t.cat([]),
    "cat_dim": lambda t: t.cat([t.ones(2)], 1),
    "cat_tensor": lambda t: t.cat(t.ones(2, 2)),
    "stack": lambda t: t.stack([t.ones(2), t.ones(3)]),
    "stack_nothing": lambda t: t.stack([]),
    "view": lambda t: t.ones(2, 3).view(4, 2),
    "view_infer": lambda t: t.ones(2, 3).view(4, -1),
    "view_strides": lambda t: t.ones(2, 3).t().view(6),
    "reshape": lambda t: t.ones(2, 3).reshape(7),
    "reshape_two_unknown": lambda t: t.ones(2, 3).reshape(-1, -1),
    "reshape_negative": lambda t: t.ones(2, 3).reshape(-2, 3),
    "unflatten": lambda t: t.ones(6).unflatten(0, (4, 2)),
    "expand": lambda t: t.ones(2, 3).expand(4, 3),
    "expand_fewer": lambda t: t.ones(2, 3).expand(3),
    "expand_minus_one": lambda t: t.ones(3).expand(-1, 3),
    "broadcast_to": lambda t: t.broadcast_to(t.ones(2), (3,)),
    "in_place_broadcast": lambda t: t.ones(3).add_(t.ones(2, 3)),
    "in_place_mismatch": lambda t: t.ones(3).mul_(t.ones(4)),
    "copy_mismatch": lambda t: t.ones(3).copy_(t.ones(4)),
    "repeat_fewer": lambda t: t.ones(2, 3).repeat(2),
    "masked_fill_mask": lambda t: t.ones(2, 3).masked_fill(t.ones(2) > 0, 1.0),
    "setitem_shape": lambda t: t.ones(3, 2).__setitem__(0, t.ones(3)),
    "setitem_mask_count": lambda t: t.ones(3).__setitem__(t.ones(3) > 0, t.ones(2)),
    "t_3d": lambda t: t.ones(2, 3, 4).t(),
    "diagonal_1d": lambda t: t.ones(3).diagonal(),
    "tril_1d": lambda t: t.ones(3).tril(),
    "cross": lambda t: t.cross(t.ones(2), t.ones(2), dim=0),
    "unfold_size": lambda t: t.ones(3).unfold(0, 4, 1),
    "lerp": lambda t: t.lerp(t.ones(2), t.ones(3), 0.5),
    "out_dtype": lambda t: t.add(t.ones(2), t.ones(2), out=t.ones(2, dtype=t.int64)),
}

DIMENSIONS = {
    "sum": lambda t: t.ones(2, 3).sum(2),
    "sum_negative": lambda t: t.ones(2, 3).sum(-3),
    "sum_repeated": lambda t: t.ones(2, 3).sum((0, 0)),
    "mean_of_scalar": lambda t: t.ones(()).mean(1),
    "softmax": lambda t: t.softmax(t.ones(2), 1),
    "squeeze": lambda t: t.ones(2, 1).squeeze(2),
    "unsqueeze": lambda t: t.ones(2).unsqueeze(3),
    "transpose": lambda t: t.ones(2, 3).transpose(0, 2),
    "permute_count": lambda t: t.ones(2, 3).permute(0, 1, 2),
    "permute_fewer": lambda t: t.ones(2, 3).permute(0),
    "permute_repeated": lambda t: t.ones(2, 3).permute(0, 0),
    "permute_range": lambda t: t.ones(2, 3).permute(0, 2),
    "size": lambda t: t.ones(2).size(1),
    "flip": lambda t: t.ones(2).flip(1),
    "split_sizes": lambda t: t.ones(5).split([2, 2]),
    "split_zero": lambda t: t.ones(5).split(0),
    "split_negative": lambda t: t.ones(5).split(-1),
    "chunk_zero": lambda t: t.ones(4).chunk(0),
    "unbind_scalar": lambda t: t.ones(()).unbind(),
    "topk": lambda t: t.ones(3).topk(4),
    "kthvalue": lambda t: t.ones(3).kthvalue(4),
    "max_of_nothing": lambda t: t.ones(0).max(),
    "max_dim_of_nothing": lambda t: t.ones(0, 2).max(0),
    "argmax_of_nothing": lambda t: t.ones(0).argmax(),
    "min_dim": lambda t: t.ones(2).min(1),
    "cumsum": lambda t: t.ones(2).cumsum(1),
    "gather_dim": lambda t: t.ones(2).gather(1, integers(t, 0)),
    "stack_dim": lambda t: t.stack([t.ones(2)], 3),
    "narrow_length": lambda t: t.ones(3).narrow(0, 2, 2),
    "narrow_start": lambda t: t.ones(3).narrow(0, 4, 1),
    "movedim": lambda t: t.ones(2, 3).movedim((0, 1), (0,)),
    "diagonal_same": lambda t: t.ones(2, 2).diagonal(0, 1, 1),
    "flatten": lambda t: t.ones(2, 3).flatten(1, 0),
    "roll": lambda t: t.ones(2, 3).roll((1,), (0, 1)),
    "chunk_scalar": lambda t: t.ones(()).chunk(2),
}

INDICES = {
    "getitem": lambda t: t.ones(3)[3],
    "getitem_negative": lambda t: t.ones(3)[-4],
    "getitem_second": lambda t: t.ones(3, 4)[0, 4],
    "getitem_too_many": lambda t: t.ones(3)[0, 0],
    "getitem_scalar": lambda t: t.ones(())[0],
    "getitem_float": lambda t: t.ones(3)[1.0],
    "getitem_string": lambda t: t.ones(3)["a"],
    "getitem_float_tensor": lambda t: t.ones(3)[t.ones(1)],
    "getitem_step": lambda t: t.ones(3)[::-1],
    "getitem_step_zero": lambda t: t.ones(3)[::0],
    "getitem_mask_shape": lambda t: t.ones(3)[t.ones(2) > 0],
    "getitem_mask_second": lambda t: t.ones(3, 2)[:, t.ones(3) > 0],
    "getitem_list_range": lambda t: t.ones(3)[[0, 3]],
    "getitem_tensor_range": lambda t: t.ones(3)[integers(t, 5)],
    "getitem_lists_shape": lambda t: t.ones(3, 3)[[0, 1], [0, 1, 2]],
    "setitem": lambda t: t.ones(3).__setitem__(3, 1.0),
    "setitem_value": lambda t: t.ones(3).__setitem__(0, "a"),
    "select": lambda t: t.ones(3).select(0, 3),
    "gather": lambda t: t.ones(3).gather(0, integers(t, 3)),
    "gather_dtype": lambda t: t.ones(3).gather(0, t.ones(1)),
    "gather_dims": lambda t: t.ones(3, 3).gather(0, integers(t, 0)),
    "gather_size": lambda t: t.ones(2, 2).gather(0, t.zeros(2, 3, dtype=t.int64)),
    "index_select": lambda t: t.ones(3).index_select(0, integers(t, 3)),
    "index_select_dtype": lambda t: t.ones(3).index_select(0, t.ones(1)),
    "index_select_2d": lambda t: t.ones(3).index_select(0, t.zeros(1, 1, dtype=t.int64)),
    "take": lambda t: t.ones(3).take(integers(t, 3)),
    "scatter": lambda t: t.zeros(3).scatter(0, integers(t, 3), t.ones(1)),
    "scatter_dtype": lambda t: t.zeros(3).scatter(0, integers(t, 0), integers(t, 1)),
    "index_add": lambda t: t.zeros(3).index_add(0, integers(t, 3), t.ones(1)),
    "index_add_length": lambda t: t.zeros(3).index_add(0, integers(t, 0, 1), t.ones(3)),
    "index_fill": lambda t: t.zeros(3).index_fill(0, integers(t, 3), 1.0),
    "index_copy": lambda t: t.zeros(3).index_copy(0, integers(t, 3), t.ones(1)),
    "masked_select_dtype": lambda t: t.ones(3).masked_select(integers(t, 0, 1, 1)),
    "masked_fill_dtype": lambda t: t.ones(3).masked_fill(integers(t, 0, 1, 1), 1.0),
    "embedding": lambda t: t.embedding(t.ones(3, 2), integers(t, 3)),
    "embedding_dtype": lambda t: t.embedding(t.ones(3, 2), t.ones(2)),
    "delete": lambda t: t.ones(3).__delitem__(0),
}

TYPES = {
    "matmul": lambda t: t.ones(2, 2) @ t.ones(2, 2, dtype=t.int64),
    "matmul_double": lambda t: t.ones(2, 2) @ t.ones(2, 2, dtype=t.float64),
    "dot": lambda t: t.dot(t.ones(2), integers(t, 1, 2)),
    "addmm": lambda t: t.addmm(t.ones(2), t.ones(2, 2), t.ones(2, 2, dtype=t.float64)),
    "mean": lambda t: integers(t, 1, 2).mean(),
    "softmax": lambda t: integers(t, 1, 2).softmax(0),
    "norm": lambda t: integers(t, 1, 2).norm(),
    "std": lambda t: integers(t, 1, 2).std(),
    "bool_minus": lambda t: (t.ones(2) > 0) - (t.ones(2) > 0),
    "bool_neg": lambda t: -(t.ones(2) > 0),
    "invert_float": lambda t: ~t.ones(2),
    "and_float": lambda t: t.ones(2) & t.ones(2),
    "shift_float": lambda t: t.ones(2) << 1,
    "in_place_float_to_int": lambda t: integers(t, 1).add_(1.5),
    "in_place_divide_int": lambda t: integers(t, 1).div_(2),
    "in_place_tensor_to_int": lambda t: integers(t, 1).mul_(t.ones(1)),
    "add_none": lambda t: t.ones(2) + None,
    "add_string": lambda t: t.ones(2) + "a",
    "add_list": lambda t: t.ones(2) + [1, 2],
    "divide_string": lambda t: t.ones(2) / "a",
    "compare_order_string": lambda t: t.ones(2) < "a",
    "matmul_number": lambda t: t.ones(2) @ 2,
    "negative_integer_power": lambda t: integers(t, 2) ** -1,
    "alpha": lambda t: t.add(integers(t, 1), integers(t, 1), alpha=0.5),
    "lerp": lambda t: t.lerp(t.ones(2), t.ones(2, dtype=t.float64), 0.5),
    "div_mode": lambda t: t.div(t.ones(2), 2, rounding_mode="up"),
    "clamp_nothing": lambda t: t.ones(2).clamp(),
    "sum_argument": lambda t: t.sum(3.0),
    "zeros_string": lambda t: t.zeros("a"),
    "zeros_float": lambda t: t.zeros(2.5),
    "zeros_negative": lambda t: t.zeros(-1),
    "ones_keyword": lambda t: t.ones(2, nonsense=True),
    "sum_keyword": lambda t: t.ones(2).sum(nonsense=True),
    "view_float": lambda t: t.ones(2).view(2.0),
    "reshape_string": lambda t: t.ones(2).reshape("a"),
    "exp_list": lambda t: t.exp([1.0]),
    "cat_number": lambda t: t.cat([t.ones(2), 1]),
    "where_condition": lambda t: t.where(t.ones(2), t.ones(2), t.ones(2)),
    "view_dtype": lambda t: t.ones(3, dtype=t.float16).view(t.float32),
    "to_unknown": lambda t: t.ones(2).to("float33"),
    "type_unknown": lambda t: t.ones(2).type("torch.NonsenseTensor"),
    "dtype_argument": lambda t: t.zeros(2, dtype="float32"),
    "device_unknown": lambda t: t.zeros(2, device="abacus"),
    "device_number": lambda t: t.device("cpu:x"),
    "as_real": lambda t: t.view_as_real(t.ones(2)),
    "imag": lambda t: t.ones(2).imag,
    "set_default_dtype": lambda t: t.set_default_dtype(t.int64),
}

VALUES = {
    "item": lambda t: t.ones(2).item(),
    "item_empty": lambda t: t.ones(0).item(),
    "bool": lambda t: bool(t.ones(2)),
    "bool_empty": lambda t: bool(t.ones(0)),
    "if": lambda t: 1 if t.ones(2) == t.ones(2) else 0,
    "int": lambda t: int(t.ones(2)),
    "float": lambda t: float(t.ones(2)),
    "index": lambda t: [1, 2][t.ones(())],
    "index_many": lambda t: [1, 2][integers(t, 0, 1)],
    "range": lambda t: range(t.ones(())),
    "len": lambda t: len(t.ones(())),
    "iterate": lambda t: list(t.ones(())),
    "contains": lambda t: "a" in t.ones(2),
    "format": lambda t: f"{t.ones(2):.2f}",
    "ragged": lambda t: t.tensor([[1, 2], [3]]),
    "ragged_depth": lambda t: t.tensor([[1, 2], 3]),
    "ragged_first": lambda t: t.tensor([1, [2, 3]]),
    "strings": lambda t: t.tensor("a"),
    "strings_list": lambda t: t.tensor(["a"]),
    "none": lambda t: t.tensor(None),
    "object": lambda t: t.tensor(object()),
    "tensors": lambda t: t.tensor([t.ones(2), t.ones(2)]),
    "numpy_strings": lambda t: t.tensor(np.array(["a"])),
    "numpy_objects": lambda t: t.tensor(np.array([None])),
    "from_numpy_list": lambda t: t.from_numpy([1, 2]),
    "from_numpy_strings": lambda t: t.from_numpy(np.array(["a"])),
    "from_numpy_negative_strides": lambda t: t.from_numpy(np.arange(3.0)[::-1]),
    "overflow": lambda t: t.tensor(300, dtype=t.uint8),
    "overflow_int": lambda t: t.tensor(2**70),
    "arange_step": lambda t: t.arange(0, 3, 0),
    "arange_sign": lambda t: t.arange(0, 3, -1),
    "linspace": lambda t: t.linspace(0, 1, -1),
    "eye": lambda t: t.eye(-1),
    "randint": lambda t: t.randint(3, 3, (2,)),
    "randperm": lambda t: t.randperm(-1),
    "normal": lambda t: t.normal(0.0, -1.0, (2,)),
    "normal_tensor": lambda t: t.normal(t.zeros(2), -t.ones(2)),
    "normal_in_place": lambda t: t.zeros(2).normal_(0, -1),
    "uniform": lambda t: t.zeros(2).uniform_(1, 0),
    "exponential": lambda t: t.zeros(2).exponential_(-1),
    "bernoulli": lambda t: t.bernoulli(t.tensor([1.5])),
    "bernoulli_p": lambda t: t.zeros(2).bernoulli_(1.5),
    "multinomial_negative": lambda t: t.multinomial(t.tensor([-1.0, 2.0]), 1),
    "multinomial_zero": lambda t: t.multinomial(t.zeros(2), 1),
    "multinomial_too_many": lambda t: t.multinomial(t.ones(2), 3),
    "multinomial_3d": lambda t: t.multinomial(t.ones(2, 2, 2), 1),
    "multinomial_dtype": lambda t: t.multinomial(integers(t, 1, 2), 1),
    "dropout": lambda t: t.dropout(t.ones(2), 1.5, True),
    "repeat_interleave": lambda t: t.ones(2).repeat_interleave(-1),
    "repeat_interleave_length": lambda t: t.ones(2).repeat_interleave(integers(t, 1, 2, 3)),
    "bincount_negative": lambda t: t.bincount(integers(t, -1)),
    "bincount_float": lambda t: t.bincount(t.ones(2)),
    "matrix_not_square": lambda t: t.linalg.inv(t.ones(2, 3)),
    "matrix_singular": lambda t: t.linalg.inv(t.zeros(2, 2)),
    "solve_singular": lambda t: t.linalg.solve(t.zeros(2, 2), t.ones(2)),
    "cholesky": lambda t: t.linalg.cholesky(-t.eye(2)),
    "det_not_square": lambda t: t.det(t.ones(2, 3)),
    "meshgrid_2d": lambda t: t.meshgrid(t.ones(2, 2), t.ones(2), indexing="ij"),
    "histc": lambda t: t.histc(t.ones(2), bins=0),
    "bucketize": lambda t: t.bucketize(t.ones(2), t.ones(2, 2)),
    "generator_seed": lambda t: t.manual_seed("a"),
}

AUTOGRAD = {
    "leaf_in_place": lambda t: leaf(t).add_(1),
    "leaf_setitem": lambda t: leaf(t).__setitem__(0, 1.0),
    "leaf_view_in_place": lambda t: leaf(t)[0].add_(1),
    "leaf_fill": lambda t: leaf(t).fill_(1),
    "leaf_out": lambda t: t.add(t.ones(3), 1, out=leaf(t)),
    "out_of_differentiable": lambda t: t.add(leaf(t), 1, out=t.ones(3)),
    "view_of_several": write_to_unbound,
    "backward_twice": backward_twice,
    "backward_vector": lambda t: (leaf(t) * 2).backward(),
    "backward_constant": lambda t: t.ones(3).sum().backward(),
    "backward_argmax": lambda t: leaf(t).argmax().backward(),
    "backward_under_no_grad": lambda t: no_grad_loss(t).backward(),
    "gradient_shape": lambda t: (leaf(t) * 2).backward(t.ones(2)),
    "saved_input_written": write_between,
    "saved_output_written": write_to_output,
    "numpy": lambda t: leaf(t).numpy(),
    "asarray": lambda t: np.asarray(leaf(t)),
    "requires_grad_int": lambda t: t.tensor([1, 2], requires_grad=True),
    "requires_grad_bool": lambda t: (t.ones(2) > 0).requires_grad_(),
    "requires_grad_off": lambda t: (leaf(t) * 2).requires_grad_(False),
    "deepcopy": lambda t: copy.deepcopy(leaf(t) * 2),
    "grad_shape": lambda t: setattr(leaf(t), "grad", t.ones(2)),
    "grad_type": lambda t: setattr(leaf(t), "grad", 3),
    "grad_unused": lambda t: t.autograd.grad(leaf(t).sum(), leaf(t)),
    "hook": lambda t: t.ones(2).register_hook(print),
    "resize_with_grad": lambda t: leaf(t).resize_(2),
    "set_data": lambda t: setattr(leaf(t), "data", t.ones(3).int()),
}


def no_grad_loss(t):
    with t.no_grad():
        return leaf(t).sum()


TABLES = {
    "shapes": SHAPES,
    "dimensions": DIMENSIONS,
    "indices": INDICES,
    "types": TYPES,
    "values": VALUES,
    "autograd": AUTOGRAD,
}
MISTAKES = [(table, name) for table, rows in TABLES.items() for name in rows]
# Their texts print the overloads of the oracle's argument parser, or a tensor as C++ does.
CLASS_ONLY = [("types", "sum_keyword"), ("types", "view_float"), ("values", "meshgrid_2d")]


@pytest.mark.parametrize(("table", "name"), [m for m in MISTAKES if m not in CLASS_ONLY])
@lockstep(raises=True)
def test_mistake(t, table, name):
    TABLES[table][name](t)


@pytest.mark.parametrize(("table", "name"), CLASS_ONLY)
@lockstep(raises=True, texts=False)
def test_class_of_mistake(t, table, name):
    TABLES[table][name](t)


@pytest.mark.parametrize("attribute", ["nonsense", "nonsense_"])
@lockstep
def test_unknown_attribute(t, attribute):
    return error_of(lambda: getattr(t.ones(2), attribute))


@lockstep
def test_read_only_attributes(t):
    x = t.ones(2)
    names = ("shape", "dtype", "device", "is_leaf", "grad_fn", "ndim", "T")
    return [error_of(lambda name=name: setattr(x, name, None))[0] for name in names]


@lockstep
def test_a_failed_write_changes_nothing(t):
    x = t.arange(4.0)
    errors = [
        error_of(lambda: x.add_(t.ones(3))),
        error_of(lambda: x.__setitem__(9, 1.0)),
        error_of(lambda: x.copy_(t.ones(2))),
        error_of(lambda: x.index_add_(0, integers(t, 7), t.ones(1))),
    ]
    return errors, x, x._version
