"""Reading and writing by index: gather, scatter and their relatives, advanced indexing, masks.

Indices are integer arrays that the caller has checked: an index out of range is not an error here
(XLA clamps a read and drops a write). Where PyTorch allows negative indices, they wrap here.

# Note [Repeated indices]
A write without accumulation through repeated indices keeps the last value, as PyTorch does on the
CPU. Its derivative does not look for the winner: every written value receives the gradient of the
place that it was written to, as in PyTorch.
"""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
from jax import lax

from .common import broadcast, cast, compute_dtype, expand, unbroadcast

_MODE = lax.GatherScatterMode.PROMISE_IN_BOUNDS

# What adding, multiplying, ... means for booleans held as 0 and 1.
_ON_BOOLEANS = {
    lax.scatter_add: lax.scatter_max,
    lax.scatter_mul: lax.scatter_min,
    lax.scatter_max: lax.scatter_max,
    lax.scatter_min: lax.scatter_min,
}


# --- one index array along one axis ---------------------------------------------------------------


def index_select(x, index, *, dim):
    """out[..., i, ...] = x[..., index[i], ...] along `dim`; a 0-d `x` or `index` counts as 1-d."""
    if x.ndim == 0:
        return lax.reshape(index_select(_at_least_1d(x), index, dim=0), ())
    index = lax.reshape(index, (index.size,))
    sizes = tuple(1 if axis == dim else n for axis, n in enumerate(x.shape))
    numbers = lax.GatherDimensionNumbers(
        offset_dims=tuple(axis for axis in range(x.ndim) if axis != dim),
        collapsed_slice_dims=(dim,),
        start_index_map=(dim,),
    )
    return lax.gather(x, _vectors(index), numbers, sizes, mode=_MODE)


def index_select_vjp(cts, inputs, outputs, needs, *, dim):
    x, index = inputs
    return index_add(lax.full_like(x, 0), index, cts[0], None, dim=dim), None


def index_add(x, index, source, alpha, *, dim):
    """x with `alpha * source[..., i, ...]` added at `[..., index[i], ...]`; alpha None means 1."""
    if alpha is not None:
        source = _times(source, alpha)
    return _write_slices(lax.scatter_add, x, index, source, dim)


def index_add_vjp(cts, inputs, outputs, needs, *, dim):
    (ct,) = cts
    _, index, source, alpha = inputs
    picked = lax.reshape(index_select(ct, index, dim=dim), source.shape) if any(needs[2:]) else None
    d_source = d_alpha = None
    if needs[2]:
        d_source = picked if alpha is None else _times(picked, alpha)
    if needs[3]:
        d_alpha = unbroadcast(lax.mul(picked, source), alpha.shape)
    return (ct if needs[0] else None), None, d_source, d_alpha


def index_copy(x, index, source, *, dim):
    """x with `source[..., i, ...]` at `[..., index[i], ...]`; see Note [Repeated indices]."""
    return _write_slices(lax.scatter, x, index, source, dim)


def index_copy_vjp(cts, inputs, outputs, needs, *, dim):
    (ct,) = cts
    _, index, source = inputs
    d_x = index_fill(ct, index, lax.full((), 0, ct.dtype), dim=dim) if needs[0] else None
    d_source = lax.reshape(index_select(ct, index, dim=dim), source.shape) if needs[2] else None
    return d_x, None, d_source


def index_fill(x, index, value, *, dim):
    """x with the 0-d `value` at `[..., index[i], ...]`."""
    shape = x.shape if x.ndim == 0 else (*x.shape[:dim], index.size, *x.shape[dim + 1 :])
    return _write_slices(lax.scatter, x, index, expand(cast(value, x.dtype), shape), dim)


def index_fill_vjp(cts, inputs, outputs, needs, *, dim):
    (ct,) = cts
    _, index, value = inputs
    d_x = index_fill(ct, index, lax.full((), 0, ct.dtype), dim=dim) if needs[0] else None
    d_value = None
    if needs[2]:  # a place that is written twice counts once
        written = lax.full(ct.shape, False, np.dtype(np.bool_))
        written = index_fill(written, index, lax.full((), True, np.dtype(np.bool_)), dim=dim)
        part = lax.select(written, ct, lax.full_like(ct, 0))
        d_value = cast(lax.reduce_sum(part, tuple(range(ct.ndim))), value.dtype)
    return d_x, None, d_value


def index_reduce(x, index, source, *, dim, reduce, include_self):
    """x with the slices of `source` folded in at `index`; `reduce`: prod, mean, amax or amin."""
    return scatter_reduce(
        x, _index_like(index, source.shape, dim), source, dim=dim, reduce=reduce,
        include_self=include_self,
    )  # fmt: skip


def index_reduce_vjp(cts, inputs, outputs, needs, *, dim, reduce, include_self):
    x, index, source = inputs
    inputs = (x, _index_like(index, source.shape, dim), source)
    return scatter_reduce_vjp(
        cts, inputs, outputs, needs, dim=dim, reduce=reduce, include_self=include_self
    )


def _times(x, factor):
    multiply = lax.bitwise_and if x.dtype == np.bool_ else lax.mul
    return multiply(x, expand(cast(factor, x.dtype), x.shape))


def _index_like(index, shape, dim):
    """A 1-d index along `dim`, repeated over the other axes of `shape`."""
    if not shape:
        return lax.reshape(index, ())
    return lax.broadcast_in_dim(lax.reshape(index, (index.size,)), shape, (dim,))


def _write_slices(operation, x, index, source, dim):
    if x.dtype == np.bool_ and operation in _ON_BOOLEANS:
        x, source = cast(x, np.uint8), cast(source, np.uint8)
        return cast(_write_slices(_ON_BOOLEANS[operation], x, index, source, dim), np.bool_)
    if x.ndim == 0:
        return lax.reshape(_write_slices(operation, _at_least_1d(x), index, source, 0), ())
    index = lax.reshape(index, (index.size,))
    shape = (*x.shape[:dim], index.size, *x.shape[dim + 1 :])
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=tuple(axis for axis in range(x.ndim) if axis != dim),
        inserted_window_dims=(dim,),
        scatter_dims_to_operand_dims=(dim,),
    )
    return operation(x, _vectors(index), lax.reshape(source, shape), numbers, mode=_MODE)


def _vectors(index):
    """Each index as a vector of one component, as XLA's gather and scatter take it."""
    return lax.expand_dims(index, (index.ndim,))


# --- an index for every element: gather and scatter -----------------------------------------------


def gather(x, index, *, dim):
    """out[i, j, k] = x[i, index[i, j, k], k] for dim = 1; the other axes may be cut short."""
    if x.ndim == 0 or index.ndim == 0:
        shape = index.shape
        return lax.reshape(gather(_at_least_1d(x), _at_least_1d(index), dim=0), shape)
    if index.size == 0:
        return cast(index, x.dtype)
    others = tuple(axis for axis in range(x.ndim) if axis != dim)
    numbers = lax.GatherDimensionNumbers(
        offset_dims=(),
        collapsed_slice_dims=(dim,),
        start_index_map=(dim,),
        operand_batching_dims=others,
        start_indices_batching_dims=others,
    )
    x = _cut(x, index.shape, dim)
    return lax.gather(x, _vectors(index), numbers, (1,) * x.ndim, mode=_MODE)


def gather_vjp(cts, inputs, outputs, needs, *, dim):
    x, index = inputs
    return scatter_add(lax.full_like(x, 0), index, cts[0], dim=dim), None


def take_along_dim(x, index, *, dim):
    """`gather` with the axes other than `dim` broadcast; indices are taken modulo the length."""
    n = x.shape[dim]
    others = np.broadcast_shapes(
        (*x.shape[:dim], 1, *x.shape[dim + 1 :]), (*index.shape[:dim], 1, *index.shape[dim + 1 :])
    )
    index = _wrap(lax.rem(index, lax.full_like(index, n)), n)
    index = expand(index, (*others[:dim], index.shape[dim], *others[dim + 1 :]))
    return gather(expand(x, (*others[:dim], n, *others[dim + 1 :])), index, dim=dim)


def scatter(x, index, source, *, dim):
    """x with `source` at `index` along `dim`; see Note [Repeated indices]. `source` may be 0-d."""
    return _scatter(lax.scatter, x, index, _source_like(cast(source, x.dtype), index), dim)


def scatter_vjp(cts, inputs, outputs, needs, *, dim):
    (ct,) = cts
    _, index, source = inputs
    d_x = scatter(ct, index, lax.full((), 0, ct.dtype), dim=dim) if needs[0] else None
    return d_x, None, _source_gradient(ct, index, source, dim) if needs[2] else None


def scatter_add(x, index, source, *, dim):
    """x with `source` added at `index` along `dim`."""
    return _scatter(lax.scatter_add, x, index, _source_like(cast(source, x.dtype), index), dim)


def scatter_add_vjp(cts, inputs, outputs, needs, *, dim):
    (ct,) = cts
    _, index, source = inputs
    d_source = _source_gradient(ct, index, source, dim) if needs[2] else None
    return (ct if needs[0] else None), None, d_source


def scatter_multiply(x, index, source, *, dim):
    """x multiplied by `source` at `index` along `dim`."""
    return _scatter(lax.scatter_mul, x, index, _source_like(cast(source, x.dtype), index), dim)


def scatter_multiply_vjp(cts, inputs, outputs, needs, *, dim):
    return scatter_reduce_vjp(
        cts, inputs, outputs, needs, dim=dim, reduce="prod", include_self=True
    )


def _at_least_1d(x):
    return lax.reshape(x, (1,)) if x.ndim == 0 else x


def _source_like(source, index):
    """The part of `source` that `index` covers; a 0-d source is repeated."""
    if source.ndim == 0:
        return expand(source, index.shape)
    if source.shape == index.shape:
        return source
    return lax.slice(source, (0,) * source.ndim, index.shape)


def _source_gradient(ct, index, source, dim):
    picked = gather(ct, index, dim=dim)
    return _padded(picked, source.shape)


def _padded(gradient, shape):
    """The gradient of a source of `shape` of which only a part, or one number, was used."""
    if shape == ():
        return unbroadcast(gradient, ())
    missing = [(0, n - m, 0) for n, m in zip(shape, gradient.shape, strict=True)]
    return lax.pad(gradient, lax.full((), 0, gradient.dtype), missing)


def _unchanged(x, *read):
    """x; the arrays that the result does not depend on at this shape still count as read, since
    which ones a derivative reads must not depend on shapes."""
    for array in read:
        none = lax.reduce_and(lax.eq(array, array), tuple(range(array.ndim)))
        x = lax.select(none, x, x)
    return x


def _cut(x, shape, dim):
    """x cut down to `shape` in every axis but `dim`."""
    limits = (*shape[:dim], x.shape[dim], *shape[dim + 1 :])
    return x if limits == x.shape else lax.slice(x, (0,) * x.ndim, limits)


def _scatter(operation, x, index, source, dim):
    if x.dtype == np.bool_ and operation in _ON_BOOLEANS:
        x, source = cast(x, np.uint8), cast(source, np.uint8)
        return cast(_scatter(_ON_BOOLEANS[operation], x, index, source, dim), np.bool_)
    if x.ndim == 0 or index.ndim == 0:
        flat = _scatter(operation, _at_least_1d(x), _at_least_1d(index), _at_least_1d(source), 0)
        return lax.reshape(flat, x.shape)
    if index.size == 0:
        return _unchanged(x, index)
    part = _cut(x, index.shape, dim)
    others = tuple(axis for axis in range(x.ndim) if axis != dim)
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=(),
        inserted_window_dims=(dim,),
        scatter_dims_to_operand_dims=(dim,),
        operand_batching_dims=others,
        scatter_indices_batching_dims=others,
    )
    written = operation(part, _vectors(index), source, numbers, mode=_MODE)
    return written if part is x else lax.dynamic_update_slice(x, written, (0,) * x.ndim)


# --- scatter with a reduction ---------------------------------------------------------------------


def scatter_reduce(x, index, source, *, dim, reduce, include_self):
    """x with `source` folded in at `index`; `reduce`: sum, prod, mean, amax or amin.

    Without `include_self` the places that are written to start from the reduction's identity.
    The mean of integers rounds down.
    """
    work = compute_dtype(x.dtype)
    start, source = cast(x, work), _source_like(cast(source, work), index)
    if not include_self:
        start = scatter(start, index, _identity(reduce, work), dim=dim)
    operation = _REDUCTIONS[reduce]
    if reduce == "mean":
        total = _scatter(operation, start, index, source, dim)
        return cast(_divide(total, _group_size(start, index, dim, include_self)), x.dtype)
    return cast(_scatter(operation, start, index, source, dim), x.dtype)


_REDUCTIONS = {
    "sum": lax.scatter_add,
    "prod": lax.scatter_mul,
    "mean": lax.scatter_add,
    "amax": lax.scatter_max,
    "amin": lax.scatter_min,
}


def scatter_reduce_vjp(cts, inputs, outputs, needs, *, dim, reduce, include_self):
    (ct,) = cts
    x, index, source = inputs
    work = compute_dtype(x.dtype)
    ct, start, part = cast(ct, work), cast(x, work), _source_like(cast(source, work), index)
    if not include_self:
        start = scatter(start, index, _identity(reduce, work), dim=dim)
    if reduce == "sum":
        d_x, d_source = ct, gather(ct, index, dim=dim)
    elif reduce == "mean":
        d_x = _divide(ct, _group_size(start, index, dim, include_self))
        d_source = gather(d_x, index, dim=dim)
    elif reduce == "prod":
        d_x, d_source = _product_gradients(ct, start, index, part, dim)
    else:
        out = cast(outputs[0], work)
        # PyTorch counts x among the winners even without `include_self`.
        d_x, d_source = _extremum_gradients(ct, cast(x, work), index, part, out, dim)
    if not include_self:
        d_x = scatter(d_x, index, lax.full((), 0, work), dim=dim)
    return (
        cast(d_x, x.dtype) if needs[0] else None,
        None,
        cast(_padded(d_source, source.shape), source.dtype) if needs[2] else None,
    )


def _identity(reduce, dtype):
    if reduce in ("sum", "mean"):
        return lax.full((), 0, dtype)
    if reduce == "prod":
        return lax.full((), 1, dtype)
    return lax.full((), extreme(dtype, largest=reduce == "amin"), dtype)


def extreme(dtype, *, largest):
    """The largest or smallest value of a type: the identity of a minimum or a maximum."""
    if dtype == np.bool_:
        return largest
    if np.issubdtype(dtype, np.integer):
        return np.iinfo(dtype).max if largest else np.iinfo(dtype).min
    return np.inf if largest else -np.inf


def _group_size(x, index, dim, include_self):
    """How many values meet at each place of `x`; at least 1."""
    count = lax.full_like(x, 1 if include_self else 0)
    count = _scatter(lax.scatter_add, count, index, lax.full(index.shape, 1, x.dtype), dim)
    return lax.max(count, lax.full_like(count, 1))


def _divide(total, count):
    if not np.issubdtype(total.dtype, np.integer):
        return lax.div(total, count)
    quotient = lax.div(total, count)
    inexact = lax.lt(lax.rem(total, count), lax.full_like(total, 0))
    return lax.sub(quotient, cast(inexact, quotient.dtype))


def _product_gradients(ct, x, index, source, dim):
    """At a factor f != 0: ct * product / f; at a lone zero: ct * product of the others; else 0."""
    zero, one = lax.full((), 0, x.dtype), lax.full((), 1, x.dtype)

    def equal(a, value):
        return lax.eq(a, expand(value, a.shape))

    x_zero, source_zero = equal(x, zero), equal(source, zero)
    zeros = _scatter(lax.scatter_add, cast(x_zero, x.dtype), index, cast(source_zero, x.dtype), dim)
    x_rest = where(x_zero, one, x)
    source_rest = where(source_zero, one, source)
    rest = _product(x_rest, source_rest, index, dim)

    def gradient(ct, rest, zeros, is_zero, factor):
        share = lax.div(lax.mul(ct, rest), factor)
        alone = lax.select(is_zero, equal(zeros, one), equal(zeros, zero))
        return where(alone, share, zero)

    def pick(a):
        return gather(a, index, dim=dim)

    return (
        gradient(ct, rest, zeros, x_zero, x_rest),
        gradient(pick(ct), pick(rest), pick(zeros), source_zero, source_rest),
    )


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _product(x, source, index, dim):
    """x times the factors in `source`, none zero; XLA has no derivative of a repeated product."""
    return _scatter(lax.scatter_mul, x, index, source, dim)


@_product.defjvp
def _product_jvp(dim, primals, tangents):
    x, source, index = primals
    product = _product(x, source, index, dim)
    of_x, of_source = lax.div(tangents[0], x), lax.div(tangents[1], source)
    relative = _scatter(lax.scatter_add, of_x, index, of_source, dim)
    return product, lax.mul(product, relative)


def _extremum_gradients(ct, x, index, source, out, dim):
    """The gradient of an extremum is shared evenly by all the values that attain it."""
    x_wins = cast(lax.eq(x, out), x.dtype)
    source_wins = cast(lax.eq(source, gather(out, index, dim=dim)), x.dtype)
    share = lax.div(ct, _scatter(lax.scatter_add, x_wins, index, source_wins, dim))
    return lax.mul(share, x_wins), lax.mul(gather(share, index, dim=dim), source_wins)


# --- several index arrays: x[i, :, j] -------------------------------------------------------------


def index(x, *indices, dims):
    """x indexed by integer arrays along `dims` (increasing), broadcast together; negatives wrap.

    The arrays' common axes take the place of `dims` where these are adjacent, else they go first.
    """
    return _read(x, indices, dims)


def _read(x, indices, dims):
    start, offset_dims = _index_arrays(x, indices, dims)
    numbers = lax.GatherDimensionNumbers(
        offset_dims=offset_dims, collapsed_slice_dims=dims, start_index_map=dims
    )
    sizes = tuple(1 if axis in dims else n for axis, n in enumerate(x.shape))
    return lax.gather(x, start, numbers, sizes, mode=_MODE)


def index_vjp(cts, inputs, outputs, needs, *, dims):
    x, *indices = inputs
    zeros = lax.full_like(x, 0)
    return index_put(zeros, cts[0], *indices, dims=dims, accumulate=True), *(None for _ in indices)


def index_put(x, values, *indices, dims, accumulate):
    """x with `values` (broadcast) written, or added, at `index(x, *indices)`.

    See Note [Repeated indices].
    """
    start, offset_dims = _index_arrays(x, indices, dims)
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=offset_dims,
        inserted_window_dims=dims,
        scatter_dims_to_operand_dims=dims,
    )
    values = expand(values, _indexed_shape(x.shape, start.shape[:-1], dims))
    if not accumulate:
        return lax.scatter(x, start, values, numbers, mode=_MODE)
    if x.dtype == np.bool_:
        widened = lax.scatter_max(
            cast(x, np.uint8), start, cast(values, np.uint8), numbers, mode=_MODE
        )
        return cast(widened, np.bool_)
    return lax.scatter_add(x, start, values, numbers, mode=_MODE)


def index_put_vjp(cts, inputs, outputs, needs, *, dims, accumulate):
    (ct,) = cts
    _, values, *indices = inputs
    d_x = d_values = None
    if needs[0]:
        zero = lax.full((), 0, ct.dtype)
        d_x = ct if accumulate else index_put(ct, zero, *indices, dims=dims, accumulate=False)
    if needs[1]:
        d_values = unbroadcast(index(ct, *indices, dims=dims), values.shape)
    return d_x, d_values, *(None for _ in indices)


def _index_arrays(x, indices, dims):
    """The index vectors, stacked on a last axis, and the result's axes that are not indexed."""
    indices = broadcast(*(_wrap(i, x.shape[dim]) for i, dim in zip(indices, dims, strict=True)))
    rank = indices[0].ndim
    dtype = np.result_type(*(i.dtype for i in indices))
    start = lax.concatenate([_vectors(cast(i, dtype)) for i in indices], rank)
    first = _result_position(dims)
    free = x.ndim - len(dims)
    return start, tuple(axis if axis < first else axis + rank for axis in range(free))


def _indexed_shape(shape, index_shape, dims):
    free = [n for axis, n in enumerate(shape) if axis not in dims]
    first = _result_position(dims)
    return (*free[:first], *index_shape, *free[first:])


def _result_position(dims):
    adjacent = dims[-1] - dims[0] == len(dims) - 1
    return dims[0] if adjacent else 0


def _wrap(index, n):
    """Negative indices count from the end of an axis of length `n`."""
    if np.issubdtype(index.dtype, np.unsignedinteger):
        return index
    from_end = lax.add(index, lax.full_like(index, n))
    return lax.select(lax.lt(index, lax.full_like(index, 0)), from_end, index)


# --- the array as one long row --------------------------------------------------------------------


def take(x, index):
    """x, flattened, at `index`; the result has the shape of `index`; negatives wrap."""
    return _read(lax.reshape(x, (x.size,)), (index,), (0,))


def put(x, index, source, *, accumulate):
    """x with `source` written, or added, at `index` into the flattened array; negatives wrap."""
    flat, source = lax.reshape(x, (x.size,)), lax.reshape(source, index.shape)
    return lax.reshape(index_put(flat, source, index, dims=(0,), accumulate=accumulate), x.shape)


def put_vjp(cts, inputs, outputs, needs, *, accumulate):
    (ct,) = cts
    _, index, source = inputs
    zero = lax.full((), 0, ct.dtype)
    d_x = d_source = None
    if needs[0]:
        d_x = ct if accumulate else put(ct, index, expand(zero, index.shape), accumulate=False)
    if needs[2]:
        d_source = lax.reshape(take(ct, index), source.shape)
    return d_x, None, d_source


# --- masks ----------------------------------------------------------------------------------------


def where(condition, a, b, *, dtype=None):
    """a where `condition` holds, else b; all three broadcast, a and b as `dtype`."""
    if dtype is not None:
        a, b = cast(a, dtype), cast(b, dtype)
    return lax.select(*broadcast(condition, a, b))


def where_vjp(cts, inputs, outputs, needs, *, dtype=None):
    (ct,) = cts
    condition, a, b = inputs
    condition, zero = expand(condition, ct.shape), lax.full_like(ct, 0)
    d_a = d_b = None
    if needs[1]:
        d_a = unbroadcast(as_type(lax.select(condition, ct, zero), a.dtype), a.shape)
    if needs[2]:
        d_b = unbroadcast(as_type(lax.select(condition, zero, ct), b.dtype), b.shape)
    return None, d_a, d_b


def as_type(gradient, dtype):
    """A gradient in the type of its operand: of a real one, the real part."""
    if np.issubdtype(gradient.dtype, np.complexfloating):
        gradient = gradient if np.issubdtype(dtype, np.complexfloating) else lax.real(gradient)
    return cast(gradient, dtype)


def masked_fill(x, mask, value):
    """x with the 0-d `value` where `mask` (broadcast) holds."""
    return where(mask, cast(value, x.dtype), x)


def masked_fill_vjp(cts, inputs, outputs, needs):
    x, mask, value = inputs
    d_mask, d_value, d_x = where_vjp(cts, (mask, value, x), outputs, (False, needs[2], needs[0]))
    return d_x, d_mask, d_value


def masked_scatter(x, mask, source):
    """x with the elements of `source`, in order, at the places where `mask` holds."""
    x, mask = broadcast(x, mask)
    if source.size == 0 or x.size == 0:
        return lax.select(mask, x, x)
    count = lax.cumsum(lax.reshape(cast(mask, np.dtype(np.int64)), (mask.size,)), 0)
    order = lax.sub(count, lax.full_like(count, 1))
    order = lax.clamp(np.int64(0), order, np.int64(source.size - 1))
    return lax.select(mask, take(source, lax.reshape(order, x.shape)), x)
