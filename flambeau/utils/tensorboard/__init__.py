"""Logs for TensorBoard. `pip install flambeau[tensorboard]` brings the package that shows them."""

from .writer import FileWriter, SummaryWriter

__all__ = ["FileWriter", "SummaryWriter"]
