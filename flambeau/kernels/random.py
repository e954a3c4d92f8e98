"""What tensors go through together with random numbers, which enter as arrays of their own."""

from __future__ import annotations

from jax import lax

from .common import broadcast, cast, expand


def dropout(x, mask, scale):
    """`x * scale` where `mask`, `x * 0` elsewhere.

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", 2014.
    """
    return x * _choose(mask, scale, 0, x)


def shift(x, mask, kept, dropped):
    """`x + kept` where `mask`, `x + dropped` elsewhere (the second half of alpha dropout).

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    return x + _choose(mask, kept, dropped, x)


def _choose(mask, yes, no, like):
    """One of two numbers by `mask`, of the shape and type of `like`."""
    yes, no = (
        expand(lax.convert_element_type(number, like.dtype), like.shape) for number in (yes, no)
    )
    return lax.select(expand(mask, like.shape), yes, no)


def rrelu(x, slopes):
    """`x` times its own slope (1 where x > 0).

    Source: Xu et al., "Empirical evaluation of rectified activations in convolutional network",
    2015.
    """
    return x * slopes


def rrelu_evaluated(x, slope):
    """`x` where positive, `x * slope` elsewhere."""
    slope = expand(lax.convert_element_type(slope, x.dtype), x.shape)
    return lax.select(lax.gt(x, lax.full_like(x, 0)), x, x * slope)


def bernoulli(p, uniforms, *, dtype):
    """1 where `uniforms < p`."""
    p, uniforms = broadcast(cast(p, uniforms.dtype), uniforms)
    return cast(lax.lt(uniforms, p), dtype)


def sample(first, second, values):
    """`values`, drawn with the parameters `first` and `second`, to which no gradient flows."""
    return values


def no_gradient(cts, inputs, outputs, needs, **static):
    """The derivative of a draw with respect to its parameters: zero."""
    return tuple(
        lax.full_like(x, 0) if needed else None for x, needed in zip(inputs, needs, strict=True)
    )
