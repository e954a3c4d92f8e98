"""`torch.backends.openmp`: whether OpenMP is there for PyTorch's own kernels."""


def is_available() -> bool:
    """Whether OpenMP can be used: XLA threads by itself and needs none."""
    return False
