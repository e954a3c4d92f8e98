"""Floor 1: kernels run by NumPy, without a compiler, at shapes not seen before."""
