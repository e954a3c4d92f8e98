"""Floor 1: kernels, pure functions from JAX arrays to JAX arrays. No Tensor, no state."""
