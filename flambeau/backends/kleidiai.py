"""`torch.backends.kleidiai`: whether KleidiAI is there for PyTorch's own kernels."""


def is_available() -> bool:
    """Whether KleidiAI can be used: XLA has kernels of its own."""
    return False
