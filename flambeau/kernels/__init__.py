"""Floor 1: kernels, pure functions from JAX arrays to JAX arrays. No Tensor, no state."""

import jax

# PyTorch's default integer is 64 bits wide; types narrower than that are always named.
jax.config.update("jax_enable_x64", True)
