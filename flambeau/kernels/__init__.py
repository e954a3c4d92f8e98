"""Floor 1: kernels, pure functions from JAX arrays to JAX arrays. No Tensor, no state."""

import jax

from ..allocation import keep_freed_memory
from ..config import config

config.memory_kept = config.keep_memory and keep_freed_memory()  # before JAX's threads start

# PyTorch's default integer is 64 bits wide; types narrower than that are always named.
jax.config.update("jax_enable_x64", True)
