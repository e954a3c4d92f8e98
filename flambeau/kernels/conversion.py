"""Conversion between element types, as PyTorch does it on x86."""

from __future__ import annotations

import numpy as np
from jax import lax

from flambeau.kernels.common import cast
from flambeau.kernels.elementwise import number, where

# Note [Floats as integers]
# The fraction is dropped. A float that does not fit (or is NaN) becomes the smallest int64 or
# int32; types below 32 bits take the lower bits of the int32. XLA itself would saturate.


def convert(x, dtype):
    """`x` as `dtype`; complex numbers lose the imaginary part (Note [Floats as integers])."""
    if x.dtype == dtype:
        return x
    if dtype == np.bool_:
        return lax.ne(x, lax.full_like(x, 0))
    if x.dtype.kind == "c" and dtype.kind != "c":
        x = lax.real(x)
    if dtype.kind not in "iu" or x.dtype.kind in "iub":
        return lax.convert_element_type(x, dtype)
    wide = np.dtype(np.int64 if dtype.itemsize == 8 or dtype == np.uint32 else np.int32)
    if x.dtype.itemsize < 4:
        x = cast(x, np.dtype(np.float32))
    limit = 2.0 ** (8 * wide.itemsize - 1)
    fits = lax.bitwise_and(lax.ge(x, number(-limit, x)), lax.lt(x, number(limit, x)))
    whole = where(fits, lax.convert_element_type(x, wide), int(-limit))
    return lax.convert_element_type(whole, dtype)
