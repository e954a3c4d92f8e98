"""Reading and writing checkpoints in PyTorch's file formats."""

from .archive import CheckpointError
from .checkpoint import get_unsafe_globals_in_checkpoint, load, save
from .names import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals

__all__ = [
    "CheckpointError",
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "safe_globals",
    "save",
]
