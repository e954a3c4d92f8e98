"""Reading and writing checkpoints in PyTorch's file format."""

from .archive import CheckpointError
from .checkpoint import load, save

__all__ = ["CheckpointError", "load", "save"]
