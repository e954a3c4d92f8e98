"""`torch._inductor`: the code generator of `torch.compile` in PyTorch, whose part XLA has here."""

from . import config

__all__ = ["config"]
