"""Optimisers' arithmetic: one program that updates all parameters of a group.

An update rule has two parts: numbers that depend on the step count alone, worked out in float64 for
all parameters at once (`*_numbers`), and what is done to each parameter (the function itself). Both
get `n`, the group's settings by name; state is a dictionary of arrays by PyTorch's names. `update`
puts them together.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from jax import lax
from jax.numpy import finfo

from flambeau.kernels.common import cast
from flambeau.kernels.elementwise import absolute, widen

F64 = np.dtype(np.float64)
F32 = np.dtype(np.float32)
BF16 = np.dtype("bfloat16")


def _scalar(value, x):
    """A number, traced or not, in the type of `x` and of its shape."""
    return lax.broadcast_in_dim(lax.convert_element_type(value, x.dtype), x.shape, ())


def _scale(x, factor):
    return lax.mul(x, _scalar(factor, x))


def _add(x, y, factor):
    """x + factor * y"""
    return lax.add(x, _scale(y, factor))


def _towards(average, value, share):
    """average + share * (value - average)"""
    return _add(average, lax.sub(value, average), share)


def _mean_square(square, gradient, decay):
    """decay * square + (1 - decay) * gradient^2"""
    return lax.add(_scale(square, decay), _scale(lax.mul(gradient, gradient), 1 - decay))


def _with_decay(gradient, parameter, n, weight_decay):
    """The gradient of the loss with a penalty on the parameter."""
    return _add(gradient, parameter, n["weight_decay"]) if weight_decay else gradient


def _stored(state):
    """The new state as it is written to memory.

    What follows reads that. Without the barrier XLA works the state out once more for the
    parameter, from the old one, which it must copy first because the new one takes its place.
    """
    return dict(zip(state, lax.optimization_barrier(tuple(state.values())), strict=True))


def sgd(p, g, state, n, *, momentum, nesterov, weight_decay):
    """b' = momentum * b + (1 - dampening) * g;  p' = p - lr * b' (nesterov: g + momentum * b')."""
    g = _with_decay(g, p, n, weight_decay)
    if momentum:
        buffer = lax.stop_gradient(g)  # the first buffer is a copy without history
        if "momentum_buffer" in state:
            kept = _scale(state["momentum_buffer"], n["momentum"])
            buffer = _add(kept, g, 1 - n["dampening"])
        state = {"momentum_buffer": buffer}
        g = _add(g, buffer, n["momentum"]) if nesterov else buffer
    return _add(p, g, -n["lr"]), state


def adam_numbers(step, n):
    """lr / (1 - beta1^t) and sqrt(1 - beta2^t)."""
    return {
        "step_size": n["lr"] / (1 - n["beta1"] ** step),
        "root": lax.sqrt(1 - n["beta2"] ** step),
    }


def adam(p, g, state, n, *, amsgrad, decoupled, weight_decay):
    """m' = beta1 m + (1 - beta1) g;  v' = beta2 v + (1 - beta2) g^2;

    p' = p - lr * (m' / (1 - beta1^t)) / (sqrt(v' / (1 - beta2^t)) + eps)

    (Kingma and Ba 2014, arXiv:1412.6980; `decoupled` weight decay: arXiv:1711.05101; `amsgrad`
    takes the largest v so far).
    """
    if weight_decay and decoupled:
        p = _scale(p, 1 - n["lr"] * n["weight_decay"])
    else:
        g = _with_decay(g, p, n, weight_decay)
    average = _towards(state["exp_avg"], g, 1 - n["beta1"])
    square = _mean_square(state["exp_avg_sq"], g, n["beta2"])
    new = {"exp_avg": average, "exp_avg_sq": square}
    if amsgrad:
        new["max_exp_avg_sq"] = lax.max(state["max_exp_avg_sq"], square)
    new = _stored(new)
    average, square = new["exp_avg"], new["max_exp_avg_sq" if amsgrad else "exp_avg_sq"]
    root = lax.div(lax.sqrt(square), _scalar(n["root"], square))
    denominator = lax.add(root, _scalar(n["eps"], root))
    return _add(p, lax.div(average, denominator), -n["step_size"]), new


def rmsprop(p, g, state, n, *, centered, momentum, weight_decay):
    """v' = alpha v + (1 - alpha) g^2;  p' = p - lr * g / (sqrt(v') + eps) (Hinton 2012).

    `centered` subtracts the squared mean gradient from v'.
    """
    g = _with_decay(g, p, n, weight_decay)
    square = _mean_square(state["square_avg"], g, n["alpha"])
    new = {"square_avg": square}
    if centered:
        average = new["grad_avg"] = _towards(state["grad_avg"], g, 1 - n["alpha"])
        square = lax.sub(square, lax.mul(average, average))
    denominator = lax.add(lax.sqrt(square), _scalar(n["eps"], square))
    direction = lax.div(g, denominator)
    if momentum:
        buffer = lax.add(_scale(state["momentum_buffer"], n["momentum"]), direction)
        direction = new["momentum_buffer"] = buffer
    return _add(p, direction, -n["lr"]), new


def adagrad_numbers(step, n):
    """lr / (1 + (t - 1) * lr_decay)."""
    return {"step_size": n["lr"] / (1 + (step - 1) * n["lr_decay"])}


def adagrad(p, g, state, n, *, weight_decay):
    """s' = s + g^2;  p' = p - lr * g / (sqrt(s') + eps) (Duchi et al. 2011)."""
    g = _with_decay(g, p, n, weight_decay)
    total = lax.add(state["sum"], lax.mul(g, g))
    denominator = lax.add(lax.sqrt(total), _scalar(n["eps"], total))
    return _add(p, lax.div(g, denominator), -n["step_size"]), {"sum": total}


def adadelta(p, g, state, n, *, weight_decay):
    """d = g * sqrt(u + eps) / sqrt(v' + eps);  p' = p - lr * d (Zeiler 2012, arXiv:1212.5701)."""
    g = _with_decay(g, p, n, weight_decay)
    square = _mean_square(state["square_avg"], g, n["rho"])
    eps = _scalar(n["eps"], square)
    root = lax.sqrt(lax.add(square, eps))
    delta = lax.mul(lax.div(lax.sqrt(lax.add(state["acc_delta"], eps)), root), g)
    moved = _mean_square(state["acc_delta"], delta, n["rho"])
    return _add(p, delta, -n["lr"]), {"square_avg": square, "acc_delta": moved}


def adamax_numbers(step, n):
    """lr / (1 - beta1^t)."""
    return {"step_size": n["lr"] / (1 - n["beta1"] ** step)}


def adamax(p, g, state, n, *, weight_decay):
    """u' = max(beta2 u, |g| + eps);  p' = p - lr / (1 - beta1^t) * m' / u'."""
    g = _with_decay(g, p, n, weight_decay)
    average = _towards(state["exp_avg"], g, 1 - n["beta1"])
    size = lax.add(absolute(g), _scalar(n["eps"], g))
    largest = lax.max(_scale(state["exp_inf"], n["beta2"]), size)
    new = {"exp_avg": average, "exp_inf": largest}
    return _add(p, lax.div(average, largest), -n["step_size"]), new


def _scheduled_momentum(step, n):
    return n["beta1"] * (1 - 0.5 * 0.96 ** (step * n["momentum_decay"]))


def nadam_numbers(step, n):
    """The bias correction of v and the two momenta around step t."""
    return {
        "bias2": 1 - n["beta2"] ** step,
        "mu": _scheduled_momentum(step, n),
        "mu_next": _scheduled_momentum(step + 1, n),
    }


def nadam(p, g, state, n, *, decoupled, weight_decay):
    """Adam with Nesterov's momentum (Dozat 2016)."""
    if weight_decay and decoupled:
        p = _scale(p, 1 - n["lr"] * n["weight_decay"])
    else:
        g = _with_decay(g, p, n, weight_decay)
    product = lax.mul(state["mu_product"], cast(n["mu"], state["mu_product"].dtype))
    wide_product = cast(product, F64)
    average = _towards(state["exp_avg"], g, 1 - n["beta1"])
    square = _mean_square(state["exp_avg_sq"], g, n["beta2"])
    root = lax.sqrt(lax.div(square, _scalar(n["bias2"], square)))
    denominator = lax.add(root, _scalar(n["eps"], root))
    now = n["lr"] * (1 - n["mu"]) / (1 - wide_product)
    ahead = n["lr"] * n["mu_next"] / (1 - wide_product * n["mu_next"])
    p = _add(p, lax.div(g, denominator), -now)
    p = _add(p, lax.div(average, denominator), -ahead)
    return p, {"mu_product": product, "exp_avg": average, "exp_avg_sq": square}


def radam_numbers(step, n):
    """The step size, the rectification, and whether the variance is tractable yet."""
    decay = n["beta2"] ** step
    bias2 = 1 - decay
    longest = 2 / (1 - n["beta2"]) - 1
    length = longest - 2 * step * decay / bias2
    safe = lax.select(length > 5, length, lax.full_like(length, 6.0))
    ratio = (safe - 4) * (safe - 2) * longest / ((longest - 4) * (longest - 2) * safe)
    return {
        "step_size": n["lr"] / (1 - n["beta1"] ** step),
        "rectified": lax.sqrt(ratio) * lax.sqrt(bias2),
        "tractable": length > 5,
    }


def radam(p, g, state, n, *, decoupled, weight_decay):
    """Adam with a rectified variance (Liu et al. 2019, arXiv:1908.03265)."""
    if weight_decay and decoupled:
        p = _scale(p, 1 - n["lr"] * n["weight_decay"])
    else:
        g = _with_decay(g, p, n, weight_decay)
    average = _towards(state["exp_avg"], g, 1 - n["beta1"])
    square = _mean_square(state["exp_avg_sq"], g, n["beta2"])
    tractable = lax.broadcast_in_dim(n["tractable"], square.shape, ())
    safe = lax.select(tractable, square, lax.full_like(square, 1))
    denominator = lax.add(lax.sqrt(safe), _scalar(n["eps"], square))
    adaptive = lax.div(_scalar(n["rectified"], square), denominator)
    one = lax.full_like(adaptive, 1)
    factor = lax.select(tractable, adaptive, one)
    moved = _add(p, lax.mul(average, factor), -n["step_size"])
    return moved, {"exp_avg": average, "exp_avg_sq": square}


def rprop(p, g, state, n):
    """Steps that grow while the gradient keeps its sign (Riedmiller and Braun 1993)."""
    product = lax.mul(g, state["prev"])
    zero = lax.full_like(product, 0)
    grows, shrinks = lax.gt(product, zero), lax.lt(product, zero)
    one = lax.full_like(product, 1)
    calm = lax.select(shrinks, _scalar(n["eta_minus"], product), one)
    factor = lax.select(grows, _scalar(n["eta_plus"], product), calm)
    step = lax.mul(state["step_size"], factor)
    step = lax.clamp(_scalar(n["step_min"], step), step, _scalar(n["step_max"], step))
    g = lax.select(shrinks, zero, g)
    moved = lax.sub(p, lax.mul(lax.sign(g), step))
    return moved, {"prev": g, "step_size": step}


def _norm(x):
    """The Euclidean norm of all elements."""
    return lax.sqrt(_sum(lax.mul(x, x), tuple(range(x.ndim))))


def _sum(x, axes):
    return lax.reduce(x, np.zeros((), x.dtype), lax.add, axes)


def _mean_squares(x, axis):
    """The mean of the squares along one axis, which stays with length 1."""
    mean = lax.div(_sum(lax.mul(x, x), (axis,)), np.asarray(x.shape[axis], x.dtype))
    return lax.expand_dims(mean, (axis,))


def adafactor_numbers(step, n):
    """The share of the new mean squares, and the largest relative step."""
    return {"share": step ** n["beta2_decay"], "rho": lax.min(n["lr"], lax.rsqrt(step))}


def adafactor(p, g, state, n, *, machine_epsilon, weight_decay):
    """Adam with the mean squares of matrices kept as rows' and columns' means.

    v = row_var col_var / mean(row_var);  p' = p - a * g / sqrt(v) / max(1, rms(g / sqrt(v)) / d)
    with a = max(eps2, rms(p)) * min(lr, 1 / sqrt(t)) (Shazeer and Stern 2018, arXiv:1804.04235).
    """
    eps = n["machine_epsilon"] if machine_epsilon else n["eps1"]
    root_count = np.sqrt(float(p.size))
    alpha = lax.max(n["eps2"], cast(_norm(p), F64) / root_count) * n["rho"]
    if weight_decay:
        p = _scale(p, 1 - n["lr"] * n["weight_decay"])
    if "row_var" in state:
        last = p.ndim - 1
        row = _towards(state["row_var"], _mean_squares(g, last), n["share"])
        column = _towards(state["col_var"], _mean_squares(g, last - 1), n["share"])
        new = {"row_var": row, "col_var": column}
        mean = lax.div(_sum(row, (last - 1,)), np.asarray(row.shape[-2], row.dtype))
        mean = lax.max(lax.expand_dims(mean, (last - 1,)), _scalar(eps, row[..., :1, :]))
        square = _spread(row, p.shape) * _spread(column, p.shape) / _spread(mean, p.shape)
    else:
        square = _towards(state["variance"], lax.mul(g, g), n["share"])
        new = {"variance": square}
    update = lax.mul(lax.rsqrt(lax.max(square, _scalar(eps * eps, square))), g)
    size = cast(_norm(update), F64) / (root_count * n["d"])
    return _add(p, update, -alpha / lax.max(size, np.float64(1))), new


def _spread(x, shape):
    """`x` with axes of length 1 repeated."""
    return lax.broadcast_in_dim(x, shape, tuple(range(len(shape))))


def muon(p, g, state, n, *, nesterov, coefficients, steps, match_adamw):
    """b' = momentum b + (1 - momentum) g;  p' = (1 - lr * decay) p - lr f(shape) orthogonal(b').

    (Jordan et al. 2024; `nesterov` looks ahead along b'.)
    """
    buffer = _towards(state["momentum_buffer"], g, 1 - n["momentum"])
    direction = _towards(g, buffer, n["momentum"]) if nesterov else buffer
    update = _orthogonal(cast(direction, BF16), n["eps"], coefficients, steps)
    rows, columns = p.shape
    ratio = 0.2 * max(rows, columns) ** 0.5 if match_adamw else max(1, rows / columns) ** 0.5
    p = _scale(p, 1 - n["lr"] * n["weight_decay"])
    return _add(p, cast(update, p.dtype), -n["lr"] * ratio), {"momentum_buffer": buffer}


def _orthogonal(x, eps, coefficients, steps):
    """About the orthogonal matrix nearest to x: x' = a x + (b y + c y y) x, y = x x^T, in bfloat16.

    The coefficients lead all singular values to about 1, not to the fixed point 1 itself.
    """
    a, b, c = coefficients
    flipped = x.shape[0] > x.shape[1]
    x = lax.transpose(x, (1, 0)) if flipped else x
    norm = cast(_norm(cast(x, F32)), BF16)
    x = lax.div(x, _scalar(lax.max(norm, cast(eps, BF16)), x))
    for _ in range(steps):
        gram = _product(x, lax.transpose(x, (1, 0)), None, 1.0, 0.0)
        x = _product(_product(gram, gram, gram, c, b), x, x, 1.0, a)
    return lax.transpose(x, (1, 0)) if flipped else x


def _product(x, y, added, scale, share):
    """scale * x @ y + share * added, rounded to bfloat16 once."""
    dimensions = (((1,), (0,)), ((), ()))
    product = lax.dot_general(x, y, dimensions, preferred_element_type=F32)
    product = lax.mul(product, np.float32(scale))
    if added is not None:
        product = lax.add(product, lax.mul(cast(added, F32), np.float32(share)))
    return cast(product, BF16)


def asgd_numbers(step, n):
    """The learning rate and the share of the average after step t."""
    growth = (1 + n["lambd"] * n["lr"] * step) ** n["alpha"]
    later = lax.max(step - n["t0"], lax.full_like(step, 1.0))
    return {"next_eta": n["lr"] / growth, "next_mu": 1 / later}


def asgd(p, g, state, n, *, weight_decay):
    """Averaged gradient descent (Polyak and Juditsky 1992)."""
    g = _with_decay(g, p, n, weight_decay)
    eta, mu = cast(state["eta"], F64), cast(state["mu"], F64)
    p = _scale(p, 1 - n["lambd"] * eta)
    p = _add(p, g, -eta)
    whole = lax.broadcast_in_dim(lax.eq(mu, np.float64(1)), p.shape, ())
    average = lax.select(whole, p, _towards(state["ax"], p, mu))
    new = {
        "eta": cast(n["next_eta"], state["eta"].dtype),
        "mu": cast(n["next_mu"], state["mu"].dtype),
        "ax": average,
    }
    return p, new


NUMBERS = {
    "adam": adam_numbers,
    "adagrad": adagrad_numbers,
    "adamax": adamax_numbers,
    "nadam": nadam_numbers,
    "radam": radam_numbers,
    "asgd": asgd_numbers,
    "adafactor": adafactor_numbers,
}
RULES = {
    rule.__name__: rule
    for rule in (
        sgd,
        adam,
        rmsprop,
        adagrad,
        adadelta,
        adamax,
        nadam,
        radam,
        rprop,
        asgd,
        adafactor,
        muon,
    )
}


def update(*arrays, rule, maximize, flags, count, names, settings):
    """One step of `rule` for all parameters.

    Args:
        arrays: `count` parameters, as many gradients, then for each of the state's `names` as many
            arrays, and last the numbers of the group, named by `settings`. The state `step`, where
            there is one, counts the steps; where it is the same for all parameters, it may be one
            of the numbers instead, already counting this step.
        maximize: go up rather than down.
        flags: the rule's static choices as (name, value) pairs.

    Returns:
        The new parameters, then for each of the new state's names (`state_names`) as many arrays.
    """
    groups = [arrays[i * count : (i + 1) * count] for i in range(2 + len(names))]
    parameters, gradients, *columns = groups
    states = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    states = states or [{} for _ in range(count)]
    numbers = arrays[(2 + len(names)) * count :]
    n = {k: lax.convert_element_type(v, F64) for k, v in zip(settings, numbers, strict=True)}
    steps = [lax.add(s["step"], lax.full_like(s["step"], 1)) for s in states if "step" in s]
    by_step = _numbers(NUMBERS.get(rule), [n["step"]] if "step" in n else steps, n)
    apply = functools.partial(RULES[rule], **dict(flags))
    moved, new_states = [], []
    for i, (p, g, state) in enumerate(zip(parameters, gradients, states, strict=True)):
        place = i if steps else 0
        own = {k: lax.index_in_dim(v, place, keepdims=False) for k, v in by_step.items()}
        new_p, new = _update_one(apply, p, g, state, {**n, **own}, maximize)
        if "step" in state:
            new["step"] = steps[i]
        moved.append(new_p)
        new_states.append(new)
    columns = [[s[name] for s in new_states] for name in state_names(rule, names, flags)]
    return [*moved, *itertools.chain.from_iterable(columns)]


def state_names(rule, names, flags):
    """The names of the state after a step that began with `names`."""
    return ("momentum_buffer",) if rule == "sgd" and dict(flags)["momentum"] else names


def _update_one(apply, p, g, state, n, maximize):
    """One parameter's step; the parts of complex numbers are numbers of their own."""
    split = p.dtype.kind == "c"
    wide = _parts(p) if split else widen(p)
    g = _parts(g) if split else cast(g, wide.dtype)
    kept = {
        name: _parts(value) if value.dtype.kind == "c" else _kept(name, value, wide.dtype)
        for name, value in state.items()
        if name != "step"
    }
    n = {**n, "machine_epsilon": np.float64(finfo(p.dtype).eps)}
    moved, new = apply(wide, lax.neg(g) if maximize else g, kept, n)
    for name, value in new.items():
        old = state.get(name)
        new[name] = _joined(value, p.dtype if old is None else old.dtype)
    return _joined(moved, p.dtype), new


def _kept(name, value, dtype):
    """A state as the rule takes it: in the parameter's type, save numbers of their own."""
    return widen(value) if name in ("mu_product", "eta", "mu") else cast(value, dtype)


def _parts(x):
    """The real and imaginary parts of complex numbers along a new last axis."""
    axis = x.ndim
    parts = [lax.expand_dims(part, (axis,)) for part in (lax.real(x), lax.imag(x))]
    return lax.concatenate(parts, axis)


def _joined(x, dtype):
    """`x` in a type; complex numbers of two parts where that is complex."""
    if dtype.kind != "c":
        return cast(x, dtype)
    real, imaginary = (lax.index_in_dim(x, i, x.ndim - 1, keepdims=False) for i in (0, 1))
    return lax.complex(real, imaginary)


def _numbers(formula, steps, n):
    """The numbers that depend on the step, a vector of one for each parameter."""
    if formula is None or not steps:
        return {}
    vector = lax.concatenate([lax.reshape(cast(s, F64), (1,)) for s in steps], 0)
    return formula(vector, n)
