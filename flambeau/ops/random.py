"""New tensors of random numbers: rand, randn, randint, randperm, normal, bernoulli and others."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from .. import dtypes
from ..core import random as core
from ..core.batching import check_same_draw
from ..core.data import storable
from ..core.execute import Op
from ..core.op import apply
from ..core.random import largest_integer
from ..core.state import modes
from ..core.tensor import Tensor, wrap
from ..dtypes import dtype as DType
from ..errors import broadcast_shapes
from ..kernels import random as kernels
from .arguments import check_tensor, integer, invalid_arguments, known, not_implemented_for
from .creation import check_fits, dtype_argument, make, out_dtype, size_argument
from .filling import empty, empty_like
from .generator import generator_for
from .random_fill import (
    Sample,
    bernoulli_into,
    bernoulli_of,
    check_floating,
    check_uniform,
    drawn,
    fill_randomly,
    integer_sample,
    normal_sample,
    real,
    strides_of,
    whole,
)
from .registry import declare, fit, store_out

SAMPLE = Op(kernels.sample, vjp=kernels.no_gradient)


def _made(
    function: str,
    shape: tuple[int, ...],
    dtype: Any,
    default: DType,
    sample: Any,
    out: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """A tensor of draws, or `out` filled with them.

    Args:
        sample: `sample(x)` gives the way to draw for a tensor like `x`, after its checks.
    """
    wanted = out_dtype(out, dtype_argument(function, dtype), default)
    if out is not None:
        check_no_grad(f"aten::{function}", modes.grad and out.requires_grad)
        fit(out, shape)
        previous, modes.grad = modes.grad, False
        try:
            fill_randomly(out, sample(out), "")
        finally:
            modes.grad = previous
        return out.requires_grad_() if options.get("requires_grad") else out
    example = wrap(np.empty(shape, storable(wanted)))
    way: Sample = sample(example)
    return make(
        function, shape, wanted, lambda shape, holder: drawn(way, shape, holder, None), **options
    )


def check_no_grad(function: str, recorded: bool) -> None:
    """Raise for `out=` where a gradient would have to be recorded."""
    if recorded:
        raise RuntimeError(
            f"{function}(): functions with out=... arguments don't support automatic "
            "differentiation, but one of the arguments requires grad."
        )


def _uniform_way(source: core.Generator) -> Any:
    def way(x: Tensor) -> Sample:
        check_uniform(x.dtype, 0.0, 1.0)
        return lambda n, t: source.uniform(n, dtype=t)

    return way


def _normal_way(source: core.Generator, mean: float = 0.0, std: float = 1.0) -> Any:
    def way(x: Tensor) -> Sample:
        check_floating(x, "normal_kernel_cpu")
        return normal_sample(x, source, mean, std)

    return way


# Uniform and normal


@declare(method=False)
def rand(
    *size: Any,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    **keyword: Any,
) -> Tensor:
    """Uniform values in [0, 1).

    Args:
        size: the sizes, one by one or as a sequence.
        generator: where the numbers come from; the default generator by default.
        out: a tensor to fill.
        dtype: a floating or complex type; the default dtype by default.

    >>> import flambeau as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.rand(2)
    tensor([0.4963, 0.7682])
    """
    return _sized("rand", _uniform_way, size, keyword, generator, out, dtype, layout, device,
                  requires_grad, pin_memory)  # fmt: skip


@declare(method=False)
def randn(
    *size: Any,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    **keyword: Any,
) -> Tensor:
    """Normal values of mean 0 and variance 1 (complex ones: half of it in each part).

    Args:
        size: the sizes, one by one or as a sequence.
        generator: where the numbers come from; the default generator by default.
        out: a tensor to fill.
        dtype: a floating or complex type; the default dtype by default.
    """
    return _sized("randn", _normal_way, size, keyword, generator, out, dtype, layout, device,
                  requires_grad, pin_memory)  # fmt: skip


def _sized(
    function: str,
    way: Any,
    size: tuple[Any, ...],
    keyword: dict[str, Any],
    generator: Any,
    out: Tensor | None,
    dtype: Any,
    layout: Any,
    device: Any,
    requires_grad: bool,
    pin_memory: bool,
) -> Tensor:
    shape = size_argument(function, size, keyword.pop("size", None))
    if keyword:
        raise TypeError(f"{function}() got an unexpected keyword argument '{next(iter(keyword))}'")
    return _made(
        function,
        shape,
        dtype,
        dtypes.get_default_dtype(),
        way(generator_for(function, generator)),
        out,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
        pin_memory=pin_memory,
    )


def _like(
    function: str,
    input: Tensor,
    way: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of draws in the shape, type, device and order in memory of `input`."""
    check_tensor(function, input)
    result = empty_like(
        input,
        dtype=dtype_argument(function, dtype),
        layout=layout,
        device=device,
        pin_memory=pin_memory,
        memory_format=memory_format,
    )
    if modes.levels:
        values = drawn(way(result), result._dims(), result._dtype_numpy(), None)
        result = wrap(values, result.device)
    else:
        fill_randomly(result, way(result), "")
    return result.requires_grad_() if requires_grad else result


@declare(method=False)
def rand_like(input: Tensor, *, generator: Any = None, **options: Any) -> Tensor:
    """Uniform values in [0, 1), with the shape, type, device and memory order of `input`.

    Args:
        generator: where the numbers come from; the default generator by default.
        options: `dtype`, `layout`, `device`, `pin_memory`, `requires_grad`, `memory_format`.
    """
    way = _uniform_way(generator_for("rand_like", generator))
    return _like("rand_like", input, way, **options)


@declare(method=False)
def randn_like(input: Tensor, *, generator: Any = None, **options: Any) -> Tensor:
    """Normal values, with the shape, type, device and memory order of `input`.

    Args:
        generator: where the numbers come from; the default generator by default.
        options: `dtype`, `layout`, `device`, `pin_memory`, `requires_grad`, `memory_format`.
    """
    return _like(
        "randn_like", input, _normal_way(generator_for("randn_like", generator)), **options
    )


# Whole numbers


def _whole_way(source: core.Generator, low: int, high: int) -> Any:
    return lambda x: integer_sample(x.dtype, source, low, high)


@declare(method=False)
def randint(
    *args: Any,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    **keyword: Any,
) -> Tensor:
    """Whole numbers of equal probability: `randint(high, size)` or `randint(low, high, size)`.

    Args:
        low: the least one, 0 by default.
        high: one above the largest one.
        size: the sizes, as a sequence.

    Raises:
        RuntimeError: the range is empty, or out of the type's range.
    """
    bounds = _overload("randint", ("high", "size"), ("low", "high", "size"), args, keyword)
    low, high = (_whole_argument("randint", name, bounds) for name in ("low", "high"))
    if not isinstance(bounds["size"], (tuple, list)):
        position = 1 + list(bounds).index("size")
        raise TypeError(
            f"randint(): argument 'size' (position {position}) must be tuple of ints, not "
            f"{type(bounds['size']).__name__}"
        )
    return _made(
        "randint",
        size_argument("randint", (bounds["size"],), None),
        dtype,
        dtypes.int64,
        _whole_way(generator_for("randint", generator), low, high),
        out,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
        pin_memory=pin_memory,
    )


def _overload(
    function: str,
    short: tuple[str, ...],
    long: tuple[str, ...],
    args: tuple[Any, ...],
    keyword: dict[str, Any],
) -> dict[str, Any]:
    """Arguments by name, of the shorter or the longer of two signatures."""
    for names in (short, long):
        found = dict(zip(names, args, strict=False)) | keyword
        given = len(args) + len(keyword)
        if len(args) <= len(names) and set(found) == set(names) and given == len(names):
            return found
    raise invalid_arguments(function, *args, *keyword.values())


def _whole_argument(function: str, name: str, bounds: dict[str, Any]) -> int:
    value = bounds.get(name, 0)
    if isinstance(value, (bool, float)):
        raise TypeError(
            f"{function}(): argument '{name}' (position {1 + list(bounds).index(name)}) must be "
            f"int, not {type(value).__name__}"
        )
    return whole(function, value)


@declare(method=False)
def randint_like(input: Tensor, *args: Any, generator: Any = None, **keyword: Any) -> Tensor:
    """Whole numbers in [low, high), with the shape, type, device and memory order of `input`.

    Args:
        args: `high`, or `low` and `high`.
        generator: where the numbers come from; the default generator by default.
        keyword: also `dtype`, `layout`, `device`, `pin_memory`, `requires_grad`, `memory_format`.
    """
    given = {name: keyword.pop(name) for name in ("low", "high") if name in keyword}
    bounds = _overload("randint_like", ("high",), ("low", "high"), args, given)
    low, high = (_whole_argument("randint_like", name, bounds) for name in ("low", "high"))
    way = _whole_way(generator_for("randint_like", generator), low, high)
    return _like("randint_like", input, way, **keyword)


@declare(method=False)
def randperm(
    n: int,
    *,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The numbers 0 to n - 1 in random order.

    Raises:
        RuntimeError: `n` is negative, or `n - 1` more than the type counts to.
    """
    n = integer("randperm", n.item() if isinstance(n, Tensor) else n, "n")
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    source = generator_for("randperm", generator)

    def way(x: Tensor) -> Sample:
        _check_permutation(x.dtype, n)
        return lambda count, t: np.concatenate(  # several where `vmap` wants them
            [source.permutation(n).astype(t) for _ in range(count // n if n else 1)]
        )

    return _made(
        "randperm",
        (n,),
        dtype,
        dtypes.int64,
        way,
        out,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
        pin_memory=pin_memory,
    )


def _check_permutation(dtype: DType, n: int) -> None:
    if dtype.is_complex or str(dtype)[6:] in ("bool", "uint16", "uint32", "uint64"):
        raise not_implemented_for("randperm", dtype)
    if not dtype.is_floating_point:
        check_fits(max(n - 1, 0), dtype)
    elif n > largest_integer(storable(dtype)) + 1:
        raise RuntimeError(
            f"n cannot be greater than {largest_integer(storable(dtype)) + 1} for "
            f"{dtype._scalar_name} type."
        )


# Distributions with parameters


@declare(method=False)
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Normal values, each with its own mean and standard deviation, or with common ones.

    Args:
        mean: a tensor, or a number.
        std: a tensor (broadcast against `mean`), or a number.
        size: the sizes, where both are numbers.

    Raises:
        RuntimeError: a standard deviation is negative.
    """
    source = generator_for("normal", generator)
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        if size is not None:
            raise invalid_arguments("normal", mean, std, size)
        return _normal_of(mean, std, source, out)
    if not isinstance(size, (tuple, list)):
        raise invalid_arguments("normal", mean, std, *(() if size is None else (size,)))
    mean, std = real("normal", "mean", 1, mean), real("normal", "std", 2, std)
    _check_deviation(std)
    return _made(
        "normal",
        size_argument("normal", (size,), None),
        dtype,
        dtypes.get_default_dtype(),
        _normal_way(source, mean, std),
        out,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
        pin_memory=pin_memory,
    )


def _check_deviation(std: float) -> None:
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")


def _normal_of(mean: Any, std: Any, source: core.Generator, out: Tensor | None) -> Tensor:
    """Draws with the means and deviations of tensors; gradients with respect to them are zero."""
    scale = 1.0
    if not isinstance(std, Tensor):
        scale = real("normal", "std", 2, std)
        _check_deviation(scale)
    elif std.dtype.is_complex:
        raise RuntimeError("normal expects standard deviation to be non-complex")
    else:
        values = known(std)
        if values is not None and (values < 0).any():
            raise RuntimeError("normal expects all elements of std >= 0.0")
    tensors = [t for t in (mean, std) if isinstance(t, Tensor)]
    shape = broadcast_shapes(tensors[0]._dims(), tensors[-1]._dims())
    recorded = modes.grad and any(t.requires_grad for t in tensors)
    if out is not None:
        check_no_grad("normal", recorded)
        fit(out, shape)
        result = out
    else:
        result = empty(shape, dtype=tensors[0].dtype, device=tensors[0].device)
    previous, modes.grad = modes.grad, False
    try:
        way = _normal_way(source, 0.0, scale)(result)
        if modes.levels and out is None:
            for t in tensors:
                check_same_draw(t)
            mean, std = (t.detach() if isinstance(t, Tensor) else t for t in (mean, std))
            values = wrap(drawn(way, shape, result._dtype_numpy(), None), result.device)
            result = (values * std if isinstance(std, Tensor) else values) + mean
        else:
            fill_randomly(result, way, "")
            if isinstance(std, Tensor):
                result.mul_(std)  # type: ignore[attr-defined]
            result.add_(mean)  # type: ignore[attr-defined]
    finally:
        modes.grad = previous
    if not recorded:
        return result
    number = "3" if len(tensors) == 2 else "1" if isinstance(mean, Tensor) else "2"
    return apply(SAMPLE, (mean, std, result), label=f"NormalBackward{number}")


@declare()
def bernoulli(
    input: Tensor, p: Any = None, *, generator: Any = None, out: Tensor | None = None
) -> Tensor:
    """1 with the probability that `input` holds (or with probability `p`), else 0.

    Raises:
        RuntimeError: a probability is not in [0, 1].
    """
    check_tensor("bernoulli", input)
    source = generator_for("bernoulli", generator)
    if p is not None:
        return empty_like(input).bernoulli_(p, generator=source)  # type: ignore[attr-defined]
    shape = tuple(input._dims())
    if out is None:
        return bernoulli_of(input, source, shape, input._dtype_numpy(), None, "BernoulliBackward0")
    check_no_grad("bernoulli", modes.grad and (input.requires_grad or out.requires_grad))
    fit(out, shape)
    return bernoulli_into(out, input, source)


@declare(method=False)
def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Poisson counts, with the rates that `input` holds.

    Raises:
        RuntimeError: a rate is negative.
    """
    check_tensor("poisson", input)
    source = generator_for("poisson", generator)
    check_floating(input, "poisson_cpu", allow_complex=False)
    if input.device.type == "meta":
        return empty_like(input)
    rates = input._host()
    if not (rates >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    counts = wrap(source.poisson(rates), input.device)
    return apply(SAMPLE, (input, None, counts), label="PoissonBackward0")


@declare(method=False)
def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """Binomial counts of `count` trials with probabilities `prob`, broadcast together."""
    check_tensor("binomial", count, "count")
    check_tensor("binomial", prob, "prob", 2)
    source = generator_for("binomial", generator)
    for name, x in (("count", count), ("prob", prob)):
        if not x.dtype.is_floating_point:
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, got: "
                f"{x.dtype._scalar_name}"
            )
    if count.dtype is not prob.dtype:
        raise RuntimeError(
            f"Found dtype {prob.dtype._scalar_name} but expected {count.dtype._scalar_name}"
        )
    if count.dtype.itemsize < 4:
        raise not_implemented_for("binomial_cpu", count.dtype)
    shape = broadcast_shapes(count._dims(), prob._dims())
    if count.device.type == "meta":
        return wrap(jax.ShapeDtypeStruct(shape, count._dtype_numpy()), count.device)
    trials, probabilities = np.broadcast_arrays(count._host(), prob._host())
    return wrap(source.binomial(trials, probabilities), count.device)


@declare()
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """Categories drawn with the weights that a vector, or each row of a matrix, holds.

    Args:
        num_samples: how many to draw from each row.
        replacement: whether a category may come again.

    Returns:
        int64 of shape `(num_samples,)` or `(rows, num_samples)`.

    Raises:
        RuntimeError: weights that are negative, not finite or all zero; too many samples.
    """
    check_tensor("multinomial", input)
    source = generator_for("multinomial", generator)
    samples = integer("multinomial", num_samples, "num_samples", 2)
    _check_multinomial(input, samples, bool(replacement), out)
    shape = (*input._dims()[:-1], samples)
    if input.device.type == "meta":
        return wrap(jax.ShapeDtypeStruct(shape, np.dtype(np.int64)), input.device)
    host = input._host()
    weights = host.reshape(-1, host.shape[-1])
    _check_weights(weights, replacement and samples > 1)
    strides = strides_of(input)
    by_columns = host.ndim == 2 and strides is not None and strides[0] < strides[1]
    chosen = source.multinomial(weights, samples, bool(replacement), by_columns).reshape(shape)
    if out is None:
        return wrap(np.ascontiguousarray(chosen), input.device)
    return store_out(out, lambda: wrap(np.ascontiguousarray(chosen)), "multinomial", (), {})


def _check_multinomial(input: Tensor, samples: int, replacement: bool, out: Tensor | None) -> None:
    if out is not None and out.dtype is not dtypes.int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {out.dtype._scalar_name}")
    if input.dim() not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if not input.dtype.is_floating_point:
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{input.dtype._scalar_name}"
        )
    if samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    categories = input._dims()[-1]
    if not replacement and samples > categories:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    if categories > 1 << 24:
        raise RuntimeError("number of categories cannot exceed 2^24")


def _check_weights(weights: np.ndarray, one_by_one: bool) -> None:
    finite = np.isfinite(weights)
    if one_by_one:
        if (weights < 0).any():
            raise RuntimeError(
                "invalid multinomial distribution (encountering probability entry < 0)"
            )
        if not finite.all():
            raise RuntimeError(
                "invalid multinomial distribution (encountering probability entry = infinity or "
                "NaN)"
            )
    elif not finite.all() or (weights < 0).any():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if not (weights.astype(np.float64).sum(axis=1) > 0).all():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
