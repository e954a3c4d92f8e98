"""Samplers that take an unknown number of uniforms for each value, one value after the other.

Each function takes `uniform`, a callable that gives the next double of the stream in [0, 1).
The order in which they take uniforms is part of their contract (the stream is PyTorch's).
"""

from __future__ import annotations

import math
from collections.abc import Callable

Uniform = Callable[[], float]


def _whole(value: float) -> int:
    """The floor in 64 bits; what does not fit becomes the lowest number, as in C on x86."""
    return math.floor(value) if abs(value) < 2.0**63 else -(1 << 63)


def poisson(rate: float, uniform: Uniform) -> float:
    """A Poisson count: products of uniforms below rate 10, transformed rejection (PTRS) above.

    Source: W. Hoermann, "The transformed rejection method for generating Poisson random
    variables", 1993.
    """
    if rate == 0:
        return 0.0
    if rate < 10:
        limit, product, count = math.exp(-rate), 1.0, 0
        while True:
            product *= uniform()
            if product <= limit:
                return float(count)
            count += 1
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    quick = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = uniform() - 0.5
        v = uniform()
        distance = 0.5 - abs(u)
        count = _whole((2 * a / distance + b) * u + rate + 0.43) if distance else -1
        if distance >= 0.07 and v <= quick:
            return float(count)
        if count < 0 or (distance < 0.013 and v > distance):
            continue
        bound = math.log(v) + math.log(inverse_alpha) - math.log(a / (distance * distance) + b)
        if bound <= -rate + count * math.log(rate) - math.lgamma(count + 1):
            return float(count)


def binomial(trials: float, probability: float, uniform: Uniform) -> float:
    """A binomial count: sums of geometric gaps below mean 10, transformed rejection (BTRS) above.

    Source: W. Hoermann, "The generation of binomial random variates", 1993.

    Raises:
        ValueError: the number of trials is infinite or no number.
    """
    if not math.isfinite(trials):
        raise ValueError(f"binomial expects finite counts, but got {trials}")
    if trials <= 0 or probability <= 0:
        return 0.0
    if probability >= 1:
        return trials
    if probability > 0.5:
        return trials - binomial(trials, 1 - probability, uniform)
    if math.isnan(probability):
        return math.nan
    if trials * probability >= 10:
        return _binomial_by_rejection(trials, probability, uniform)
    log_failure = math.log1p(-probability)
    position, successes = 0.0, 0
    while True:
        u = uniform()
        position += math.ceil(math.log(u) / log_failure) if u > 0 else math.inf
        if position > trials:
            return float(successes)
        successes += 1


def _binomial_by_rejection(trials: float, probability: float, uniform: Uniform) -> float:
    deviation = math.sqrt(trials * probability * (1 - probability))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * probability
    c = trials * probability + 0.5
    quick = 0.92 - 4.2 / b
    odds = probability / (1 - probability)
    alpha = (2.83 + 5.1 / b) * deviation
    mode = math.floor((trials + 1) * probability)
    while True:
        u = uniform() - 0.5
        v = uniform()
        distance = 0.5 - abs(u)
        count = math.floor((2 * a / distance + b) * u + c) if distance else -1
        if distance >= 0.07 and v <= quick:
            return float(count)
        if count < 0 or count > trials:
            continue
        bound = math.log(v * alpha / (a / (distance * distance) + b))
        accepted = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (trials - mode + 1)))
            + (trials + 1) * math.log((trials - mode + 1) / (trials - count + 1))
            + (count + 0.5) * math.log(odds * (trials - count + 1) / (count + 1))
            + _stirling_tail(mode)
            + _stirling_tail(trials - mode)
            - _stirling_tail(count)
            - _stirling_tail(trials - count)
        )
        if bound <= accepted:
            return float(count)


_STIRLING_TAILS = (
    0.0810614667953272,
    0.0413406959554092,
    0.0276779256849983,
    0.02079067210376509,
    0.0166446911898211,
    0.0138761288230707,
    0.0118967099458917,
    0.0104112652619720,
    0.00925546218271273,
    0.00833056343336287,
)


def _stirling_tail(k: float) -> float:
    """log(k!) less Stirling's formula."""
    if k <= 9:
        return _STIRLING_TAILS[int(k)]
    inverse_square = 1.0 / ((k + 1) * (k + 1))
    return (1 / 12 - (1 / 360 - inverse_square / 1260) * inverse_square) / (k + 1)


# PyTorch writes these constants of the method in single precision, and keeps the shape parameter
# and `d` in the tensor's own type; all else is double.
_THIRD, _SQUEEZE = 0.3333333432674408, 0.03310000151395798


def gamma(
    shape: float, uniform: Uniform, normal: Uniform, rounded: Callable[[float], float]
) -> float:
    """A gamma variate of unit scale by squeeze and rejection.

    `normal` gives the normals; `rounded` rounds to the type of `shape`.

    Source: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.
    """
    if shape == 0:
        return 0.0
    scale = 1.0
    if shape < 1:
        scale = (1.0 - uniform()) ** rounded(1.0 / shape)
        shape = rounded(shape + 1.0)
    d = rounded(shape - _THIRD)
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = normal()
        y = 1.0 + c * x
        while y <= 0:
            x = normal()
            y = 1.0 + c * x
        v = y * y * y
        u = 1 - uniform()
        square = x * x
        if u < 1.0 - _SQUEEZE * square * square:
            return scale * d * v
        if math.log(u) < 0.5 * square + d * (1.0 - v + math.log(v)):
            return scale * d * v
